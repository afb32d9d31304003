"""What every effect must do, on every array library: undo itself, move only momenta, pull back as a derivative does."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from effect_cases import CASES
from effect_harness import call, draw, run, without, worst

from backbeam import backends
from backbeam.effects import Effect
from backbeam.reference import Reference

NUMPY = backends.get("numpy")
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.label)
POSITIONS = (0, 2, 4)
PLAIN = ("numpy", "torch", "array_api_strict")
on_plain = pytest.mark.parametrize("library", PLAIN)
"""JAX takes seconds to compile a kick: one case of each kind, with the most that the kind does, has to do."""
COMPILED = [
    case for case in CASES if case.label in ("resonator_dipole", "resistive_wall", "table", "csr_behind", "steady_csr")
]


def cotangent(X, seed=2):
    return np.random.default_rng(seed).normal(size=X.shape)


def kicked(case, drawn):
    """Coordinates after the kick, and the rms of the largest change of a momentum in units of its size."""
    X1 = run(NUMPY, case, "forward", *drawn)
    size = max(np.std(X1[..., k, :] - drawn[0][..., k, :]) / case.sizes[k] for k in (1, 3, 5))
    return X1, size


def compare(found, wanted, X1_bar, tolerance):
    """Bars of (X, q, beta_gamma, p), row by row; a row that should have none may have its rounding."""
    rows, *others = without(found, X1_bar)
    targets, *wanted = without(wanted, X1_bar)
    scale = max(np.max(np.abs(row)) for row in targets.values())
    for k, target in targets.items():
        floor = 1e-3 * scale if k in POSITIONS else scale
        assert np.max(np.abs(rows[k] - target)) <= tolerance * max(np.max(np.abs(target)), floor) + 1e-14
    for a, b in zip(others[:2], wanted[:2], strict=True):
        assert worst(a, b) < tolerance
    assert set(others[2]) == set(wanted[2])
    size = max(np.max(np.abs(a)) for a in wanted[2].values())
    for name, target in wanted[2].items():
        assert np.max(np.abs(others[2][name] - target)) < tolerance * max(np.max(np.abs(target)), 1e-3 * size)


def test_every_effect_has_a_case():
    shipped = {cls for cls in Effect.kinds.values() if cls.__module__.startswith("backbeam.")}
    assert shipped == {type(case.effect) for case in CASES}


@on_plain
@every_case
def test_inverse_undoes_forward(case, library):
    backend = backends.get(library)
    drawn = draw(case)
    _, size = kicked(case, drawn)
    assert size > 1e-3
    found = run(backend, case, "inverse", run(backend, case, "forward", *drawn), *drawn[1:])
    assert max(worst(found[k, :], drawn[0][k, :]) for k in range(6)) < 1e-13


@every_case
def test_only_momenta_of_the_living_move(case):
    X, q, alive, *rest = draw(case, batch=(2,))
    X1 = run(NUMPY, case, "forward", X, q, alive, *rest)
    lost = np.broadcast_to(~alive[:, None, :], X.shape)
    np.testing.assert_array_equal(X1[lost], X[lost])
    np.testing.assert_array_equal(X1[:, POSITIONS, :], X[:, POSITIONS, :])


@every_case
def test_the_lost_give_nothing(case):
    """They may be anywhere, or nowhere."""
    X, q, alive, *rest = draw(case)
    X1 = run(NUMPY, case, "forward", X, q, alive, *rest)
    nowhere = np.where(alive, X, np.nan)
    found = run(NUMPY, case, "forward", nowhere, q, alive, *rest)
    np.testing.assert_array_equal(found[:, alive], X1[:, alive])
    only = run(NUMPY, case, "forward", X[:, alive], q[alive], None, *rest)
    assert worst(only, X1[:, alive]) < 1e-14
    bar = cotangent(X)
    X_bar, q_bar, *_ = run(NUMPY, case, "pullback", nowhere, q, alive, *rest, bar)
    np.testing.assert_array_equal(X_bar[:, ~alive], bar[:, ~alive])
    np.testing.assert_array_equal(q_bar[~alive], 0.0)
    assert np.all(np.isfinite(X_bar))


@every_case
def test_what_has_no_charge_is_moved_and_gives_nothing(case):
    X, q, _, *rest = draw(case)
    q[::4] = 0.0
    X1 = run(NUMPY, case, "forward", X, q, None, *rest)
    assert np.max(np.abs(X1[:, ::4] - X[:, ::4])) > 0.0
    elsewhere = X.copy()
    elsewhere[[0, 2], ::4] *= 0.5  # not along the beam, whose line all the living are on
    found = run(NUMPY, case, "forward", elsewhere, q, None, *rest)
    charged = q != 0.0
    assert worst(found[:, charged], X1[:, charged]) < 1e-14


@every_case
def test_conserves(case):
    X, q, alive, *rest = draw(case)
    X1 = run(NUMPY, case, "forward", X, q, alive, *rest)
    for row in case.conserved:
        change = q * (X1 - X)[row]
        assert abs(np.sum(change[alive])) < 1e-12 * np.sum(np.abs(change[alive]))


@every_case
def test_batch_is_a_loop(case):
    X, q, alive, beta_gamma, p = draw(case, batch=(2,))
    bar = cotangent(X)
    together = (run(NUMPY, case, "forward", X, q, alive, beta_gamma, p),)
    together += run(NUMPY, case, "pullback", X, q, alive, beta_gamma, p, bar)
    for k in range(2):
        one = (X[k], q[k], alive[k], beta_gamma[k], {name: a[k] for name, a in p.items()})
        alone = (run(NUMPY, case, "forward", *one), *run(NUMPY, case, "pullback", *one, bar[k]))
        for a, b in zip(together, alone, strict=True):
            assert worst({n: v[k] for n, v in a.items()} if isinstance(a, dict) else a[k], b) < 1e-12


@every_case
def test_pullback_equals_torch_autodiff(case):
    adapter = backends.get("torch")
    X, q, alive, beta_gamma, p = draw(case, batch=(2,))
    bar = cotangent(X)
    inputs = [adapter.asarray(a).requires_grad_() for a in (X, q, beta_gamma, *p.values())]
    there = inputs[:2], adapter.asarray(alive), inputs[2], dict(zip(p, inputs[3:], strict=True))
    X1 = call(case, "forward", *there[0], *there[1:])
    bars = [a.numpy() for a in torch.autograd.grad(X1, inputs, adapter.asarray(bar))]
    wanted = (*bars[:3], dict(zip(p, bars[3:], strict=True)))
    compare(run(NUMPY, case, "pullback", X, q, alive, beta_gamma, p, bar), wanted, bar, 1e-11)


@pytest.mark.parametrize("case", [c for c in COMPILED if c.label == "csr_behind"], ids=lambda case: case.label)
def test_pullback_equals_jax_autodiff(case):
    adapter = backends.get("jax")
    X, q, alive, beta_gamma, p = draw(case)
    bar = cotangent(X)

    @jax.jit
    def pull(X, q, beta_gamma, p, bar):
        forward = lambda X, q, beta_gamma, p: call(case, "forward", X, q, adapter.asarray(alive), beta_gamma, p)  # noqa: E731
        return jax.vjp(forward, X, q, beta_gamma, p)[1](bar)

    wanted = jax.tree_util.tree_map(np.asarray, pull(X, q, beta_gamma, p, bar))
    compare(run(NUMPY, case, "pullback", X, q, alive, beta_gamma, p, bar), wanted, bar, 1e-11)


@pytest.mark.parametrize(
    "case",
    [c for c in CASES if c.label in ("steady_csr", "csr_behind", "resonator", "resistive_wall", "table")],
    ids=lambda case: case.label,
)
def test_jax_differentiates_a_response_in_float32(case):
    """Of nodes that lie close: what a ratio is divided by must not be squared out of float32."""
    spacing, weights = np.array([2e-7]), np.random.default_rng(5).normal(size=24)
    given = Reference.from_kinetic_energy(case.kinetic_energy, case.species)
    at = lambda xp, dtype: given.with_beta_gamma(xp.full(1, float(given.beta_gamma), dtype=dtype))  # noqa: E731
    values = {name: np.full(1, value) for name, value in case.p.items()}
    slopes = case.effect.response_slopes(spacing, at(np, np.float64), values)

    @jax.jit
    def by_spacing(spacing, values):
        total = lambda h: jnp.sum(case.effect.response(h, at(jnp, jnp.float32), values) * weights.astype("f4"))  # noqa: E731
        return jax.grad(total)(spacing)

    found = by_spacing(spacing.astype("f4"), {name: value.astype("f4") for name, value in values.items()})
    assert np.allclose(found, np.sum(slopes.spacing * weights), rtol=1e-2)


@every_case
def test_pullback_equals_differences(case):
    """Along a random direction in each of its inputs, by a fourth-order central difference."""
    X, q, alive, beta_gamma, p = draw(case)
    bar, rng = cotangent(X), np.random.default_rng(3)
    X_bar, q_bar, beta_gamma_bar, p_bar = run(NUMPY, case, "pullback", X, q, alive, beta_gamma, p, bar)
    moves = {"X": np.asarray(case.sizes)[:, None] * rng.normal(size=X.shape), "q": q * rng.normal(size=q.shape)}
    wanted = {"X": np.sum((X_bar - bar) * moves["X"]), "q": np.sum(q_bar * moves["q"])}
    wanted |= {"beta_gamma": beta_gamma_bar * beta_gamma} | {name: p_bar[name] * p[name] for name in p}

    def change(name, t):
        given = {"X": X, "q": q, "beta_gamma": beta_gamma, **p}
        given[name] = given[name] + t * moves.get(name, given[name])
        values = {k: given[k] for k in p}
        X1 = run(NUMPY, case, "forward", given["X"], given["q"], alive, given["beta_gamma"], values)
        return np.sum(bar * (X1 - given["X"]))

    size = max(np.abs(a) for a in wanted.values())
    for name, target in wanted.items():
        h = 2e-7 if name == "X" else 1e-3
        found = (8.0 * (change(name, h) - change(name, -h)) - change(name, 2 * h) + change(name, -2 * h)) / (12.0 * h)
        assert abs(found - target) < 2e-6 * max(abs(target), 1e-3 * size)


@pytest.mark.parametrize(
    ("case", "library"),
    [(case, library) for case in CASES for library in PLAIN] + [(case, "jax") for case in COMPILED],
    ids=lambda a: getattr(a, "label", a),
)
def test_every_library_has_the_same_reverse(case, library):
    backend, drawn = backends.get(library), draw(case)
    bar = cotangent(drawn[0])
    X1, _ = kicked(case, drawn)
    wanted = run(NUMPY, case, "pullback", *drawn, bar)
    X, *bars = run(backend, case, "reverse", X1, *drawn[1:], bar)
    assert max(worst(X[k, :], drawn[0][k, :]) for k in range(6)) < 1e-13
    compare(bars, wanted, bar, 1e-10)


@every_case
def test_float32_keeps_its_digits(case):
    """Of the change, not of the coordinates: those that do not act are 0."""
    X, q, alive, beta_gamma, p = draw(case)
    X[[1, 3, 5]] = 0.0
    bar = cotangent(X)
    bar[[0, 2, 4]] = 0.0
    given = (X, q, alive, beta_gamma, p)
    wide = (run(NUMPY, case, "forward", *given), *run(NUMPY, case, "pullback", *given, bar))
    narrow = run(NUMPY, case, "forward", *given, dtype="float32")
    narrow = (narrow, *run(NUMPY, case, "pullback", *given, bar, dtype="float32"))
    for found, wanted in zip(narrow, wide, strict=True):
        assert worst(found, wanted) < 2e-4


@on_plain
@every_case
def test_nothing_to_do(case, library):
    """No charge, or nobody alive: the beam passes in the same bits, and no cotangent is lost."""
    backend = backends.get(library)
    X, q, alive, *rest = draw(case, n=10)
    bar = cotangent(X)
    for charge, living in ((0.0 * q, None), (q, np.zeros_like(alive))):
        found = run(backend, case, "forward", X, charge, living, *rest)
        np.testing.assert_array_equal(found, X)
        X_bar, *others, p_bar = run(backend, case, "pullback", X, charge, living, *rest, bar)
        np.testing.assert_array_equal(X_bar[[1, 3, 5]], bar[[1, 3, 5]])
        assert all(np.all(np.isfinite(a)) for a in (X_bar, *others, *p_bar.values()))


@every_case
def test_a_point(case):
    """One particle, and many in one place: finite, and pulled back to what is finite."""
    for n in (1, 5):
        X, q, _, *rest = draw(case, n=n)
        X = X[:, :1] + np.zeros_like(X)
        assert np.all(np.isfinite(run(NUMPY, case, "forward", X, q, None, *rest)))
        X_bar, q_bar, beta_gamma_bar, p_bar = run(NUMPY, case, "pullback", X, q, None, *rest, cotangent(X))
        assert all(np.all(np.isfinite(a)) for a in (X_bar, q_bar, beta_gamma_bar, *p_bar.values()))
