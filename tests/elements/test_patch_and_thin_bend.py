"""Patches and bending thin multipoles against MAD-X and each other; a quadrupole in a solenoid against its motion."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import backbeam as bb
from backbeam.errors import InputError


def beam(X, **given):
    given = given or {"reference_momentum": 1e9}
    return bb.Beam.from_arrays(np.asarray(X), species="proton", charge=0.0, **given)


def through(elements, X):
    return bb.track(bb.Line(elements), beam(X)).coordinates


def matrix(elements, h=1e-6):
    out = through(elements, np.concatenate([h * np.eye(6), -h * np.eye(6)], axis=1))
    return (out[:, :6] - out[:, 6:]) / (2.0 * h)


D = 0.5
X = np.random.default_rng(1).uniform(-2e-3, 2e-3, (6, 5))

MADX = {
    "srotation": (bb.Patch(roll=0.1), {(0, 0): 0.995004, (0, 2): 0.099833, (2, 0): -0.099833, (3, 1): -0.099833}),
    "yrotation": (bb.Patch(yaw=1e-3), {(0, 0): 1.000001, (1, 5): -0.001371, (4, 0): -0.001371, (4, 1): -0.001371}),
    "xrotation": (bb.Patch(pitch=-1e-3), {(2, 2): 1.000001, (3, 5): 0.001371, (4, 2): 0.001371, (4, 3): 0.001371}),
    "translation": (bb.Patch(dx=1e-3, dy=2e-3, ds=0.1), {(0, 1): 1.1, (2, 3): 1.1, (4, 5): -0.96839}),
    "multipole": (
        bb.ThinMultipole(k0l=0.1, k1l=0.2, angle=0.1, lrad=0.5),
        {(0, 0): 0.89, (0, 1): 0.945, (0, 5): 0.068563, (1, 0): -0.22, (1, 5): 0.137126, (3, 2): 0.2, (4, 0): 0.137126},
    ),
}
"""Entries of the matrix of 0.5 m, an element and 0.5 m, by MAD-X 5.09 (proton, pc = 1 GeV, ``twiss, rmatrix``), whose
t is -tau and whose ``xrotation, angle`` is a pitch of the other sign."""


@pytest.mark.parametrize("name", MADX)
def test_matrices_of_madx(name):
    element, wanted = MADX[name]
    R = matrix([bb.Drift(D), element, bb.Drift(D)])
    for place, value in wanted.items():
        assert R[place] == pytest.approx(value, abs=6e-7), place


def test_orbits_of_madx():
    """MAD-X: px = -1e-3 behind a yrotation of 1e-3, py = 1e-3 behind such an xrotation."""
    start = np.zeros((6, 1))
    assert through([bb.Patch(yaw=1e-3)], start)[1, 0] == pytest.approx(-0.0009999998333333417, rel=1e-13)
    assert through([bb.Patch(pitch=-1e-3)], start)[3, 0] == pytest.approx(0.0009999998333333417, rel=1e-13)


def test_patches_there_and_back():
    """The inverse of a patch is its parts undone one by one, last one first."""
    there = bb.Patch(dx=1e-3, dy=-2e-3, ds=0.3, pitch=0.2, yaw=-0.3, roll=0.5)
    back = [bb.Patch(roll=-0.5), bb.Patch(pitch=-0.2), bb.Patch(yaw=0.3), bb.Patch(dx=-1e-3, dy=2e-3, ds=-0.3)]
    assert np.abs(through([there, *back], X) - X).max() < 1e-15


def test_a_patch_along_the_beam_is_a_drift():
    assert np.array_equal(through([bb.Patch(ds=0.7)], X), through([bb.Drift(0.7)], X))


def test_an_error_of_alignment_is_two_patches():
    """Into a displaced quadrupole, and out of it at its other end."""
    moved = bb.Quadrupole(0.4, k1=5.0, dx=1e-3, ds=2e-3, yaw=0.02)
    length, c, s = 0.4, np.cos(0.02), np.sin(0.02)
    # The design's exit, in the axes of the moved exit: d + (W - 1) D from it, turned back.
    d = np.asarray([1e-3 + length * s, 2e-3 + length * (c - 1.0)])
    out = bb.Patch(dx=-(c * d[0] - s * d[1]), ds=-(s * d[0] + c * d[1]), yaw=-0.02)
    apart = [bb.Patch(dx=1e-3, ds=2e-3, yaw=0.02), bb.Quadrupole(0.4, k1=5.0), out]
    assert np.abs(through([moved], X) - through(apart, X))[:4].max() < 1e-15


def test_a_sector_is_many_thin_bends():
    """Near the reference, and of second order in their number."""
    near, errors = 1e-4 * X, []
    sector = through([bb.SectorBend(0.5, angle=0.1)], near)
    for n in (10, 20):
        thin = bb.ThinMultipole(k0l=0.1 / n, angle=0.1 / n, lrad=0.5 / n)
        found = through([bb.Drift(0.25 / n), thin, bb.Drift(0.25 / n)] * n, near)
        errors.append(np.abs(found - sector).max())
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.02)
    assert errors[1] < 1e-5 * np.abs(near).max()


def test_rolled_thin_bend_kicks_out_of_its_plane():
    out = through([bb.ThinMultipole(k0l=0.1, angle=0.1, roll=1e-6)], np.zeros((6, 1)))
    assert out[3, 0] == pytest.approx(-np.sin(0.1) * 1e-6, rel=1e-2)
    tilted = through([bb.ThinMultipole(k0l=0.1, angle=0.1, tilt=0.3)], np.zeros((6, 1)))
    assert np.abs(tilted).max() == 0.0


def slopes(x, px, y, py, pt, b, ks, k1, k1s):
    kx, ky = px + 0.5 * ks * y, py - 0.5 * ks * x
    pz = np.sqrt(1.0 + pt * (2.0 * b + pt) - kx * kx - ky * ky)
    return (
        kx / pz,
        0.5 * ks * ky / pz - k1 * x + k1s * y,
        ky / pz,
        -0.5 * ks * kx / pz + k1 * y + k1s * x,
        (pt + b) / pz - b,
    )


def test_quadrupole_in_a_solenoid_moves_by_its_equations():
    strengths = {"ks": 1.5, "k1": 4.0, "k1s": -2.0}
    start = bb.Beam.from_arrays(X, species="electron", kinetic_energy=20e6, charge=0.0)
    b, ends = float(start.reference.inverse_beta), []
    for x, px, y, py, tau, pt in X.T:
        moves = lambda s, u, pt=pt: slopes(*u[:4], pt, b, **strengths)  # noqa: E731
        end = solve_ivp(moves, (0.0, 0.6), (x, px, y, py, 0.0), method="DOP853", rtol=1e-13, atol=1e-17).y[:, -1]
        ends.append([*end[:4], tau + end[4], pt])
    wanted = np.transpose(ends)
    found = bb.track(bb.Line([bb.Solenoid(0.6, **strengths)]), start).coordinates
    assert np.abs(found - wanted).max() < 1e-5 * np.abs(wanted).max()
    found = bb.track(bb.Line([bb.Solenoid(0.6, steps=80, **strengths)]), start).coordinates
    assert np.abs(found - wanted).max() < 1e-12 * np.abs(wanted).max()


def test_what_is_refused():
    with pytest.raises(InputError, match="roll"):
        bb.Patch(dx=1e-3, tilt=0.1)
    with pytest.raises(InputError, match="at least one of dx"):
        bb.Patch()
    with pytest.raises(InputError, match="exact"):
        bb.Solenoid(0.5, ks=1.0, k1=1.0, model="linear")
    with pytest.raises(InputError, match="bend the reference"):
        bb.ThinMultipole(k0l=0.1, lrad=0.5)
