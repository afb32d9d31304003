"""Moments against numpy.cov, extended precision and torch's own differentiation of the textbook formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from backbeam import moments

SEEDS = st.integers(0, 2**32 - 1)


def particles(rng, batch=(), n=40, k=6, lost=0.2):
    X = rng.standard_normal((*batch, k, k)) @ rng.standard_normal((*batch, k, n)) + rng.standard_normal((k, 1))
    return X, rng.random((*batch, n)) + 0.1, rng.random((*batch, n)) > lost


def on(backend, *arrays, dtype=None):
    made = [backend.asarray(a, dtype=None if a.dtype == bool else dtype) for a in arrays]
    return made[0] if len(made) == 1 else made


@given(seed=SEEDS)
def test_mean_and_covariance_are_numpys(seed):
    X, q, alive = particles(np.random.default_rng(seed))
    np.testing.assert_allclose(moments.centroid(X, q, alive), np.average(X, axis=1, weights=q * alive), rtol=1e-12)
    expected = np.cov(X, aweights=q * alive, ddof=0)
    np.testing.assert_allclose(moments.cov(X, q, alive), expected, atol=1e-13 * abs(expected).max())


def test_every_library_gives_the_same(backend):
    X, q, alive = particles(np.random.default_rng(1), batch=(2, 3))
    mine = on(backend, X, q, alive)
    for function in (moments.centroid, moments.variance, moments.cov):
        np.testing.assert_allclose(backend.to_numpy(function(*mine)), function(X, q, alive), rtol=1e-13, atol=1e-13)
    got = moments.plane(mine[0][..., 2:4, :], *mine[1:])
    for a, b in zip(got, moments.plane(X[..., 2:4, :], q, alive), strict=True):
        np.testing.assert_allclose(backend.to_numpy(a), b, rtol=1e-13)


@pytest.mark.parametrize("batch", [(), (3,), (70,)], ids=str)
def test_loops_of_many_particles_give_the_same(batch):
    """What is compiled and done in blocks, against a handful of particles at a time, which is not."""
    X, q, alive = particles(np.random.default_rng(8), batch=batch, n=5000 if batch != (70,) else 100)
    found, bars = moments.mean_and_cov(X, q, alive), np.random.default_rng(9).standard_normal((*batch, 6, 6))
    X_bar, q_bar = moments.pullback(X, q, alive, bars[..., 0], bars)
    pair = moments.plane(X[..., :2, :], q, alive)
    for k in np.ndindex(batch):
        w = q[k] * alive[k] / (q[k] * alive[k]).sum()
        mean = (w * X[k]).sum(axis=-1)
        D = X[k] - mean[:, None]
        cov = (w * D) @ D.T
        np.testing.assert_allclose(found.mean[k], mean, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(found.cov[k], cov, rtol=1e-11, atol=1e-13 * abs(cov).max())
        np.testing.assert_allclose(found.sigma[k], np.sqrt(np.diag(cov)), rtol=1e-12)
        np.testing.assert_allclose(pair.emittance[k], np.sqrt(np.linalg.det(cov[:2, :2])), rtol=1e-10)
        wanted = w * (bars[k][:, :1] + (bars[k] + bars[k].T) @ D)
        np.testing.assert_allclose(X_bar[k], wanted, rtol=1e-10, atol=1e-14 * abs(wanted).max())
        of_charge = (bars[k][:, 0] @ D + (D * (bars[k] @ D)).sum(axis=0) - (bars[k] * cov).sum()) * alive[k]
        of_charge /= (q[k] * alive[k]).sum()
        np.testing.assert_allclose(q_bar[k], of_charge, rtol=1e-9, atol=1e-12 * abs(of_charge).max())


def test_batch_is_a_loop():
    X, q, alive = particles(np.random.default_rng(2), batch=(3,))
    whole = moments.cov(X, q, alive)
    for k in range(3):
        np.testing.assert_allclose(whole[k], moments.cov(X[k], q[k], alive[k]), rtol=1e-13, atol=1e-15)
    shared = moments.cov(X, q[0], alive[0])
    np.testing.assert_allclose(shared[2], moments.cov(X[2], q[0], alive[0]), rtol=1e-13, atol=1e-15)


def test_covariance_is_symmetric_to_the_last_bit():
    C = moments.cov(*particles(np.random.default_rng(3), n=1000))
    assert np.array_equal(C, C.T)


def exact_emittance(x, p, w):
    """The determinant in extended precision, good to 1e-19/(1 - correlation^2)."""
    x, p, w = (np.asarray(a, dtype=np.longdouble) for a in (x, p, w))
    w = w / w.sum()
    x, p = x - (w * x).sum(), p - (w * p).sum()
    return float(np.sqrt((w * x * x).sum() * (w * p * p).sum() - (w * x * p).sum() ** 2))


@pytest.mark.parametrize("uncorrelated", [1.0, 1e-2, 1e-4])
def test_emittance_of_a_correlated_beam_in_float32(uncorrelated):
    """Correlation 1 - 5e-9 at the end, where the determinant in float32 is noise or negative."""
    rng = np.random.default_rng(4)
    u = rng.standard_normal((2, 20_000))
    X = np.stack([1e-3 * u[0], 1e-3 * (u[0] + uncorrelated * u[1])]).astype(np.float32)
    q = np.full(20_000, 1e-14, dtype=np.float32)
    alive = np.ones(20_000, dtype=bool)
    expected = exact_emittance(X[0], X[1], q)
    emittance = moments.plane(X, q, alive).emittance
    assert emittance.dtype == np.float32
    np.testing.assert_allclose(emittance, expected, rtol=3e-6 / uncorrelated**0.5)


def test_large_offset_in_float32():
    """An offset of 1e4 rms sizes: the mean to rounding, the size to what float32 coordinates still hold."""
    rng = np.random.default_rng(5)
    X = (10.0 + 1e-3 * rng.standard_normal((1, 100_000))).astype(np.float32)
    q, alive = rng.random(100_000).astype(np.float32), np.ones(100_000, dtype=bool)
    wide, w = X[0].astype(np.longdouble), q.astype(np.longdouble) / q.astype(np.longdouble).sum()
    mean = (w * wide).sum()
    np.testing.assert_allclose(moments.centroid(X, q, alive)[0], float(mean), rtol=1e-7)
    np.testing.assert_allclose(moments.variance(X, q, alive)[0], float((w * (wide - mean) ** 2).sum()), rtol=1e-5)


@given(seed=SEEDS, scale=st.sampled_from([0.0, 1e-30, 1e-9, 1.0]))
def test_emittance_is_never_negative(seed, scale):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(30)
    X = np.stack([x, 3.0 * x + scale * rng.standard_normal(30)])
    emittance = moments.plane(X, np.ones(30), np.ones(30, dtype=bool)).emittance
    assert 0.0 <= emittance < 10.0 * scale + 1e-14


def test_no_charge_counts_all_that_are_alive_the_same(backend):
    X, _, alive = particles(np.random.default_rng(6))
    zero = np.zeros(X.shape[-1])
    got = backend.to_numpy(moments.centroid(*on(backend, X, zero, alive)))
    np.testing.assert_allclose(got, X[:, alive].mean(axis=1), rtol=1e-12)


@pytest.mark.parametrize("case", ["all lost", "one particle", "no charge", "a line", "a point", "lost as NaN"])
def test_singular_beams_have_finite_moments_and_slopes(backend, case):
    rng = np.random.default_rng(7)
    n = 1 if case == "one particle" else 8
    X, q, alive = rng.standard_normal((6, n)), np.ones(n), np.ones(n, dtype=bool)
    if case == "all lost":
        alive = ~alive
    elif case == "no charge":
        q = 0.0 * q
    elif case == "a line":
        X[1] = 2.0 * X[0]
    elif case == "a point":
        X = X[:, :1] + np.zeros((6, n))
    elif case == "lost as NaN":
        X[:, 3], alive[3] = np.nan, False
    mine = on(backend, X, q, alive)
    found = [f(*mine) for f in (moments.centroid, moments.variance, moments.cov)]
    p = moments.plane(mine[0][:2, :], *mine[1:])
    found += [*p, p.emittance, p.beta, p.alpha, p.gamma]
    one = backend.namespace.ones_like(p.size)
    for bar in (p.emittance_pullback(one), p.beta_pullback(one), p.alpha_pullback(one)):
        found += [*bar, *moments.plane_pullback(mine[0][:2, :], *mine[1:], bar)]
    mean_bar, cov_bar = on(backend, rng.standard_normal(6), rng.standard_normal((6, 6)))
    found += [*moments.pullback(*mine, mean_bar, cov_bar)]
    for array in found:
        assert np.isfinite(backend.to_numpy(array)).all()
    if case == "all lost":
        assert all(not backend.to_numpy(array).any() for array in found[:3])


def test_automatic_differentiation_is_finite_at_zero_emittance():
    for X in (torch.zeros(2, 5, dtype=torch.float64), torch.ones(2, 5, dtype=torch.float64)):
        X = X.requires_grad_()
        p = moments.plane(X, torch.ones(5, dtype=torch.float64), torch.ones(5, dtype=torch.bool))
        (p.emittance + p.beta + p.alpha + p.gamma).backward()
        assert torch.isfinite(X.grad).all()


def test_jax_differentiation_agrees_with_the_pullback():
    import jax

    X, q, alive = particles(np.random.default_rng(8), k=2)
    size, slope, rest = np.random.default_rng(9).standard_normal(3)

    def scalar(X, q):
        p = moments.plane(X, q, jax.numpy.asarray(alive))
        return size * p.size + slope * p.slope + rest * p.rest

    X_bar, q_bar = moments.plane_pullback(X, q, alive, moments.Plane(*map(np.asarray, (size, slope, rest))))
    for got, expected in zip(
        (X_bar, q_bar), jax.grad(scalar, (0, 1))(jax.numpy.asarray(X), jax.numpy.asarray(q)), strict=True
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-13)


def textbook(X, q, alive):
    w = q * alive
    w = (w / w.sum(-1, keepdim=True))[..., None, :]
    mean = (w * X).sum(-1)
    D = X - mean[..., None]
    return mean, (w * D) @ D.mT


@pytest.mark.parametrize("batch", [(), (3,), (2, 2)])
def test_pullback_of_mean_and_covariance_is_torchs(batch):
    rng = np.random.default_rng(10)
    X, q, alive = map(torch.as_tensor, particles(rng, batch))
    mean_bar, cov_bar = (torch.as_tensor(rng.standard_normal((*batch, *s))) for s in ((6,), (6, 6)))
    X.requires_grad_(), q.requires_grad_()
    mean, cov = textbook(X, q, alive)
    ((mean_bar * mean).sum() + (cov_bar * cov).sum()).backward()
    X_bar, q_bar = moments.pullback(X.detach(), q.detach(), alive, mean_bar, cov_bar)
    torch.testing.assert_close(X_bar, X.grad, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(q_bar, q.grad, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("batch", [(), (3,)])
def test_pullback_of_a_plane_is_torchs(batch):
    rng = np.random.default_rng(11)
    X, q, alive = map(torch.as_tensor, particles(rng, batch, k=2))
    bar = moments.Plane(*(torch.as_tensor(rng.standard_normal(batch)) for _ in range(3)))
    X.requires_grad_(), q.requires_grad_()
    _, C = textbook(X, q, alive)
    a, b, c = C[..., 0, 0], C[..., 0, 1], C[..., 1, 1]
    (bar.size * a + bar.slope * b / a + bar.rest * (c - b * b / a)).sum().backward()
    X_bar, q_bar = moments.plane_pullback(X.detach(), q.detach(), alive, bar)
    scale = float(X.grad.abs().max())
    torch.testing.assert_close(X_bar, X.grad, rtol=1e-12, atol=1e-12 * scale)
    torch.testing.assert_close(q_bar, q.grad, rtol=1e-12, atol=1e-12 * float(q.grad.abs().max()))


def test_pullback_on_every_library(backend):
    rng = np.random.default_rng(12)
    X, q, alive = particles(rng, (2,), k=2)
    bars = [rng.standard_normal((2,)) for _ in range(3)]
    expected = moments.plane_pullback(X, q, alive, moments.Plane(*bars))
    got = moments.plane_pullback(*on(backend, X, q, alive), moments.Plane(*on(backend, *bars)))
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(backend.to_numpy(a), b, rtol=1e-11, atol=1e-12)


def test_float32_stays_float32(backend):
    X, q, alive = particles(np.random.default_rng(13))
    mine = on(backend, X, q, alive, dtype="float32")
    p = moments.plane(mine[0][:2, :], *mine[1:])
    X_bar, q_bar = moments.plane_pullback(mine[0][:2, :], *mine[1:], p.emittance_pullback(p.size))
    for array in (moments.cov(*mine), p.emittance, p.beta, X_bar, q_bar):
        assert array.dtype == backend.namespace.float32
