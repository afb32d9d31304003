"""Products and normal forms: against loops, closed forms and automatic differentiation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backbeam.errors import TrackingError
from backbeam.lattice_functions.normal_form import modes, normal_form, normal_form_pullback, symplectic_form
from backbeam.lattice_functions.products import products, products_pullback


@pytest.mark.parametrize("count", (1, 2, 3, 4, 7, 12, 29))
def test_products_and_their_pullback(count):
    rng = np.random.default_rng(count)
    R = rng.standard_normal((2, count, 6, 6)) / 2.5
    M = products(R)
    expected = np.eye(6)
    for k in range(count):
        expected = R[:, k] @ expected
        assert np.allclose(M[:, k], expected, rtol=1e-13, atol=1e-14)
    bar = rng.standard_normal(M.shape)
    given = torch.tensor(R, requires_grad=True)
    products(given).backward(torch.tensor(bar))
    assert np.allclose(products_pullback(R, M, bar), given.grad.numpy(), rtol=1e-12, atol=1e-13)


def stable(tunes: tuple[float, ...], seed: int, coupling: float = 0.06) -> tuple[np.ndarray, np.ndarray]:
    """A symplectic matrix of these tunes, and one that turns it into rotations."""
    from scipy.linalg import block_diag, expm

    rng = np.random.default_rng(seed)
    d = 2 * len(tunes)
    J = symplectic_form(np.zeros((d, d)))
    S = rng.standard_normal((d, d)) * coupling
    A = expm(J @ (S + S.T))
    turns = [2.0 * np.pi * q for q in tunes]
    Rot = block_diag(*([[np.cos(m), np.sin(m)], [-np.sin(m), np.cos(m)]] for m in turns))
    return A @ Rot @ np.linalg.inv(A), A


CASES = ((0.22, 0.31), (0.22, 0.71), (0.31, 0.27, 0.985), (0.31, 0.73, 0.01), (0.4, 0.62, 0.05))


@pytest.mark.parametrize("tunes", CASES)
def test_the_normal_form_turns_a_matrix_into_rotations(tunes):
    M, _ = stable(tunes, len(tunes))
    A = normal_form(M)
    J = symplectic_form(M)
    assert np.allclose(A.T @ J @ A, np.kron(np.eye(len(tunes)), [[0.0, 1.0], [-1.0, 0.0]]), atol=1e-10)
    turned = np.linalg.inv(A) @ M @ A
    for j, q in enumerate(tunes):
        block = turned[2 * j : 2 * j + 2, 2 * j : 2 * j + 2]
        assert np.allclose(block[0, 0], np.cos(2 * np.pi * q), atol=1e-10)
        assert np.allclose(block[0, 1], -block[1, 0], atol=1e-10)
        assert abs(A[2 * j, 2 * j + 1]) < 1e-12 * A[2 * j, 2 * j]
        turned[2 * j : 2 * j + 2, 2 * j : 2 * j + 2] = 0.0
    assert np.abs(turned).max() < 1e-9


@pytest.mark.parametrize("tunes", CASES)
def test_the_pullback_of_the_normal_form_is_that_of_automatic_differentiation(tunes):
    M, _ = stable(tunes, 3 + len(tunes))
    rng = np.random.default_rng(7)
    bar = rng.standard_normal(M.shape)
    # Along symplectic changes of M, M (1 + J S), S symmetric: others are none of a ring.
    J = symplectic_form(M)
    S = rng.standard_normal(M.shape)
    change = M @ J @ (S + S.T)
    given = torch.tensor(M, requires_grad=True)
    normal_form(given).backward(torch.tensor(bar))
    mine = np.sum(normal_form_pullback(M, normal_form(M), bar) * change)
    theirs = float(torch.sum(given.grad * torch.tensor(change)))
    h = 1e-6
    ahead, behind = (
        normal_form(M + s * h * change + 0.5 * h * h * change @ np.linalg.inv(M) @ change) for s in (1, -1)
    )
    difference = np.sum(bar * (ahead - behind)) / (2 * h)
    assert np.isclose(mine, theirs, rtol=1e-9)
    assert np.isclose(mine, difference, rtol=1e-5)


def test_modes_that_meet_are_told_apart_by_their_planes():
    M, _ = stable((0.23,), 1)
    both = np.zeros((4, 4))
    both[:2, :2], both[2:, 2:] = M, M
    A = normal_form(both)
    assert np.allclose(A[:2, 2:], 0.0) and np.allclose(A[2:, :2], 0.0)
    assert np.isfinite(normal_form_pullback(both, A, np.ones((4, 4)))).all()
    given = torch.tensor(both, requires_grad=True)
    normal_form(given).sum().backward()
    assert bool(torch.isfinite(given.grad).all())


def test_an_unstable_matrix_says_in_which_plane():
    M, _ = stable((0.2, 0.3), 5, coupling=0.0)
    M[2:, 2:] = [[2.0, 1.0], [1.0, 1.0]]
    with pytest.raises(TrackingError, match=r"mu_y.*1\.5"):
        normal_form(M)
    batch = normal_form(np.stack([M, stable((0.2, 0.3), 5)[0]]))
    assert np.isnan(batch[0]).any() and np.isfinite(batch[1]).all()
    assert abs(modes(M).cosines[1] - 3.0) < 1e-12
