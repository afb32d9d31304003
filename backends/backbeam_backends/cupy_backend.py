"""CuPy: NumPy's arrays on a CUDA device. Gradients come from the hand-written pullbacks alone."""

from __future__ import annotations

from typing import Any

import array_api_compat.cupy
import cupy
import numpy as np

from backbeam_backends.base import Backend


class CupyBackend(Backend):
    """Adapter of CuPy; importing it needs cupy-cuda12x or cupy-cuda13x, using it a CUDA device."""

    name = "cupy"
    distribution = "cupy"
    extra = "cupy-cuda12 or cupy-cuda13"
    namespace = array_api_compat.cupy

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

    def synchronize(self, tree: Any = None) -> None:
        """Wait for the current stream."""
        cupy.cuda.get_current_stream().synchronize()

    def peak_memory(self) -> int:
        """Bytes that the memory pool holds: it never shrinks by itself, so this is its high-water mark."""
        return cupy.get_default_memory_pool().total_bytes()
