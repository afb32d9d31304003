"""Beams under their own field, against closed forms and against the envelope equations that are exact for them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq
from scipy.special import elliprd, roots_legendre

from backbeam import Beam, Drift, Line, Quadrupole, SpaceCharge3D, trace, track
from backbeam.effects import Bunch
from backbeam.problem import Problem
from backbeam.species import ELEMENTARY_CHARGE, VACUUM_PERMITTIVITY

# -- the cold uniform ball: shipped as the example expanding-beam -----------------------------------------------------


def expansion(beam: Beam, radius: float, s: float) -> float:
    """r = R(s)/R of a cold uniform ball.

    sqrt(r (r - 1)) + ln(sqrt(r) + sqrt(r - 1)) = s/(beta gamma) sqrt(2 e Q/(4 pi eps0 m c^2 R^3)).
    """
    force = abs(float(beam.charge)) / (4 * np.pi * VACUUM_PERMITTIVITY * beam.species.mass * radius**3)
    reach = s / float(beam.reference.beta_gamma) * np.sqrt(2.0 * force)

    def beyond(r: float) -> float:
        return np.sqrt(r * (r - 1)) + np.log(np.sqrt(r) + np.sqrt(r - 1)) - reach

    return brentq(beyond, 1.0, 100.0, xtol=1e-12)


@pytest.fixture(scope="module")
def ball() -> tuple[Problem, Beam]:
    problem = Problem.load("expanding-beam")
    assert problem.tree["beam"]["n"] == 100_000 and problem.tree["space_charge"]["grid"] == [32, 32, 32]
    return problem, problem.beam()


def test_expanding_ball_doubles(ball):
    """1 nC of 250 MeV electrons in 1 mm, after 6.0005 m: in x, y and tau alike."""
    problem, first = ball
    assert problem.track_options() == {"slices": 12}
    assert expansion(first, 1e-3, 6.0005) == pytest.approx(2.0, abs=1e-4)
    final = track(problem.line(), first, space_charge=problem.space_charge(), slices=12)
    for row in ("x", "y", "tau"):
        assert float(final.sigma(row) / first.sigma(row)) == pytest.approx(2.0, rel=5e-3)
    for plane in ("x", "y"):  # the field is linear: a cold beam stays cold
        assert float(final.emittance(plane)) < 2e-9


def test_expanding_ball_on_the_way(ball):
    """Slice by slice; what is left is the grid's, which sees the ball's surface in steps."""
    problem, first = ball
    places = trace(problem.line(), first, space_charge=problem.space_charge(), slices=12)
    for s, _, beam in list(places)[1::2]:
        assert float(beam.sigma("x") / first.sigma("x")) == pytest.approx(expansion(first, 1e-3, s), rel=5e-3)


# -- cold ellipsoids: their field is linear, so they stay ellipsoids in any linear lattice ----------------------------


def envelopes(beam: Beam, gradients: list[tuple[float, float]]) -> np.ndarray:
    """Half-axes in x, y and of the rest frame in z, at the end of pieces (length, k1), from the envelope equations.

    Inside an ellipsoid E_x = 3 Q/(4 pi eps0) R_D(y^2, z^2, x^2)/3 x in the rest frame, R_D of Carlson, and
    x'' = e E_x/(m c^2 (beta gamma)^2) there.
    """
    perveance = abs(float(beam.charge)) / (
        4 * np.pi * VACUUM_PERMITTIVITY * beam.species.mass * float(beam.reference.beta_gamma) ** 2
    )
    stretch = float(beam.beta * beam.gamma)

    def slope(s: float, state: np.ndarray, k1: float) -> np.ndarray:
        a, b, c = square = state[:3]
        x, y, z = square**2
        force = perveance * np.asarray([elliprd(y, z, x), elliprd(z, x, y), elliprd(x, y, z)])
        return np.concatenate([state[3:], (force - np.asarray([k1, -k1, 0.0])) * [a, b, c]])

    half_axes = np.sqrt(5.0) * np.asarray([beam.sigma("x"), beam.sigma("y"), stretch * beam.sigma("tau")], dtype=float)
    state = np.concatenate([half_axes, np.zeros(3)])
    for length, k1 in gradients:
        state = solve_ivp(slope, (0.0, length), state, args=(k1,), rtol=1e-10, atol=1e-14).y[:, -1]
    return state[:3]


def ellipsoid(**changes) -> Beam:
    given = {
        "n": 50_000, "species": "proton", "kinetic_energy": 5e6, "charge": 20e-12,
        "radius_x": 2e-3, "radius_y": 1e-3, "radius_tau": 3e-2, "seed": 3,
    }  # fmt: skip
    return Beam.uniform_ellipsoid(**{**given, **changes})


@pytest.mark.parametrize(
    ("beam", "pieces"),
    [
        ({}, [(1.5, 0.0)]),
        ({"radius_tau": 3e-3}, [(0.8, 0.0)]),
        ({"charge": 40e-12}, [(0.2, 0.0), (0.1, 8.0), (0.3, 0.0), (0.1, -8.0), (0.2, 0.0)]),
    ],
    ids=["cigar", "pancake", "doublet"],
)
def test_cold_ellipsoid_follows_the_envelope_equations(beam, pieces):
    """5 MeV protons, three different half-axes: cigar-shaped or flat at rest, in free space and in quadrupoles."""
    first = ellipsoid(**beam)
    line = Line([Quadrupole(L, k, model="linear") if k else Drift(L, model="linear") for L, k in pieces])
    final = track(line, first, space_charge=SpaceCharge3D(grid=(40, 40, 40)), step=0.04)
    stretch = float(first.beta * first.gamma)
    wanted = envelopes(first, pieces) / np.sqrt(5.0)
    found = np.asarray([final.sigma("x"), final.sigma("y"), stretch * final.sigma("tau")], dtype=float)
    initial = np.asarray([first.sigma("x"), first.sigma("y"), stretch * first.sigma("tau")], dtype=float)
    alone = track(line, first)
    assert abs(final.sigma("x") / alone.sigma("x") - 1) > 0.1  # the field matters
    assert found == pytest.approx(wanted, rel=4e-3)
    assert not initial == pytest.approx(wanted, rel=5e-2)


# -- a Gaussian bunch of three different sizes ------------------------------------------------------------------------


def gaussian_field(at: np.ndarray, sigma: np.ndarray, charge: float) -> np.ndarray:
    """E of a Gaussian ellipsoid (3, n) by its integral (Mayes, Ryne, Sagan, IPAC 2018, THPAK085, and Kellogg).

    E_i = Q/(4 pi eps0) sqrt(2/pi) x_i int_0^1 u^2 exp(-u^2 sum_j x_j^2/(2 D_j)) du/(D_i sqrt(D_1 D_2 D_3)) s^2 with
    D_j = s^2 + (sigma_j^2 - s^2) u^2 and any s; here the largest size.
    """
    s2 = float(np.max(sigma)) ** 2
    nodes, weights = roots_legendre(200)
    u, w = 0.5 * (nodes + 1.0), 0.5 * weights
    D = s2 + (sigma[:, None] ** 2 - s2) * u**2
    exponent = -0.5 * u**2 * np.einsum("in,ik->nk", at**2, 1.0 / D)
    kernel = w * u**2 * np.exp(exponent) / np.sqrt(np.prod(D, axis=0))
    integral = np.einsum("nk,ik->in", kernel, 1.0 / D)
    return charge / (4 * np.pi * VACUUM_PERMITTIVITY) * np.sqrt(2 / np.pi) * s2 * at * integral


def test_gaussian_field_is_that_of_a_point_far_away():
    """The integral itself: Coulomb's law, and the field of a ball of charge at its centre."""
    sigma, far = np.asarray([1e-3, 2e-3, 0.5e-3]), np.asarray([[3e-2], [-2e-2], [1e-2]])
    distance = np.linalg.norm(far)
    coulomb = ELEMENTARY_CHARGE / (4 * np.pi * VACUUM_PERMITTIVITY) * far / distance**3
    assert gaussian_field(far, sigma, ELEMENTARY_CHARGE) == pytest.approx(coulomb, rel=2e-2)
    divergence = sum(gaussian_field(np.eye(3)[:, [k]] * 1e-9, sigma, ELEMENTARY_CHARGE)[k, 0] / 1e-9 for k in range(3))
    density = ELEMENTARY_CHARGE / ((2 * np.pi) ** 1.5 * np.prod(sigma))
    assert divergence == pytest.approx(density / VACUUM_PERMITTIVITY, rel=1e-9)


def test_kick_of_a_gaussian_of_three_sizes():
    """At order 2 the grid smooths the field as the square of its cells, at order 4 hardly; the rest is noise."""
    beam = Beam.gaussian(
        n=200_000,
        species="electron",
        kinetic_energy=2e6,
        charge=1e-10,
        sigma_x=2e-3,
        sigma_y=1e-3,
        sigma_tau=1e-3,
        seed=5,
    )
    ds, some, beta_gamma = 1e-3, slice(0, 5000), float(beam.reference.beta_gamma)
    # Without momenta a particle late by tau is beta tau behind, and gamma times as far in the rest frame.
    at = np.stack([beam.x, beam.y, -beta_gamma * beam.tau])[:, some]
    sizes = np.asarray([2e-3, 1e-3, beta_gamma * 1e-3])
    field = gaussian_field(at, sizes, abs(float(beam.charge)))
    # dp/P0 = e E_rest ds/(beta gamma)^2/(m c^2) in x and y, and so is dpt/(beta gamma).
    wanted = ds / (beta_gamma**2 * beam.species.mass) * field
    lacking = {}
    for cells, order in ((32, 2), (64, 2), (32, 4)):
        space_charge = SpaceCharge3D(grid=(cells, cells, cells), order=order)
        bunch = Bunch(beam.coordinates, beam.charges, None, beam.reference)
        kicked = space_charge.forward(bunch, {"length": np.asarray(ds)})
        change = (kicked - beam.coordinates)[:, some]
        found = np.stack([change[1], change[3], change[5] / beta_gamma])
        lacking[cells, order] = 1.0 - np.sum(found * wanted, axis=1) / np.sum(wanted**2, axis=1)
        rms = np.sqrt(np.mean((found - wanted) ** 2, axis=1)) / np.max(abs(wanted), axis=1)
        assert np.all(rms < {32: 0.04, 64: 0.015}[cells])
    assert np.all(abs(lacking[64, 2]) < 0.02) and np.all(abs(lacking[32, 4]) < 0.008)
    assert np.all(lacking[32, 2] > 2.5 * lacking[64, 2])
