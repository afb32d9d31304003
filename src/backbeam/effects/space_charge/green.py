"""The integrated Green function: the potential of a uniformly charged cell in free space.

A cell with sides (a, b, c) that holds a unit of charge has at distance (X, Y, Z) from its middle the
potential g/(4 pi epsilon_0), where g is 1/r averaged over the cell. Its integral is known in closed form,

    F(x, y, z) = y z asinh(x/sqrt(y^2 + z^2)) + z x asinh(y/sqrt(z^2 + x^2)) + x y asinh(z/sqrt(x^2 + y^2))
                 - x^2/2 atan(y z/(x r)) - y^2/2 atan(z x/(y r)) - z^2/2 atan(x y/(z r)),

differenced over the eight corners of the cell around (X, Y, Z) and divided by a b c (Qiang et al., PRST-AB
9 (2006) 044204; Mayes et al., IPAC 2018). On a grid neighbouring cells share corners: F is evaluated once
on the lattice of corners, half-way between nodes, and differenced along each axis. It is smooth there,
because no corner lies on an axis.

Order 4. Deposit, mean over the cell and gather smooth a field of wave number k by sinc^2, sinc and sinc^2 of k h/2,
that is by 1 - (5/24)(k h)^2 along each axis. Taking 5/24 of its own second differences away from the Green function
undoes that to fourth order, for the potential and for its pullback at once, and costs nothing else: it stays even.

The differences lose about n^3 units in the last place over a distance of n cells. So this is done in the
widest float of the device, whatever the type of the beam; where that is float32 (JAX with its x64 flag off,
Apple's GPU), cells that are more than `FAR` of their longest sides away take the mean of 1/r over the 2 x 2
x 2 Gauss points of the cell, which is within 3e-5 of the mean over the cell there and loses nothing.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from array_api_compat import device

from backbeam import backends
from backbeam.arrays import namespace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backbeam.arrays import Array


GAUSS = 0.5 / 3.0**0.5
"""Distance of the two Gauss points from the middle, in sides of the cell."""

BLOCK = 16_384
"""Corners of a block: with a dozen temporaries they stay in the cache."""

SMOOTHED = 5.0 / 24.0
"""What deposit, cell and gather take from a second derivative: 1/12 + 1/24 + 1/12, in squares of the spacing."""

FAR = 4.0
"""From how many longest sides on the Gauss points serve, in float32."""


def green(shape: tuple[int, int, int], spacing: Array, order: int = 2) -> Array:
    """Mean of 1/r over the cell at offsets of 0 ... n - 1 nodes along each axis [1/m], corrected for order 4.

    Parameters
    ----------
    shape:
        Nodes per axis (nx, ny, nz).
    spacing:
        Rest-frame spacing ``(3, B)`` [m].
    order:
        2, or 4 for a mean field of fourth order.

    Returns
    -------
    Array
        ``(B, nx, ny, nz)``.
    """
    if order == 4:
        return _corrected(green(_larger(shape), spacing))
    (value,) = _over_cells(_integral, shape, spacing)
    if not _is_narrow(spacing):
        return value
    far = sum(1.0 / r for r, _ in _gauss_points(shape, spacing)) / 8.0
    return namespace(value).where(_is_far(shape, spacing), far, value)


def green_slope(
    shape: tuple[int, int, int], spacing: Array, order: int = 2
) -> tuple[Array, tuple[Array, Array, Array]]:
    """Return `green` and its derivatives with respect to the three spacings, each ``(B, nx, ny, nz)``.

    Corners move with the spacing, x = (j - 1/2) a, and dF/dx = y az + z ay - x tx in the names of `_angles`.
    F is homogeneous of degree two, 2 F = x dF/dx + y dF/dy + z dF/dz, so that its value comes for nothing.
    """
    if order == 4:
        value, (a, b, c) = green_slope(_larger(shape), spacing)
        return _corrected(value), (_corrected(a), _corrected(b), _corrected(c))
    parts = _over_cells(_integral_slopes, shape, spacing)
    value = 0.5 * (parts[0] + parts[1] + parts[2])
    a, b, c = ((part - value) / _per_node(spacing[k, ...]) for k, part in enumerate(parts))
    if not _is_narrow(spacing):
        return value, (a, b, c)
    far, far_slopes = 0.0, [0.0, 0.0, 0.0]
    for r, at in _gauss_points(shape, spacing):
        far = far + 0.125 / r
        for k in range(3):
            # d(1/r)/da = -x^2/(a r^3)
            far_slopes[k] = far_slopes[k] - 0.125 * (at[k] / r) ** 2 / r / _per_node(spacing[k, ...])
    where, is_far = namespace(value).where, _is_far(shape, spacing)
    a, b, c = (where(is_far, f, near) for f, near in zip(far_slopes, (a, b, c), strict=True))
    return where(is_far, far, value), (a, b, c)


def _larger(shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """One offset more along each axis, for its second differences."""
    nx, ny, nz = shape
    return nx + 1, ny + 1, nz + 1


def _corrected(g: Array) -> Array:
    """Without the smoothing of `SMOOTHED`: an even function at offsets 0 ... n - 1, from one at 0 ... n."""
    xp, around = namespace(g), 0.0
    for axis in (-3, -2, -1):
        line = g[(..., *(slice(None) if other == axis else slice(-1) for other in (-3, -2, -1)))]
        one, before, after = (
            line[(..., cut, *(slice(None),) * (-1 - axis))] for cut in (slice(1, 2), slice(-2), slice(1, None))
        )
        around = around + (xp.concat([one, before], axis=axis) + after)
    return (1.0 + 6.0 * SMOOTHED) * g[:, :-1, :-1, :-1] - SMOOTHED * around


def _integral(x: Array, y: Array, z: Array) -> tuple[Array]:
    """F at corners."""
    ax, ay, az, tx, ty, tz = _angles(x, y, z)
    return (y * (z * ax) + x * (z * ay + y * az) - 0.5 * (x * x * tx + y * y * ty + z * z * tz),)


def _integral_slopes(x: Array, y: Array, z: Array) -> tuple[Array, Array, Array]:
    """Return x dF/dx, y dF/dy, z dF/dz at corners."""
    ax, ay, az, tx, ty, tz = _angles(x, y, z)
    return x * (y * az + z * ay - x * tx), y * (z * ax + x * az - y * ty), z * (x * ay + y * ax - z * tz)


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
    """The three asinh and the three atan of the closed form."""
    xp = namespace(x)
    xx, yy, zz = x * x, y * y, z * z
    r = xp.sqrt(xx + yy + zz)
    return (
        xp.asinh(x / xp.sqrt(yy + zz)),
        xp.asinh(y / xp.sqrt(zz + xx)),
        xp.asinh(z / xp.sqrt(xx + yy)),
        xp.atan(y * z / (x * r)),
        xp.atan(z * x / (y * r)),
        xp.atan(x * y / (z * r)),
    )


def _over_cells(
    function: Callable[[Array, Array, Array], tuple[Array, ...]], shape: tuple[int, int, int], spacing: Array
) -> list[Array]:
    """Difference functions of the corners over the cells and divide by their volume: ``(B, nx, ny, nz)`` each."""
    xp = namespace(spacing)
    nx, ny, nz = shape
    # Corners -1/2, 1/2, ... n - 1/2 along each axis. Pairs of y and z are one axis, along which an adapter may work
    # in blocks; x is differenced there.
    x, y, z = _lattice((nx + 1, ny + 1, nz + 1), spacing, (-0.5, -0.5, -0.5))
    pairs = tuple(
        xp.reshape(xp.broadcast_to(a, (a.shape[0], 1, ny + 1, nz + 1)), (-1, 1, (ny + 1) * (nz + 1))) for a in (y, z)
    )
    x = xp.reshape(x, (-1, nx + 1, 1))
    volume = spacing[0, ...] * spacing[1, ...] * spacing[2, ...]
    x_scaled = (x, volume[:, None, None])

    settle = backends.of(spacing).settle

    def differenced(pairs: tuple[Array, Array], shared: tuple[Array, Array]) -> tuple[tuple[Array, ...], None]:
        x, volume = shared
        found = (settle(f) for f in function(x, *pairs))
        return tuple((f[:, 1:, :] - f[:, :-1, :]) / volume for f in found), None

    found, _ = backends.of(spacing).blockwise(differenced, pairs, x_scaled, block=max(64, BLOCK // (nx + 1)))
    over = []
    for d in found:
        d = xp.reshape(d, (-1, nx, ny + 1, nz + 1))
        d = d[:, :, 1:, :] - d[:, :, :-1, :]
        over.append(d[:, :, :, 1:] - d[:, :, :, :-1])
    return over


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
