"""Linear maps against particles tracked by ImpactX, against the equations of motion, and against each other.

`tests/data/element_vectors.json`: nine particles through single elements, run with the wheel impactx-noacc
26.10.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from backbeam.maps.constant_focusing import ConstantFocusingMap
from backbeam.maps.linear import LinearBody, LinearSolenoid, MatrixMap
from backbeam.maps.matrices import (
    apply,
    dense,
    multiply,
    outer_product,
    outer_sums,
    symplectic_inverse,
    transpose,
)
from backbeam.reference import Reference
from backbeam.species import species_named

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "element_vectors.json").read_text())
TO_OURS = np.asarray([1.0, 1.0, 1.0, 1.0, 1.0, -1.0])[:, None]
"""ImpactX counts pt the other way round."""

ELEMENTS = {
    "drift": (LinearBody(), {"length": "ds"}),
    "quad_focus": (LinearBody(gradient=True), {"length": "ds", "k1": "k"}),
    "sbend": (LinearBody(curvature=True), {"length": "ds", "angle": lambda v: v["ds"] / v["rc"]}),
    "solenoid": (LinearSolenoid(), {"length": "ds", "ks": "ks"}),
    "constf": (ConstantFocusingMap(), {"length": "ds", "kx": "kx", "ky": "ky", "kt": "kt"}),
}


def reference_of(kinetic_energy: float, species: str = "proton") -> Reference:
    return Reference.from_kinetic_energy(np.asarray(kinetic_energy), species_named(species))


def vector(name: str) -> tuple[Reference, dict, np.ndarray, np.ndarray]:
    """Reference, parameters, and coordinates in and out, in ours."""
    (v,) = (v for v in VECTORS["vectors"] if v["id"] == name)
    X, X1 = (np.asarray(a, dtype=np.float64).T * TO_OURS for a in (VECTORS["input"], v["out"]))
    names = ELEMENTS[name][1]
    p = {k: np.asarray(f(v["params"]) if callable(f) else v["params"][f]) for k, f in names.items()}
    # Its proton is that of CODATA 2022, 1.4e-9 heavier than that of 2018: take the momentum, not the energy.
    return Reference(np.asarray(v["ref_in"]["pz"]), species_named(v["species"])), p, X, X1


@pytest.mark.parametrize("name", ELEMENTS)
def test_particles_of_impactx(name):
    reference, p, X, X1 = vector(name)
    found = ELEMENTS[name][0].forward(X, reference, p)
    assert np.all(np.abs(found - X1).max(axis=1) <= 1e-12 * np.abs(X1).max(axis=1))


FAMILY = {
    "drift": (LinearBody, {"length": 0.7}),
    "quadrupole": (lambda f=1.0: LinearBody(f, gradient=True), {"length": 0.7, "k1": -3.1}),
    "bend": (lambda f=1.0: LinearBody(f, curvature=True), {"length": 0.7, "angle": -0.4}),
    "combined": (
        lambda f=1.0: LinearBody(f, gradient=True, curvature=True),
        {"length": 0.7, "angle": 0.4, "k1": 1.3},
    ),
    "solenoid": (LinearSolenoid, {"length": 0.7, "ks": 1.9}),
    "constant_focusing": (ConstantFocusingMap, {"length": 0.7, "kx": 1.2, "ky": 0.8, "kt": 0.9}),
}


def arrays(p: dict) -> dict:
    return {k: np.asarray(v) for k, v in p.items()}


@pytest.mark.parametrize("name", FAMILY)
def test_parts_make_the_whole(name):
    """Fractions 0.3 and 0.7 in turn are the element: the flow of constant fields."""
    make, p = FAMILY[name]
    reference, p = reference_of(80e6), arrays(p)
    X = np.random.default_rng(2).normal(size=(6, 5)) * 1e-3
    parts = make(0.7).forward(make(0.3).forward(X, reference, p), reference, p)
    np.testing.assert_allclose(parts, make(1.0).forward(X, reference, p), rtol=0, atol=1e-17)


def generator(name: str, p: dict, reference: Reference) -> np.ndarray:
    """d(coordinates)/ds at the beginning, from the Hamiltonian and not from the code."""
    u, beta = float(reference.beta_gamma), float(reference.beta)
    A = np.zeros((6, 6))
    A[0, 1] = A[2, 3] = 1.0
    A[4, 5] = -1.0 / u**2
    h, k1 = p.get("angle", 0.0) / p["length"], p.get("k1", 0.0)
    A[1, 0], A[3, 2] = -(h * h + k1), k1
    A[1, 5], A[4, 0] = h / beta, h / beta
    if name == "solenoid":
        # H = ((px + K y)^2 + (py - K x)^2)/2 in canonical momenta, with the sense of rotation of ImpactX.
        K = 0.5 * p["ks"]
        A[0, 2], A[1, 3], A[2, 0], A[3, 1] = K, K, -K, -K
        A[1, 0] = A[3, 2] = -K * K
    if name == "constant_focusing":
        A[1, 0], A[3, 2], A[5, 4] = -(p["kx"] ** 2), -(p["ky"] ** 2), p["kt"] ** 2 * u**2
    return A


@pytest.mark.parametrize("name", FAMILY)
def test_exponential_of_the_equations_of_motion(name):
    """The matrix is exp(A length), by Taylor series with squaring."""
    make, p = FAMILY[name]
    reference = reference_of(80e6)
    A = generator(name, p, reference) * p["length"] / 2**10
    E = np.eye(6) + A @ (np.eye(6) + A @ (np.eye(6) + A @ (np.eye(6) + A / 4) / 3) / 2)
    wanted = np.linalg.matrix_power(E, 2**10)
    found = make().forward(np.eye(6), reference, arrays(p))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-12 * np.abs(wanted).max())


@pytest.mark.parametrize(
    ("special", "limit"),
    [
        ({"angle": 0.0, "k1": 0.0}, "drift"),
        ({"angle": 0.0, "k1": -3.1}, "quadrupole"),
        ({"angle": -0.4, "k1": 0.0}, "bend"),
    ],
)
def test_combined_function_holds_the_others(special, limit):
    make, p = FAMILY[limit]
    reference, X = reference_of(80e6), np.random.default_rng(3).normal(size=(6, 5))
    found = FAMILY["combined"][0]().forward(X, reference, arrays({"length": 0.7, **special}))
    np.testing.assert_allclose(found, make().forward(X, reference, arrays(p)), rtol=1e-15, atol=1e-15)


@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_entries_and_arrays_agree(name, dtype, backend):
    """The two ways to apply a matrix, its transpose, its inverse and the sums, on batches."""
    make, p = FAMILY[name]
    rng = np.random.default_rng(4)
    up = lambda a: backend.asarray(a, dtype=dtype)  # noqa: E731
    p = {k: up(v * (1.0 + 0.1 * rng.uniform(size=(3,)))) for k, v in p.items()}
    reference = Reference(up(0.4), species_named("proton"))
    entries = make().entries(reference, p)
    full = backend.to_numpy(dense(entries))
    X, X1_bar = rng.normal(size=(2, 2, 3, 6, 7)).astype(dtype)
    tolerance = {"rtol": 0, "atol": 40 * float(np.finfo(dtype).eps) * np.abs(full).max()}
    close = lambda a, b: np.testing.assert_allclose(backend.to_numpy(a), b, **tolerance)  # noqa: E731
    assert full.shape == (3, 6, 6)
    close(apply(entries, up(X)), full @ X)
    close(multiply(dense(entries), up(X)), full @ X)
    close(apply(transpose(entries), up(X)), np.swapaxes(full, -1, -2) @ X)
    close(dense(symplectic_inverse(entries)), np.linalg.inv(full))
    B = X1_bar @ np.swapaxes(X, -1, -2)
    close(outer_product(up(X1_bar), up(X)), B)
    for (i, j), value in outer_sums(up(X1_bar), up(X), entries).items():
        close(value, B[..., i, j])


def test_many_turns_stay_bounded():
    """10 000 cells of a stable FODO: the invariant of motion keeps its value, forward and back."""
    reference, X = reference_of(1e9), np.asarray([[1e-3, 2e-4, -5e-4, 1e-4, 0.0, 0.0]]).T
    quadrupole, drift, start = LinearBody(gradient=True), LinearBody(), X
    f, d, o = (arrays(p) for p in ({"length": 0.2, "k1": 3.0}, {"length": 0.2, "k1": -3.0}, {"length": 1.0}))
    cell = ((quadrupole, f), (drift, o), (quadrupole, d), (drift, o))
    one_turn = np.eye(6)
    for m, p in cell:
        one_turn = m.forward(one_turn, reference, p)
    M = one_turn[:2, :2]
    S = np.asarray([[0.0, 1.0], [-1.0, 0.0]])
    invariant = lambda X: float((X[:2].T @ S @ (M - np.linalg.inv(M)) @ X[:2])[0, 0])  # noqa: E731
    turn = MatrixMap()
    for _ in range(10_000):
        X = turn.forward(X, reference, {"matrix": one_turn})
    assert invariant(X) == pytest.approx(invariant(start), rel=1e-10)
    for _ in range(10_000):
        X = turn.inverse(X, reference, {"matrix": one_turn})
    np.testing.assert_allclose(X, start, rtol=0, atol=1e-12)


def test_matrix_map_of_one_matrix_on_a_batch(backend):
    """A 0-d batch of matrices on a batch of beams, undone by the general inverse although not symplectic."""
    rng = np.random.default_rng(6)
    matrix, X = np.eye(6) + 0.2 * rng.normal(size=(6, 6)), rng.normal(size=(2, 3, 6, 5))
    p = {"matrix": backend.asarray(matrix)}
    reference = Reference(backend.asarray(0.7), species_named("proton"))
    X1 = MatrixMap().forward(backend.asarray(X), reference, p)
    np.testing.assert_allclose(backend.to_numpy(X1), matrix @ X, rtol=0, atol=1e-14)
    np.testing.assert_allclose(backend.to_numpy(MatrixMap().inverse(X1, reference, p)), X, rtol=0, atol=1e-13)
