"""Fourier transforms: those of the array API's extension, and some that a library may do better than by them.

These are of lines along the last axis but one, side by side along the last, for convolutions in open space: n numbers
are padded with zeros to 2 n, and of what comes back the first n are wanted. An even function, of offsets or of
frequencies, is given at 0 ... n.
"""

from __future__ import annotations

from typing import Any

Array = Any

BLOCK = 16_384
"""Numbers of a block of lines."""


class Transforms:
    """``rfft, irfft, fft, ifft`` (``n=``, ``axis=``) as in the standard, and the same by name for special cases."""

    def __init__(self, xp: Any) -> None:
        self.xp = xp
        self.rfft, self.irfft, self.fft, self.ifft = xp.fft.rfft, xp.fft.irfft, xp.fft.fft, xp.fft.ifft

    def ifft_in_place(self, f: Array, *, axis: int) -> Array:
        """`ifft` of something that is not used again, so that it may be written on."""
        return self.ifft(f, axis=axis)

    def cosine(self, g: Array, *, axis: int) -> Array:
        """Cosine transform of type 1, g_0 + (-1)^j g_n + 2 sum_m g_m cos(pi j m/n), along an axis of n + 1 entries."""
        inner: list[slice] = [slice(None)] * g.ndim
        inner[axis] = slice(1, g.shape[axis] - 1)
        mirrored = self.xp.flip(g[tuple(inner)], axis=axis)
        return self.xp.real(self.rfft(self.xp.concat([g, mirrored], axis=axis), axis=axis))

    # -- of lines --------------------------------------------------------------------------------------------------

    def together(self, n: int, lines: int) -> int:
        """Of so many lines of n numbers, how many are best `filtered` at once: here those that stay in the cache."""
        return max(16, BLOCK // n)

    def padded(self, f: Array) -> Array:
        """Transform of ``f (..., n, m)``: ``(..., 2 n, m)``."""
        return self.fft(f, n=2 * f.shape[-2], axis=-2)

    def cut(self, f: Array) -> Array:
        """First half of what has the transform ``f (..., 2 n, m)``, which is not used again: ``(..., n, m)``."""
        return self.ifft_in_place(f, axis=-2)[..., : f.shape[-2] // 2, :]

    def filtered(self, f: Array, g: Array) -> Array:
        """Convolution of ``f (..., n, m)`` with what has the real even transform ``g (..., n + 1, m)``."""
        return self.cut(self.padded(f) * self._whole(g))

    def filtered_both(self, f: Array, h: Array, g: Array) -> tuple[Array, Array, Array]:
        """`filtered` f and h; and the real part of the correlation of their transforms ``(..., n + 1, m)``.

        Of the two signs of a frequency, the sum.
        """
        n, real, imag = f.shape[-2], self.xp.real, self.xp.imag
        f, h, g = self.padded(f), self.padded(h), self._whole(g)
        both = real(f) * real(h) + imag(f) * imag(h)
        twin = both[..., 1:n, :] + self.xp.flip(both[..., n + 1 :, :], axis=-2)
        both = self.xp.concat([both[..., :1, :], twin, both[..., n : n + 1, :]], axis=-2)
        return self.cut(f * g), self.cut(h * g), both

    def _whole(self, g: Array) -> Array:
        """Frequencies 0 ... n of an even function, then the negative ones."""
        return self.xp.concat([g, self.xp.flip(g[..., 1:-1, :], axis=-2)], axis=-2)
