"""The hand-written pullback of the kick, against automatic differentiation of its forward and against finite differences."""

from __future__ import annotations

import jax
import numpy as np
import pytest
import torch
from bunches import given, momenta, reference, reference_for, warm, worst, worst_row

from backbeam import backends
from backbeam.reference import Reference
from backbeam.space_charge import BeamExtent, FixedExtent, RmsExtent, SpaceCharge3D

GRID = (8, 9, 10)
EXTENTS = {
    "beam": BeamExtent(),
    "beam, two guard cells": BeamExtent(guard=2),
    "rms": RmsExtent(6.0),
    "fixed": FixedExtent((-0.02, -0.02, -0.02), (0.03, 0.02, 0.02)),
}
BATCHES = {"single": ((), None), "some lost": ((), 0.2), "batch, some lost": ((2,), 0.2)}


def tape(backend, kick, X, q, alive, ref, ds, X1_bar):
    """Cotangents of X, q, beta_gamma and ds by the library's own automatic differentiation, as NumPy arrays."""
    X, q, alive, beta_gamma, ds, X1_bar = given(backend, X, q, alive, ref.beta_gamma, ds, X1_bar)

    def forward(X, q, beta_gamma, ds):
        return kick.forward(X, q, alive, Reference(beta_gamma, ref.species), ds)

    inputs = (X, q, beta_gamma, ds)
    if backend.name == "torch":
        inputs = tuple(a.requires_grad_() for a in inputs)
        bars = torch.autograd.grad(forward(*inputs), inputs, X1_bar)
    else:
        bars = jax.vjp(forward, *inputs)[1](X1_bar)
    return [backend.to_numpy(a) for a in bars]


def close(found, target, tolerance, X1_bar):
    """Compare; of X_bar, the part beyond the identity too, which holds all that the field does."""
    X_bar, *others = found
    target_X, *target_others = target
    assert worst_row(X_bar, target_X) < tolerance
    assert worst(X_bar - X1_bar, target_X - X1_bar) < tolerance
    for a, b in zip(others, target_others, strict=True):
        assert a.shape == b.shape
        assert worst(a, b) < tolerance


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("extent", EXTENTS)
def test_against_automatic_differentiation(autodiff, extent, batch):
    shape, lost = BATCHES[batch]
    X, q, alive, ds = warm(batch=shape, lost=lost)
    ref, sc = reference(batch=shape), SpaceCharge3D(GRID, EXTENTS[extent])
    X1_bar = np.random.default_rng(5).normal(size=X.shape)
    target = tape(autodiff, sc, X, q, alive, ref, ds, X1_bar)
    close(sc.pullback(X, q, alive, ref, ds, X1_bar), target, 1e-11, X1_bar)
    X1 = sc.forward(X, q, alive, ref, ds)
    before, *bars = sc.reverse(X1, q, alive, ref, ds, X1_bar)
    assert worst_row(before, X) < 1e-14
    close(bars, target, 1e-11, X1_bar)


@pytest.mark.parametrize("extent", EXTENTS)
def test_against_finite_differences(extent):
    """Directional derivatives, which NumPy can check without any help."""
    rng = np.random.default_rng(6)
    X, q, alive, ds = warm(lost=0.1)
    ref, sc = reference(), SpaceCharge3D(GRID, EXTENTS[extent])
    X1_bar = rng.normal(size=X.shape)
    bars = sc.pullback(X, q, alive, ref, ds, X1_bar)
    sizes = (np.std(X, axis=-1, keepdims=True) * np.ones_like(X), np.abs(q), ref.beta_gamma, ds)
    values = (X, q, ref.beta_gamma, ds)

    def value(X, q, beta_gamma, ds):
        return np.sum(X1_bar * (sc.forward(X, q, alive, ref.with_beta_gamma(beta_gamma), ds) - X))

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
    target = sc.pullback(X, q, alive, ref, ds, X1_bar)
    X0, q0, alive0, ds0, bar0 = given(backend, X, q, alive, ds, X1_bar, dtype=dtype)
    found = sc.pullback(X0, q0, alive0, reference_for(backend, ref, dtype), ds0, bar0)
    for a, b in zip(found, target, strict=True):
        assert str(a.dtype).endswith(dtype)
        assert worst(backend.to_numpy(a), b) < (1e-12 if dtype == "float64" else 1e-3)


def test_compiled_is_the_same():
    adapter = backends.get("jax")
    X, q, alive, ds = warm(batch=(2,), lost=0.2)
    ref, sc = reference(batch=(2,)), SpaceCharge3D(GRID)
    X1_bar = np.random.default_rng(8).normal(size=X.shape)
    target = sc.reverse(sc.forward(X, q, alive, ref, ds), q, alive, ref, ds, X1_bar)

    @adapter.compile
    def there_and_back(X, q, alive, beta_gamma, ds, X1_bar):
        here = Reference(beta_gamma, ref.species)
        return sc.reverse(sc.forward(X, q, alive, here, ds), q, alive, here, ds, X1_bar)

    found = there_and_back(*given(adapter, X, q, alive, ref.beta_gamma, ds, X1_bar))
    for a, b in zip(found, target, strict=True):
        assert worst(adapter.to_numpy(a), b) < 1e-11


@pytest.mark.parametrize("extent", [BeamExtent(), RmsExtent(6.0)])
def test_frozen_is_the_gradient_with_the_box_held_still(extent):
    """It equals that of a fixed box in the same place, and is not the exact one."""
    X, q, alive, ds = warm(lost=0.2)
    ref, X1_bar = reference(), np.random.default_rng(9).normal(size=X.shape)
    exact, frozen = (SpaceCharge3D(GRID, extent, how) for how in ("exact", "frozen"))
    np.testing.assert_array_equal(exact.forward(X, q, alive, ref, ds), frozen.forward(X, q, alive, ref, ds))
    fields = exact.fields(X, q, alive, ref)
    upper = fields.lower + fields.spacing * (np.array(GRID) - 1)
    fixed = SpaceCharge3D(GRID, FixedExtent(tuple(fields.lower), tuple(upper)))
    bars = frozen.pullback(X, q, alive, ref, ds, X1_bar)
    # Only a particle at the very edge may fall into the next cell of the fixed box, and it has no weight there.
    inside = np.ones_like(alive)
    if isinstance(extent, BeamExtent):
        for row in (X[0], X[2], X[4]):
            inside &= np.abs(row) < np.inf
    target = fixed.pullback(X, q, alive, ref, ds, X1_bar)
    differs = np.max(np.abs(bars[0] - target[0]), axis=0) > 1e-9 * np.max(np.abs(target[0]))
    assert np.sum(differs) <= (6 if isinstance(extent, BeamExtent) else 0)
    assert worst(bars[1], target[1]) < 1e-11
    assert worst(exact.pullback(X, q, alive, ref, ds, X1_bar)[0], bars[0]) > 1e-3


def test_particles_that_share_the_edge_share_the_gradient(autodiff):
    """Ties of the outermost particles are split evenly: a symmetric bunch has a symmetric gradient."""
    r = np.random.default_rng(10).uniform(-1e-3, 1e-3, size=(3, 40))
    r = np.concatenate([r, np.clip(3.0 * r, -1e-3, 1e-3)], axis=-1)
    X = np.stack([r[0], 0 * r[0], r[1], 0 * r[0], r[2], 0 * r[0]])
    q, ref, sc, ds = np.full(80, 1e-12), reference("proton", 6.7e6), SpaceCharge3D(GRID), np.asarray(0.1)
    assert np.sum(r[0] == 1e-3) > 2
    X1_bar = np.random.default_rng(11).normal(size=X.shape)
    close(sc.pullback(X, q, None, ref, ds, X1_bar), tape(autodiff, sc, X, q, None, ref, ds, X1_bar), 1e-11, X1_bar)


@pytest.mark.parametrize("lost", ["all", "none"])
@pytest.mark.parametrize("extent", [BeamExtent(), RmsExtent(6.0)])
def test_automatic_differentiation_has_no_nan_at_singular_points(autodiff, extent, lost):
    """A beam that is flat in y and z, or not there at all."""
    X, q, _, ds = warm(n=30)
    X[1:] = 0.0
    alive = np.full(q.shape, lost == "none")
    ref, sc = reference(), SpaceCharge3D((6, 6, 6), extent)
    X1_bar = np.random.default_rng(12).normal(size=X.shape)
    target = tape(autodiff, sc, X, q, alive, ref, ds, X1_bar)
    for a, b in zip(sc.pullback(X, q, alive, ref, ds, X1_bar), target, strict=True):
        assert np.all(np.isfinite(b))
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6 * np.max(np.abs(b)))


def test_float32_gradient_is_that_of_float64():
    """A small kick on an ultrarelativistic beam: nothing is a difference of numbers of order one."""
    rng = np.random.default_rng(13)
    X = rng.normal(size=(6, 2000)) * np.array([1e-3, 1e-4, 1e-3, 1e-4, 1e-3, 1e-3])[:, None]
    q, ref, sc = np.full(2000, -1e-9 / 2000), reference("electron", 250e6), SpaceCharge3D((16, 16, 16))
    X1_bar, ds = rng.normal(size=X.shape), np.asarray(1.0)
    narrow = lambda a: np.asarray(a, dtype=np.float32)  # noqa: E731
    wide = sc.forward(X, q, None, ref, ds)
    kick = sc.forward(narrow(X), narrow(q), None, Reference(narrow(ref.beta_gamma), ref.species), narrow(ds))
    found, target = (momenta(a.astype(float), ref) - momenta(b.astype(float), ref) for a, b in ((kick, narrow(X)), (wide, X)))
    assert np.std(found[:2] - target[:2]) < 1e-3 * np.std(target[:2])
    bars = sc.pullback(narrow(X), narrow(q), None, Reference(narrow(ref.beta_gamma), ref.species), narrow(ds), narrow(X1_bar))
    for a, b in zip(bars, sc.pullback(X, q, None, ref, ds, X1_bar), strict=True):
        assert worst(a, b) < 1e-3
