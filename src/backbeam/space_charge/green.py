"""The integrated Green function: the potential of a uniformly charged cell in free space.

A cell with sides (a, b, c) that holds a unit of charge has at distance (X, Y, Z) from its middle the potential
g/(4 pi epsilon_0), where g is 1/r averaged over the cell. Its integral is known in closed form,

    F(x, y, z) = y z asinh(x/sqrt(y^2 + z^2)) + z x asinh(y/sqrt(z^2 + x^2)) + x y asinh(z/sqrt(x^2 + y^2))
                 - x^2/2 atan(y z/(x r)) - y^2/2 atan(z x/(y r)) - z^2/2 atan(x y/(z r)),

differenced over the eight corners of the cell around (X, Y, Z) and divided by a b c (Qiang et al., PRST-AB 9 (2006)
044204; Mayes et al., IPAC 2018). On a grid neighbouring cells share corners: F is evaluated once on the lattice of corners,
half-way between nodes, and differenced along each axis. It is smooth there, because no corner lies on an axis.

The differences lose about n^3 units in the last place over a distance of n cells: this is done in the widest
float of the device, whatever the type of the beam.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from array_api_compat import device

from backbeam.arrays import namespace

if TYPE_CHECKING:
    from backbeam.arrays import Array


def green(shape: tuple[int, int, int], spacing: Array) -> Array:
    """Mean of 1/r over the cell at offsets of 0 ... n - 1 nodes along each axis [1/m].

    Parameters
    ----------
    shape:
        Nodes per axis (nx, ny, nz).
    spacing:
        Rest-frame spacing ``(3, B)`` [m].

    Returns
    -------
    Array
        ``(B, nx, ny, nz)``.
    """
    x, y, z = _corners(shape, spacing)
    ax, ay, az, tx, ty, tz = _angles(x, y, z)
    integral = y * (z * ax) + x * (z * ay + y * az) - 0.5 * (x * x * tx + y * y * ty + z * z * tz)
    return _over_cells(integral, spacing)


def green_slope(shape: tuple[int, int, int], spacing: Array) -> tuple[Array, tuple[Array, Array, Array]]:
    """Return `green` and its derivatives with respect to the three spacings, each ``(B, nx, ny, nz)``.

    Corners move with the spacing, x = (j - 1/2) a, and dF/dx = y az + z ay - x tx in the names of `_angles`.
    F is homogeneous of degree two, 2 F = x dF/dx + y dF/dy + z dF/dz, so that its value comes for nothing.
    """
    x, y, z = _corners(shape, spacing)
    ax, ay, az, tx, ty, tz = _angles(x, y, z)
    parts = (
        _over_cells(x * (y * az + z * ay - x * tx), spacing),
        _over_cells(y * (z * ax + x * az - y * ty), spacing),
        _over_cells(z * (x * ay + y * ax - z * tz), spacing),
    )
    value = 0.5 * (parts[0] + parts[1] + parts[2])
    a, b, c = ((part - value) / spacing[k, :, None, None, None] for k, part in enumerate(parts))
    return value, (a, b, c)


def _corners(shape: tuple[int, int, int], spacing: Array) -> tuple[Array, Array, Array]:
    """Coordinates of the corners -1/2, 1/2, ... n - 1/2 along each axis, shaped to broadcast."""
    xp = namespace(spacing)
    x, y, z = (
        (xp.arange(n + 1, dtype=spacing.dtype, device=device(spacing)) - 0.5) * spacing[k, :, None]
        for k, n in enumerate(shape)
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


def _over_cells(corner: Array, spacing: Array) -> Array:
    """Difference a corner function over the cells and divide by their volume."""
    d = corner[:, 1:, :, :] - corner[:, :-1, :, :]
    d = d[:, :, 1:, :] - d[:, :, :-1, :]
    d = d[:, :, :, 1:] - d[:, :, :, :-1]
    return d / (spacing[0, ...] * spacing[1, ...] * spacing[2, ...])[:, None, None, None]
