"""The closed forms that the benchmarks compare with, against other ways to the same numbers."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import erf

_place = Path(__file__).parents[2] / "benchmarks" / "closed_forms.py"
_spec = importlib.util.spec_from_file_location("closed_forms", _place)
closed_forms = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(closed_forms)

COULOMB = 1.0 / (4.0 * np.pi * closed_forms.VACUUM_PERMITTIVITY)
CHARGE = 1e-9
PLACES = np.asarray([[0.0, 0.3, 1.4, -2.0, 0.1], [0.0, -1.0, 0.2, 1.5, 0.0], [0.0, 0.5, -1.1, 1.2, 3.0]])
ELECTRON = 510998.95069


def by_rays(at: np.ndarray, sigma: np.ndarray, cut: float) -> np.ndarray:
    """Coulomb's law in spherical coordinates about each place, where it has no singularity: E = int n rho dR dOmega."""
    cosine, in_cosine = np.polynomial.legendre.leggauss(160)
    phi = np.arange(320) * np.pi / 160
    sine = np.sqrt(1.0 - cosine**2)[:, None]
    n = np.stack([sine * np.cos(phi), sine * np.sin(phi), cosine[:, None] + 0.0 * phi])
    weight = in_cosine[:, None] * np.pi / 160
    scale = sigma[:, None, None]
    fields = []
    for place in at.T:
        r = place[:, None, None]
        # The exponent along a ray is -(a R^2 - 2 b R + c)/2.
        a, b, c = np.sum((n / scale) ** 2, axis=0), np.sum(r * n / scale**2, axis=0), np.sum((r / scale) ** 2)
        root = np.sqrt(2.0 * a)
        end = 1.0 if np.isinf(cut) else erf(np.sqrt(b * b + a * (cut**2 - c)) / root)
        ray = np.exp(0.5 * (b * b / a - c)) * np.sqrt(np.pi / 2.0 / a) * (end + erf(b / root))
        fields.append(np.sum(weight * ray * n, axis=(1, 2)))
    # What the cut leaves of the charge makes the density at the centre larger.
    inside = 1.0 if np.isinf(cut) else erf(cut / np.sqrt(2.0)) - np.sqrt(2.0 / np.pi) * cut * np.exp(-0.5 * cut**2)
    density = CHARGE / inside / ((2.0 * np.pi) ** 1.5 * np.prod(sigma))
    return COULOMB * density * np.stack(fields, axis=1)


@pytest.mark.parametrize("cut", [np.inf, 4.0])
@pytest.mark.parametrize("sizes", [(1.0, 1.0, 1.0), (1.0, 0.7, 1.5), (0.8, 1.0, 0.5)])
def test_gaussian_field_is_coulombs_law(sizes, cut):
    """A density that ends at an ellipsoid, too: what is outside of a place has no part in its field."""
    sigma = 1e-3 * np.asarray(sizes)
    at = PLACES * sigma[:, None]
    found = closed_forms.gaussian_field(at, sigma, CHARGE, cut)
    assert found == pytest.approx(by_rays(at, sigma, cut), rel=0, abs=1e-10 * np.abs(found).max())


def test_gaussian_field_of_a_round_bunch():
    sigma, r = 2e-3, np.asarray([1e-5, 1e-3, 4e-3, 2e-2])
    direction = np.asarray([[2.0], [-1.0], [2.0]]) / 3.0
    u = r / sigma
    enclosed = erf(u / np.sqrt(2.0)) - np.sqrt(2.0 / np.pi) * u * np.exp(-0.5 * u * u)
    wanted = COULOMB * CHARGE * enclosed / r**2
    found = closed_forms.gaussian_field(direction * r, np.full(3, sigma), CHARGE)
    assert found == pytest.approx(direction * wanted, rel=1e-9)


def test_gaussian_field_of_a_very_long_bunch():
    """Across, that of the line density where one is: 2 lambda (1 - exp(-r^2/(2 sigma^2)))/(4 pi eps0 r)."""
    sigma = np.asarray([1e-3, 1e-3, 1e2])
    x = np.asarray([1e-4, 1e-3, 3e-3])
    at = np.stack([x, 0.0 * x, 0.5 * sigma[2] + 0.0 * x])
    density = CHARGE * np.exp(-0.125) / (np.sqrt(2.0 * np.pi) * sigma[2])
    wanted = 2.0 * COULOMB * density * -np.expm1(-0.5 * (x / sigma[0]) ** 2) / x
    assert closed_forms.gaussian_field(at, sigma, CHARGE)[0] == pytest.approx(wanted, rel=1e-8)


def test_peaks_of_a_gaussian_field():
    sigma = np.asarray([1e-3, 2e-3, 3e-2])
    line = np.linspace(0.5, 3.0, 2001)
    found = closed_forms.gaussian_peaks(sigma, CHARGE)
    for k in range(3):
        on_axis = closed_forms.gaussian_field(np.eye(3)[:, [k]] * sigma[k] * line, sigma, CHARGE)[k]
        assert found[k] == pytest.approx(on_axis.max(), rel=1e-6)


# -- the ball ---------------------------------------------------------------------------------------------------------

BALL = {"charge": 1e-9, "radius": 1e-3, "mass": ELECTRON, "beta_gamma": 490.2366}


def test_slow_ball_doubles_and_its_derivative():
    assert closed_forms.slow_ball(6.0005, **BALL) == pytest.approx(2e-3, rel=1e-4)
    for s in (0.5, 3.0, 6.0):
        h = 1e-7
        ends = [closed_forms.slow_ball(s, **{**BALL, "radius": 1e-3 + sign * h}) for sign in (1, -1)]
        assert closed_forms.slow_ball_by_radius(s, **BALL) == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-6)


def test_fast_ball_of_little_charge_is_the_slow_one():
    """What the speed v in the rest frame changes is of second order in v/c: of first order in the charge."""
    few = {**BALL, "beta_gamma": 49.02366}
    off = []
    for charge in (1e-11, 1e-12):
        s = 6.0005 * 0.1 * np.sqrt(1e-9 / charge)
        ball = closed_forms.fast_ball(s, **{**few, "charge": charge})
        slow = closed_forms.slow_ball(s, **{**few, "charge": charge})
        off.append([ball.x[0] / slow - 1.0, ball.z[0] / slow - 1.0])
    assert np.all(np.abs(off[0]) < 1e-3)
    assert off[1] == pytest.approx(np.asarray(off[0]) / 10.0, rel=0.05)


@pytest.mark.parametrize("charge", [1e-9, 1e-8])
def test_fast_ball_by_energy(charge):
    """The energy of a shell gives its speed, gamma = 1 + k r0^2 (1 - r0/r), and one integral the time that it takes."""
    k = closed_forms.surface_energy(charge, 1e-3, ELECTRON)
    assert k == pytest.approx(8.9875517862e9 * charge / (1e-3 * ELECTRON), rel=1e-9)
    s, beta0 = 3.0, BALL["beta_gamma"] / np.hypot(1.0, BALL["beta_gamma"])
    T = s / BALL["beta_gamma"] / 1e-3
    nodes, weights = np.polynomial.legendre.leggauss(48)
    u, du = 0.5 * (nodes + 1.0), 0.5 * weights

    def seen(r0: float, cosine: float) -> float:
        """Distance [R0] of a particle from the centre where it crosses the plane, with r = r0 (1 + w^2)."""

        def late(end: float) -> float:
            w = end * u
            gain = k * r0**2 * w**2 / (1.0 + w**2)
            time = np.sum(2.0 * r0 * w * (1.0 + gain) / np.sqrt(gain * (2.0 + gain)) * du) * end
            return time + r0 * (1.0 + end**2) * cosine / beta0 - T

        return r0 * (1.0 + brentq(late, 1e-9, 10.0, xtol=1e-12) ** 2)

    few, each = np.polynomial.legendre.leggauss(14)
    r0, in_r0 = 0.5 * (few + 1.0), 1.5 * each * (0.5 * (few + 1.0)) ** 2
    r = np.asarray([[seen(a, c) for c in few] for a in r0])
    weight, z = in_r0[:, None] * 0.5 * each, r * few
    variance = np.sum(weight * z * z) - np.sum(weight * z) ** 2
    ball = closed_forms.fast_ball(s, **{**BALL, "charge": charge})
    assert ball.x[0] == pytest.approx(1e-3 * np.sqrt(2.5 * np.sum(weight * (r * r - z * z))), rel=1e-7)
    assert ball.z[0] == pytest.approx(1e-3 * np.sqrt(5.0 * variance), rel=1e-7)
