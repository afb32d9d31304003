"""Deflecting cavity: the streak of a bunch, the theorem of Panofsky and Wenzel, the wave equation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import i1

import backbeam as bb
from backbeam.maps.rf_deflection import RFDeflection
from backbeam.reference import Reference
from backbeam.species import SPEED_OF_LIGHT, species_named


def beam(X, species="electron", kinetic_energy=50e6):
    return bb.Beam.from_arrays(X, species=species, kinetic_energy=kinetic_energy, charge=0.0)


@pytest.mark.parametrize("species", ["electron", "positron", "proton"])
def test_streak_behind_a_quarter_wave_at_the_zero_crossing(species):
    """x on the screen is R12 |Z| V k tau/(P0 c): how a deflecting cavity measures a bunch's length."""
    X = np.zeros((6, 21))
    X[4] = np.linspace(-1e-4, 1e-4, 21)
    start, drift, k = beam(X, species), 3.0, 2.0 * np.pi * 2.856e9 / SPEED_OF_LIGHT
    out = bb.track(bb.Line([bb.CrabCavity(voltage=2e6, frequency=2.856e9), bb.Drift(drift)]), start)
    px = 2e6 / float(start.reference.momentum) * np.sin(k * X[4])
    np.testing.assert_allclose(out.coordinates[1], px, rtol=1e-13, atol=1e-17)
    np.testing.assert_allclose(out.coordinates[0], drift * px / np.sqrt(1.0 - px * px), rtol=1e-12, atol=1e-17)


def test_roll_turns_the_deflection_into_y():
    X = np.random.default_rng(2).normal(size=(6, 9)) * 1e-3
    cavity = bb.CrabCavity(0.5, voltage=1e6, frequency=1e9, phase=0.4)
    turned = X[[2, 3, 0, 1, 4, 5]] * np.array([1, 1, -1, -1, 1, 1])[:, None]
    across = bb.track(bb.Line([cavity]), beam(turned)).coordinates
    rolled = bb.track(bb.Line([cavity.replace(roll=0.5 * np.pi)]), beam(X)).coordinates
    np.testing.assert_allclose(rolled[[2, 3, 4, 5]], across[[0, 1, 4, 5]], rtol=0, atol=1e-15)


@pytest.mark.parametrize("radius", [1e-6, 0.3, 2.0])
def test_kick_is_the_slope_of_its_potential_and_the_potential_solves_the_wave_equation(radius):
    """U ~ I1(kappa r) cos(azimuth) cos(theta); (Laplace - kappa^2) U = 0."""
    reference = Reference.from_kinetic_energy(np.asarray(3e6), species_named("proton"))
    p = {"voltage": np.asarray(2e5), "frequency": np.asarray(352e6), "phase": np.asarray(-0.6)}
    k = 2.0 * np.pi * 352e6 / SPEED_OF_LIGHT
    kappa, amplitude = k / float(reference.beta_gamma), 2e5 / float(reference.momentum)
    azimuth, tau = np.linspace(0.0, 6.0, 7), np.linspace(-0.05, 0.06, 7)
    r = radius / kappa
    X = np.zeros((6, 7))
    X[0], X[2], X[4] = r * np.cos(azimuth), r * np.sin(azimuth), tau
    found = RFDeflection().forward(X, reference, p) - X
    theta = -0.6 + k * tau
    wanted = amplitude * k * np.sin(theta) * np.cos(azimuth) * 2.0 * i1(radius) / kappa
    np.testing.assert_allclose(found[5], wanted, rtol=0, atol=3e-14 * np.abs(wanted).max())
    h = 1e-4 / kappa

    def momentum(row, move):
        step = np.zeros((6, 1))
        step[row] = move
        return RFDeflection().forward(X + step, reference, p)[row + 1] - X[row + 1]

    divergence = sum(momentum(row, h) - momentum(row, -h) for row in (0, 2)) / (2.0 * h)
    potential = -amplitude * np.cos(azimuth) * np.cos(theta) * 2.0 * i1(radius) / kappa
    np.testing.assert_allclose(divergence, -(kappa**2) * potential, rtol=0, atol=1e-6 * amplitude * kappa)


def test_relativistic_limit_near_the_axis():
    """px += V/(P0 c) sin(k tau) and pt -= V/(P0 c) k x cos(k tau), as thin crab cavities have it elsewhere."""
    X = np.random.default_rng(5).normal(size=(6, 30)) * 1e-4
    start = beam(X, "proton", 450e9)
    k, amplitude = 2.0 * np.pi * 400e6 / SPEED_OF_LIGHT, 3e6 / float(start.reference.momentum)
    out = bb.track(bb.Line([bb.CrabCavity(voltage=3e6, frequency=400e6)]), start).coordinates
    np.testing.assert_allclose(out[1] - X[1], amplitude * np.sin(k * X[4]), rtol=0, atol=1e-6 * amplitude * k * 1e-4)
    np.testing.assert_allclose(
        out[5] - X[5], -amplitude * k * X[0] * np.cos(k * X[4]), rtol=0, atol=1e-6 * amplitude * k * 1e-4
    )


def test_bad_input_is_named():
    with pytest.raises(bb.InputError) as caught:
        bb.CrabCavity(voltage=1e6, frequency=None)
    assert caught.value.field == "crab_cavity.frequency"
