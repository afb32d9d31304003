"""Misalignment: symmetry, sense of the displacement and of the roll, and a quadrupole of ImpactX."""

from __future__ import annotations

import numpy as np
import pytest
from impactx_vectors import vector
from motion import arrays, electrons, particles

from backbeam.maps.drift import DriftMap
from backbeam.maps.linear import LinearBody
from backbeam.maps.misalignment import Misalign
from backbeam.maps.solenoid import SolenoidMap


def moved(map, X, reference, p, present):
    for step in (Misalign(present, +1), map, Misalign(present, -1)):
        X = step.forward(X, reference, p)
    return X


def test_quadrupole_of_impactx():
    v = vector("quad_misaligned")
    given = {"length": v.given["ds"], "k1": v.given["k"], "dx": v.given["dx"], "dy": v.given["dy"]}
    p = arrays(**given, roll=np.deg2rad(v.given["rotation"]))
    found = moved(LinearBody(gradient=True), v.X, v.reference, p, ("dx", "dy", "roll"))
    assert np.abs(found - v.X1).max() < 1e-17


@pytest.mark.parametrize(("map", "p", "present"), [
    (DriftMap(), {"length": 0.8}, ("dx", "dy", "roll")),
    (SolenoidMap(), {"length": 0.8, "ks": 2.0}, ("roll",)),
])  # fmt: skip
def test_what_is_symmetric_does_not_see_it(map, p, present):
    X, reference = particles(1, 1e-2), electrons()
    p = arrays(**p, dx=3e-3, dy=-4e-3, roll=0.7)
    assert np.abs(moved(map, X, reference, p, present) - map.forward(X, reference, p)).max() < 1e-16


def test_axis_of_a_displaced_quadrupole_is_where_it_was_put():
    reference, p = electrons(), arrays(length=0.3, k1=8.0, dx=1e-3, dy=-2e-3)
    X = np.asarray([[1e-3], [0.0], [-2e-3], [0.0], [0.0], [0.0]])
    assert np.abs(moved(LinearBody(gradient=True), X, reference, p, ("dx", "dy")) - X).max() < 1e-18


def test_roll_is_from_x_towards_y():
    """A quadrupole rolled by a small angle kicks px by -2 k1 roll y: the focusing axis leans towards +y."""
    reference, roll = electrons(), 1e-4
    X = np.asarray([[0.0], [0.0], [1e-3], [0.0], [0.0], [0.0]])
    p = arrays(length=1e-4, k1=10.0, roll=roll)
    after = moved(LinearBody(gradient=True), X, reference, p, ("roll",))
    assert after[1, 0] == pytest.approx(-2.0 * 10.0 * 1e-4 * roll * 1e-3, rel=1e-6)
    quarter = moved(LinearBody(gradient=True), particles(2), reference, p | arrays(roll=np.pi / 2), ("roll",))
    swapped = LinearBody(gradient=True).forward(particles(2), reference, p | arrays(k1=-10.0))
    assert np.abs(quarter - swapped).max() < 1e-18
