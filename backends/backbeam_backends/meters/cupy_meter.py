"""CuPy: its memory pool and the driver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cupy

from backbeam_backends.meters.base import Meter


class CupyMeter(Meter):
    """Meter of CuPy."""

    def peak_memory(self) -> int:
        """Bytes that the memory pool holds, plans of FFTs included: it keeps what it has until the device is full."""
        return cupy.get_default_memory_pool().total_bytes()

    def free_memory(self, array: cupy.ndarray) -> int | None:
        """What the driver has left and the pool holds without using it, within the pool's own limit."""
        with array.device:
            pool = cupy.get_default_memory_pool()
            free = cupy.cuda.runtime.memGetInfo()[0] + pool.free_bytes()
            limit = pool.get_limit()
            return min(free, limit - pool.used_bytes()) if limit else free

    def peak_of(self, function: Callable[[], Any], array: cupy.ndarray) -> int | None:
        """A hook on the memory pool, which counts blocks of 512 B; the plan of an FFT counts where it is made."""
        with array.device:
            books = _Books()
            with books:
                function()
                self.backend.synchronize()
            return books.peak


class _Books(cupy.cuda.MemoryHook):
    """Bytes of the pool in use, beyond those before, and the most that they were."""

    name = "backbeam books"

    def __init__(self) -> None:
        super().__init__()
        self.used = self.peak = 0

    def malloc_postprocess(self, **block: Any) -> None:
        """A block was handed out."""
        self.used += block["mem_size"]
        self.peak = max(self.peak, self.used)

    def free_postprocess(self, **block: Any) -> None:
        """A block came back."""
        self.used -= block["mem_size"]
