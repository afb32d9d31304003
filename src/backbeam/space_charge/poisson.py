"""Convolution with the Green function in open space: Hockney's doubled grid, without the work on its zeros.

The charge fills one octant of the doubled grid and only that octant of the potential is wanted. So each
axis is transformed in turn: the axes not yet transformed keep their length n, and on the way back an axis
is cut to n as soon as it is done. The Green function is even along each axis, so its transform is real and
is wanted at non-negative frequencies only; the rows of negative frequency in y see it mirrored.

Arrays are ``(..., nx, ny, nz)``. Source: Hockney & Eastwood, *Computer Simulation Using Particles*, ch. 6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backbeam.arrays import namespace

if TYPE_CHECKING:
    from backbeam.arrays import Array

    Spectrum = tuple[Array, Array]
    """Of a padded grid: y-frequencies 0 ... n and -n+1 ... -1, each ``(..., 2nx, rows, nz + 1)``."""


def even_transform(g: Array, fft: Any) -> Array:
    """Transform of an even function known at offsets 0 ... n - 1: real, at frequencies 0 ... n of each axis.

    The offset n, which no pair of nodes has, is taken as 0.
    """
    for axis in (-1, -2, -3):
        g = _cosine(_padded(g, axis), axis, fft)
    return g


def even_transform_transpose(g_bar: Array, fft: Any) -> Array:
    """Cotangent of g at offsets 0 ... n - 1 from that of its `even_transform` at frequencies 0 ... n."""
    xp = namespace(g_bar)
    for axis in (-3, -2, -1):
        n = g_bar.shape[axis] - 1
        # cos(pi j m/n) is symmetric; halving the inner inputs undoes the weights that `_cosine` gives them,
        # and its own inner inputs had weight 2.
        g_bar = _cosine(_scale_inner(g_bar, axis, 0.5), axis, fft)
        g_bar = xp.concat([_cut(g_bar, axis, 0, 1), 2.0 * _cut(g_bar, axis, 1, n)], axis=axis)
    return g_bar


def spectrum(f: Array, fft: Any) -> Spectrum:
    """Transform of ``f`` padded with zeros to twice its length along each axis."""
    nx, ny, nz = f.shape[-3:]
    f = fft.fft(fft.rfft(f, n=2 * nz, axis=-1), n=2 * ny, axis=-2)
    return fft.fft(f[..., : ny + 1, :], n=2 * nx, axis=-3), fft.fft(f[..., ny + 1 :, :], n=2 * nx, axis=-3)


def convolve(f: Spectrum, g: Array, fft: Any) -> Array:
    """Convolution of a grid of that `spectrum` with the even function of that `even_transform`."""
    xp = namespace(g)
    nx, ny, nz = (n - 1 for n in g.shape[-3:])
    g = xp.concat([g, xp.flip(g[..., 1:nx, :, :], axis=-3)], axis=-3)
    head = fft.ifft(f[0] * g, axis=-3)[..., :nx, :, :]
    tail = fft.ifft(f[1] * xp.flip(g[..., 1:ny, :], axis=-2), axis=-3)[..., :nx, :, :]
    f = fft.ifft(xp.concat([head, tail], axis=-2), axis=-2)[..., :ny, :]
    return fft.irfft(f, n=2 * nz, axis=-1)[..., :nz]


def convolve_transpose(f: Spectrum, h: Spectrum, fft: Any) -> Array:
    """Cotangent of g at offsets 0 ... n - 1 for ``sum(h * convolve(f, g))``: the correlation of f and h."""
    xp = namespace(f[0])
    nx, ny, nz = f[0].shape[-3] // 2, f[0].shape[-2] - 1, f[0].shape[-1] - 1
    head, tail = (xp.real(a) * xp.real(b) + xp.imag(a) * xp.imag(b) for a, b in zip(f, h, strict=True))
    # Fold each negative frequency onto its positive twin, in y and then in x.
    both = xp.concat([head[..., :1, :], head[..., 1:ny, :] + xp.flip(tail, axis=-2), head[..., ny:, :]], axis=-2)
    twin = both[..., 1:nx, :, :] + xp.flip(both[..., nx + 1 :, :, :], axis=-3)
    both = xp.concat([both[..., :1, :, :], twin, both[..., nx : nx + 1, :, :]], axis=-3)
    # The half spectrum along z stands for the whole, in which every inner frequency occurs twice.
    both = _scale_inner(both, -1, 2.0) / float(8 * nx * ny * nz)
    return even_transform_transpose(both, fft)


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


def _cosine(g: Array, axis: int, fft: Any) -> Array:
    """g_0 + (-1)^j g_n + 2 sum_m g_m cos(pi j m/n) along an axis of n + 1 entries."""
    xp = namespace(g)
    return xp.real(fft.rfft(xp.concat([g, xp.flip(_cut(g, axis, 1, -1), axis=axis)], axis=axis), axis=axis))
