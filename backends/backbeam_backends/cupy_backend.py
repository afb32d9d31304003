"""CuPy: NumPy's arrays on a CUDA device. Gradients come from the hand-written pullbacks alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import array_api_compat.cupy
import cupy
import numpy as np

from backbeam_backends.base import Backend
from backbeam_backends.cupy_cloud_in_cell import CupyCloudInCell
from backbeam_backends.cupy_fused import CudaFused


class CupyBackend(Backend):
    """Adapter of CuPy; importing it needs cupy-cuda12x or cupy-cuda13x, using it a CUDA device."""

    name = "cupy"
    distribution = "cupy"
    extra = "cupy-cuda12 or cupy-cuda13"
    namespace = array_api_compat.cupy
    fuse_from: int = 4096
    """Particles from which on compiling a fused kernel is worth it."""

    @property
    def version(self) -> str:
        """Version of the module: the distribution's name depends on CUDA's."""
        return cupy.__version__

    def devices(self) -> list[str]:
        """Every CUDA device; RuntimeError where there is no driver."""
        return [f"cuda:{k}" for k in range(cupy.cuda.runtime.getDeviceCount())]

    def device(self, name: str | None) -> cupy.cuda.Device:
        """``cuda`` or ``cuda:1``."""
        wanted = "cuda:0" if name in (None, "cuda") else name
        if wanted not in self.devices():
            raise ValueError(f"device is {name!r}; allowed: {', '.join(self.devices())}")
        return cupy.cuda.Device(int(wanted.partition(":")[2]))

    def asarray(self, data: Any, *, dtype: str | None = None, device: str | None = None) -> cupy.ndarray:
        """Copy host data to the device."""
        if isinstance(data, cupy.ndarray) and device is None:
            return data.astype(dtype, copy=False) if dtype else data
        with self.device(device):
            return cupy.asarray(data, dtype=dtype)

    def to_numpy(self, array: cupy.ndarray) -> np.ndarray:
        """Copy to the host."""
        return cupy.asnumpy(array)

    def device_name(self, array: cupy.ndarray) -> str:
        """``cuda:0``, ..."""
        return f"cuda:{array.device.id}"

    def scatter_add(self, values: cupy.ndarray, index: cupy.ndarray, size: int) -> cupy.ndarray:
        """Atomic adds, a row at a time."""
        out = cupy.zeros((values.shape[0], size), dtype=values.dtype)
        for row, value in zip(out, values, strict=True):
            cupy.add.at(row, index, value)
        return out

    def cloud_in_cell(self, arrays: Sequence[cupy.ndarray]) -> CupyCloudInCell:
        """CUDA kernels."""
        return CupyCloudInCell()

    def compile(self, function: Callable[..., Any], static: tuple[int, ...] = ()) -> Callable[..., Any]:
        """One kernel over the particles instead of one for each operation; see `backbeam_backends.fusing`.

        A function that cannot be one kernel, and one of few particles, is called as it is: results agree to rounding.
        """
        return _fused(function, static, self.fuse_from)

    def synchronize(self, tree: Any = None) -> None:
        """Wait for the current stream."""
        cupy.cuda.get_current_stream().synchronize()

    def peak_memory(self) -> int:
        """Bytes that the memory pool holds: it never shrinks by itself, so this is its high-water mark."""
        return cupy.get_default_memory_pool().total_bytes()

    def free_memory(self, array: cupy.ndarray) -> int | None:
        """What the driver has left, and what the pool holds without using it."""
        with array.device:
            return cupy.cuda.runtime.memGetInfo()[0] + cupy.get_default_memory_pool().free_bytes()

    def peak_of(self, function: Callable[[], Any], array: cupy.ndarray) -> int | None:
        """A hook on the memory pool, which counts blocks of 512 B."""
        with array.device:
            books = _Books()
            with books:
                function()
                self.synchronize()
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


@lru_cache(1000)
def _fused(function: Callable[..., Any], static: tuple[int, ...], fuse_from: int) -> CudaFused:
    """One object for each function, so that what was compiled once is found again."""
    return CudaFused(function, static, fuse_from)
