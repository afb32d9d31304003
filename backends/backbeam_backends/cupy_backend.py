"""CuPy: NumPy's arrays on a CUDA device. Gradients come from the hand-written pullbacks alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import array_api_compat.cupy
import cupy
import numpy as np

from backbeam_backends.base import Backend
from backbeam_backends.cupy_fused import CudaFused
from backbeam_backends.meters.cupy_meter import CupyMeter
from backbeam_backends.particle_mesh import CloudInCell
from backbeam_backends.particle_mesh.cupy_cloud_in_cell import CupyCloudInCell
from backbeam_backends.setbacks import Setbacks


class CupyBackend(Backend):
    """Adapter of CuPy; importing it needs cupy-cuda12x or cupy-cuda13x, using it a CUDA device."""

    name = "cupy"
    distribution = "cupy"
    extra = "cupy-cuda12 or cupy-cuda13"
    namespace = array_api_compat.cupy
    fuse_from: int = 4096
    """Particles from which on compiling a fused kernel is worth it."""
    setbacks = Setbacks()
    """One for the process, as its compiler is."""

    @property
    def meter(self) -> CupyMeter:
        """Memory."""
        return CupyMeter(self)

    def setback(self) -> str:
        """Maps operation by operation instead of kernels."""
        return self.setbacks.text

    @property
    def version(self) -> str:
        """Version of the module: the distribution's name depends on CUDA's."""
        return cupy.__version__

    def devices(self) -> list[str]:
        """The current CUDA device alone; RuntimeError where there is none."""
        try:
            return [f"cuda:{cupy.cuda.Device().id}"]
        except cupy.cuda.runtime.CUDARuntimeError as error:
            raise RuntimeError(f"CuPy needs a CUDA device and finds none ({error})") from error

    def device(self, name: str | None) -> cupy.cuda.Device:
        """``cuda``, or the current device by its number: CuPy computes there, wherever the arrays are."""
        try:
            (current,) = self.devices()
        except RuntimeError as error:
            raise ValueError(f"device is {name!r}; allowed: none here: {error}") from error
        if name not in (None, "cuda", current):
            raise ValueError(
                f"device is {name!r}; allowed: {current}, CuPy's current device; another one is chosen by "
                "CUDA_VISIBLE_DEVICES, or by 'with cupy.cuda.Device(k):' around all that is done"
            )
        return cupy.cuda.Device()

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

    def cloud_in_cell(self, arrays: Sequence[cupy.ndarray]) -> CloudInCell:
        """CUDA kernels."""
        return CupyCloudInCell()

    def compile(self, function: Callable[..., Any], static: tuple[int, ...] = (), calls: int = 1) -> Callable[..., Any]:
        """One kernel over the particles instead of one for each operation; see `backbeam_backends.fusing`.

        A function that cannot be one kernel, and one of few particles, is called as it is: results agree to rounding.
        """
        return _fused(function, static, self.fuse_from, self.setbacks)

    def synchronize(self, tree: Any = None) -> None:
        """Wait for the current stream."""
        cupy.cuda.get_current_stream().synchronize()


@lru_cache(1000)
def _fused(function: Callable[..., Any], static: tuple[int, ...], fuse_from: int, setbacks: Setbacks) -> CudaFused:
    """One object for each function, so that what was compiled once is found again."""
    return CudaFused(function, static, fuse_from, setbacks)
