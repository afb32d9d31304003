"""The integrated Green function: the potential of a uniformly charged cell in free space.

A cell with sides (a, b, c) that holds a unit of charge has at distance (X, Y, Z) from its middle the
potential g/(4 pi epsilon_0), where g is 1/r averaged over the cell. Its integral is known in closed form,

    F(x, y, z) = y z asinh(x/sqrt(y^2 + z^2)) + z x asinh(y/sqrt(z^2 + x^2)) + x y asinh(z/sqrt(x^2 + y^2))
                 - x^2/2 atan(y z/(x r)) - y^2/2 atan(z x/(y r)) - z^2/2 atan(x y/(z r)),

differenced over the eight corners of the cell around (X, Y, Z) and divided by a b c (Qiang et al., PRST-AB
9 (2006) 044204; Mayes et al., IPAC 2018). On a grid neighbouring cells share corners: F is evaluated once
on the lattice of corners, half-way between nodes, and differenced along each axis. It is smooth there,
because no corner lies on an axis; and it is odd along each, so that corners with positive coordinates do.

There asinh(x/rho), with rho^2 = y^2 + z^2, is log(1 + x (x + rho + r)/(rho (rho + r))), without the root of 1 +
(x/rho)^2, and the arc tangent takes both parts of its quotient: half the divisions, and nothing cancels.

The differences lose about n^3 units in the last place over a distance of n cells. So this is done in the
widest float of the device, whatever the type of the beam; where that is float32 (JAX with its x64 flag off,
Apple's GPU), cells that are more than `FAR` of their longest sides away take the mean of 1/r over the 2 x 2
x 2 Gauss points of the cell, which is within 3e-5 of the mean over the cell there and loses nothing.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from array_api_compat import device

from backbeam import backends
from backbeam.arrays import namespace
from backbeam.effects.mesh.cloud_in_cell import kernels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backbeam.arrays import Array


AXES = (-3, -2, -1)
GAUSS = 0.5 / 3.0**0.5
"""Distance of the two Gauss points from the middle, in sides of the cell."""

BLOCK = 65_536
"""Corners of a block: what is made of them stays in the cache."""

FAR = 4.0
"""From how many longest sides on the Gauss points serve, in float32."""


def green(shape: tuple[int, int, int], spacing: Array) -> Array:
    """Mean of 1/r over the cell at offsets of 0 ... n - 1 nodes along each axis [1/m].

    Parameters
    ----------
    shape:
        Offsets per axis (nx, ny, nz).
    spacing:
        Rest-frame spacing ``(3, B)`` [m].

    Returns
    -------
    Array
        ``(B, nx, ny, nz)``.
    """
    (corners,) = _at_corners(_integral, shape, spacing)
    value = _over_cells(corners, 1.0 / _volume(spacing))
    if not _is_narrow(spacing):
        return value
    far = sum(1.0 / r for r, _ in _gauss_points(shape, spacing)) / 8.0
    return namespace(value).where(_is_far(shape, spacing), far, value)


class Slopes(NamedTuple):
    """How `green` depends on the spacing, for its pullback.

    Corners move with the spacing, x = (j - 1/2) a, and dF/dx = y az + z ay - x tx in the names of `_angles`. F is
    homogeneous of degree two, 2 F = x dF/dx + y dF/dy + z dF/dz, so that its value comes for nothing, and what it is
    divided by is of degree three: a dg/da is the cell's part by x dF/dx, less g.
    """

    spacing: Array
    parts: tuple[Array, Array, Array]
    """x dF/dx, y dF/dy, z dF/dz at the corners ``(B, nx, ny, nz)``."""

    def pull_back(self, g_bar: Array) -> Array:
        """Cotangent of the spacing ``(3, B)`` from that of `green`."""
        xp, shape, far = namespace(g_bar), tuple(g_bar.shape[1:]), 0.0
        if _is_narrow(self.spacing):
            is_far, nothing = _is_far(shape, self.spacing), xp.zeros_like(g_bar)
            far_bar, g_bar = xp.where(is_far, g_bar, nothing), xp.where(is_far, nothing, g_bar)
            far = -0.125 * sum(
                # d(1/r)/da = -x^2/(a r^3)
                xp.stack([xp.sum(far_bar * ((a / r) ** 2 / r), axis=AXES) for a in at])
                for r, at in _gauss_points(shape, self.spacing)
            )
        corner_bar = _flat(_over_cells_transpose(g_bar, 1.0 / _volume(self.spacing)))
        near = xp.stack([xp.sum(corner_bar * _flat(part), axis=-1) for part in self.parts])
        return (near - 0.5 * xp.sum(near, axis=0)[None, :] + far) / self.spacing


def green_and_slopes(shape: tuple[int, int, int], spacing: Array) -> tuple[Array, Slopes]:
    """Return `green`, and what its pullback needs."""
    corners, a, b, c = _at_corners(_value_and_slopes, shape, spacing)
    value = _over_cells(corners, 1.0 / _volume(spacing))
    del corners
    if _is_narrow(spacing):
        far = sum(1.0 / r for r, _ in _gauss_points(shape, spacing)) / 8.0
        value = namespace(value).where(_is_far(shape, spacing), far, value)
    return value, Slopes(spacing, (a, b, c))


def _integral(x: Array, y: Array, z: Array) -> tuple[Array]:
    """F at corners."""
    ax, ay, az, tx, ty, tz = _angles(x, y, z)
    return (y * (z * ax) + x * (z * ay + y * az) - 0.5 * (x * x * tx + y * y * ty + z * z * tz),)


def _value_and_slopes(x: Array, y: Array, z: Array) -> tuple[Array, Array, Array, Array]:
    """Return F, x dF/dx, y dF/dy, z dF/dz at corners."""
    ax, ay, az, tx, ty, tz = _angles(x, y, z)
    a, b, c = x * (y * az + z * ay - x * tx), y * (z * ax + x * az - y * ty), z * (x * ay + y * ax - z * tz)
    return 0.5 * (a + b + c), a, b, c


def _lattice(
    shape: tuple[int, int, int], spacing: Array, shift: tuple[float, float, float]
) -> tuple[Array, Array, Array]:
    """Coordinates of nodes 0 ... n - 1 moved by parts of the spacing, shaped to broadcast."""
    xp = namespace(spacing)
    x, y, z = (
        (xp.arange(n, dtype=spacing.dtype, device=device(spacing)) + s) * spacing[k, :, None]
        for k, (n, s) in enumerate(zip(shape, shift, strict=True))
    )
    return x[:, :, None, None], y[:, None, :, None], z[:, None, None, :]


def _angles(x: Array, y: Array, z: Array) -> tuple[Array, ...]:
    """The three asinh and the three atan of the closed form, for positive coordinates."""
    xp = namespace(x, y, z)
    xx, yy, zz = x * x, y * y, z * z
    r = xp.sqrt(xx + yy + zz)

    def asinh(x: Array, rho: Array) -> Array:
        return xp.log1p(x * (x + (rho + r)) / (rho * (rho + r)))

    return (
        asinh(x, xp.sqrt(yy + zz)),
        asinh(y, xp.sqrt(zz + xx)),
        asinh(z, xp.sqrt(xx + yy)),
        xp.atan2(y * z, x * r),
        xp.atan2(z * x, y * r),
        xp.atan2(x * y, z * r),
    )


def _at_corners(
    function: Callable[[Array, Array, Array], tuple[Array, ...]], shape: tuple[int, int, int], spacing: Array
) -> list[Array]:
    """Functions of the corners 1/2, 3/2, ... n - 1/2 along each axis: ``(B, nx, ny, nz)`` each."""
    xp = namespace(spacing)
    batch, (nx, ny, nz) = spacing.shape[1], shape
    x, y, z = _lattice(shape, spacing, (0.5, 0.5, 0.5))
    # Pairs of y and z are one axis, along which an adapter may work in blocks.
    pairs = tuple(xp.reshape(xp.broadcast_to(a, (batch, 1, ny, nz)), (batch, 1, ny * nz)) for a in (y, z))

    def found(pairs: tuple[Array, Array], x: Array) -> tuple[tuple[Array, ...], None]:
        backend = backends.of(x)  # a block may be another library's
        rows = (namespace(x).broadcast_to(a, (batch, nx, a.shape[-1])) for a in pairs)
        return tuple(map(backend.settle, backend.compile(function)(x, *rows))), None

    x = xp.reshape(x, (batch, nx, 1))
    at, _ = backends.of(spacing).blockwise(found, pairs, x, block=max(64, BLOCK // nx))
    return [xp.reshape(a, (batch, nx, ny, nz)) for a in at]


def _over_cells(f: Array, factor: Array) -> Array:
    """Differences over the corners of cells of an odd function at corners 1/2, 3/2, ..., times a factor ``(B,)``."""
    found = kernels(_flat(f)).over_cells(f, factor)
    if found is None:
        for axis in AXES:
            f = _differenced(f, axis)
        found = f * _per_node(factor)
    return found


def _over_cells_transpose(bar: Array, factor: Array) -> Array:
    """Transpose of `_over_cells`."""
    found = kernels(_flat(bar)).over_cells_transpose(bar, factor)
    if found is None:
        for axis in AXES:
            bar = _differenced_transpose(bar, axis)
        found = bar * _per_node(factor)
    return found


def _differenced(f: Array, axis: int) -> Array:
    """What an odd function at corners 1/2, 3/2, ... has more than at the corner before, -1/2 and so on."""
    first, last = _cut(f, axis, 0, 1), f.shape[axis]
    return namespace(f).concat([2.0 * first, _cut(f, axis, 1, last) - _cut(f, axis, 0, last - 1)], axis=axis)


def _differenced_transpose(bar: Array, axis: int) -> Array:
    """Transpose of `_differenced`."""
    last = bar.shape[axis]
    first, inner, end = (_cut(bar, axis, *ends) for ends in ((0, 1), (1, last - 1), (last - 1, last)))
    ahead = _cut(bar, axis, 1, 2), _cut(bar, axis, 2, last)
    return namespace(bar).concat([2.0 * first - ahead[0], inner - ahead[1], end], axis=axis)


def _cut(f: Array, axis: int, start: int, stop: int) -> Array:
    """Slice along an axis counted from the end (-1, -2, -3)."""
    return f[(..., slice(start, stop), *(slice(None),) * (-1 - axis))]


def _flat(f: Array) -> Array:
    """All nodes of a grid in a row ``(B, nx ny nz)``."""
    return namespace(f).reshape(f, (f.shape[0], -1))


def _volume(spacing: Array) -> Array:
    """Of a cell ``(B,)``."""
    return spacing[0, ...] * spacing[1, ...] * spacing[2, ...]


def _is_narrow(spacing: Array) -> bool:
    """Whether there is nothing wider than float32."""
    return spacing.dtype != namespace(spacing).float64


def _is_far(shape: tuple[int, int, int], spacing: Array) -> Array:
    """Nodes at which the Gauss points serve."""
    x, y, z = _lattice(shape, spacing, (0.0, 0.0, 0.0))
    return x * x + y * y + z * z > _per_node((FAR * namespace(spacing).max(spacing, axis=0)) ** 2)


def _gauss_points(shape: tuple[int, int, int], spacing: Array) -> Iterator[tuple[Array, tuple[Array, Array, Array]]]:
    """Distance and coordinates of each of the eight Gauss points of every cell; none is at 0."""
    for a, b, c in product((-GAUSS, GAUSS), repeat=3):
        x, y, z = _lattice(shape, spacing, (a, b, c))
        yield namespace(x).sqrt(x * x + y * y + z * z), (x, y, z)


def _per_node(a: Array) -> Array:
    """Shape ``(B,)`` to meet grids."""
    return a[:, None, None, None]
