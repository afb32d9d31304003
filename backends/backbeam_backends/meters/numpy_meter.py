"""NumPy: arrays by `tracemalloc`, blocks and grids of threads, and what waits for use again."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np

from backbeam_backends.blocks import in_hand, thread_count
from backbeam_backends.meters.base import Meter


class NumpyMeter(Meter):
    """Meter of NumPy."""

    def deposit_grids(self, batch: int, n: int) -> int:
        """One for each thread, where Numba parts the particles."""
        weights = self.backend.loops(n)
        return 0 if weights is None else weights.grids(batch, n)

    def in_hand(self, n: int, block: int | None = None) -> int:
        """A block for each thread."""
        return in_hand(n, thread_count(), block)

    def release(self) -> None:
        """Empty the `Recycler`."""
        self.backend.recycler.clear()

    def peak_of(self, function: Callable[[], Any], array: np.ndarray) -> int | None:
        """`tracemalloc`, which NumPy tells of each array; what Numba and the FFT allocate inside is not seen."""
        already = tracemalloc.is_tracing()
        if not already:
            tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            function()
            return tracemalloc.get_traced_memory()[1] - before
        finally:
            if not already:
                tracemalloc.stop()
