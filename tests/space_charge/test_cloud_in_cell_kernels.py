"""The adapters' own cloud-in-cell kernels against their twin in array operations."""

from __future__ import annotations

import numpy as np
import pytest
from bunches import reference, warm, worst
from called import forward, pullback, reverse

from backbeam import backends
from backbeam.effects.mesh.cloud_in_cell import Plain
from backbeam.effects.space_charge import BeamExtent, RmsExtent, SpaceCharge3D
from backbeam.effects.space_charge.extents import Box
from backbeam.effects.space_charge.field import electric_field, field_and_back
from backbeam.effects.space_charge.green import green, green_and_slopes

GRID, GUARD = (7, 8, 9), 1
TOLERANCE = {"float64": 1e-13, "float32": 2e-5}


def rng():
    return np.random.default_rng(31)


@pytest.fixture
def weights(monkeypatch):
    """Numba's, for beams of any size."""
    numpy = backends.get("numpy")
    monkeypatch.setattr(numpy, "fuse_from", 0)
    found = numpy.cloud_in_cell([np.zeros((1, 1))])
    assert found is not None, "the test extra installs Numba"
    return found


def place(dtype, batch=2, count=500):
    """Positions between the guards, ends included, and where the grids are."""
    spacing = np.array([[1e-3, 2e-3], [0.5e-3, 1e-3], [3e-3, 1e-4]])[:, :batch]
    centre = rng().normal(size=(3, batch)) * 1e-2
    half = 0.5 * (np.array(GRID) - 1) - GUARD
    u = rng().uniform(-1.0, 1.0, size=(3, batch, count))
    u[:, :, 0], u[:, :, 1] = 1.0, -1.0
    r = centre[..., None] + u * half[:, None, None] * spacing[..., None]
    return tuple(r.astype(dtype)), centre.astype(dtype), spacing.astype(dtype)


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("components", [1, 2, 4])
def test_deposit(weights, dtype, components, batch):
    r, centre, spacing = place(dtype, batch)
    values = rng().normal(size=(components, batch, 500)).astype(dtype)
    found = weights.deposit(values, r, centre, spacing, GRID, GUARD)
    assert found.dtype == values.dtype
    assert worst(found, Plain().deposit(values, r, centre, spacing, GRID, GUARD)) < TOLERANCE[dtype]


def test_gather_and_its_slope(weights, dtype):
    r, centre, spacing = place(dtype)
    r = tuple(a[:, 2:] for a in r)  # on a node either slope would do
    field = rng().normal(size=(4, 2, *GRID)).astype(dtype)
    factors = rng().normal(size=(4, 2, 498)).astype(dtype)
    arranged = weights.beside(weights.arrange(field[:3]), field[3])
    found, slopes = weights.gather_slope(arranged, factors, r, centre, spacing, GUARD)
    target, target_slopes = Plain().gather_slope(field, factors, r, centre, spacing, GUARD)
    assert found.dtype == field.dtype
    assert worst(found, target) < TOLERANCE[dtype]
    assert worst(weights.gather(weights.arrange(field[:3]), r, centre, spacing, GUARD), target[:3]) < TOLERANCE[dtype]
    # A field that was not arranged here, as long as its nodes stand together.
    other = np.ascontiguousarray(np.moveaxis(field[:3], 0, -1))
    assert worst(weights.gather(other, r, centre, spacing, GUARD), target[:3]) < TOLERANCE[dtype]
    for a, b in zip(slopes, target_slopes, strict=True):
        assert a.dtype == field.dtype and worst(a, b) < 10 * TOLERANCE[dtype]


@pytest.mark.parametrize("order", [2, 4])
def test_gradient_and_its_transpose(weights, dtype, order):
    """At order 2 one-sided at the ends; at order 4 nothing there, along any axis."""
    spacing = rng().uniform(0.5, 2.0, size=(3, 2)).astype(dtype)
    box, stretch = Box(np.zeros((3, 2), dtype), spacing), np.asarray([1.5, 4.0], dtype)
    phi, charge = rng().normal(size=(2, 2, *GRID))
    E_bar = rng().normal(size=(3, 2, *GRID)).astype(dtype)
    inner = np.zeros(GRID, dtype)
    inner[(slice(order // 2, -(order // 2)),) * 3 if order == 4 else ...] = 1.0
    E = electric_field(phi, box, weights, order)
    assert E.dtype == dtype
    assert worst(np.moveaxis(E, -1, 0) * inner, electric_field(phi, box, Plain(), order) * inner) < TOLERANCE[dtype]
    nodes = np.stack([*(E_bar * inner), charge.astype(dtype)])
    found, target = (field_and_back(nodes, box, stretch, w, order, stretch) for w in (weights, Plain()))
    assert worst(np.moveaxis(found[0], -1, 0) * inner, target[0] * inner) < 10 * TOLERANCE[dtype]
    for a, b in zip(found[1], target[1], strict=True):
        assert a.dtype == b.dtype == dtype and worst(a, b) < 10 * TOLERANCE[dtype]


@pytest.mark.parametrize("sides", [(1.0, 2.0, 0.5), (1.0, 1.0, 1e9)])
def test_green_function_of_loops_and_of_plain_operations(weights, monkeypatch, sides):
    """From corners to cells and back; also beside the mean over the cell, where that is the potential of a line."""
    spacing = 1e-4 * np.array([sides, sides[::-1]]).T
    bar = rng().normal(size=(2, 9, 8, 7))
    g, slopes = green_and_slopes((9, 8, 7), spacing)
    found = g, green((9, 8, 7), spacing), slopes.pull_back(bar)
    monkeypatch.setattr(backends.get("numpy"), "fuse_from", 10**9)
    plain, slopes = green_and_slopes((9, 8, 7), spacing)
    for a, b in zip(found, (plain, plain, slopes.pull_back(bar)), strict=True):
        assert worst(a, b) < 1e-12
    if sides[2] == 1e9:
        x, y = np.arange(3, 9)[:, None] * spacing[0, 0], np.arange(8) * spacing[1, 0]
        line = 2.0 * np.arcsinh(0.5 * spacing[2, 0] / np.hypot(x, y)) / spacing[2, 0]
        assert worst(g[0, 3:, :, 0], line) < 1e-3


def test_positions_that_are_no_numbers(weights):
    """Nothing crashes: the NaN goes to the nodes of the first cell, as it does in the twin."""
    r, centre, spacing = place("float64", 1)
    for k, bad in enumerate((np.nan, np.inf, -np.inf)):
        r[k][0, 5 + k] = bad
    values, field = rng().normal(size=(1, 1, 500)), rng().normal(size=(4, 1, *GRID))
    factors = rng().normal(size=(4, 1, 500))
    with np.errstate(invalid="ignore"):
        charge = weights.deposit(values, r, centre, spacing, GRID, GUARD)
        np.testing.assert_array_equal(
            np.isfinite(charge), np.isfinite(Plain().deposit(values, r, centre, spacing, GRID, GUARD))
        )
        found, _ = weights.gather_slope(weights.arrange(field), factors, r, centre, spacing, GUARD)
    assert not np.any(np.isfinite(found[:, 0, 5:8]))
    assert np.all(np.isfinite(np.delete(found, [5, 6, 7], axis=-1)))


@pytest.mark.parametrize("components", [1, 4])
def test_deposit_in_parts(weights, monkeypatch, components):
    """The same bits for any number of threads, and the sum of one part to rounding."""
    from backbeam_backends.particle_mesh import numba_cloud_in_cell

    r, centre, spacing = place("float64", count=6000)
    values = rng().normal(size=(components, 2, 6000))
    whole = weights.deposit(values, r, centre, spacing, GRID, GUARD)
    monkeypatch.setattr(numba_cloud_in_cell, "SHARE", 100)
    assert numba_cloud_in_cell.parts(6000, 7 * 8 * 9) == 8
    found = []
    for threads in (1, 2, 3, 16):
        monkeypatch.setattr(numba_cloud_in_cell, "thread_count", lambda threads=threads: threads)
        found.append(weights.deposit(values, r, centre, spacing, GRID, GUARD))
        np.testing.assert_array_equal(found[-1], found[0])
    assert worst(found[0], whole) < 1e-14


def test_parts_of_a_deposit():
    """As many particles as nodes, at least: each part has a grid of its own."""
    from backbeam_backends.particle_mesh.numba_cloud_in_cell import parts

    sizes = (0, 32), (262_143, 32), (262_144, 32), (10**6, 32), (10**6, 64), (10**6, 128), (10**8, 64)
    assert [parts(n, side**3) for n, side in sizes] == [1, 1, 2, 4, 2, 1, 8]


def test_fields_of_other_components(weights):
    r, centre, spacing = place("float64")
    with pytest.raises(ValueError, match="3 components"):
        weights.gather(np.zeros((2, *GRID, 2)), r, centre, spacing, GUARD)


@pytest.mark.parametrize("lost", [None, 0.2])
@pytest.mark.parametrize("extent", [BeamExtent(), RmsExtent(6.0)], ids=["beam", "rms"])
@pytest.mark.parametrize("batch", [(), (2,)])
def test_kick_with_kernels_in_blocks(monkeypatch, extent, lost, batch):
    """Forward, reverse and pullback, with kernels and in blocks, against array operations on all particles at once."""
    from backbeam.effects.space_charge import mesh

    numpy = backends.get("numpy")
    X, q, alive, ds = warm(n=3000, batch=batch, lost=lost)
    ref, sc = reference(batch=batch), SpaceCharge3D((8, 9, 10), extent)
    X1_bar = rng().normal(size=X.shape)
    X1 = forward(sc, X, q, alive, ref, ds)

    def everything():
        given = (q, alive, ref, ds)
        bars = reverse(sc, X1, *given, X1_bar), pullback(sc, X, *given, X1_bar)
        through_field = [a[k] - X1_bar for k, a in ((1, bars[0]), (0, bars[1]))]
        return forward(sc, X, *given), *bars[0], *bars[1], *through_field

    monkeypatch.setattr(numpy, "fuse_from", 10**9)
    target = everything()
    monkeypatch.setattr(numpy, "fuse_from", 0)
    monkeypatch.setattr(mesh, "BLOCK", 700)
    for a, b in zip(everything(), target, strict=True):
        assert worst(a, b) < 1e-12
