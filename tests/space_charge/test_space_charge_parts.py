"""The parts of the kick, each against something that could disagree."""

from __future__ import annotations

import math

import jax
import numpy as np
import pytest
from bunches import given, momenta, reference, warm, worst
from called import forward

from backbeam import backends
from backbeam.effects.mesh.cloud_in_cell import deposit, gather, gather_slope, locate
from backbeam.effects.space_charge import SpaceCharge3D
from backbeam.effects.space_charge.drive import Drive
from backbeam.effects.space_charge.extents import BeamExtent, Box, FixedExtent, RmsExtent, widened
from backbeam.effects.space_charge.green import green, green_and_slopes
from backbeam.effects.space_charge.poisson import (
    columns,
    convolve,
    convolve_both,
    even_transform,
    even_transform_transpose,
)
from backbeam.effects.space_charge.stencil import difference, difference_transpose
from backbeam.effects.space_charge.transforms import to_fixed_s, to_fixed_t
from backbeam.reference import Reference


def rng():
    return np.random.default_rng(21)


# -- transforms ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("species", "energy"), [("proton", 6.7e6), ("electron", 250e6)])
def test_transforms_are_free_flight_between_s_and_t(species, energy):
    """Written with subtractions, in long double."""
    X, _, _, _ = warm()
    X[4] *= 10
    ref = reference(species, energy)
    x, px, y, py, tau, pt = X.astype(np.longdouble)
    beta = np.longdouble(ref.beta)
    e = 1 / beta + pt
    pz = np.sqrt(e**2 - (1 / beta**2 - 1) - px**2 - py**2)
    # In the time -tau/c since it was at s, a particle goes c P/E.
    target = (x - tau * px / e, y - tau * py / e, -tau * pz / e, pz - 1)
    found = to_fixed_t(*X, ref.inverse_beta)
    for a, b in zip(found, target, strict=True):
        assert worst(a, b) < 1e-13


def test_transforms_undo_each_other(backend, dtype):
    X, _, _, _ = warm(batch=(2,))
    X0, inverse_beta = given(backend, X, np.array([[1.002], [5.0]]), dtype=dtype)
    x, px, y, py, tau, pt = (X0[..., k, :] for k in range(6))
    xt, yt, z, d = to_fixed_t(x, px, y, py, tau, pt, inverse_beta)
    back = to_fixed_s(xt, px, yt, py, z, d, inverse_beta)
    for a, k in zip(back, (0, 2, 4, 5), strict=True):
        assert worst(backend.to_numpy(a), backend.to_numpy(X0)[..., k, :]) < (1e-15 if dtype == "float64" else 1e-6)


# -- stencil -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [2, 4])
@pytest.mark.parametrize("axis", [-1, -2, -3])
def test_difference(backend, axis, order):
    """NumPy's gradient; exact for polynomials of its order; and its transpose."""
    f, g = rng().normal(size=(2, 2, 4, 5, 6)) if order == 2 else rng().normal(size=(2, 2, 6, 7, 8))
    f0, g0 = given(backend, f, g)
    found = backend.to_numpy(difference(f0, axis, order))
    if order == 2:
        np.testing.assert_allclose(found, np.gradient(f, axis=axis), rtol=1e-14, atol=1e-14)
    transposed = backend.to_numpy(difference_transpose(g0, axis, order))
    assert np.sum(found * g) == pytest.approx(np.sum(f * transposed), rel=1e-12)
    nodes = np.arange(f.shape[axis]) - 2.0
    at = np.broadcast_to(np.moveaxis(nodes[:, None, None], 0, axis), f.shape[1:])[None]
    slope = backend.to_numpy(difference(given(backend, at**order)[0], axis, order))
    inner = slice(order // 2, -(order // 2))
    found, target = np.moveaxis(slope, axis, -1)[..., inner], order * nodes[inner] ** (order - 1)
    np.testing.assert_allclose(found, np.broadcast_to(target, found.shape), rtol=1e-13, atol=1e-13)


# -- cloud in cell -------------------------------------------------------------------------------------------


GRID = (5, 6, 7)


def positions(count=40, batch=2):
    return rng().uniform(1.0, np.array(GRID)[:, None, None] - 2.0, size=(3, batch, count))


def test_gather_is_exact_for_a_linear_field(backend):
    """And the transpose of the deposit."""
    u, generator = positions(), rng()
    cloud = locate(tuple(given(backend, *u)), GRID, 1)
    nodes = np.meshgrid(*(np.arange(n) for n in GRID), indexing="ij")
    slope = np.array([2.0, -3.0, 0.5])
    field = np.stack([1.0 + sum(s * a for s, a in zip(slope, nodes, strict=True))] * 2)[None]
    found = backend.to_numpy(gather(given(backend, field)[0], cloud))
    np.testing.assert_allclose(found.reshape(2, -1), 1.0 + np.tensordot(slope, u, 1), rtol=1e-13)
    values, field = generator.normal(size=(3, 80)), generator.normal(size=(3, 2, *GRID))
    values0, field0 = given(backend, values, field)
    left = np.sum(backend.to_numpy(deposit(values0, cloud)) * field)
    assert left == pytest.approx(np.sum(values * backend.to_numpy(gather(field0, cloud))), rel=1e-12)
    total, slopes = gather_slope(field0, values0, cloud)
    np.testing.assert_allclose(backend.to_numpy(total), backend.to_numpy(gather(field0, cloud)), rtol=1e-13)
    for k in range(3):
        step = 1e-3 * np.eye(3)[k][:, None, None]
        inside = np.all(np.floor(u - step) == np.floor(u + step), axis=0).reshape(-1)
        ends = [
            np.sum(values * backend.to_numpy(gather(field0, locate(tuple(given(backend, *at)), GRID, 1))), axis=0)
            for at in (u + step, u - step)
        ]
        target = (ends[0] - ends[1]) / 2e-3
        np.testing.assert_allclose(backend.to_numpy(slopes[k])[inside], target[inside], rtol=1e-8, atol=1e-9)


def test_no_particle_touches_the_guard_nodes():
    ends = tuple(np.array([[1.0, n - 2.0, np.nextafter(1.0, 0), np.nextafter(n - 2.0, n)]]) for n in GRID)
    charge = deposit(np.ones((1, 4)), locate(ends, GRID, 1))[0, 0]
    assert np.sum(charge) == pytest.approx(4.0)
    assert np.sum(charge[1:-1, 1:-1, 1:-1]) == np.sum(charge)


# -- Green function ------------------------------------------------------------------------------------------


def mean_over_cell(offset, sides):
    """Mean of 1/r over a cell: Gauss-Legendre in two axes where 1/r is smooth, exact along the third."""
    t, w = np.polynomial.legendre.leggauss(24)
    x, y = (offset[k] + 0.5 * sides[k] * t for k in (0, 1))
    rho = np.sqrt(x[:, None] ** 2 + y[None, :] ** 2)
    ends = [np.arcsinh((offset[2] + s * sides[2]) / rho) for s in (0.5, -0.5)]
    return float(w @ ((ends[0] - ends[1]) / sides[2]) @ w) / 4.0


@pytest.mark.parametrize("sides", [(1.0, 1.0, 1.0), (1.0, 2.0, 0.5), (1e-3, 2e-3, 0.5)])
def test_green_function_is_the_mean_over_the_cell(backend, sides):
    n = (6, 7, 8)
    g = backend.to_numpy(green(n, given(backend, np.array(sides)[:, None])[0]))[0]
    assert g.shape == n
    for node in ((2, 1, 0), (5, 6, 7), (0, 3, 2), (1, 1, 7), (4, 0, 0)):
        offset = np.array(node) * sides
        assert g[node] == pytest.approx(mean_over_cell(offset, sides), rel=1e-9)


def test_green_function_of_the_cell_itself():
    """Mean of 1/r over a unit cube around its middle, 3 log(2 + sqrt 3) - pi/2, and 1/r far away."""
    g = green((24, 4, 4), np.ones((3, 1)))[0]
    middle = 3.0 * math.log(2.0 + math.sqrt(3.0)) - math.pi / 2
    assert g[0, 0, 0] == pytest.approx(middle, rel=1e-12)
    assert g[23, 0, 0] == pytest.approx(1.0 / 23.0, rel=1e-6)


def test_slopes_of_the_green_function():
    spacing = np.array([[1e-3, 1.0], [2e-3, 0.1], [4e-3, 7.0]])
    value, slopes = green_and_slopes((5, 6, 7), spacing)
    assert value.shape == (2, 5, 6, 7)
    assert worst(value, green((5, 6, 7), spacing)) < 1e-12
    bar = rng().normal(size=value.shape)
    found = slopes.pull_back(bar)
    for k in range(3):
        step = 1e-5 * spacing * np.eye(3)[k][:, None]
        ends = (green((5, 6, 7), spacing + sign * step) for sign in (1, -1))
        target = np.sum(bar * (next(ends) - next(ends)), axis=(1, 2, 3)) / (2e-5 * spacing[k])
        assert worst(found[k], target) < 1e-7


@pytest.mark.parametrize("sides", [(1.0, 1.0, 1.0), (1.0, 1.0, 500.0), (1.0, 30.0, 0.1)])
def test_green_function_where_only_float32_exists(sides):
    """Differences of the closed form alone would be wrong by 0.3 to 6 per cent in the rms."""
    spacing = 1e-4 * np.array(sides)[:, None]
    for n in (32, 64):
        wide, slopes = green_and_slopes((n, n, n), spacing)
        narrow, narrow_slopes = green_and_slopes((n, n, n), spacing.astype(np.float32))
        only_value = green((n, n, n), spacing.astype(np.float32))
        for g in (narrow, only_value):
            assert g.dtype == np.float32
            assert math.sqrt(np.mean((g / wide - 1.0) ** 2)) < 1e-3
        if n == 32:
            bar = rng().uniform(size=wide.shape)
            found, target = narrow_slopes.pull_back(bar.astype(np.float32)), slopes.pull_back(bar)
            for a, b in zip(found, target, strict=True):
                assert worst(a, b) < 1e-3


def test_kick_in_jax_without_its_x64_flag():
    adapter, ref, sc = backends.get("jax"), reference(), SpaceCharge3D((16, 16, 16))
    X, q, _, ds = warm()
    X[[1, 3, 5]] = 0.0
    with jax.enable_x64(False):
        arrays = given(adapter, X, q, ref.beta_gamma, ds, dtype="float32")
        X1 = jax.jit(lambda X, q, u, ds: forward(sc, X, q, None, Reference(u, ref.species), ds))(*arrays)
        assert adapter.wide(X1) == adapter.namespace.float32
        kick = momenta(adapter.to_numpy(X1).astype(float))
    target = momenta(forward(sc, X, q, None, ref, ds))
    for a, b in zip(kick, target, strict=True):
        assert np.std(a - b) < 1e-3 * np.std(b)


# -- convolution ---------------------------------------------------------------------------------------------


def direct(f, g):
    """Sum over all pairs of nodes."""
    n = f.shape
    index = [np.abs(np.arange(m)[:, None] - np.arange(m)[None, :]) for m in n]
    full = g[
        index[0][:, None, None, :, None, None],
        index[1][None, :, None, None, :, None],
        index[2][None, None, :, None, None, :],
    ]
    return np.einsum("abcdef,def->abc", full, f)


def sharpened(g):
    """An even function at offsets 0 ... n - 1 less 5/24 of its second differences, from one at 0 ... n."""
    found = 2.25 * g[:-1, :-1, :-1]
    for axis in range(3):
        line = g[tuple(slice(None) if k == axis else slice(-1) for k in range(3))]
        n = line.shape[axis] - 1
        before, after = np.take(line, np.abs(np.arange(n) - 1), axis), np.take(line, range(1, n + 1), axis)
        found = found - 5.0 / 24.0 * (before + after)
    return found


@pytest.mark.parametrize("order", [2, 4])
def test_convolution_is_the_sum_over_pairs(backend, order):
    n = (4, 5, 6)
    f, h = rng().normal(size=(2, 2, *n))
    g, kernel = rng().normal(size=(2, 2, *(m + 1 for m in n)))
    f0, g0, h0 = given(backend, f, g, h)
    seen = sharpened if order == 4 else lambda g: g[:-1, :-1, :-1]
    transform = even_transform(g0, order)
    wanted = [direct(f[k], seen(g[k])) for k in range(2)]
    phi, other, bar = convolve_both(columns(f0), columns(h0), transform)
    g_bar = backend.to_numpy(even_transform_transpose(bar, order))
    assert g_bar.shape == g.shape
    for k in range(2):
        for found in (convolve(columns(f0), transform), phi):
            assert worst(backend.to_numpy(found)[k], wanted[k]) < 1e-13
        assert worst(backend.to_numpy(other)[k], direct(h[k], seen(g[k]))) < 1e-13
        assert np.sum(g_bar[k] * g[k]) == pytest.approx(np.sum(h[k] * wanted[k]), rel=1e-12)
        assert np.sum(g_bar[k] * kernel[k]) == pytest.approx(np.sum(h[k] * direct(f[k], seen(kernel[k]))), rel=1e-11)


# -- extents -------------------------------------------------------------------------------------------------


def drive_of(stretch):
    return Drive(stretch, np.ones_like(stretch), np.sqrt(1.0 + stretch**2) / stretch)


@pytest.mark.parametrize("extent", [BeamExtent(), RmsExtent(3.0), FixedExtent((-9.0,) * 3, (8.0, 9.0, 10.0))])
@pytest.mark.parametrize("flat", [False, True])
def test_pullback_of_a_box(extent, flat):
    """A width that is none hangs on the smallest other one, and on the energy; no particle without charge has a say."""
    generator = rng()
    r = generator.normal(size=(3, 2, 30)) * np.array([1.0, 0.0 if flat else 0.5, 0.4])[:, None, None]
    q, stretch, grid = 1.0 * (generator.random((2, 30)) > 0.3), np.array([1.5, 4.0]), ((8, 9, 10), 2)
    bar = Box(*generator.normal(size=(2, 3, 2)))
    if flat and not isinstance(extent, FixedExtent):
        bar.spacing[1] *= 1e6
    survey = extent.survey(tuple(r), q)
    tally = extent.tally(tuple(r), q, survey)
    shares, bars = extent.pullback(survey, tally, drive_of(stretch), *grid, bar)
    r_bar = np.zeros_like(r) if shares is None else np.stack(extent.share(tuple(r), q, shares))
    assert np.all(r_bar[:, q == 0.0] == 0.0)
    directions = generator.normal(size=r.shape) * (r != 0.0), generator.normal(size=2)

    def value(step):
        drive = drive_of(stretch + step * directions[1])
        box = extent.box(extent.survey(tuple(r + step * directions[0]), q), drive, *grid)
        return np.sum(bar.centre * box.centre) + np.sum(bar.spacing * box.spacing)

    slope = (value(1e-6) - value(-1e-6)) / 2e-6
    of_pace = -1.0 / (stretch**2 * np.sqrt(1.0 + stretch**2))
    found = np.sum(r_bar * directions[0]) + np.sum((bars.stretch + bars.pace * of_pace) * directions[1])
    assert found == pytest.approx(slope, rel=1e-7)


@pytest.mark.parametrize("extent", [BeamExtent(), RmsExtent(3.0)])
def test_survey_of_parts(extent):
    """Joined in any order, it is that of the whole, parts without charge and all."""
    r = rng().normal(size=(3, 2, 30)) + 5.0
    q = 1.0 * (rng().random((2, 30)) > 0.3)
    q[:, 10:20] = 0.0
    whole = extent.survey(tuple(r), q)
    parts = [extent.survey(tuple(r[..., cut]), q[:, cut]) for cut in (slice(10), slice(10, 20), slice(20, 30))]
    for order in ((0, 1, 2), (1, 2, 0)):
        first, second, third = (parts[k] for k in order)
        for a, b in zip(extent.combine(extent.combine(first, second), third), whole, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-14)


def test_only_widths_of_nothing_are_widened():
    """5 um beside 30 m of rest-frame length stay 5 um."""
    width = np.array([[5e-4, 5e-4, 5e-4], [5e-6, 0.0, 0.0], [5e-3, 5e-3, 0.0]])
    found = widened(width, np.array([6000.0, 6000.0, 6000.0]))
    np.testing.assert_array_equal(found[:, 0], width[:, 0])
    assert found[1, 1] == pytest.approx(5e-10) and found[2, 2] == pytest.approx(5e-10 / 6000.0)
