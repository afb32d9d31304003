"""The gradient against physics alone: the envelope equation of a cold ball, and its derivative along s."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import backbeam as bb

RADIUS, CHARGE, LENGTHS = 1e-3, 1e-9, (1.0, 2.0, 3.0, 4.5, 6.0)
EPSILON_0, E_CHARGE = 8.8541878188e-12, 1.602176634e-19


def envelope(beta_gamma: float, mass: float) -> np.ndarray:
    """R, dR/dR0 and dR/d(charge) at `LENGTHS`, from R'' = K/R^2 and its derivatives; (5, 3).

    A uniform ball in its rest frame stays one, and s there is beta gamma c times the rest frame's time: K = q e/(4 pi
    eps0 m c^2 (beta gamma)^2) with the charge q of the whole. Its radius doubles at s = 6.0005 m.
    """
    k = 1.0 / (4.0 * np.pi * EPSILON_0 * mass * beta_gamma**2)  # mass in eV: e has gone into it
    K = k * CHARGE

    def slope(_, u):
        R, R1, by_radius, by_radius1, by_charge, by_charge1 = u
        back = -2.0 * K / R**3
        return [R1, K / R**2, by_radius1, back * by_radius, by_charge1, k / R**2 + back * by_charge]

    start = [RADIUS, 0.0, 1.0, 0.0, 0.0, 0.0]
    solution = solve_ivp(slope, (0.0, LENGTHS[-1]), start, t_eval=LENGTHS, rtol=1e-10, atol=1e-16)
    return solution.y[[0, 2, 4]].T


@pytest.mark.parametrize("library", ["numpy", pytest.param("torch", marks=pytest.mark.long)])
def test_derivatives_of_the_expanding_ball(library):
    """Within 1 % of the slope at the beginning, which is 1; on the way it goes through 0.

    Of order 2: the ball has a sharp edge and few particles a cell, where order 4 has more noise.
    """
    beam = bb.Beam.uniform_ellipsoid(
        n=20_000, species="electron", kinetic_energy=250e6, charge=CHARGE, radius=RADIUS, seed=1, backend=library
    )
    beta_gamma = float(beam.reference.beta_gamma)
    ob = bb.observables
    # All three directions in the rest frame: less noise of the sample than one alone.
    radius = 5.0**0.5 / 3.0 * (ob.sigma("x") + ob.sigma("y") + beta_gamma * ob.sigma("tau"))
    rows = envelope(beta_gamma, beam.species.mass)
    assert rows[-1][0] == pytest.approx(2.0 * RADIUS, rel=1e-4)
    for s, (R, by_radius, by_charge) in zip(LENGTHS, rows, strict=True):
        value, found = bb.value_and_grad(
            radius, bb.Line([bb.Drift(s)]), beam, ["beam.radius", "beam.charge"],
            space_charge=bb.SpaceCharge3D(grid=(24, 24, 24), order=2), slices=int(4 * s),
        )  # fmt: skip
        assert float(value) == pytest.approx(R, rel=6e-3)
        assert float(found["beam.radius"]) == pytest.approx(by_radius, abs=1e-2), s
        assert float(found["beam.charge"]) == pytest.approx(by_charge, rel=2e-2), s
