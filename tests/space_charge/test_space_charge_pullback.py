"""The hand-written pullback of the kick, against automatic differentiation and finite differences."""

from __future__ import annotations

import jax
import numpy as np
import pytest
import torch
from bunches import GRID, given, momenta, reference, run, warm, worst, worst_row
from called import forward, pullback, reverse

from backbeam import backends
from backbeam.effects.space_charge import AutoExtent, BeamExtent, FixedExtent, RmsExtent, SpaceCharge3D
from backbeam.reference import Reference

EXTENTS = {
    "beam": BeamExtent(),
    "beam, two guard cells": BeamExtent(guard=2),
    "rms": RmsExtent(6.0),
    "two levels": AutoExtent(levels=2),
    "fixed": FixedExtent((-0.02, -0.02, -0.02), (0.03, 0.02, 0.02)),
}
MODELS = {"": {}, "order 2": {"order": 2}, "fixed t": {"at": "t"}}
BATCHES = {"single": ((), None), "some lost": ((), 0.2), "batch, some lost": ((2,), 0.2)}


def tape(backend, kick, X, q, alive, ref, ds, X1_bar):
    """Cotangents of X, q, beta_gamma and ds by the library's own automatic differentiation."""
    X, q, alive, beta_gamma, ds, X1_bar = given(backend, X, q, alive, ref.beta_gamma, ds, X1_bar)

    def kicked(X, q, beta_gamma, ds):
        return forward(kick, X, q, alive, Reference(beta_gamma, ref.species), ds)

    inputs = (X, q, beta_gamma, ds)
    if backend.name == "torch":
        inputs = tuple(a.requires_grad_() for a in inputs)
        bars = torch.autograd.grad(kicked(*inputs), inputs, X1_bar)
    else:
        bars = _pulled(kicked)(X1_bar, *inputs)
    return [backend.to_numpy(a) for a in bars]


def _pulled(forward):
    """JAX's pullback, compiled."""
    return jax.jit(
        lambda bar, *at: jax.vjp(forward, *at)[1](bar), compiler_options={"xla_backend_optimization_level": 0}
    )


def close(found, target, tolerance, X1_bar):
    """Compare; of X_bar, the part beyond the identity too, which holds all that the field does."""
    X_bar, *others = found
    target_X, *target_others = target
    assert worst_row(X_bar, target_X) < tolerance
    assert worst(X_bar - X1_bar, target_X - X1_bar) < tolerance
    for a, b in zip(others, target_others, strict=True):
        assert a.shape == b.shape
        assert worst(a, b) < tolerance


CASES = [("torch", "", extent, batch) for extent in EXTENTS for batch in BATCHES]
CASES += [("torch", model, extent, "some lost") for model in ("order 2", "fixed t") for extent in EXTENTS]
CASES += [("jax", "", "beam", "batch, some lost"), ("jax", "", "rms", "some lost")]  # seconds of compilation each
CASES += [("jax", "", "two levels", "some lost")]


@pytest.mark.parametrize(("library", "model", "extent", "batch"), CASES)
def test_against_automatic_differentiation(library, model, extent, batch):
    autodiff = backends.get(library)
    shape, lost = BATCHES[batch]
    X, q, alive, ds = warm(batch=shape, lost=lost)
    q[..., :20] = 0.0
    X[..., :6, 7] *= 50.0  # without charge, beyond the wide grid, and within
    X[..., :6, 8] *= 8.0
    if extent == "two levels":
        X[..., 0, 30:34] += 0.05  # stray charges
        X[..., 2, 34] -= 0.04
    far = library == "torch" or extent == "rms"
    ref, sc = reference(batch=shape), SpaceCharge3D(GRID, EXTENTS[extent], far=far, **MODELS[model])
    X1_bar = np.random.default_rng(5).normal(size=X.shape)
    target = tape(autodiff, sc, X, q, alive, ref, ds, X1_bar)
    close(pullback(sc, X, q, alive, ref, ds, X1_bar), target, 1e-11, X1_bar)
    X1 = forward(sc, X, q, alive, ref, ds)
    before, *bars = reverse(sc, X1, q, alive, ref, ds, X1_bar)
    assert worst_row(before, X) < 1e-14
    close(bars, target, 1e-11, X1_bar)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("extent", EXTENTS)
def test_against_finite_differences(extent, model):
    """Directional derivatives, which NumPy can check without any help."""
    rng = np.random.default_rng(6)
    X, q, alive, ds = warm(lost=0.1)
    if extent == "two levels":
        X[0, :3] += 0.05
    ref, sc = reference(), SpaceCharge3D(GRID, EXTENTS[extent], **MODELS[model])
    X1_bar = rng.normal(size=X.shape)
    bars = pullback(sc, X, q, alive, ref, ds, X1_bar)
    sizes = (np.std(X, axis=-1, keepdims=True) * np.ones_like(X), np.abs(q), ref.beta_gamma, ds)
    values = (X, q, ref.beta_gamma, ds)

    def value(X, q, beta_gamma, ds):
        return np.sum(X1_bar * (forward(sc, X, q, alive, ref.with_beta_gamma(beta_gamma), ds) - X))

    for k in range(4):
        direction = sizes[k] * rng.normal(size=np.shape(sizes[k]))
        moved = []
        for step in (1e-7, -1e-7) if k == 0 else (1e-4, -1e-4):
            changed = list(values)
            changed[k] = values[k] + step * direction
            moved.append(value(*changed))
        slope = (moved[0] - moved[1]) / (2e-7 if k == 0 else 2e-4)
        bar = bars[k] - X1_bar if k == 0 else bars[k]
        assert slope == pytest.approx(np.sum(bar * direction), rel=1e-6)


def test_every_library_has_the_same_pullback(backend, dtype):
    X, q, alive, ds = warm(lost=0.2)
    ref, sc = reference(), SpaceCharge3D(GRID)
    X1_bar = np.random.default_rng(7).normal(size=X.shape)
    found = run(backend, sc, "pullback", X, q, alive, ref, ds, X1_bar, dtype=dtype)
    for a, b in zip(found, pullback(sc, X, q, alive, ref, ds, X1_bar), strict=True):
        assert worst(a, b) < (1e-12 if dtype == "float64" else 1e-3)


@pytest.mark.parametrize("extent", [BeamExtent(), RmsExtent(6.0)])
def test_frozen_is_the_gradient_with_the_box_held_still(extent):
    """It equals that of a fixed box in the same place, and is not the exact one."""
    X, q, alive, ds = warm(lost=0.2)
    ref, X1_bar = reference(), np.random.default_rng(9).normal(size=X.shape)
    exact, frozen = (SpaceCharge3D(GRID, extent, how) for how in ("exact", "frozen"))
    np.testing.assert_array_equal(forward(exact, X, q, alive, ref, ds), forward(frozen, X, q, alive, ref, ds))
    fields = exact.fields(X, q, alive, ref)
    lower = fields.lower + 2 * fields.spacing
    upper = lower + fields.spacing * (np.array(GRID) - 5)
    fixed = SpaceCharge3D(GRID, FixedExtent(tuple(lower), tuple(upper)), "frozen")
    bars = pullback(frozen, X, q, alive, ref, ds, X1_bar)
    target = pullback(fixed, X, q, alive, ref, ds, X1_bar)
    # A particle on the very edge has no weight in the cell that it may fall into, but a slope: there the
    # two differ.
    differs = np.max(np.abs(bars[0] - target[0]), axis=0) > 1e-9 * np.max(np.abs(target[0]))
    assert np.sum(differs) <= (6 if isinstance(extent, BeamExtent) else 0)
    assert worst(bars[1], target[1]) < 1e-11
    assert worst(pullback(exact, X, q, alive, ref, ds, X1_bar)[0], bars[0]) > 1e-3


def test_particles_that_share_the_edge_share_the_gradient():
    """Ties of the outermost particles are split evenly: a symmetric bunch has a symmetric gradient."""
    r = np.random.default_rng(10).uniform(-1e-3, 1e-3, size=(3, 40))
    r = np.concatenate([r, np.clip(3.0 * r, -1e-3, 1e-3)], axis=-1)
    X = np.stack([r[0], 0 * r[0], r[1], 0 * r[0], r[2], 0 * r[0]])
    q, ref, sc, ds = np.full(80, 1e-12), reference("proton", 6.7e6), SpaceCharge3D(GRID), np.asarray(0.1)
    torch_ = backends.get("torch")
    assert np.sum(r[0] == 1e-3) > 2
    X1_bar = np.random.default_rng(11).normal(size=X.shape)
    close(pullback(sc, X, q, None, ref, ds, X1_bar), tape(torch_, sc, X, q, None, ref, ds, X1_bar), 1e-11, X1_bar)


@pytest.mark.parametrize(
    ("library", "extent"), [("torch", BeamExtent()), ("torch", RmsExtent(6.0)), ("jax", BeamExtent())]
)
def test_automatic_differentiation_has_no_nan_at_singular_points(library, extent):
    """A batch of a beam that is flat in y and z, and of one that is lost."""
    X, q, _, ds = warm(n=30, batch=(2,))
    X[:, 1:] = 0.0
    alive = np.stack([np.ones(30, dtype=bool), np.zeros(30, dtype=bool)])
    ref, sc = reference(batch=(2,)), SpaceCharge3D((6, 6, 6), extent)
    X1_bar = np.random.default_rng(12).normal(size=X.shape)
    target = tape(backends.get(library), sc, X, q, alive, ref, ds, X1_bar)
    for a, b in zip(pullback(sc, X, q, alive, ref, ds, X1_bar), target, strict=True):
        assert np.all(np.isfinite(b))
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6 * np.max(np.abs(b)))


def test_float32_gradient_is_that_of_float64():
    """A small kick on an ultrarelativistic beam: nothing is a difference of numbers of order one."""
    rng = np.random.default_rng(13)
    X = rng.normal(size=(6, 2000)) * np.array([1e-3, 1e-4, 1e-3, 1e-4, 1e-3, 1e-3])[:, None]
    q, ref, sc = np.full(2000, -1e-9 / 2000), reference("electron", 250e6), SpaceCharge3D((16, 16, 16))
    X1_bar, ds = rng.normal(size=X.shape), np.asarray(1.0)
    narrow = lambda a: np.asarray(a, dtype=np.float32)  # noqa: E731
    wide = forward(sc, X, q, None, ref, ds)
    kick = forward(sc, narrow(X), narrow(q), None, Reference(narrow(ref.beta_gamma), ref.species), narrow(ds))
    found, target = (momenta(a.astype(float)) - momenta(b.astype(float)) for a, b in ((kick, narrow(X)), (wide, X)))
    assert np.std(found[:2] - target[:2]) < 1e-3 * np.std(target[:2])
    bars = pullback(
        sc, narrow(X), narrow(q), None, Reference(narrow(ref.beta_gamma), ref.species), narrow(ds), narrow(X1_bar)
    )
    for a, b in zip(bars, pullback(sc, X, q, None, ref, ds, X1_bar), strict=True):
        assert worst(a, b) < 1e-3
