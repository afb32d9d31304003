"""Exact quadrupole: Hamilton's equations, ImpactX, the order of its error, and its limits."""

from __future__ import annotations

import numpy as np
import pytest
from impactx_vectors import vector
from motion import arrays, electrons, integrate, jacobian, particles

from backbeam.errors import InputError
from backbeam.maps.drift import DriftMap
from backbeam.maps.linear import LinearBody
from backbeam.maps.multipole import Component, ThickMultipole
from backbeam.maps.quadrupole import ThickQuadrupole, sequence

every_order = pytest.mark.parametrize("order", [2, 4, 6])


def hamilton(x, px, y, py, pt, b, k1):
    """Slopes under H = -sqrt((1 + delta)^2 - px^2 - py^2) + pt/beta0 + k1 (x^2 - y^2)/2."""
    pz = np.sqrt(1.0 + pt * (2.0 * b + pt) - px * px - py * py)
    return px / pz, -k1 * x, py / pz, k1 * y, (pt + b) / pz - b


@pytest.mark.parametrize("k1", [1e-6, 9.0, -4.0])
@pytest.mark.parametrize("size,steps,tolerance", [(1e-3, 400, 1e-15), (2e-2, 1600, 1e-13)])
def test_quadrupole_solves_its_equations_of_motion(k1, size, steps, tolerance):
    X, reference = particles(1, size), electrons()
    found = ThickQuadrupole(6, steps, 0.5).forward(X, reference, arrays(length=0.8, k1=k1))
    wanted = integrate(hamilton, X, reference, 0.4, k1=k1)
    assert np.abs(found - wanted).max() < tolerance


def test_vector_of_impactx():
    """Its order 6 is Yoshida's, of many corrections a step: it has converged, and ours goes there."""
    v = vector("quad_exact_o6")
    assert (v.given["int_order"], v.given["mapsteps"]) == (6, 50)
    p = arrays(length=v.given["ds"], k1=v.given["k"])
    for order, steps, tolerance in ((4, 50, 1e-12), (6, 50, 1e-12), (6, 1600, 1e-15)):
        found = ThickQuadrupole(order, steps).forward(v.X, v.reference, p)
        assert np.abs(found - v.X1).max() < tolerance


def test_order_two_is_matrix_correction_matrix():
    """The same from other maps: half a linear quadrupole, drift, linear drift back, half a quadrupole."""
    X, reference, p = particles(2, 1e-2), electrons(), arrays(length=0.6, k1=5.0)
    half = LinearBody(0.5, gradient=True)
    wanted = half.forward(X, reference, p)
    wanted = LinearBody().inverse(DriftMap().forward(wanted, reference, p), reference, p)
    wanted = half.forward(wanted, reference, p)
    found = ThickQuadrupole(2, 1).forward(X, reference, p)
    assert np.abs(found - wanted).max() < 1e-17


def error(order: int, steps: int, deviation: float) -> float:
    """Largest error of (x, px, y, py) against many steps, at one relative energy deviation, for size 1."""
    X = particles(3, 1e-9)
    X[5] = deviation
    p = arrays(length=1.0, k1=4.0)
    best = ThickQuadrupole(6, 256).forward(X, electrons(), p)
    return np.abs(ThickQuadrupole(order, steps).forward(X, electrons(), p) - best)[:4].max() / 1e-9


@every_order
def test_error_falls_with_its_order(order):
    """In the first power of the energy deviation."""
    deviation = 1e-6
    coarse, fine = error(order, 2, deviation), error(order, 4, deviation)
    assert coarse / fine == pytest.approx(2.0**order, rel=0.1)
    assert error(order, 2, 2.0 * deviation) / coarse == pytest.approx(2.0, rel=0.01)


def test_error_of_second_order_is_of_the_second_power_of_the_deviation():
    deviation = 1e-2
    coarse, fine = error(6, 8, deviation), error(6, 16, deviation)
    assert coarse / fine == pytest.approx(4.0, rel=0.05)
    assert error(6, 8, 0.5 * deviation) / coarse == pytest.approx(0.25, rel=0.05)
    assert coarse < 0.15 * deviation**2 / 8**2


def test_drift_kick_converges_to_the_same():
    X, reference, p = particles(4), electrons(), arrays(length=0.3, k1=8.0)
    kicks = ThickMultipole((Component("k1", 1),), 6, 32).forward(X, reference, p)
    found = ThickQuadrupole(6, 64).forward(X, reference, p)
    assert np.abs(found - kicks).max() < 1e-14


@every_order
@pytest.mark.parametrize("steps", [1, 3])
def test_without_gradient_it_is_the_exact_drift(order, steps):
    X, reference, p = particles(5, 1e-2), electrons(), arrays(length=1.3, k1=0.0)
    found = ThickQuadrupole(order, steps).forward(X, reference, p)
    assert np.abs(found - DriftMap().forward(X, reference, p)).max() < 3e-17


@every_order
@pytest.mark.parametrize("k1", [7.0, -30.0])
def test_first_order_about_the_reference_is_the_matrix(order, k1):
    reference, p = electrons(3e6), arrays(length=0.4, k1=k1)
    wanted = LinearBody(gradient=True).forward(np.eye(6), reference, p)
    R = jacobian(ThickQuadrupole(order, 1), np.zeros(6), reference, p)
    assert np.abs(R - wanted).max() < 1e-15 * np.abs(wanted).max()


@every_order
def test_steps_and_pieces_are_the_same(order):
    X, reference, p = particles(6, 1e-2), electrons(), arrays(length=0.9, k1=4.0)
    half = ThickQuadrupole(order, 2, 0.5)
    pieces = half.forward(half.forward(X, reference, p), reference, p)
    assert np.abs(pieces - ThickQuadrupole(order, 4).forward(X, reference, p)).max() < 1e-16


@every_order
@pytest.mark.parametrize("steps", [1, 4])
def test_sequence_is_a_palindrome_of_positive_weights(order, steps):
    found = sequence(order, steps)
    assert [kind for kind, _ in found] == [kind for kind, _ in reversed(found)]
    weights = np.asarray([weight for _, weight in found])
    assert weights == pytest.approx(weights[::-1], rel=1e-14) and np.all(weights > 0.0)
    for kind in ("turn", "correct"):
        assert sum(weight for k, weight in found if k == kind) == pytest.approx(1.0, rel=1e-14)
    assert sum(kind == "correct" for kind, _ in found) == steps * order // 2


@pytest.mark.parametrize("order,steps,field", [(3, 1, "order"), (8, 1, "order"), (2, 0, "steps")])
def test_bad_sequence_is_named(order, steps, field):
    with pytest.raises(InputError) as caught:
        sequence(order, steps)
    assert caught.value.field == field
