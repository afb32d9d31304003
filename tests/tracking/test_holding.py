"""Magnets that keep their field while the reference's energy moves: focusing, steering, gradients, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import backbeam as bb
from backbeam.maps import quadrupole
from backbeam.maps.held import Held
from backbeam.reference import Reference
from backbeam.species import species_named


def beam(backend="numpy", n=500, **more):
    return bb.Beam.gaussian(
        n=n, species="electron", kinetic_energy=50e6, charge=0.0, seed=1, backend=backend, sigma_x=3e-4,
        sigma_px=3e-5, sigma_y=3e-4, sigma_py=3e-5, sigma_tau=1e-6, sigma_pt=1e-5, **more,
    )  # fmt: skip


def line(phase=0.3, k1=8.0):
    return bb.Line(
        [
            bb.RFCavity(3.0, voltage=50e6, frequency=2.856e9, phase=phase, name="c"),
            bb.Quadrupole(0.2, k1=k1, name="q"),
            bb.Corrector(0.1, hkick=1e-3, name="h"),
            bb.Drift(2.0),
        ]
    )


def test_phase_error_changes_the_focusing_behind():
    """A klystron 10 degrees off: the quadrupole's k1 is then design momentum over momentum of what it was."""
    start, error = beam(), np.deg2rad(10.0)
    machine = line().hold_fields(start.reference)
    off = bb.track(machine.replace({"c.phase": 0.3 + error}), start)
    ratio = float(bb.track(line(), start).reference.momentum / off.reference.momentum)
    assert ratio > 1.03
    by_hand = bb.track(line(0.3 + error, 8.0 * ratio).replace({"h.hkick": 1e-3 * ratio}), start)
    np.testing.assert_allclose(off.coordinates, by_hand.coordinates, rtol=1e-11, atol=1e-17)
    assert float(off.sigma("x")) != pytest.approx(float(bb.track(line(0.3 + error), start).sigma("x")), rel=1e-2)


def test_without_error_nothing_changes():
    start = beam()
    held, free = (bb.track(each, start) for each in (line().hold_fields(start.reference), line()))
    np.testing.assert_allclose(held.coordinates, free.coordinates, rtol=1e-12, atol=1e-18)


def test_is_an_arrival_error_seen_from_another_reference():
    """The same electrons in the same fields, described by the reference that is off and by one that is on time.

    They agree to the error of the quadrupole, which is split about the reference."""
    start, error = beam(), 0.02
    machine = line().replace({"c.length": None}).hold_fields(start.reference)
    k = 2.0 * np.pi * 2.856e9 / 299792458.0
    X = np.asarray(start.coordinates).copy()
    X[4] += error / k
    late = bb.track(machine, start.replace(coordinates=X))
    off = bb.track(machine.replace({"c.phase": 0.3 + error}), start)
    for name in ("x", "y"):
        assert float(off.sigma(name)) == pytest.approx(float(late.sigma(name)), rel=1e-7)
        assert float(off.mean(name)) == pytest.approx(float(late.mean(name)), rel=1e-7, abs=1e-12)


@pytest.mark.parametrize("bend", [bb.SectorBend, bb.RectangularBend])
def test_bends_keep_their_field(bend):
    """A beam that is low in energy is bent more; with the design's reference it is only late in the cavity."""
    start, error = beam(), 0.02
    cavity = bb.RFCavity(voltage=50e6, frequency=2.856e9, phase=0.3, name="c")
    machine = bb.Line([cavity, bend(0.5, 0.2, name="b"), bb.Drift(1.0)]).hold_fields(start.reference)
    X = np.asarray(start.coordinates).copy()
    X[4] += error * 299792458.0 / (2.0 * np.pi * 2.856e9)
    late = bb.track(machine, start.replace(coordinates=X))
    off = bb.track(machine.replace({"c.phase": 0.3 + error}), start)
    assert abs(float(off.mean("x"))) > 7e-4
    for name in ("x", "y"):
        assert float(off.mean(name)) == pytest.approx(float(late.mean(name)), rel=1e-9, abs=1e-14)
        assert float(off.sigma(name)) == pytest.approx(float(late.sigma(name)), rel=1e-9)


@pytest.mark.parametrize("parameter", ["c.phase", "c.voltage", "q.k1", "q.design_momentum"])
def test_gradient_equals_differences(parameter):
    start = beam(n=50)
    machine = line().hold_fields(start.reference)
    _, gradient = bb.value_and_grad(bb.observables.sigma("x"), machine, start, [parameter])
    value = machine.get(parameter)
    h = 1e-5 * abs(value)
    ends = [float(bb.track(machine.replace({parameter: value + s * h}), start).sigma("x")) for s in (1, -1)]
    assert float(gradient[parameter]) == pytest.approx((ends[0] - ends[1]) / (2.0 * h), rel=1e-6)


def test_linear_maps_stay_linear():
    """A held quadrupole is still merged with its neighbours."""
    assert Held(bb.Quadrupole(0.1, k1=1.0, model="linear").body(1.0)[0].map, ("k1",)).linear
    assert not Held(quadrupole.ThickQuadrupole(), ("k1",)).linear


def test_one_element_at_two_momenta_is_refused():
    quadrupole_of_both = bb.Quadrupole(0.1, k1=1.0, name="q")
    cavity = bb.RFCavity(voltage=1e6, frequency=1e9)
    reference = Reference.from_kinetic_energy(np.asarray(5e6), species_named("electron"))
    with pytest.raises(bb.InputError, match="one momentum"):
        bb.Line([quadrupole_of_both, cavity, quadrupole_of_both]).hold_fields(reference)
    held = bb.Line([quadrupole_of_both, bb.Drift(1.0), quadrupole_of_both]).hold_fields(reference)
    assert held["q"].design_momentum == pytest.approx(float(reference.momentum))


def test_nothing_to_hold_is_refused():
    with pytest.raises(bb.InputError, match="no field"):
        bb.Drift(1.0, design_momentum=1e6)
