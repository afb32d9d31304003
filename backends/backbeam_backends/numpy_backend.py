"""NumPy: the default, on the host, with SciPy's FFT."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from types import SimpleNamespace
from typing import Any

import array_api_compat.numpy
import numpy as np
import scipy.fft

from backbeam_backends.base import Backend
from backbeam_backends.blocks import add, blockwise, thread_count


class NumpyBackend(Backend):
    """Adapter of NumPy."""

    name = "numpy"
    distribution = "numpy"
    namespace = array_api_compat.numpy

    def quiet(self) -> AbstractContextManager[Any]:
        """`numpy.errstate`."""
        return np.errstate(invalid="ignore", over="ignore", divide="ignore")

    def scatter_add(self, values: np.ndarray, index: np.ndarray, size: int) -> np.ndarray:
        """`numpy.bincount` with weights, a row at a time: it sums in float64, and faster than `numpy.add.at`."""
        out = np.empty((values.shape[0], size), dtype=values.dtype)
        for row, value in zip(out, values, strict=True):
            row[...] = np.bincount(index, weights=value, minlength=size)
        return out

    def blockwise(
        self,
        function: Callable[[Any, Any], tuple[Any, Any]],
        particles: Any,
        shared: Any = None,
        combine: Callable[[Any, Any], Any] = add,
    ) -> tuple[Any, Any]:
        """In blocks that stay in the cache, on all the cores."""
        return blockwise(function, particles, shared, combine, thread_count())

    @property
    def fft(self) -> Any:
        """`scipy.fft`, which keeps float32 and uses all the cores."""
        workers = thread_count()
        names = ("rfft", "irfft", "fft", "ifft")
        return SimpleNamespace(**{f: partial(getattr(scipy.fft, f), workers=workers) for f in names})
