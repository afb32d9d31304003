"""Dynamic aperture: the Henon map step by step and its fixed point, losses at an opening, batches, what is refused."""

from __future__ import annotations

from math import cos, pi, sin, tan

import numpy as np
import pytest

import backbeam as bb
from backbeam.errors import InputError
from backbeam.reference import Reference
from backbeam.species import species_named

TUNES = (0.205, 0.31)
STRENGTH = 2e3
"""k2 L of the one sextupole: beta is 1 m, so 1/1000 m is the unit of its map."""
REFERENCE = Reference.from_kinetic_energy(np.asarray(1e9), species_named("proton"))


def henon(strength=STRENGTH, tunes=TUNES) -> bb.Line:
    """A rotation of both planes and a thin sextupole."""
    R = np.eye(6)
    for k, tune in enumerate(tunes):
        c, s = cos(2 * pi * tune), sin(2 * pi * tune)
        R[2 * k : 2 * k + 2, 2 * k : 2 * k + 2] = [[c, s], [-s, c]]
    return bb.Line([bb.ThinMultipole(k2l=strength, name="s"), bb.LinearMap(R, name="r")])


def alone(x, y, turns):
    """Who is within 100 times the grid after so many turns of the map, written once more."""
    x, y = x * 1.0, y * 1.0
    p, q = np.zeros_like(x), np.zeros_like(y)
    far = 100.0 * max(np.abs(x).max(), np.abs(y).max())
    alive = np.ones(x.shape, bool)
    (cx, sx), (cy, sy) = ((cos(2 * pi * t), sin(2 * pi * t)) for t in TUNES)
    for _ in range(turns):
        p, q = p - 0.5 * STRENGTH * (x * x - y * y), q + STRENGTH * x * y
        x, p, y, q = cx * x + sx * p, cx * p - sx * x, cy * y + sy * q, cy * q - sy * y
        alive &= (np.abs(x) <= far) & (np.abs(y) <= far)
        x, p, y, q = (np.where(alive, a, 0.0) for a in (x, p, y, q))
    return alive


def test_beside_the_map_and_its_fixed_point():
    r, emittance = np.linspace(0.05, 1.2, 24), 1e-6
    found = bb.dynamic_aperture(
        henon(), REFERENCE, 200, emittance_x=emittance, emittance_y=emittance, amplitudes=r, angles=(0.0, 0.5, 1.2)
    )
    angle = np.asarray(found.angles)[:, None]
    assert np.array_equal(found.survived, alone(1e-3 * r * np.cos(angle), 1e-3 * r * np.sin(angle), 200))
    assert 0.3 < found.border[0] < 1.0 and found.border[1] != found.border[0]
    # x = -4 tan(mu/2)/strength, p = 4 tan^2(mu/2)/strength before the sextupole returns, and bounds what is stable.
    t = tan(pi * TUNES[0])
    fixed = np.asarray([-t, t * t, 0.0, 0.0, 0.0, 0.0])[:, None] * 4.0 / STRENGTH
    beam = bb.Beam.from_arrays(fixed, species="proton", kinetic_energy=1e9, charge=0.0)
    assert np.allclose(bb.track(henon(), beam, turns=5).coordinates, fixed, atol=1e-15)
    assert np.all(1e-3 * found.border[0] < np.hypot(*fixed[:2, 0]))


def test_openings_pt_and_batches():
    quadrupole, drift = bb.Quadrupole(0.4, k1=0.6, name="qf"), bb.Drift(1.2, name="d")
    cell = bb.Line([quadrupole, drift, bb.Quadrupole(0.4, k1=-0.6, name="qd"), drift])
    given = {"emittance_x": 1e-6, "emittance_y": 1e-6, "amplitudes": range(1, 9), "angles": (0.0, pi / 2)}
    o = bb.optics(cell, REFERENCE)
    half = 4.5e-3 * np.sqrt(np.asarray([o.beta_x[0], o.beta_y[0]]))
    opened = bb.Line([cell, bb.Aperture(*half, name="a")])
    found = bb.dynamic_aperture(opened, REFERENCE, 40, **given)
    assert np.array_equal(found.border, [4.0, 4.0]) and found.beam.lost == 8
    settings = opened.replace({"qf.k1": np.asarray([0.58, 0.6, 3.0])})
    many = bb.dynamic_aperture(settings, REFERENCE, 40, pt=1e-3, **given)
    assert many.survived.shape == (3, 2, 8) and np.array_equal(many.border[1], found.border)
    assert not many.survived[2].any()  # no stable motion
    assert np.allclose(many.beam.pt[:2], 1e-3)


@pytest.mark.parametrize(
    "given, said",
    [
        ({"amplitudes": ()}, "numbers that grow"),
        ({"amplitudes": (2.0, 1.0)}, "numbers that grow"),
        ({"amplitudes": (0.0, 1.0)}, "numbers that grow"),
        ({"angles": ()}, "at least one angle"),
        ({"emittance_x": 0.0}, "emittance_x is 0"),
        ({"turns": 0}, "at least 1"),
    ],
)
def test_what_is_refused(given, said):
    turns = given.pop("turns", 2)
    good = {"emittance_x": 1e-6, "emittance_y": 1e-6, "amplitudes": (1.0,), "angles": (0.0,)}
    with pytest.raises(InputError, match=said):
        bb.dynamic_aperture(henon(), REFERENCE, turns, **{**good, **given})
