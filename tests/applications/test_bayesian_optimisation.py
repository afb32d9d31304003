"""The prior mean of the Bayesian example: a batch, its gradients, its scale, and the machines that differ from it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backbeam_torch.examples import bayesian_optimisation as program


@pytest.fixture(scope="module")
def x() -> torch.Tensor:
    """Settings near the middle of their ranges, as BoTorch hands them over: restarts, one each, five."""
    return 0.5 + 0.2 * torch.randn((3, 1, 5), dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_a_batch_is_its_rows_and_has_gradients(x):
    line = program.Line()
    settings = x.clone().requires_grad_()
    value = line(settings)
    assert value.shape == (3, 1)
    (slope,) = torch.autograd.grad(value.sum(), settings)
    one = line(x[1, 0])
    assert one.shape == () and float(one) == pytest.approx(float(value[1, 0].detach()), rel=1e-10)
    h, direction = 1e-6, torch.linspace(-1.0, 1.0, 5, dtype=torch.float64)
    difference = (line(x + h * direction) - line(x - h * direction)) / (2.0 * h)
    torch.testing.assert_close((slope * direction).sum(-1), difference, rtol=1e-6, atol=1e-6)


def test_values_are_logs_of_what_is_on_the_screen(x):
    """Without any magnet the beam drifts: sigma^2 = sigma_0^2 + (L sigma')^2 but for the sample's correlation."""
    line = program.Line()
    off = line(torch.full((5,), 0.5, dtype=torch.float64))
    X = line.beam.coordinates.numpy()
    at = X[[0, 2]] + float(line.line.length) * X[[1, 3]]
    assert float(off) == pytest.approx(-0.5 * np.log(1e6 * np.mean((at**2).sum(axis=0))), rel=1e-9)
    shifted = program.Mean(shift=2.0, scale=0.5)
    torch.testing.assert_close(shifted(x), (line(x) - 2.0) / 0.5)


def test_machines_differ_from_the_line_and_from_each_other(x):
    line, one, other = program.Line(), program.machine(1), program.machine(2)
    with torch.no_grad():
        values = [machine(x).flatten() for machine in (line, one, other, program.machine(1))]
    assert torch.equal(values[1], values[3])
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert float((values[a] - values[b]).abs().max()) > 1e-3


def test_it_draws():
    best = [np.asarray([-1.0, 0.0, 0.5]), np.asarray([-1.0, -0.5, 0.2])]
    assert len(program.draw({"constant": best, "backbeam": best}).axes) == 1
