"""Exact solenoid: the helix, Hamilton's equations, conserved quantities, and its limits."""

from __future__ import annotations

import numpy as np
import pytest
from impactx_vectors import vector
from motion import arrays, electrons, integrate, jacobian, particles

from backbeam.maps.drift import DriftMap
from backbeam.maps.linear import LinearSolenoid
from backbeam.maps.solenoid import SolenoidMap


def hamilton(x, px, y, py, pt, b, ks):
    """Slopes under H = -sqrt((1 + delta)^2 - Px^2 - Py^2) + pt/beta0."""
    k = 0.5 * ks
    Px, Py = px + k * y, py - k * x
    pz = np.sqrt(1.0 + pt * (2.0 * b + pt) - Px * Px - Py * Py)
    return Px / pz, k * Py / pz, Py / pz, -k * Px / pz, (pt + b) / pz - b


@pytest.mark.parametrize("ks", [1e-5, 0.8, -6.0])
@pytest.mark.parametrize("size", [1e-3, 3e-2])
def test_solenoid_solves_its_equations_of_motion(ks, size):
    X, reference = particles(1, size), electrons()
    found = SolenoidMap(0.5).forward(X, reference, arrays(length=1.8, ks=ks))
    wanted = integrate(hamilton, X, reference, 0.9, ks=ks)
    assert np.abs(found - wanted).max() < 1e-12 * size


def test_helix_closes():
    """After 2 pi pz/ks a particle is back at its x, y and momenta."""
    X, reference, ks = particles(2, 2e-2, n=1), electrons(), 5.0
    x, px, y, py, tau, pt = X
    b = reference.inverse_beta
    Px, Py = px + ks / 2 * y, py - ks / 2 * x
    pz = np.sqrt(1.0 + pt * (2.0 * b + pt) - Px**2 - Py**2)
    length = 2.0 * np.pi * pz[0] / ks
    found = SolenoidMap().forward(X, reference, arrays(length=length, ks=ks))
    wanted = np.stack([x, px, y, py, tau + length * ((pt + b) / pz - b), pt])
    assert np.abs(found - wanted).max() < 1e-16


def test_angular_momentum_and_kinetic_momentum_are_conserved():
    X, reference, ks = particles(3, 2e-2), electrons(), -3.0
    X1 = SolenoidMap().forward(X, reference, arrays(length=0.7, ks=ks))

    def invariants(X):
        x, px, y, py, _, _ = X
        return x * py - y * px, (px + ks / 2 * y) ** 2 + (py - ks / 2 * x) ** 2

    for before, after in zip(invariants(X), invariants(X1), strict=True):
        assert after == pytest.approx(before, rel=1e-12)


def test_first_order_is_the_linear_solenoid_and_that_of_impactx():
    v = vector("solenoid")
    p = arrays(length=v.given["ds"], ks=v.given["ks"])
    linear = LinearSolenoid().forward(np.eye(6), v.reference, p)
    R = jacobian(SolenoidMap(), np.zeros(6), v.reference, p)
    assert np.abs(R - linear).max() < 1e-15
    assert np.abs(R @ v.X - v.X1).max() < 1e-17


def test_solenoid_without_field_is_the_drift():
    X, reference = particles(4, 1e-2), electrons()
    found = SolenoidMap().forward(X, reference, arrays(length=1.3, ks=0.0))
    assert np.abs(found - DriftMap().forward(X, reference, arrays(length=1.3))).max() < 1e-17


def test_pieces_make_the_whole():
    X, reference, p = particles(5, 1e-2), electrons(), arrays(length=0.9, ks=4.0)
    pieces = X
    for fraction in (0.2, 0.5, 0.3):
        pieces = SolenoidMap(fraction).forward(pieces, reference, p)
    assert np.abs(pieces - SolenoidMap().forward(X, reference, p)).max() < 1e-16
