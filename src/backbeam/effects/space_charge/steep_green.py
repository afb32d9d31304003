"""Differences of the Green function, made without subtracting it: for where there is nothing wider than float32.

The field in a flat bunch is a difference of potentials that are nearly equal, and so is the Green function's own
difference. In float32 neither can be taken. But the difference of a convolution, of order 2 or 4 along x, is the
convolution with that of the Green function, which is made of steps between neighbouring nodes, each a mean: with F of
``green``,

    g(i + 1) - g(i) = a/(b c) D_y D_z T(i + 1/2),      T = int (1 - |u|) F_xx(x + u a) du,      F_xx = -atan(y z/(x r)),

D over the corners of the cell. T is taken at Gauss points of its weight, and next to x = 0, where F_xx jumps, in closed
form where y or z is less than `CLOSE` cells. What jumps in the arc tangent, +-pi/2, is kept apart until D has been
taken: then it is exact. All is odd along its own axis and even along the others.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from array_api_compat import device

from backbeam.arrays import namespace
from backbeam.effects.space_charge.poisson import SMOOTHED

if TYPE_CHECKING:
    from backbeam.arrays import Array

    Rows = tuple[Array, Array, Array]

TENT = (
    (0.1546290808402599, 0.2686137316110412),
    (0.4647008448896389, 0.1575842337133797),
    (0.7301261104488864, 0.0622725860695430),
    (0.9164986017818236, 0.0115294486060357),
)
"""Gauss points and weights of 1 - |u| on either side of 0."""
CLOSE = 1.25
"""In sides of the cell along the axis: there so few points are good for float32."""
AXES = (-3, -2, -1)


def steep_green(shape: tuple[int, int, int], spacing: Array, axis: int, order: int) -> tuple[Array, Rows]:
    """Difference along an axis (0, 1, 2) of `green` per spacing, and its derivatives by the three spacings.

    ``(B, nx, ny, nz)`` each, at offsets of 0 ... n - 1 nodes; the last few along the axis, which no two nodes within
    the guards have, are not right.
    """
    nx, ny, nz = shape if order == 2 else (n + 1 for n in shape)
    step, slopes = _step((nx, ny, nz), spacing, axis)
    value, *by = (_stencil(part, axis, order) for part in (step, *slopes))
    a, b, c = (part / _per_node(spacing[k, ...]) for k, part in enumerate(by))
    return value, (a, b, c)


def _step(shape: tuple[int, int, int], spacing: Array, axis: int) -> tuple[Array, list[Array]]:
    """g(i + 1) - g(i) along an axis for i = 0 ... n - 1, and its derivatives by the logarithms of the spacings."""
    xp = namespace(spacing)
    others = [k for k in range(3) if k != axis]
    x, (y, z) = _nodes(shape[axis], spacing, axis, 0.5), (_nodes(shape[k] + 1, spacing, k, -0.5) for k in others)
    a = _per_node(spacing[axis, ...])
    is_first, yz = x < a, y * z
    turn, nothing = 0.5 * math.pi * xp.sign(yz), xp.zeros_like(yz)
    smooth = jump = by_y = by_z = 0.0
    for u, weight in TENT:
        for side in (-u, u):
            p = x + side * a
            r = xp.sqrt(p * p + y * y + z * z)
            is_steep = is_first | (xp.abs(yz) > xp.abs(p * r))
            above, below = xp.where(is_steep, p * r, -yz), xp.where(is_steep, yz, p * r)
            smooth = smooth + weight * xp.atan(above / below)
            jump = jump - weight * xp.where(is_steep, turn, nothing)
            by_y = by_y - weight * p * yz / (r * (p * p + y * y))
            by_z = by_z - weight * p * yz / (r * (p * p + z * z))
    jump = xp.where(is_first, -0.75 * turn, jump)  # mean of the sign of x, from -a/2 to 3a/2
    is_close = is_first & (xp.minimum(xp.abs(y), xp.abs(z)) < CLOSE * a)
    closed = _first(a, y, z)
    smooth, by_y, by_z = (xp.where(is_close, near, far) for near, far in zip(closed, (smooth, by_y, by_z), strict=True))
    jump = xp.where(is_close, nothing, jump)
    volume = spacing[0, ...] * spacing[1, ...] * spacing[2, ...]
    scale = a * a / _per_node(volume)
    value = scale * (_over_cells(smooth, others) + _over_cells(jump, others))
    slopes: list[Array] = [value] * 3
    for k, part in zip(others, (by_y, by_z), strict=True):
        slopes[k] = scale * _over_cells(part, others) - value
    # g is homogeneous of degree -1.
    slopes[axis] = -value - slopes[others[0]] - slopes[others[1]]
    return value, slopes


def _first(a: Array, y: Array, z: Array) -> tuple[Array, Array, Array]:
    """T at x = a/2, which is (F(3a/2) - 3 F(a/2))/a^2, with y dT/dy and z dT/dz."""
    far, near = (_integral(part * a, y, z) for part in (1.5, 0.5))
    value, by_y, by_z = ((f - 3.0 * n) / (a * a) for f, n in zip(far, near, strict=True))
    return value, by_y, by_z


def _integral(x: Array, y: Array, z: Array) -> tuple[Array, Array, Array]:
    """F, y dF/dy and z dF/dz at corners."""
    xp = namespace(x, y, z)
    xx, yy, zz = x * x, y * y, z * z
    r = xp.sqrt(xx + yy + zz)
    ax, ay, az = xp.asinh(x / xp.sqrt(yy + zz)), xp.asinh(y / xp.sqrt(zz + xx)), xp.asinh(z / xp.sqrt(xx + yy))
    tx, ty, tz = xp.atan(y * z / (x * r)), xp.atan(z * x / (y * r)), xp.atan(x * y / (z * r))
    by_x, by_y, by_z = x * (y * az + z * ay - x * tx), y * (z * ax + x * az - y * ty), z * (x * ay + y * ax - z * tz)
    return 0.5 * (by_x + by_y + by_z), by_y, by_z


def _stencil(step: Array, axis: int, order: int) -> Array:
    """The difference of that order, from steps; at order 4 without what deposit, cell and gather smooth."""
    xp, k = namespace(step), AXES[axis]
    n = step.shape[k]
    before = xp.concat([-_cut(step, k, 0, 1), _cut(step, k, 0, n - 1)], axis=k)
    if order == 2:
        return 0.5 * (step + before)
    one_more = xp.concat([_cut(step, k, 1, n), xp.zeros_like(_cut(step, k, 0, 1))], axis=k)
    two_before = xp.concat([-_cut(step, k, 1, 2), -_cut(step, k, 0, 1), _cut(step, k, 0, n - 2)], axis=k)
    found = (7.0 * (step + before) - (one_more + two_before)) / 12.0
    inner = (..., slice(-1), slice(-1), slice(-1))
    around = 0.0
    for other in AXES:
        line = found[(..., *(slice(None) if other == each else slice(-1) for each in AXES))]
        m = line.shape[other]
        mirrored = _cut(line, other, 1, 2)
        lower = xp.concat([-mirrored if other == k else mirrored, _cut(line, other, 0, m - 2)], axis=other)
        around = around + (lower + _cut(line, other, 1, m))
    return (1.0 + 6.0 * SMOOTHED) * found[inner] - SMOOTHED * around


def _nodes(n: int, spacing: Array, axis: int, start: float) -> Array:
    """Coordinates of so many places a spacing apart, shaped to meet grids."""
    xp = namespace(spacing)
    at = (xp.arange(n, dtype=spacing.dtype, device=device(spacing)) + start) * spacing[axis, :, None]
    return xp.reshape(at, (-1, *(n if k == axis else 1 for k in range(3))))


def _over_cells(f: Array, axes: list[int]) -> Array:
    """Differences over the corners of cells, along two axes."""
    for axis in axes:
        k = AXES[axis]
        f = _cut(f, k, 1, f.shape[k]) - _cut(f, k, 0, f.shape[k] - 1)
    return f


def _cut(f: Array, axis: int, start: int, stop: int) -> Array:
    """Slice along an axis counted from the end (-1, -2, -3)."""
    return f[(..., slice(start, stop), *(slice(None),) * (-1 - axis))]


def _per_node(a: Array) -> Array:
    """Shape ``(B,)`` to meet grids."""
    return a[:, None, None, None]
