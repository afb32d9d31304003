"""PyTorch's own ways to a gradient go through our pullbacks: backward, torch.func, vmap; and through Tape, jvp too."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import backbeam as bb

ELECTRONS = {
    "n": 60, "species": "electron", "kinetic_energy": 20e6, "charge": 1e-9, "sigma_x": 1e-3, "sigma_y": 1e-3,
    "sigma_px": 1e-3, "sigma_py": 1e-3, "sigma_tau": 1e-3, "sigma_pt": 1e-3,
}  # fmt: skip
OPTIONS = {"space_charge": bb.SpaceCharge3D(grid=(6, 6, 6))}
ADJOINTS = (bb.Reversible(), bb.Reversible(anchor_every=2), bb.Checkpoint(slots=2), bb.Store())
every_adjoint = pytest.mark.parametrize("adjoint", ADJOINTS, ids=repr)
torch_warns_of_itself = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
DOUBLE = {"dtype": torch.float64}


def line(k1):
    return bb.Line([bb.Drift(0.2, name="d"), bb.Quadrupole(0.1, k1=k1, name="qf", slices=3), bb.Drift(0.3)])


def beam(**changes):
    return bb.Beam.gaussian(backend="torch", **{**ELECTRONS, **changes})


def size(k1, adjoint=None, start=None):
    return bb.track(line(k1), beam() if start is None else start, adjoint=adjoint, **OPTIONS).sigma("x")


@pytest.fixture(scope="module")
def wanted():
    """By our own door, on NumPy."""
    start = bb.Beam.gaussian(**ELECTRONS)
    return bb.value_and_grad(
        bb.observables.sigma("x"),
        line(10.0),
        start,
        ["qf.k1", "beam.coordinates", "beam.sigma_x", "beam.charge"],
        **OPTIONS,
    )[1]


@every_adjoint
def test_backward(adjoint, wanted):
    k1 = torch.tensor(10.0, requires_grad=True, **DOUBLE)
    size(k1, adjoint).backward()
    assert k1.grad.item() == pytest.approx(float(wanted["qf.k1"]), rel=1e-12)


def test_backward_is_the_default_and_may_be_called_twice(wanted):
    k1 = torch.tensor(10.0, requires_grad=True, **DOUBLE)
    value = size(k1)
    value.backward(retain_graph=True)
    value.backward()
    assert k1.grad.item() == pytest.approx(2.0 * float(wanted["qf.k1"]), rel=1e-12)


@pytest.mark.parametrize("adjoint", [bb.Checkpoint(slots=2), bb.Store()], ids=repr)
def test_what_was_kept_serves_a_second_backward(adjoint, wanted):
    k1 = torch.tensor(10.0, requires_grad=True, **DOUBLE)
    value = size(k1, adjoint)
    value.backward(retain_graph=True)
    value.backward()
    assert k1.grad.item() == pytest.approx(2.0 * float(wanted["qf.k1"]), rel=1e-12)


def test_to_coordinates_and_to_the_parameters_of_the_distribution(wanted):
    sigma = torch.tensor(1e-3, requires_grad=True, **DOUBLE)
    charge = torch.tensor(1e-9, requires_grad=True, **DOUBLE)
    size(10.0, start=beam(sigma_x=sigma, charge=charge)).backward()
    assert sigma.grad.item() == pytest.approx(float(wanted["beam.sigma_x"]), rel=1e-11)
    assert charge.grad.item() == pytest.approx(float(wanted["beam.charge"]), rel=1e-11)
    start = beam()
    X = start.coordinates.clone().requires_grad_()
    size(10.0, start=start.replace(coordinates=X)).backward()
    scale = np.abs(wanted["beam.coordinates"]).max()
    np.testing.assert_allclose(X.grad.numpy(), wanted["beam.coordinates"], rtol=0, atol=1e-12 * scale)


def test_readings_and_reference_energy_are_in_the_graph():
    """A monitor and the final momentum of the reference, both behind a cavity."""
    voltage = torch.tensor(3e6, requires_grad=True, **DOUBLE)
    cavity = bb.RFCavity(0.5, voltage=voltage, frequency=1.3e9, phase=-0.3, steps=2)
    out = bb.track(bb.Line([cavity, bb.Drift(0.3), bb.Monitor(name="bpm")]), beam(mean_px=1e-3), **OPTIONS)
    (by_momentum,) = torch.autograd.grad(out.reference.beta_gamma, voltage, retain_graph=True)
    # d(beta gamma)/dV = cos(phase)/(beta m)
    assert by_momentum.item() == pytest.approx(np.cos(0.3) / (out.beta.item() * out.species.mass), rel=1e-12)
    (by_reading,) = torch.autograd.grad(out.readings["bpm"][0], voltage)
    h = 30.0

    def reading(v):
        with torch.no_grad():
            thick = bb.RFCavity(0.5, voltage=v, frequency=1.3e9, phase=-0.3, steps=2)
            line = bb.Line([thick, bb.Drift(0.3), bb.Monitor(name="bpm")])
            return bb.track(line, beam(mean_px=1e-3), **OPTIONS).readings["bpm"][0].item()

    difference = (reading(3e6 + h) - reading(3e6 - h)) / (2.0 * h)
    assert by_reading.item() == pytest.approx(difference, rel=1e-5)


@every_adjoint
def test_gradcheck(adjoint):
    k1 = torch.tensor(10.0, requires_grad=True, **DOUBLE)
    length = torch.tensor(0.2, requires_grad=True, **DOUBLE)

    def function(k1, length):
        changed = line(k1).replace({"d.length": length})
        out = bb.track(changed, beam(), adjoint=adjoint, **OPTIONS)
        return 1e3 * out.sigma("x"), 1e6 * out.emittance("y")

    assert torch.autograd.gradcheck(function, (k1, length), eps=1e-6, atol=1e-6, rtol=1e-5)


@every_adjoint
def test_func_grad_and_vmap_over_settings(adjoint, wanted):
    def function(k):
        return size(k, adjoint)

    here = torch.tensor(10.0, **DOUBLE)
    assert torch.func.grad(function)(here).item() == pytest.approx(float(wanted["qf.k1"]), rel=1e-12)
    settings = torch.tensor([9.0, 10.0, 11.5], **DOUBLE)
    loop = torch.stack([torch.func.grad(function)(k) for k in settings])
    torch.testing.assert_close(torch.func.vmap(torch.func.grad(function))(settings), loop, rtol=1e-11, atol=0)
    values = torch.stack([function(k) for k in settings])
    torch.testing.assert_close(torch.func.vmap(function)(settings), values, rtol=1e-13, atol=0)


def test_vmap_over_beams_and_nested():
    starts = torch.stack([beam(seed=s).coordinates for s in (1, 2)])
    settings = torch.tensor([9.0, 11.0, 12.0], **DOUBLE)
    model = beam()

    def function(k, X):
        return size(k, start=model.replace(coordinates=X))

    nested = torch.func.vmap(torch.func.vmap(torch.func.grad(function), (0, None)), (None, 0))(settings, starts)
    loop = torch.stack([torch.stack([torch.func.grad(function)(k, X) for k in settings]) for X in starts])
    torch.testing.assert_close(nested, loop, rtol=1e-11, atol=0)


def test_no_graph_where_no_gradient_is_wanted():
    assert not size(10.0).requires_grad
    k1 = torch.tensor(10.0, requires_grad=True, **DOUBLE)
    with torch.no_grad():
        assert not size(k1).requires_grad


@torch_warns_of_itself
def test_forward_mode_and_hessian_through_tape(wanted):
    def function(k):
        return size(k, bb.Tape())

    here, one = torch.tensor(10.0, **DOUBLE), torch.tensor(1.0, **DOUBLE)
    _, slope = torch.func.jvp(function, (here,), (one,))
    assert slope.item() == pytest.approx(float(wanted["qf.k1"]), rel=1e-11)
    h = 1e-3
    difference = (torch.func.grad(function)(here + h) - torch.func.grad(function)(here - h)) / (2.0 * h)
    assert torch.func.hessian(function)(here).item() == pytest.approx(difference.item(), rel=1e-5)


@torch_warns_of_itself
@every_adjoint
def test_what_only_tape_can_do_is_refused_by_the_others(adjoint):
    """Never a silent zero."""
    here = torch.tensor(10.0, requires_grad=True, **DOUBLE)

    def function(k):
        return size(k, adjoint)

    def twice(k):
        (slope,) = torch.autograd.grad(function(k), k, create_graph=True)
        return torch.autograd.grad(slope, k)

    for transform in (
        lambda k: torch.func.jvp(function, (k.detach(),), (torch.ones_like(k),)),
        lambda k: torch.func.jacfwd(function)(k.detach()),
        lambda k: torch.func.hessian(function)(k.detach()),
        lambda k: torch.func.grad(torch.func.grad(function))(k.detach()),
        lambda k: torch.func.vmap(torch.func.grad(torch.func.grad(function)))(torch.stack([k.detach(), k.detach()])),
        twice,
    ):
        with pytest.raises(
            NotImplementedError, match=r"forward mode .* second derivatives pass adjoint=backbeam\.Tape"
        ):
            transform(here)


def test_an_optimiser_of_torch_finds_a_smaller_beam():
    k1 = torch.tensor(5.0, requires_grad=True, **DOUBLE)
    optimizer = torch.optim.LBFGS([k1], lr=1.0, max_iter=6, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = 1e6 * size(k1) ** 2
        loss.backward()
        return loss

    before = closure().item()
    optimizer.step(closure)
    assert closure().item() < 0.9 * before
