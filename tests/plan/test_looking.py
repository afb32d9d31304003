"""Looking at the beam on the way changes nothing."""

from __future__ import annotations

import numpy as np
import pytest

import backbeam as bb

MODEL = bb.SpaceCharge3D((8, 8, 8))


def line():
    return bb.Line([
        bb.Drift(0.2), bb.RFCavity(1.0, voltage=2e7, frequency=1.3e9, phase=0.5), bb.Sextupole(0.4, k2=300.0),
        bb.Monitor(name="m"), bb.Quadrupole(0.5, k1=6.0), bb.Marker(), bb.SectorBend(0.5, angle=0.1, k1=1.0),
        bb.Drift(0.1, model="linear"), bb.Quadrupole(0.2, k1=2.0, model="linear"), bb.Aperture(4e-3, 4e-3),
        bb.Drift(0.0), bb.Solenoid(0.3, ks=2.0), bb.Drift(0.5),
    ])  # fmt: skip


def beam():
    return bb.Beam.gaussian(
        n=300, species="electron", kinetic_energy=5e6, charge=1e-10, seed=1, sigma_x=1e-3, sigma_px=1e-3, sigma_y=1e-3,
        sigma_py=1e-3, sigma_tau=1e-3, sigma_pt=1e-3,
    )  # fmt: skip


@pytest.mark.parametrize("options", [
    {}, {"slices": 7}, {"slices": 3, "space_charge": MODEL}, {"step": 0.15, "space_charge": MODEL},
], ids=str)  # fmt: skip
def test_the_last_look_is_the_tracked_beam_to_the_bit(options):
    tracked = bb.track(line(), beam(), **options)
    looks = list(bb.trace(line(), beam(), **options))
    *_, (s, name, last) = looks
    np.testing.assert_array_equal(last.coordinates, tracked.coordinates)
    np.testing.assert_array_equal(last.lost_at, tracked.lost_at)
    assert 0 < int(np.sum(tracked.lost_at >= 0)) < 300
    assert s == pytest.approx(float(line().length)) and name == line().sequence[-1]
    readings = [b.readings["m"] for _, _, b in looks if "m" in b.readings]
    assert len(readings) == 1
    np.testing.assert_array_equal(readings[0], tracked.readings["m"])


def test_between_elements_it_is_the_beam_of_the_line_so_far():
    """To rounding: a line that ends there may merge its maps otherwise."""
    for k, (_, name, seen) in enumerate(bb.trace(line(), beam())):
        short = bb.track(bb.Line(line().elements[:k]), beam()) if k else beam()
        assert np.allclose(seen.coordinates, short.coordinates, rtol=1e-11, atol=1e-15), (k, name)


def test_within_an_element_it_is_the_beam_there():
    """A drift and a linear quadrupole are the same in any number of parts."""
    made = bb.Line([bb.Drift(0.3, name="d"), bb.Quadrupole(0.4, k1=3.0, model="linear", name="q")])
    seen = {round(float(s), 6): b for s, _, b in bb.trace(made, beam(), slices=4)}
    half = bb.track(bb.Line([bb.Drift(0.3), bb.Quadrupole(0.2, k1=3.0, model="linear")]), beam())
    assert np.allclose(seen[0.5].coordinates, half.coordinates, rtol=1e-12, atol=1e-17)


def test_with_kicks_a_look_is_near_the_finer_way():
    """Within an element: the kick so far, then the map to the place."""
    made = bb.Line([bb.Drift(1.0, name="d")])
    strong = bb.Beam.gaussian(n=300, species="electron", kinetic_energy=5e6, charge=1e-8, seed=1, sigma_x=1e-3,
                              sigma_y=1e-3, sigma_tau=1e-3)  # fmt: skip
    few = {round(float(s), 6): b for s, _, b in bb.trace(made, strong, slices=4, space_charge=MODEL)}
    half = bb.track(bb.Line([bb.Drift(0.5)]), strong, slices=2, space_charge=MODEL)
    assert np.allclose(few[0.5].coordinates, half.coordinates, rtol=1e-12, atol=1e-17)
