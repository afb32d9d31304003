"""Convolution with the Green function in open space: Hockney's doubled grid, without the work on its zeros.

The charge fills one octant of the doubled grid and only that octant of the potential is wanted. So each
axis is transformed in turn: the axes not yet transformed keep their length n, and on the way back an axis
is cut to n as soon as it is done. x comes last and goes first, column by column: the whole of the doubled grid
never exists where the adapter works in blocks. The Green function is even along each axis, so its transform is real
and is wanted at non-negative frequencies only; the columns of negative frequency in y see it mirrored.

Arrays are ``(..., nx, ny, nz)``. Source: Hockney & Eastwood, *Computer Simulation Using Particles*, ch. 6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backbeam import backends
from backbeam.arrays import namespace

if TYPE_CHECKING:
    from backbeam.arrays import Array


BLOCK = 16_384
"""Nodes of a block of columns."""


def even_transform(g: Array, fft: Any) -> Array:
    """Transform of an even function known at offsets 0 ... n - 1: real, at frequencies 0 ... n of each axis.

    The offset n, which no pair of nodes has, is taken as 0.
    """
    for axis in (-1, -2, -3):
        g = fft.cosine(_padded(g, axis), axis=axis)
    return g


def even_transform_transpose(g_bar: Array, fft: Any) -> Array:
    """Cotangent of g at offsets 0 ... n - 1 from that of its `even_transform` at frequencies 0 ... n."""
    xp = namespace(g_bar)
    for axis in (-3, -2, -1):
        n = g_bar.shape[axis] - 1
        # cos(pi j m/n) is symmetric; halving the inner inputs undoes the weights that `cosine` gives them,
        # and its own inner inputs had weight 2.
        g_bar = fft.cosine(_scale_inner(g_bar, axis, 0.5), axis=axis)
        g_bar = xp.concat([_cut(g_bar, axis, 0, 1), 2.0 * _cut(g_bar, axis, 1, n)], axis=axis)
    return g_bar


def columns(f: Array) -> Array:
    """Transform in y and z of ``f`` padded with zeros to twice its length there: ``(..., nx, 2 ny, nz + 1)``."""
    ny, nz = f.shape[-2:]
    fft = backends.of(f).fft
    return fft.fft(fft.rfft(f, n=2 * nz, axis=-1), n=2 * ny, axis=-2)


def convolve(f: Array, g: Array) -> Array:
    """Convolution of a grid of those `columns` with the even function of that `even_transform`."""
    h, _ = backends.of(g).blockwise(_convolved, (_in_line(f), _in_line(_mirrored(g))), block=_block(g))
    return _grid(h, g)


def convolve_both(f: Array, h: Array, g: Array) -> tuple[Array, Array]:
    """Convolution of a second grid h, and the cotangent of g at offsets 0 ... n - 1 for ``sum(h * convolve(f, g))``.

    ``f`` and ``h`` are the `columns` of the two. The cotangent is their correlation.
    """
    xp, backend = namespace(g), backends.of(g)
    nx, ny, nz = (n - 1 for n in g.shape[-3:])
    lines = (_in_line(f), _in_line(h), _in_line(_mirrored(g)))
    (h, both), _ = backend.blockwise(_convolved_and_correlated, lines, block=_block(g))
    # Fold each negative frequency onto its positive twin in y; in x that is done.
    both = xp.reshape(both, (*both.shape[:-1], 2 * ny, nz + 1))
    twin = both[..., 1:ny, :] + xp.flip(both[..., ny + 1 :, :], axis=-2)
    both = xp.concat([both[..., :1, :], twin, both[..., ny : ny + 1, :]], axis=-2)
    # The half spectrum along z stands for the whole, in which every inner frequency occurs twice.
    both = _scale_inner(both, -1, 2.0) / float(8 * nx * ny * nz)
    return _grid(h, g), even_transform_transpose(both, backend.fft)


def _mirrored(g: Array) -> Array:
    """Rows of negative frequency in y behind those of the even transform: ``(..., nx + 1, 2 ny, nz + 1)``."""
    xp = namespace(g)
    return xp.concat([g, xp.flip(g[..., 1:-1, :], axis=-2)], axis=-2)


def _in_line(f: Array) -> Array:
    """Columns along one axis, the last: ``(..., nx, 2 ny (nz + 1))``."""
    return namespace(f).reshape(f, (*f.shape[:-2], f.shape[-2] * f.shape[-1]))


def _block(g: Array) -> int:
    """Columns that stay in the cache together."""
    return max(16, BLOCK // g.shape[-3])


def _doubled(g: Array) -> Array:
    """Frequencies 0 ... n of an even function along x, then the negative ones."""
    return namespace(g).concat([g, namespace(g).flip(g[..., 1:-1, :], axis=-2)], axis=-2)


def _convolved(lines: tuple[Array, Array], _: None) -> tuple[Array, None]:
    """Columns of the convolution."""
    f, g = lines
    fft, n = backends.of(g).fft, f.shape[-2]
    return fft.ifft_in_place(fft.fft(f, n=2 * n, axis=-2) * _doubled(g), axis=-2)[..., :n, :], None


def _convolved_and_correlated(lines: tuple[Array, Array, Array], _: None) -> tuple[tuple[Array, Array], None]:
    """Columns of the convolution of the second, and of the correlation of both, at frequencies 0 ... n along x."""
    f, h, g = lines
    xp, fft, n = namespace(g), backends.of(g).fft, f.shape[-2]
    f, h = (fft.fft(a, n=2 * n, axis=-2) for a in (f, h))
    both = xp.real(f) * xp.real(h) + xp.imag(f) * xp.imag(h)
    twin = both[..., 1:n, :] + xp.flip(both[..., n + 1 :, :], axis=-2)
    both = xp.concat([both[..., :1, :], twin, both[..., n : n + 1, :]], axis=-2)
    return (fft.ifft_in_place(h * _doubled(g), axis=-2)[..., :n, :], both), None


def _grid(h: Array, g: Array) -> Array:
    """The first octant, from columns ``(..., nx, 2 ny (nz + 1))``."""
    ny, nz = (n - 1 for n in g.shape[-2:])
    fft = backends.of(g).fft
    h = namespace(h).reshape(h, (*h.shape[:-1], 2 * ny, nz + 1))
    h = fft.ifft_in_place(h, axis=-2)[..., :ny, :]
    return fft.irfft(h, n=2 * nz, axis=-1)[..., :nz]


def _cut(f: Array, axis: int, start: int | None, stop: int | None) -> Array:
    return f[(..., slice(start, stop), *(slice(None),) * (-1 - axis))]


def _padded(g: Array, axis: int) -> Array:
    """Append a zero at offset n."""
    xp = namespace(g)
    return xp.concat([g, xp.zeros_like(_cut(g, axis, 0, 1))], axis=axis)


def _scale_inner(g: Array, axis: int, weight: float) -> Array:
    """Scale all but the first and last entry."""
    ends = _cut(g, axis, 0, 1), _cut(g, axis, -1, None)
    return namespace(g).concat([ends[0], weight * _cut(g, axis, 1, -1), ends[1]], axis=axis)
