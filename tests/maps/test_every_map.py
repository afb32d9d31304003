"""What every map must do, on every array library: undo itself, be symplectic, and pull back as a derivative does."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import replace

import jax
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from libraries import few_on_jax
from map_cases import CASES, Case
from map_harness import Mover, draw

import backbeam.maps
from backbeam import backends
from backbeam.maps.base import Map

NUMPY = backends.get("numpy")
SEEDS = st.integers(0, 2**32 - 1)
every_case = pytest.mark.parametrize("case", CASES, ids=lambda c: c.label)

# (x, px), (y, py), (tau, -pt) are the canonical pairs.
SYMPLECTIC = np.zeros((6, 6))
for a, b, sign in ((0, 1, 1.0), (2, 3, 1.0), (4, 5, -1.0)):
    SYMPLECTIC[a, b], SYMPLECTIC[b, a] = sign, -sign


def points(case: Case, seed: int) -> list[tuple]:
    """A drawn point, the same at each singular value, and the origin."""
    X, bg, p = draw(case, seed)
    drawn = [(X, bg, p), (0.0 * X, bg, p)]
    return drawn + [
        (x, bg, {**p, **{k: np.asarray(v) for k, v in s.items()}}) for s in case.singular for x in (X, 0.0 * X)
    ]


def close(actual, wanted, tolerance: float, floor: float = 0.0) -> None:
    """Largest deviation, relative to the largest entry of the wanted array."""
    actual, wanted = np.asarray(actual), np.asarray(wanted)
    assert np.all(np.isfinite(actual))
    scale = max(np.abs(wanted).max(initial=0.0), floor)
    deviation = np.abs(actual - wanted).max(initial=0.0)
    assert deviation <= tolerance * scale + 1e-300, f"deviation {deviation / max(scale, 1e-300):.1e} of {scale:.1e}"


def test_every_map_has_a_case():
    found = set()
    for info in pkgutil.iter_modules(backbeam.maps.__path__):
        module = importlib.import_module(f"backbeam.maps.{info.name}")
        found |= {v for v in vars(module).values() if isinstance(v, type) and issubclass(v, Map)}
    concrete = {cls for cls in found if cls.forward is not Map.forward and not cls.__name__.startswith("_")}
    assert concrete == {type(case.map) for case in CASES}


@every_case
def test_parameters_are_those_of_the_case(case):
    assert set(case.map.parameters) == set(case.ranges)


@every_case
@given(seed=SEEDS)
def test_inverse_undoes_forward(case, seed):
    mover = Mover(case, NUMPY)
    for X, bg, p in points(case, seed):
        X1, bg1 = mover.forward(X, bg, p)
        back, bg0 = mover.inverse(X1, bg1, p)
        close(back, X, 5e-14 if "matrix" not in p else 1e-11, floor=1e-3)
        close(bg0, bg, 1e-14)


def jacobian(mover: Mover, X, bg, p) -> np.ndarray:
    """d X1/d X of one particle, by torch's forward-mode AD: exact to rounding."""
    backend = backends.get("torch")
    q = {k: backend.asarray(v) for k, v in p.items()}
    b = backend.asarray(bg)
    function = lambda x: mover.forward(x[:, None], b, q)[0][:, 0]  # noqa: E731
    return torch.func.jacrev(function)(backend.asarray(X)).numpy()


@pytest.mark.parametrize("case", [c for c in CASES if "matrix" not in c.ranges], ids=lambda c: c.label)
@given(seed=SEEDS)
def test_symplectic(case, seed):
    mover = Mover(case, NUMPY)
    for X, bg, p in points(case, seed)[:3]:
        J = jacobian(mover, X[:, 0], bg, p)
        scale = bg / mover.forward(X, bg, p)[1]  # momenta are in units of P0: their area shrinks as it grows
        close(J.T @ SYMPLECTIC @ J, scale * SYMPLECTIC, 1e-12 * max(1.0, np.abs(J).max() ** 2))


def cotangents(X, bg, seed):
    rng = np.random.default_rng(seed + 1)
    return rng.normal(size=X.shape), np.asarray(rng.normal(size=bg.shape))


def compare_pullback(found, wanted, tolerance, floor=0.0):
    """Each kind of cotangent relative to the largest of its kind; a parameter's to what its terms add up to."""
    for f, w in zip(found[:2], wanted[:2], strict=True):
        close(f, w, tolerance)
    scale = max([float(np.abs(w).max()) for w in wanted[2].values()], default=0.0)
    for name, w in wanted[2].items():
        close(found[2][name], w, tolerance, floor=max(scale * 1e-3, floor))


@every_case
@given(seed=SEEDS)
def test_pullback_equals_torch_autodiff(case, seed):
    backend = backends.get("torch")
    mover = Mover(case, backend)
    for X, bg, p in points(case, seed):
        Xb, bgb = cotangents(X, bg, seed)
        x = backend.asarray(X).requires_grad_()
        b = backend.asarray(bg).requires_grad_()
        q = {k: backend.asarray(v).requires_grad_() for k, v in p.items()}
        out = mover.forward(x, b, q)
        inputs = [x, b, *q.values()]
        grads = torch.autograd.grad(out, inputs, [mover.up(Xb), mover.up(bgb)], allow_unused=True)
        grads = [np.zeros(i.shape) if g is None else g.numpy() for g, i in zip(grads, inputs, strict=True)]
        wanted = (grads[0], grads[1], dict(zip(p, grads[2:], strict=True)))
        compare_pullback(mover.run(mover.pullback, X, bg, p, Xb, bgb), wanted, 1e-11, case.cancels)


@every_case
def test_pullback_equals_jax_autodiff(case):
    backend, case = backends.get("jax"), shortest(case)
    mover = Mover(case, backend)

    @jax.jit
    def both(x, b, q, xb, bb):
        _, pull = jax.vjp(mover.forward, x, b, q)
        return pull((xb, bb)), mover.pullback(x, b, q, xb, bb)

    for seed in range(3):
        for X, bg, p in points(case, seed):
            Xb, bgb = cotangents(X, bg, seed)
            wanted, found = both(*(mover.up(a) for a in (X, bg, p, Xb, bgb)))
            compare_pullback([mover.down(a) for a in found], [mover.down(a) for a in wanted], 1e-11, case.cancels)


def shortest(case: Case) -> Case:
    """The map with one step of order 2: what JAX compiles grows with the pieces, what is in a piece does not."""
    return replace(case, map=replace(case.map, order=2, steps=1)) if hasattr(case.map, "steps") else case


@every_case
@given(seed=SEEDS)
def test_pullback_equals_differences(case, seed):
    """Along one random direction in all inputs at once, by a fourth-order central difference."""
    mover = Mover(case, NUMPY)
    X, bg, p = draw(case, seed)
    Xb, bgb = cotangents(X, bg, seed)
    rng = np.random.default_rng(seed + 2)
    dX, dbg = rng.normal(size=X.shape) * 1e-3, bg * rng.normal() * 1e-2
    dp = {k: rng.normal(size=v.shape) * (case.ranges[k][1] - case.ranges[k][0]) * 1e-2 for k, v in p.items()}

    def along(h):
        X1, bg1 = mover.forward(X + h * dX, bg + h * dbg, {k: v + h * dp[k] for k, v in p.items()})
        return np.sum(X1 * Xb) + np.sum(bg1 * bgb)

    h = 1e-2
    wanted = (8.0 * (along(h) - along(-h)) - (along(2 * h) - along(-2 * h))) / (12.0 * h)
    X_bar, bg_bar, p_bar = mover.pullback(X, bg, p, Xb, bgb)
    found = np.sum(X_bar * dX) + np.sum(bg_bar * dbg) + sum(np.sum(p_bar[k] * dp[k]) for k in p)
    size = np.abs(X_bar * dX).sum() + np.abs(bg_bar * dbg).sum() + sum(np.abs(p_bar[k] * dp[k]).sum() for k in p)
    assert abs(found - wanted) <= 1e-6 * size


@every_case
@given(seed=SEEDS)
def test_reverse_is_inverse_and_pullback(case, seed):
    mover = Mover(case, NUMPY)
    X, bg, p = draw(case, seed)
    Xb, _ = cotangents(X, bg, seed)
    reference = mover.reference(bg)
    X1 = case.map.forward(X, reference, p)
    found = case.map.reverse(X1, reference, p, Xb)
    close(found[0], X, 5e-14 if "matrix" not in p else 1e-11, floor=1e-3)
    wanted = case.map.pullback(X, reference, p, Xb)
    close(found[1], wanted[0], 1e-11)
    close(found[2], wanted[1], 1e-9, floor=np.abs(Xb).max() * case.size)
    for name, bar in wanted[2].items():
        close(found[3][name], bar, 1e-9, floor=np.abs(Xb).max() * case.size)


@few_on_jax("case", CASES, lambda case: case.label)
def test_batch_equals_loop(case, backend):
    mover = Mover(case, backend)
    X, bg, p = draw(case, 5, batch=(2, 3))
    Xb, bgb = cotangents(X, bg, 5)
    X1, bg1 = mover.run(mover.forward, X, bg, p)
    X0, _ = mover.run(mover.inverse, X1, bg1, p)
    bars = mover.run(mover.pullback, X, bg, p, Xb, bgb)
    single = Mover(case, NUMPY)
    for k in np.ndindex(2, 3):
        one = {n: v[k] for n, v in p.items()}
        close(X1[k], single.forward(X[k], bg[k], one)[0], 1e-12)
        close(X0[k], X[k], 1e-11, floor=1e-3)
        wanted = single.pullback(X[k], bg[k], one, Xb[k], bgb[k])
        compare_pullback((bars[0][k], bars[1][k], {n: v[k] for n, v in bars[2].items()}), wanted, 1e-11)


@few_on_jax("case", CASES, lambda case: case.label)
def test_float32_agrees_with_float64(case, backend):
    """To a few hundred roundings: what is left when no two numbers of order one are subtracted."""
    X, bg, p = draw(case, 11, n=50)
    Xb, bgb = cotangents(X, bg, 11)
    # The numbers that float32 can hold, so that only the arithmetic differs.
    X, bg, Xb, bgb = (a.astype(np.float32).astype(np.float64) for a in (X, bg, Xb, bgb))
    p = {k: v.astype(np.float32).astype(np.float64) for k, v in p.items()}
    coarse, fine = Mover(case, backend, "float32"), Mover(case, NUMPY)
    X1, bg1 = coarse.run(coarse.forward, X, bg, p)
    close(X1, fine.forward(X, bg, p)[0], 3e-5)
    close(bg1, fine.forward(X, bg, p)[1], 1e-5)
    bars, wanted = coarse.run(coarse.pullback, X, bg, p, Xb, bgb), fine.pullback(X, bg, p, Xb, bgb)
    compare_pullback(bars, wanted, 1e-4)
    assert backend.asarray(X, dtype="float32").dtype == coarse.forward(*(coarse.up(a) for a in (X, bg, p)))[0].dtype
