"""Bunches of every shape at rest, from flat to long: the closed form of the ellipsoid, and float32 beside float64."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from bunches import COULOMB, at_rest, expected_kick, momenta, reference, run, worst
from called import forward, pullback
from scipy.special import elliprd

from backbeam import backends
from backbeam.effects.space_charge import SpaceCharge3D
from backbeam.effects.space_charge.green import green
from backbeam.effects.space_charge.steep import Steep
from backbeam.effects.space_charge.steep_green import steep_green
from backbeam.effects.space_charge.stencil import difference
from backbeam.reference import Reference

REF, DS, CHARGE = reference("electron", 250e6), np.asarray(0.1), -1e-9
SHAPES = {
    "long": (1e-3, 1e-3, 1e4),
    "longest": (1e-3, 1e-3, 1e6),
    "long and flat": (1e-3, 1e-4, 1e6),
    "flat along": (1e-3, 1e-3, 1e-7),
    "flat across": (1e-3, 1e-7, 1e-3),
    "ribbon": (1e-3, 1e-7, 1e4),
}
"""Half axes in the rest frame [m]."""
every_shape = pytest.mark.parametrize("shape", SHAPES)


def ellipsoid(half_axes, n, seed=4):
    """Points (3, n) of a uniform one, z in the laboratory."""
    rng = np.random.default_rng(seed)
    v = rng.normal(size=(3, n))
    v *= rng.random(n) ** (1.0 / 3.0) / np.sqrt(np.sum(v * v, axis=0))
    return v * np.array([*half_axes[:2], half_axes[2] / float(REF.gamma)])[:, None]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@every_shape
def test_field_of_an_ellipsoid(shape, dtype):
    """It grows linearly along each axis: E_x = Q x R_D(b^2, c^2, a^2)/(4 pi epsilon_0), with Carlson's integral."""
    n, half_axes = 40_000, np.asarray(SHAPES[shape])
    slopes = [elliprd(*np.delete(half_axes, k) ** 2, half_axes[k] ** 2) for k in range(3)]
    r = ellipsoid(half_axes, n)
    target = expected_kick(lambda at: COULOMB * CHARGE * np.array(slopes)[:, None] * at, r, REF, DS)
    given = (at_rest(r, REF), np.full(n, CHARGE / n), None, REF, DS)
    kick = momenta(run(backends.get("numpy"), SpaceCharge3D((32, 32, 32)), "forward", *given, dtype=dtype))
    np.testing.assert_allclose(np.sum(kick * target, axis=-1) / np.sum(target**2, axis=-1), 1.0, atol=0.02)


def bunch(shape, n=2000):
    """An ellipsoid with random cotangents, in numbers that float32 has."""
    X = at_rest(ellipsoid(SHAPES[shape], n), REF)
    bar = np.random.default_rng(5).normal(size=X.shape) * np.array([0, 1, 0, 1, 0, 1])[:, None]
    return tuple(a.astype(np.float32).astype(float) for a in (X, np.full(n, CHARGE / n), bar))


def found(dtype, X, q, bar, order=4):
    """Kick and cotangents of positions, charges, energy and length, in float64."""
    X, q, u, ds, bar = (np.asarray(a, dtype=dtype) for a in (X, q, REF.beta_gamma, DS, bar))
    model, given = SpaceCharge3D((16, 16, 16), order=order), (X, q, None, Reference(u, REF.species), ds)
    X_bar, *bars = pullback(model, *given, bar)
    rows = [*(forward(model, *given) - X)[[1, 3, 5], :], *X_bar[[0, 2, 4], :], *bars]
    assert all(str(a.dtype) == dtype for a in rows)
    return [np.asarray(a, dtype=float) for a in rows]


def off(a, b):
    """Rms deviation of a from b over the rms of b."""
    return float(np.sqrt(np.mean((a - b) ** 2) / np.mean(b**2)))


@every_shape
def test_float32_is_float64(shape):
    """Value and gradient to its rounding, beside a potential and a Green function in float64."""
    for a, b in zip(found("float32", *bunch(shape)), found("float64", *bunch(shape)), strict=True):
        assert off(a, b) < 1e-4


@pytest.mark.parametrize("order", [2, 4])
@every_shape
def test_where_there_is_no_float64(shape, order, monkeypatch):
    """As the same, in grids made in float32 throughout: differences of potentials would be off by all of a field."""
    wanted = found("float64", *bunch(shape), order=order)
    monkeypatch.setattr(SpaceCharge3D, "_gridded", lambda self, mesh, drive: Steep(mesh, drive.stretch, self.order))
    for a, b in zip(found("float32", *bunch(shape), order=order), wanted, strict=True):
        assert off(a, b) < 2e-3


def sharpened(g):
    """Without 5/24 of the second differences of an even function; the last offset of each axis is not right."""
    found = g.copy()
    for axis in (-3, -2, -1):
        n = g.shape[axis]
        before, after = np.abs(np.arange(n) - 1), np.minimum(np.arange(n) + 1, n - 1)
        found -= 5.0 / 24.0 * (np.take(g, before, axis) + np.take(g, after, axis) - 2.0 * g)
    return found


@pytest.mark.parametrize("library", ["numpy", "torch", "array_api_strict"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_differences_of_the_green_function(library, axis):
    """In float64, where they can be taken, with their derivatives; as far as two nodes within the guards are apart."""
    shape, backend = (9, 10, 11), backends.get(library)
    spacing = np.array([[1.0, 1e-3], [0.5, 2.0], [3.0, 1.0]])
    larger = tuple(n + 3 for n in shape)
    within = (slice(None), *(slice(n - 5) for n in shape))
    ways = (jnp.broadcast_to(way[:, None], (3, 2)) for way in jnp.eye(3))
    wanted = [green(larger, spacing), *(jax.jvp(partial(green, larger), (spacing,), (way,))[1] for way in ways)]
    for order in (2, 4):
        value, slopes = steep_green(shape, backend.asarray(spacing), axis, order)
        for a, g in zip((value, *slopes), wanted, strict=True):
            g = np.asarray(g) if order == 2 else sharpened(np.asarray(g))
            mirrored = np.flip(np.take(g, range(1, 4), axis=axis + 1), axis=axis + 1)
            step = difference(np.concatenate([mirrored, g], axis=axis + 1), axis - 3, order)
            step = np.take(step, range(3, 3 + shape[axis]), axis=axis + 1)[within]
            for k in range(2):
                assert worst(backend.to_numpy(a)[within][k], step[k]) < 1e-6
