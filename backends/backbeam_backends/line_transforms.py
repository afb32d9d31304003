"""Transforms of lines by machine code of our own, see `backbeam_backends.fusing.transform`; all others are SciPy's.

That transforms as many lines at once as a register holds, and touches no zeros: a convolution takes a fifth of the time
of one by transforms of whole lines.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from backbeam_backends.blocks import shared_out, thread_count
from backbeam_backends.fusing import machine, transform
from backbeam_backends.fusing.kernel import address
from backbeam_backends.places import empty as place
from backbeam_backends.setbacks import Setbacks
from backbeam_backends.transforms import Transforms

LARGEST = 1024
"""Length of a line that is transformed next to the processor."""
FEW = 64
"""Lines that threads share out together: many vectors, so that none of them hangs on where another thread begins."""
WORTH = 1 << 15
"""Numbers of the grids that are worth a thread."""


class LineTransforms(Transforms):
    """Those of lines, of float64, where their length has small factors; the others' otherwise, and where it fails."""

    xp = np

    def __init__(self, others: Transforms, setbacks: Setbacks, empty: Callable[..., np.ndarray] = np.empty) -> None:
        self.others, self.setbacks, self.empty = others, setbacks, empty
        self.rfft, self.irfft, self.fft, self.ifft = others.rfft, others.irfft, others.fft, others.ifft
        self.ifft_in_place = others.ifft_in_place  # type: ignore[method-assign]

    def cosine(self, g: np.ndarray, *, axis: int) -> np.ndarray:
        """Along the last axis SciPy's."""
        if axis == -3:
            flat = g.reshape(*g.shape[:-2], -1)
            return self.cosine(flat, axis=-2).reshape(g.shape)
        code = self._code(transform.cosine, g.shape[-2] - 1, g.shape[-1], 2, g) if axis == -2 else None
        if code is None:
            return self.others.cosine(g, axis=axis)
        made = self.empty(g.shape, g.dtype)
        _run(code, g, made)
        return made

    def together(self, n: int, lines: int) -> int:
        """All: a few at a time are in hand in any case."""
        return lines if _is_short(n) else self.others.together(n, lines)

    def padded(self, f: np.ndarray) -> np.ndarray:
        """Without the zeros."""
        *grids, n, m = f.shape
        code = self._code(transform.padded, n, m, 1, f)
        if code is None:
            return self.others.padded(f)
        made = self.empty((*grids, 2 * n, m), complex)
        _run(code, f, made)
        return made

    def cut(self, f: np.ndarray) -> np.ndarray:
        """The first half alone."""
        *grids, length, m = f.shape
        code = self._code(transform.cut, length // 2, m, 1, f)
        if code is None:
            return self.others.cut(f)
        made = self.empty((*grids, length // 2, m), complex)
        _run(code, f, made)
        return made

    def filtered(self, f: np.ndarray, g: np.ndarray) -> np.ndarray:
        """There and back in one."""
        code = self._code(transform.filtered, f.shape[-2], f.shape[-1], 1, f)
        if code is None:
            return self.others.filtered(f, g)
        made = place(f.shape, f.dtype)
        _run(code, f, g, made)
        return made

    def filtered_both(self, f: np.ndarray, h: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """There and back in one, for both."""
        code = self._code(transform.filtered_both, f.shape[-2], f.shape[-1], 1, f)
        if code is None:
            return self.others.filtered_both(f, h, g)
        made = place(f.shape, f.dtype), place(h.shape, h.dtype), place(g.shape, g.dtype)
        _run(code, f, h, g, *made)
        return made

    def _code(self, of: Callable[[int, int], str], n: int, lines: int, together: int, a: np.ndarray) -> Any:
        """Code for lines of n numbers, if there are enough of them and they are wide."""
        wide = a.dtype == (np.float64 if of is transform.cosine else np.complex128)
        if not wide or not _is_short(n):
            return None
        try:
            width = machine.register_bits() // 64
            return _made(of, n, width) if lines >= together * width else None
        except Exception as error:  # whatever it is, the others are there
            self.setbacks.note("compiled transforms", error)
            return None


@cache
def _made(of: Callable[[int, int], str], n: int, width: int) -> Callable[[int, bytes, int], None]:
    return machine.load(of(n, width), transform.NAME)


def _is_short(n: int) -> bool:
    return 0 < 2 * n <= LARGEST and bool(transform.radices(2 * n))


def _run(code: Callable[[int, bytes, int], None], *arrays: np.ndarray) -> None:
    """For all grids; the last arrays are made, and none of them is copied."""
    whole = [a.reshape(-1, *a.shape[-2:]) for a in map(_lines, arrays)]
    starts = [(address(a), a.itemsize, *a.strides[:2]) for a in whole]
    pack, (grids, _, lines) = struct.Struct(f"{1 + 3 * len(arrays)}q").pack, whole[0].shape
    threads, blocks = min(thread_count(), whole[0].size // WORTH), max(1, lines // FEW)

    def some_grids(first: int, last: int) -> None:
        words = [word for start, _, far, near in starts for word in (start + first * far, far, near)]
        code(lines, pack(last - first, *words), 0)

    def some_lines(first: int, last: int) -> None:
        begin, end = FEW * first, lines if last == blocks else FEW * last
        words = [word for start, size, far, near in starts for word in (start + begin * size, far, near)]
        code(end - begin, pack(grids, *words), 0)

    if grids >= threads:
        shared_out(some_grids, grids, threads)
    else:
        shared_out(some_lines, blocks, threads)


def _lines(a: np.ndarray) -> np.ndarray:
    """The array, with the lines side by side."""
    return a if a.strides[-1] == a.itemsize else np.ascontiguousarray(a)
