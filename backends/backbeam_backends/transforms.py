"""Fourier transforms: those of the array API's extension, and two that a library may do better than by them."""

from __future__ import annotations

from typing import Any

Array = Any


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
