"""The potential of a line of charge that fills a cell of the plane, and convolution with it in open space.

A line of charge along the beam, a unit of it a metre, has at the distance r the potential g/(4 pi epsilon_0) with
g = -2 ln r. Its mean over a cell follows from the integral

    F(x, y) = x y (ln(x^2 + y^2) - 3) + x^2 atan(y/x) + y^2 atan(x/y)           (of ln r^2)

differenced over the corners of the cell. What r is measured in is only a constant of the potential: here it is the
spacing along x, so that g hangs on the ratio of the two spacings alone. As in ``green``, order 4 takes 5/24 of its
second differences away, and all is done in the widest float; where that is float32, cells that are far take the mean
over their 2 x 2 Gauss points.

Arrays are ``(..., nx, ny)``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from array_api_compat import device

from backbeam import backends
from backbeam.arrays import namespace
from backbeam.effects.space_charge.green import FAR, GAUSS
from backbeam.effects.space_charge.poisson import SMOOTHED

if TYPE_CHECKING:
    from backbeam.arrays import Array


def plane_green(shape: tuple[int, int], ratio: Array, order: int) -> tuple[Array, Array]:
    """Mean of -2 ln r over the cell at offsets of 0 ... n - 1 nodes, and its derivative: ``(B, nx, ny)`` each.

    ``ratio (B,)`` is the spacing along y over that along x; the derivative is with respect to it.
    """
    if order == 4:
        larger = plane_green((shape[0] + 1, shape[1] + 1), ratio, 2)
        return _corrected(larger[0]), _corrected(larger[1])
    xp = namespace(ratio)
    x, y = _lattice((shape[0] + 1, shape[1] + 1), ratio, (-0.5, -0.5))
    log, near_x, near_y = xp.log(x * x + y * y), xp.atan(y / x), xp.atan(x / y)
    F = x * y * (log - 3.0) + x * x * near_x + y * y * near_y
    # y dF/dy, which is what the ratio moves.
    slope = x * y * (log - 2.0) + 2.0 * y * y * near_y
    area = ratio[:, None, None]
    value = -_over_cells(F) / area
    by_ratio = -(_over_cells(slope) / area + value) / area
    if ratio.dtype == xp.float64:
        return value, by_ratio
    x, y = _lattice(shape, ratio, (0.0, 0.0))
    is_far = x * x + y * y > (FAR * xp.maximum(xp.ones_like(area), area)) ** 2
    far, far_slope = 0.0, 0.0
    for shift in ((-GAUSS, -GAUSS), (-GAUSS, GAUSS), (GAUSS, -GAUSS), (GAUSS, GAUSS)):
        x, y = _lattice(shape, ratio, shift)
        rr = x * x + y * y
        far, far_slope = far - 0.25 * xp.log(rr), far_slope - 0.5 * y * y / (rr * area)
    return xp.where(is_far, far, value), xp.where(is_far, far_slope, by_ratio)


def transform(f: Array) -> Array:
    """Transform of a grid padded with zeros to twice its length."""
    fft, (nx, ny) = backends.of(f).fft, f.shape[-2:]
    return fft.fft(fft.rfft(f, n=2 * ny, axis=-1), n=2 * nx, axis=-2)


def even_transform(g: Array) -> Array:
    """Transform of an even function that is known at offsets 0 ... n - 1; the offset n is taken as 0."""
    xp = namespace(g)
    for axis in (-2, -1):
        nothing = xp.zeros_like(_cut(g, axis, 0, 1))
        g = xp.concat([g, nothing, xp.flip(_cut(g, axis, 1, g.shape[axis]), axis=axis)], axis=axis)
    fft = backends.of(g).fft
    return xp.real(fft.fft(fft.rfft(g, axis=-1), axis=-2))


def convolve(f: Array, g: Array) -> Array:
    """Convolution of a grid of that `transform` with the even function of that `even_transform`."""
    return _back(f * g)[..., : f.shape[-2] // 2, : f.shape[-1] - 1]


def correlate(f: Array, h: Array) -> Array:
    """Cotangent of g at offsets 0 ... n - 1 for ``sum(h * convolve(f, g))``, of transforms f and h of grids."""
    xp = namespace(f)
    found = _back(xp.conj(f) * h)
    for axis in (-2, -1):
        n = found.shape[axis] // 2
        twin = xp.flip(_cut(found, axis, n + 1, 2 * n), axis=axis)
        found = xp.concat([_cut(found, axis, 0, 1), _cut(found, axis, 1, n) + twin], axis=axis)
    return found


def _back(f: Array) -> Array:
    """The doubled grid of a transform."""
    fft = backends.of(f).fft
    return fft.irfft(fft.ifft(f, axis=-2), n=2 * (f.shape[-1] - 1), axis=-1)


def _lattice(shape: tuple[int, int], ratio: Array, shift: tuple[float, float]) -> tuple[Array, Array]:
    """Coordinates of nodes 0 ... n - 1 moved by parts of the spacing, in spacings along x."""
    xp = namespace(ratio)
    x, y = (xp.arange(n, dtype=ratio.dtype, device=device(ratio)) + s for n, s in zip(shape, shift, strict=True))
    return x[None, :, None], y[None, None, :] * ratio[:, None, None]


def _over_cells(F: Array) -> Array:
    """Differences over the corners of cells."""
    F = F[:, 1:, :] - F[:, :-1, :]
    return F[:, :, 1:] - F[:, :, :-1]


def _corrected(g: Array) -> Array:
    """An even function less 5/24 of its second differences, one offset shorter along each axis."""
    nx, ny = (n - 1 for n in g.shape[-2:])
    found = g[..., :nx, :ny]
    for axis in (-2, -1):
        n = g.shape[axis] - 1
        along = _cut(g, -3 - axis, 0, g.shape[-3 - axis] - 1)
        before = namespace(g).concat([_cut(along, axis, 1, 2), _cut(along, axis, 0, n - 1)], axis=axis)
        inner = _cut(along, axis, 0, n)
        found = found - SMOOTHED * (before - 2.0 * inner + _cut(along, axis, 1, n + 1))
    return found


def _cut(f: Array, axis: int, start: int, stop: int) -> Array:
    """Slice along an axis, the last or the one before."""
    return f[..., start:stop] if axis == -1 else f[..., start:stop, :]
