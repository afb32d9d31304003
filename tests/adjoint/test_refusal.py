"""Where steps cannot be undone, the reversible gradient says so: an error with advice, or NaN under a trace."""

from __future__ import annotations

import jax
import numpy as np
import pytest
import torch
from adjoint_lines import deviation, host

import backbeam as bb
from backbeam.gradient import differentiate

OBJECTIVE = bb.observables.mean("tau")
WRT = ("b.voltage", "d.length")
ADVICE = (
    r"the reversible gradient is refused: a reconstructed state is off by .* of its size, tolerance .*; "
    r"anchor it more often \(Reversible\(anchor_every=\.\.\.\)\), or use Store\(\) or Checkpoint\(\)"
)


def ring(turns, voltage=2e3):
    """A buncher and a long drift, over and over: the standard map (Chirikov, Phys. Rep. 52 (1979) 263) at K = 6.

    Neighbours part by a factor of K/2 or so a turn, so backwards too: float32 has forgotten the start after eight.
    """
    return bb.Line([bb.Buncher(voltage, 3e9, name="b"), bb.Drift(7.0, name="d")]) * turns


def beam(backend="numpy", dtype="float32"):
    return bb.Beam.gaussian(
        n=100, species="electron", kinetic_energy=100e3, charge=1e-12, sigma_x=0.0, sigma_y=0.0, sigma_tau=3e-2,
        sigma_pt=1e-3, backend=backend, dtype=dtype,
    )  # fmt: skip


@pytest.mark.parametrize("adjoint", [bb.Reversible(anchor_every=None), bb.Reversible()], ids=repr)
@pytest.mark.parametrize("library", ["numpy", "torch", "array_api_strict"])
def test_chaos_is_refused_in_float32(library, adjoint):
    with pytest.raises(bb.TrackingError, match=ADVICE):
        bb.value_and_grad(OBJECTIVE, ring(12), beam(library), WRT, adjoint=adjoint)


def test_what_would_have_been_returned_is_wrong():
    """The refusal is no false alarm, and what the advice names is right."""
    right = differentiate(OBJECTIVE, ring(12), beam(), WRT, adjoint=bb.Store())
    wrong = differentiate(OBJECTIVE, ring(12), beam(), WRT, adjoint=bb.Reversible(anchor_every=None, tolerance=1e9))
    assert deviation(wrong.gradient, right.gradient) > 0.5
    assert float(wrong.report.mismatch) > 0.1
    for adjoint in (bb.Reversible(anchor_every=4), bb.Checkpoint(slots=3), bb.Checkpoint(slots=50)):
        found = differentiate(OBJECTIVE, ring(12), beam(), WRT, adjoint=adjoint)
        assert deviation(found.gradient, right.gradient) < 1e-3, adjoint
    # In float64: a tape's arithmetic rounds otherwise, and float32 goes another way from there.
    tape, stored = (
        differentiate(OBJECTIVE, ring(12), beam("torch", "float64"), WRT, adjoint=adjoint)
        for adjoint in (bb.Tape(), bb.Store())
    )
    assert deviation(tape.gradient, stored.gradient) < 1e-3


def test_the_mismatch_is_measured_in_float64_too():
    right = differentiate(OBJECTIVE, ring(8), beam(dtype="float64"), WRT, adjoint=bb.Store())
    found = differentiate(OBJECTIVE, ring(8), beam(dtype="float64"), WRT)
    assert 1e-13 < float(found.report.mismatch) < 1e-8
    assert deviation(found.gradient, right.gradient) < 1e-8
    with pytest.raises(bb.TrackingError, match=ADVICE):
        bb.value_and_grad(OBJECTIVE, ring(24), beam(dtype="float64"), WRT)


def test_a_tolerance_of_ones_own():
    strict = bb.Reversible(tolerance=1e-14)
    with pytest.raises(bb.TrackingError, match=r"tolerance 1\.0e-14"):
        bb.value_and_grad(OBJECTIVE, ring(8), beam(dtype="float64"), WRT, adjoint=strict)


def test_backward_of_torch_is_refused_too():
    voltage = torch.tensor(2e3, requires_grad=True)
    out = bb.track(ring(12, voltage), beam("torch"))
    with pytest.raises(bb.TrackingError, match=ADVICE):
        out.mean("tau").backward()
    assert voltage.grad is None


def test_one_setting_of_a_batch_is_enough():
    voltage = np.asarray([1.0, 2e3], dtype="float32")
    with pytest.raises(bb.TrackingError, match=ADVICE):
        bb.value_and_grad(OBJECTIVE, ring(12, voltage), beam(), WRT)


def test_torch_func_is_refused_too():
    """Under vmap as with leading axes: one setting is enough."""
    start = beam("torch")

    def slope(voltage):
        return torch.func.grad(lambda v: bb.track(ring(12, v), start).mean("tau"))(voltage)

    with pytest.raises(bb.TrackingError, match=ADVICE):
        slope(torch.tensor(2e3))
    with pytest.raises(bb.TrackingError, match=ADVICE):
        torch.func.vmap(slope)(torch.tensor([2e3, 1.0]))


@pytest.mark.long
def test_under_jit_it_is_nan_and_never_a_wrong_number():
    start = beam("jax")

    def function(voltage, adjoint):
        return bb.track(ring(8, voltage), start, adjoint=adjoint).mean("tau")

    slope = jax.jit(jax.grad(function), static_argnums=1)  # a program for each adjoint takes seconds
    assert np.isnan(host(slope(np.float32(2e3), bb.Reversible())))
    assert np.isfinite(host(slope(np.float32(1.0), bb.Reversible())))
    anchored = host(slope(np.float32(2e3), bb.Reversible(anchor_every=4)))
    # JAX's own arithmetic: any other rounds otherwise, and float32 goes another way from there.
    right = host(slope(np.float32(2e3), bb.Store()))
    assert anchored == pytest.approx(float(right), rel=1e-3)


def test_anchors_are_whole_numbers():
    for bad in (0, -3, 1.5, True, "often"):
        with pytest.raises(bb.InputError, match=r"adjoint\.anchor_every is"):
            bb.Reversible(anchor_every=bad)
    for bad in (0.0, -1.0, float("nan")):
        with pytest.raises(bb.InputError, match=r"adjoint\.tolerance is"):
            bb.Reversible(tolerance=bad)


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_a_singular_matrix_cannot_be_undone_but_kept(library):
    line = bb.Line([bb.Quadrupole(0.1, k1=1.0, name="q"), bb.LinearMap(np.diag([1.0, 1.0, 0.0, 1.0, 1.0, 1.0]))])
    kinds = {"species": "electron", "kinetic_energy": 1e8, "charge": 1e-9, "backend": library}
    beam = bb.Beam.gaussian(n=10, sigma_x=1e-3, **kinds)
    with pytest.raises(bb.TrackingError, match="a singular matrix cannot be undone"):
        bb.value_and_grad(bb.observables.sigma("x"), line, beam, ["q.k1"])
    value, gradient = bb.value_and_grad(bb.observables.sigma("x"), line, beam, ["q.k1"], adjoint="store")
    assert float(gradient["q.k1"]) == pytest.approx(-float(value) * 0.005, rel=1e-2)


def test_a_batch_of_no_settings_is_refused():
    beam = bb.Beam.gaussian(n=10, species="electron", kinetic_energy=1e8, charge=1e-9, sigma_x=1e-3)
    with pytest.raises(bb.InputError, match=r"batch is \(0,\); allowed: one setting at least"):
        bb.track(bb.Line([bb.Drift(np.zeros((0,)))]), beam)


def test_a_state_that_cannot_be_tracked_on_the_way_back_is_refused_as_such():
    """A box holds the beam on the way there, and not what an inverse that is none makes of it."""
    wrong = bb.Function(lambda b: b.coordinates, inverse=lambda b: 1e3 * b.coordinates, name="f")
    box = bb.SpaceCharge3D((6, 6, 6), bb.FixedExtent((-1.0,) * 3, (1.0,) * 3), slices=1)
    line = bb.Line([bb.Drift(0.1, name="d"), wrong])
    with pytest.raises(bb.TrackingError, match=r"is refused: a reconstructed state cannot be tracked \(.*outside"):
        bb.value_and_grad(OBJECTIVE, line, beam("torch"), ["d.length"], adjoint=bb.Reversible(), effects=[box])
