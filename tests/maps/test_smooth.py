"""The smooth functions against their series and closed forms in 60 digits, and under differentiation."""

from __future__ import annotations

from decimal import Decimal, localcontext
from functools import cache
from math import factorial

import jax
import numpy as np
import pytest
import torch

from backbeam.maps.smooth import asinc, asinc_slope, logarithm_ratio, stumpff, stumpff_slopes

TINY = (0.0, 1e-300, -1e-300, 1e-20, -1e-12, 1e-7, -1e-4)
EDGES = tuple(s * e + d for s in (1, -1) for e in (0.4, 0.5, 0.625, 3.2, 4.0, 5.0, 6.0, 7.5) for d in (0, 1e-12))
W = np.asarray([*TINY, *EDGES, *np.linspace(-50.0, 50.0, 201), np.pi**2, 4 * np.pi**2])


@cache
def exact_stumpff(k: int, w: float | Decimal) -> Decimal:
    """The series, with 60 digits: enough for |w| = 50, whose largest term is below 1e3."""
    with localcontext(prec=60):
        term = total = Decimal(1) / factorial(k)
        for j in range(1, 60):
            term = -term * Decimal(w) / ((2 * j + k - 1) * (2 * j + k))
            total += term
        return total


@cache
def exact_slope(k: int, w: float) -> Decimal:
    """Derivative of the same series, term by term."""
    with localcontext(prec=60):
        power, total = Decimal(-1), Decimal(0)
        for j in range(1, 60):
            total += j * power / factorial(2 * j + k)
            power *= -Decimal(w)
        return total


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6])
def test_stumpff_to_rounding(backend, count, dtype):
    w = np.unique(W.astype(dtype))
    found = stumpff(backend.asarray(w), count)
    assert len(found) == count
    for k, c in enumerate(found):
        c = backend.to_numpy(c)
        assert c.dtype == dtype
        for value, x in zip(c.tolist(), w.tolist(), strict=True):
            # A root of c_k cannot be met better than the rounding of w allows.
            exact = exact_stumpff(k, x)
            size = max(abs(exact), abs(Decimal(x) * exact_slope(k, x)))
            assert abs(Decimal(value) - exact) <= size * Decimal(15 * float(np.finfo(dtype).eps)), (k, x)


def test_slopes_to_rounding():
    found = stumpff_slopes(stumpff(W, 6))
    assert len(found) == 4
    for k, slope in enumerate(found):
        wanted = np.asarray([float(exact_slope(k, x)) for x in W])
        np.testing.assert_allclose(slope, wanted, rtol=2e-14, atol=2e-15)


def test_stumpff_autodiff_is_the_slope():
    """First and second derivative by torch and JAX, at 0 too, from branches that could overflow."""
    w = torch.asarray(W, dtype=torch.float64, requires_grad=True)
    slopes = jax.jit(jax.vmap(jax.jacrev(lambda v: stumpff(v, 4))))(W)
    for k, c in enumerate(stumpff(w, 4)):
        wanted = np.asarray([float(exact_slope(k, x)) for x in W])
        (first,) = torch.autograd.grad(c.sum(), w, create_graph=True)
        np.testing.assert_allclose(first.detach().numpy(), wanted, rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(slopes[k], wanted, rtol=1e-13, atol=1e-14)
        (second,) = torch.autograd.grad(first.sum(), w, retain_graph=True)
        # d/dw (k c_{k+2} - c_{k+1})/2
        curvature = [0.5 * (k * float(exact_slope(k + 2, x)) - float(exact_slope(k + 1, x))) for x in W]
        np.testing.assert_allclose(second.numpy(), curvature, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("w", [1e7, 1e30, -1e5, 0.0])
def test_stumpff_far_out(w):
    """The branch that is not used never spoils the one that is."""
    v = torch.asarray(w, dtype=torch.float64, requires_grad=True)
    c = stumpff(v, 6)
    (slope,) = torch.autograd.grad(sum(c), v)
    assert all(torch.isfinite(x) for x in (*c, slope))
    identity = c[0] ** 2 + v * c[1] ** 2
    assert abs(identity - 1.0) <= 1e-13 * abs(c[0]) ** 2 + 1e-13


def test_stumpff_keeps_the_shape(backend):
    for shape in ((), (3,), (2, 1, 4)):
        assert all(tuple(c.shape) == shape for c in stumpff(backend.asarray(np.full(shape, 0.3)), 4))


U = np.asarray([0.0, 1e-300, -1e-12, 1e-8, -1e-4, 0.02, -0.5, -0.99, 0.9999999, *np.linspace(-0.97, 0.97, 41)])


@cache
def exact_asinc(u: float, slope: bool = False) -> float:
    """asin(u)/u or its slope: from the series near 0 and from the closed form in 60 digits elsewhere."""
    with localcontext(prec=60):
        x = Decimal(u)
        angle = x  # Newton's method on sin(angle) = u, with sin and cos by their series
        for _ in range(8 if abs(u) < 0.999 else 40):
            s = angle * exact_stumpff(1, angle * angle)
            angle -= (s - x) / exact_stumpff(0, angle * angle)
        if abs(u) > 1e-6:
            return float((1 / (1 - x * x).sqrt() - angle / x) / x if slope else angle / x)
        return float(x / 3 + 3 * x**3 / 10 if slope else 1 + x * x / 6)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_asinc_to_rounding(backend, dtype):
    u = U[np.abs(U.astype(dtype)) < 1].astype(dtype)
    eps = float(np.finfo(dtype).eps)
    found, slope = (backend.to_numpy(f(backend.asarray(u))) for f in (asinc, asinc_slope))
    assert found.dtype == slope.dtype == dtype
    np.testing.assert_allclose(found, [exact_asinc(x) for x in u.tolist()], rtol=2 * eps)
    wanted = [exact_asinc(x, slope=True) for x in u.tolist()]
    np.testing.assert_allclose(slope, wanted, rtol=5 * eps, atol=1e-40)


def test_asinc_at_one_and_beyond():
    found = asinc(np.asarray([1.0, -1.0]))
    np.testing.assert_allclose(found, np.pi / 2, rtol=1e-15)
    with np.errstate(invalid="ignore"):
        assert np.isnan(asinc(np.asarray([1.1, -2.0]))).all()


def test_asinc_autodiff_is_the_slope():
    u = torch.asarray(U, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(asinc(u).sum(), u)
    wanted = [exact_asinc(x, slope=True) for x in U.tolist()]
    np.testing.assert_allclose(slope.numpy(), wanted, rtol=1e-13, atol=1e-16)
    np.testing.assert_allclose(jax.jit(jax.vmap(jax.grad(asinc)))(U), wanted, rtol=1e-13, atol=1e-16)
    assert jax.jit(jax.grad(jax.grad(asinc)))(0.0) == pytest.approx(1.0 / 3.0, rel=1e-14)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_logarithm_ratio_to_rounding(backend, dtype):
    edges = [s * e + d for s in (1, -1) for e in (0.2, 0.5) for d in (0.0, 1e-9)]
    x = np.unique(np.asarray([0.0, 1e-300, *TINY, *edges, -0.9, 3.0, 1e4], dtype=dtype))
    ratio, slope = (backend.to_numpy(v) for v in logarithm_ratio(backend.asarray(x)))
    assert ratio.dtype == slope.dtype == dtype
    with localcontext(prec=60):
        for found, rate, value in zip(ratio.tolist(), slope.tolist(), map(Decimal, x.tolist()), strict=True):
            small = abs(value) < Decimal("1e-15")
            exact = 1 - value / 2 if small else (1 + value).ln() / value
            exact_rate = -Decimal("0.5") + 2 * value / 3 if small else (1 / (1 + value) - exact) / value
            eps = Decimal(float(np.finfo(dtype).eps))
            assert abs(Decimal(found) - exact) <= 4 * eps * exact
            assert abs(Decimal(rate) - exact_rate) <= 40 * eps * abs(exact_rate)
