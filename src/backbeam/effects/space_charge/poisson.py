"""Convolution with the Green function in open space: Hockney's doubled grid, without the work on its zeros.

The charge fills one octant of the doubled grid and only that octant of the potential is wanted. So each
axis is transformed in turn: the axes not yet transformed keep their length n, and on the way back an axis
is cut to n as soon as it is done. x comes last and goes first, column by column: the whole of the doubled grid
never exists where the adapter works in blocks, or on a vector of columns at a time. The Green function is even along
each axis, so its transform is real and is wanted at non-negative frequencies only; the columns of negative frequency in
y see it mirrored. It is given at offsets 0 ... n, though no two nodes are n apart: what it is there does not matter.

Order 4. Deposit, mean over the cell and gather smooth a field of wave number k by sinc^2, sinc and sinc^2 of k h/2,
that is by 1 - (5/24)(k h)^2 along each axis. Taking 5/24 of its own second differences away from the Green function
undoes that to fourth order, for the potential and for its pullback at once. Here that is a factor at each frequency.

Arrays are ``(..., nx, ny, nz)``. Source: Hockney & Eastwood, *Computer Simulation Using Particles*, ch. 6.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from array_api_compat import device

from backbeam import backends
from backbeam.arrays import namespace

if TYPE_CHECKING:
    from backbeam.arrays import Array


AXES = (-1, -2, -3)
SMOOTHED = 5.0 / 24.0
"""What deposit, cell and gather take from a second derivative: 1/12 + 1/24 + 1/12, in squares of the spacing."""


def even_transform(g: Array, order: int = 2) -> Array:
    """Transform of an even function known at offsets 0 ... n: real, at frequencies 0 ... n of each axis.

    Of order 4 without the smoothing of `SMOOTHED`.
    """
    fft = backends.of(g).fft
    for axis in AXES:
        g = fft.cosine(g, axis=axis)
    return g if order == 2 else g * _sharpening(g)


def even_transform_transpose(bar: Array, order: int = 2) -> Array:
    """Cotangent of g at offsets 0 ... n from that of its `even_transform` at frequencies 0 ... n."""
    fft = backends.of(bar).fft
    # cos(pi j m/n) is symmetric; halving the inner inputs undoes the weights that `cosine` gives them, and its own
    # inner inputs had weight 2.
    bar = bar * _inner(bar, 0.5) if order == 2 else bar * (_inner(bar, 0.5) * _sharpening(bar))
    for axis in AXES:
        bar = fft.cosine(bar, axis=axis)
    return bar * _inner(bar, 2.0)


def _sharpening(g: Array) -> Array:
    """What second differences do at frequencies 0 ... n of each axis: ``(nx + 1, ny + 1, nz + 1)``."""
    xp, found = namespace(g), 1.0 + 6.0 * SMOOTHED
    for n, shape in _lines(g):
        angle = xp.arange(n + 1, dtype=g.dtype, device=device(g)) * (math.pi / n)
        found = found - 2.0 * SMOOTHED * xp.reshape(xp.cos(angle), shape)
    return found


def _inner(g: Array, weight: float) -> Array:
    """1 at the first and last entry of an axis, the weight between, multiplied: as `_sharpening`."""
    found = 1.0
    for n, shape in _lines(g):
        found = found * namespace(g).reshape(_ends(n, weight, g), shape)
    return found


def _ends(n: int, weight: float, like: Array) -> Array:
    """1 at the first and last of n + 1 entries, the weight between."""
    xp = namespace(like)
    place = xp.arange(n + 1, dtype=like.dtype, device=device(like))
    is_end = (place == 0.0) | (place == float(n))
    return xp.where(is_end, xp.ones_like(place), xp.full_like(place, weight))


def _lines(g: Array) -> list[tuple[int, tuple[int, int, int]]]:
    """Frequencies of each axis but 0, and the shape in which they meet a grid."""
    nx, ny, nz = (n - 1 for n in g.shape[-3:])
    return [(nx, (-1, 1, 1)), (ny, (1, -1, 1)), (nz, (1, 1, -1))]


def columns(f: Array) -> Array:
    """Transform in y and z of ``f`` padded with zeros to twice its length there: ``(..., nx, 2 ny, nz + 1)``."""
    fft = backends.of(f).fft
    return fft.padded(fft.rfft(f, n=2 * f.shape[-1], axis=-1))


def convolve(f: Array, g: Array) -> Array:
    """Convolution of a grid of those `columns` with the even function of that `even_transform`."""
    h, _ = backends.of(g).blockwise(_convolved, (_in_line(f), _in_line(_mirrored(g))), block=_block(g))
    return _grid(h, g)


def convolve_both(f: Array, h: Array, g: Array) -> tuple[Array, Array, Array]:
    """Convolutions of two grids; and the cotangent of the even function's transform for ``sum(h * convolve(f, g))``.

    ``f`` and ``h`` are the `columns` of the two. The cotangent is their correlation.
    """
    xp, backend = namespace(g), backends.of(g)
    nx, ny, nz = (n - 1 for n in g.shape[-3:])
    lines = (_in_line(f), _in_line(h), _in_line(_mirrored(g)))
    (f, h, both), _ = backend.blockwise(_convolved_and_correlated, lines, block=_block(g))
    # Fold each negative frequency onto its positive twin in y; in x that is done.
    both = xp.reshape(both, (*both.shape[:-1], 2 * ny, nz + 1))
    twin = both[..., 1:ny, :] + xp.flip(both[..., ny + 1 :, :], axis=-2)
    both = xp.concat([both[..., :1, :], twin, both[..., ny : ny + 1, :]], axis=-2)
    # The half spectrum along z stands for the whole, in which every inner frequency occurs twice.
    both = both * (_ends(nz, 2.0, g) / (8.0 * nx * ny * nz))
    return _grid(f, g), _grid(h, g), both


def _mirrored(g: Array) -> Array:
    """Rows of negative frequency in y behind those of the even transform: ``(..., nx + 1, 2 ny, nz + 1)``."""
    xp = namespace(g)
    return xp.concat([g, xp.flip(g[..., 1:-1, :], axis=-2)], axis=-2)


def _in_line(f: Array) -> Array:
    """Columns along one axis, the last: ``(..., nx, 2 ny (nz + 1))``."""
    return namespace(f).reshape(f, (*f.shape[:-2], f.shape[-2] * f.shape[-1]))


def _block(g: Array) -> int:
    """Columns that are done together."""
    nx, ny, nz = (n - 1 for n in g.shape[-3:])
    return backends.of(g).fft.together(nx, 2 * ny * (nz + 1))


def _convolved(lines: tuple[Array, Array], _: None) -> tuple[Array, None]:
    """Columns of the convolution."""
    return backends.of(lines[0]).fft.filtered(*lines), None


def _convolved_and_correlated(lines: tuple[Array, Array, Array], _: None) -> tuple[tuple[Array, Array, Array], None]:
    """Columns of both convolutions, and of the correlation of both, at frequencies 0 ... n along x."""
    return backends.of(lines[0]).fft.filtered_both(*lines), None


def _grid(h: Array, g: Array) -> Array:
    """The first octant, from columns ``(..., nx, 2 ny (nz + 1))``."""
    ny, nz = (n - 1 for n in g.shape[-2:])
    fft = backends.of(g).fft
    h = namespace(h).reshape(h, (*h.shape[:-1], 2 * ny, nz + 1))
    return fft.irfft(fft.cut(h), n=2 * nz, axis=-1)[..., :nz]
