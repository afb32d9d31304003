"""`CloudInCell` for CuPy arrays, by CUDA kernels: one thread a particle, atomic adds into the grid.

The source is ``cupy_cloud_in_cell.cu``. It is compiled for a data type and a number of components when it is first
wanted, and CuPy keeps what was compiled on disk. The nodes are summed in float64 whatever the type of the values, in
the order in which the particles come: two deposits of the same beam agree to rounding, not bit by bit. `gather` and
`gather_slope` give the same bits each time.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from math import prod
from typing import Any

import cupy
import numpy as np

from backbeam_backends.particle_mesh.contract import CloudInCell, Rows

THREADS = 256
"""Threads of a block."""
BLOCKS = 2048
"""Most blocks of a beam: about as many as an H100 holds at once. What is left over is taken in turns."""
BEAMS = 65_535
"""Most blocks along the axis that counts beams: a limit of CUDA."""

_REAL = {"f": "float", "d": "double"}


class CupyCloudInCell(CloudInCell):
    """Cloud-in-cell weights for CuPy arrays. Fields are arranged node by node."""

    def deposit(
        self,
        values: Rows,
        r: Rows,
        centre: cupy.ndarray,
        spacing: cupy.ndarray,
        grid: tuple[int, int, int],
        guard: int,
    ) -> cupy.ndarray:
        """Atomic adds of float64."""
        k, batch, dtype = len(values), r[0].shape[0], values[0].dtype
        with values[0].device:
            node = cupy.zeros((k, batch, *grid), dtype=cupy.float64)
            given = (*_rows(cupy.stack(values)), *_positions(r), *_frames(centre, spacing), node)
            _launch("deposit", k, dtype, given, r[0].shape, *grid, guard)
            return node.astype(dtype, copy=False)

    def arrange(self, field: cupy.ndarray) -> cupy.ndarray:
        """Return ``(B, nx, ny, nz, k)``."""
        with field.device:
            return cupy.ascontiguousarray(cupy.moveaxis(field, 0, -1))

    def beside(self, field: cupy.ndarray, fourth: cupy.ndarray) -> cupy.ndarray:
        """Return ``(B, nx, ny, nz, 4)``."""
        with field.device:
            return cupy.concatenate([field, fourth[..., None]], axis=-1)

    def gradient(self, phi: cupy.ndarray, factors: cupy.ndarray, order: int) -> cupy.ndarray:
        """One thread a node."""
        with phi.device:
            found = cupy.empty((*phi.shape, 3), dtype=phi.dtype)
            given = (cupy.ascontiguousarray(phi), cupy.ascontiguousarray(factors.astype(phi.dtype, copy=False)), found)
            shape = phi.shape[0], prod(phi.shape[1:])
            _launch("gradient", 3, phi.dtype, given, shape, *phi.shape[1:], order)
            return found.astype(factors.dtype, copy=False)

    def gather(
        self, field: cupy.ndarray, r: Rows, centre: cupy.ndarray, spacing: cupy.ndarray, guard: int
    ) -> cupy.ndarray:
        """All components of a particle by one thread."""
        *grid, k = field.shape[1:]
        with field.device:
            found = cupy.empty((k, *r[0].shape), dtype=field.dtype)
            given = (field, *_positions(r), *_frames(centre, spacing), found)
            _launch("gather", k, field.dtype, given, r[0].shape, *grid, guard)
            return found

    def gather_slope(
        self,
        field: cupy.ndarray,
        factors: Rows,
        r: Rows,
        centre: cupy.ndarray,
        spacing: cupy.ndarray,
        guard: int,
    ) -> tuple[cupy.ndarray, Rows]:
        """All components of a particle, and the three slopes, by one thread."""
        *grid, k = field.shape[1:]
        with field.device:
            found = cupy.empty((k, *r[0].shape), dtype=field.dtype)
            slopes = cupy.empty((3, *r[0].shape), dtype=field.dtype)
            given = (field, *_rows(cupy.stack(factors)), *_positions(r), *_frames(centre, spacing), found, slopes)
            _launch("gather_slope", k, field.dtype, given, r[0].shape, *grid, guard)
            return found, (slopes[0], slopes[1], slopes[2])


def source() -> str:
    """CUDA C++ of the kernels; ``REAL`` and ``COMPONENTS`` are to be defined."""
    return files("backbeam_backends.particle_mesh").joinpath("cupy_cloud_in_cell.cu").read_text(encoding="utf-8")


def launch_size(n: int, batch: int) -> tuple[int, int]:
    """Blocks along particles and along beams."""
    return min(-(-n // THREADS), BLOCKS), min(batch, BEAMS)


@cache
def _kernel(name: str, k: int, real: str) -> cupy.RawKernel:
    return cupy.RawKernel(source(), name, (f"-DREAL={real}", f"-DCOMPONENTS={k}"))


def _launch(name: str, k: int, dtype: Any, given: tuple[Any, ...], shape: tuple[int, int], *whole: int) -> None:
    """Start a kernel for particles or nodes ``(B, n)``; nothing to start without any."""
    batch, n = shape
    if batch and n:
        sizes = (np.int64(n), np.int32(batch), *map(np.int32, whole))
        _kernel(name, k, _REAL[dtype.char])(launch_size(n, batch), (THREADS,), (*given, *sizes))


def _rows(a: cupy.ndarray) -> tuple[Any, ...]:
    """An array whose rows are contiguous, and the distance of neighbours along each other axis, in elements."""
    if a.shape[-1] > 1 and a.strides[-1] != a.itemsize:
        a = cupy.ascontiguousarray(a)
    return (a, *(np.int64(step // a.itemsize) for step in a.strides[:-1]))


def _positions(r: Rows) -> list[Any]:
    return [part for row in r for part in _rows(row)]


def _frames(centre: cupy.ndarray, spacing: cupy.ndarray) -> tuple[cupy.ndarray, cupy.ndarray]:
    return cupy.ascontiguousarray(centre), cupy.ascontiguousarray(spacing)
