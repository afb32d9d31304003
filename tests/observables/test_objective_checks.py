"""Objectives: what they may depend on, and what they may not give; PyTorch's own records are kept out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import backbeam as bb
from backbeam.gradient import differentiate

M, D = bb.Monitor(name="m"), bb.Drift(0.5, name="d")
LINE = bb.Line([D, M, D, M])
SIZES = {"sigma_x": 1e-3, "sigma_px": 2e-4, "sigma_y": 8e-4, "sigma_tau": 1e-3}


def beam(backend="numpy", n=60):
    return bb.Beam.gaussian(n=n, species="electron", kinetic_energy=1e8, charge=1e-10, seed=2, backend=backend, **SIZES)


def found(objective, backend="numpy", line=LINE, **options):
    return differentiate(objective, line, beam(backend), ["d.length"], **options)


@pytest.mark.parametrize("passage", [-1, -2])
def test_passages_counted_from_the_end(passage):
    from_start = found(bb.observables.Reading("m", [1.0, 0.3], passage + 2))
    from_end = found(bb.observables.Reading("m", [1.0, 0.3], passage))
    assert from_end.value == from_start.value
    assert from_end.gradient["d.length"] == from_start.gradient["d.length"] != 0.0
    with pytest.raises(bb.InputError, match="one of 2 passages"):
        found(bb.observables.Reading("m", [1.0, 0.3], -3))


@pytest.mark.parametrize(
    ("backend", "adjoint"), [("torch", "reversible"), ("torch", "store"), ("torch", "tape"), ("jax", "store")]
)
def test_the_path_length_has_a_gradient(backend, adjoint):
    """Against differences of the whole thing."""

    def objective(b):
        return b.sigma("x") * b.s

    def value(length):
        return float(objective(bb.track(LINE.replace({"d.length": length}), beam())))

    h = 1e-4
    wanted = (value(0.5 + h) - value(0.5 - h)) / (2 * h)
    assert float(found(objective, backend, adjoint=adjoint).gradient["d.length"]) == pytest.approx(wanted, rel=1e-7)


def test_a_cotangent_of_the_path_length():
    got = found(lambda b: (b.s, {"s": np.asarray(1.0)}))
    assert float(got.gradient["d.length"]) == 2.0


ONE = np.asarray([1.0, 0.0])
WRONG = {
    "no such reading": (
        {"readings": {"mm": [ONE, ONE]}},
        "cotangent of a reading is 'mm'; allowed: one of the readings",
    ),
    "one for two": ({"readings": {"m": ONE}}, "cotangents of m is 1; allowed: 2, a list with one for each passage"),
    "shape of a reading": ({"readings": {"m": [np.ones(3), ONE]}}, "cotangent of m is one of float64, shape (3,)"),
    "a number": (np.float64(1.0), "cotangent of coordinates is one of float64, shape ()"),
    "a row": (np.ones(60), "cotangent of coordinates is one of float64, shape (60,)"),
    "complex": (np.ones((6, 60)) * 1j, "cotangent of coordinates is one of complex128"),
    "NaN": (np.full((6, 60), np.nan), "cotangent of coordinates is not finite"),
    "charges": ({"charges": np.ones(59)}, "cotangent of charges is one of float64, shape (59,)"),
    "text": ({"beta_gamma": "much"}, "cotangent of beta_gamma is 'much'"),
    "unknown": ({"colour": ONE}, "cotangents of coordinates, charges, beta_gamma, readings, s"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_cotangents_that_cannot_be(case):
    cotangent, said = WRONG[case]
    with pytest.raises(bb.InputError) as raised:
        found(lambda b: (b.mean("x"), cotangent))
    assert said in str(raised.value)


@pytest.mark.parametrize("backend", ["torch", "jax"])
@pytest.mark.parametrize("adjoint", ["reversible", "tape"])
def test_a_value_that_is_no_number_for_each_setting(backend, adjoint):
    with pytest.raises(bb.InputError, match=r"a value of shape \(6,\); allowed: one number for each setting"):
        found(lambda b: b.mean(), backend, adjoint=adjoint)
    with pytest.raises(bb.InputError, match="shape"):
        found(lambda b: (b.mean(), np.zeros((6, 60))))


def test_settings_that_require_a_gradient_cost_nothing_here():
    """No tape is recorded for what our own pullbacks differentiate: the same bits, detached."""

    def gradient(k1, length):
        line = bb.Line([bb.Quadrupole(0.2, k1=k1, name="q"), bb.Drift(length, name="d")])
        model = bb.SpaceCharge3D(grid=(8, 8, 8))
        return bb.value_and_grad(
            bb.observables.sigma("x"), line, beam("torch", 500), ["q.k1", "beam.charge"], space_charge=model, slices=2
        )

    recorded: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: recorded.append(t.nbytes) or t, lambda t: t):
        value, slopes = gradient(torch.tensor(3.0, dtype=torch.float64, requires_grad=True), torch.nn.Parameter(
            torch.tensor(1.0, dtype=torch.float64)))  # fmt: skip
    assert not recorded
    plain, same = gradient(3.0, 1.0)
    assert not value.requires_grad and float(value) == float(plain)
    for name, bar in slopes.items():
        assert not bar.requires_grad and float(bar) == float(same[name])
