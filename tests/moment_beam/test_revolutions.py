"""A beam of moments around a ring: turn by turn is the line so many times, in memory that its turns do not take."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from test_moment_beam import moments_of_a_beam, reference

import backbeam as bb
from backbeam.errors import InputError
from backbeam.jacobians import values
from backbeam.moment_beam import revolutions
from backbeam.moment_beam.tracking import moment_jacobian


def ring() -> bb.Line:
    """A cell with a nonlinear magnet, bends, a cavity that changes the reference, and a monitor out of place."""
    return bb.Line([
        bb.Quadrupole(0.3, k1=2.0, name="qf"), bb.Drift(0.4, name="d"), bb.Sextupole(0.1, k2=5.0, name="sx"),
        bb.Monitor(name="bpm", dx=1e-3), bb.SectorBend(0.5, angle=0.1, name="b"),
        bb.Quadrupole(0.3, k1=-2.1, name="qd"),
        bb.RFCavity(0.2, voltage=2e4, frequency=1e8, phase=-0.4, name="rf"), bb.Drift(0.5, name="d2"),
    ])  # fmt: skip


def beam() -> bb.MomentBeam:
    mean, cov = moments_of_a_beam()
    return bb.MomentBeam(mean, cov, reference(), 1e-9)


@pytest.fixture(autouse=True)
def _few_maps_at_once(monkeypatch):
    """Stretches of two turns or one, of these few."""
    monkeypatch.setattr(revolutions, "MAPS_AT_ONCE", 18)


@pytest.mark.parametrize("options", [{}, {"space_charge": bb.LinearSpaceCharge(), "slices": 2}])
def test_turns_are_the_line_so_many_times(options):
    around, along = bb.track(ring(), beam(), turns=5, **options), bb.track(ring() * 5, beam(), **options)
    assert np.allclose(around.mean(), along.mean(), rtol=1e-12) and np.allclose(around.cov(), along.cov(), rtol=1e-12)
    assert around.reference.beta_gamma == pytest.approx(along.reference.beta_gamma, rel=1e-14)
    assert around.s == pytest.approx(along.s)
    assert len(around.readings["bpm"]) == 5
    assert np.allclose(around.readings["bpm"], along.readings["bpm"], rtol=1e-12)


@pytest.mark.parametrize("options", [{}, {"space_charge": bb.LinearSpaceCharge(), "slices": 2}])
def test_gradients_by_turns_and_at_places(options):
    """Two objectives at once, one at the end and one behind the third passage of a magnet."""
    objectives = [bb.observables.sigma("x"), bb.observables.mean("x").at("qd[2]")]
    wrt = ["qf.k1", "rf.voltage", "beam.mean", "beam.cov", "beam.charge", "beam.beta_gamma"]
    found = moment_jacobian(objectives, ring(), beam(), wrt, turns=5, **options)
    expected = moment_jacobian(objectives, ring() * 5, beam(), wrt, **options)
    assert np.allclose(found[0], expected[0], rtol=1e-13)
    assert np.allclose(found[0], values(objectives, ring(), beam(), turns=5, **options), rtol=1e-13)
    for name in wrt:
        scale = np.abs(expected[1][name]).max()
        assert np.allclose(found[1][name], expected[1][name], rtol=1e-9, atol=1e-9 * scale), name
    one = bb.value_and_grad(objectives[1], ring(), beam(), wrt, turns=5, **options)
    assert np.allclose(one[1]["qf.k1"], found[1]["qf.k1"][1], rtol=1e-12)


def test_memory_does_not_grow_with_the_turns(monkeypatch):
    """Matrices of 400 maps are kept, and before each stretch of so many a beam."""
    monkeypatch.setattr(revolutions, "MAPS_AT_ONCE", 400)
    cell, peaks = bb.Line([bb.Quadrupole(0.3, k1=k1, name=name) for k1, name in ((2.0, "q"), (-2.0, "p"))]), []
    for turns in (400, 1600):
        tracemalloc.start()
        bb.value_and_grad(bb.observables.sigma("x"), cell, beam(), ["q.k1"], turns=turns)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.05 * peaks[0]


def test_a_number_of_turns():
    for turns in (0, -1, 1.5, True, "2"):
        with pytest.raises(InputError, match=r"track\.turns"):
            bb.track(ring(), beam(), turns=turns)
    assert bb.track(ring(), beam(), turns=np.int64(2)).s == pytest.approx(2 * ring().length)
