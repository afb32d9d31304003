"""NumPy: the default, on the host, with SciPy's FFT."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from backbeam_backends.base import Backend
from backbeam_backends.blocks import add, blockwise, thread_count
from backbeam_backends.fusing import Fused, available
from backbeam_backends.meters.numpy_meter import NumpyMeter
from backbeam_backends.pocketfft import transforms
from backbeam_backends.recycling import Recycler
from backbeam_backends.setbacks import Setbacks

if TYPE_CHECKING:
    from backbeam_backends.particle_mesh.numba_cloud_in_cell import NumbaCloudInCell
    from backbeam_backends.transforms import Transforms

OFTEN, FEWEST = 16, 64
"""Calls from which on a loop is compiled for fewer particles, and how few."""


class NumpyBackend(Backend):
    """Adapter of NumPy."""

    name = "numpy"
    distribution = "numpy"
    namespace = np
    steps_together = 8
    fuse_from: int = 4096
    """Particles from which on compiling a fused loop is worth it."""

    @property
    def meter(self) -> NumpyMeter:
        """Memory."""
        return NumpyMeter(self)

    @property
    def fuses(self) -> bool:
        """Whether `compile` compiles: it does with Numba's LLVM (extra ``fast``)."""
        return available()

    def setback(self) -> str:
        """One small kernel of each kind is made for the answer."""
        if not available():
            return "no compiled maps and kicks: Numba (extra fast) is not installed, or is too old"
        self.compile(_twice)(np.zeros(self.fuse_from))
        _cloud_in_cell(self.setbacks)
        return self.setbacks.text

    recycler = Recycler()
    """One for the process, as its allocator is: tensors that are lent to NumPy's kernels end here, too."""
    setbacks = Setbacks()
    """One for the process, as its compiler is."""

    def compile(self, function: Callable[..., Any], static: tuple[int, ...] = (), calls: int = 1) -> Callable[..., Any]:
        """One loop over the particles instead of a pass for each operation; see `backbeam_backends.fusing`.

        A function that cannot be one loop, and one of few particles, is called as it is: results agree to rounding.
        """
        if not available():
            return function
        least = min(FEWEST, self.fuse_from) if calls >= OFTEN else self.fuse_from
        return _fused(function, static, least, self.setbacks)

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
        block: int | None = None,
    ) -> tuple[Any, Any]:
        """In blocks that stay in the cache, on all the cores."""
        return blockwise(function, particles, shared, combine, thread_count, block, self.recycler.empty)

    def cloud_in_cell(self, arrays: Sequence[np.ndarray]) -> NumbaCloudInCell | None:
        """Numba's, from the same number of particles on as `compile`."""
        return self.loops(arrays[0].shape[-1])

    def loops(self, n: int) -> NumbaCloudInCell | None:
        """`cloud_in_cell` for so many particles."""
        return _cloud_in_cell(self.setbacks) if n >= self.fuse_from and available() else None

    @property
    def fft(self) -> Transforms:
        """SciPy's, and of lines our own where there is LLVM."""
        return _line_transforms(self.setbacks, self.recycler) if available() else transforms()


def _twice(x: np.ndarray) -> np.ndarray:
    return 2.0 * x


@cache
def _cloud_in_cell(setbacks: Setbacks) -> NumbaCloudInCell | None:
    """Numba's loops; None where Numba is broken."""
    try:
        from backbeam_backends.particle_mesh.numba_cloud_in_cell import NumbaCloudInCell

        found = NumbaCloudInCell()
        found.probe()
    except Exception as error:  # an installation can be broken in every way
        setbacks.note("compiled deposit and gather", error)
        return None
    return found


@cache
def _line_transforms(setbacks: Setbacks, recycler: Recycler) -> Transforms:
    from backbeam_backends.line_transforms import LineTransforms

    return LineTransforms(transforms(), setbacks, recycler.empty)


@lru_cache(1000)
def _fused(function: Callable[..., Any], static: tuple[int, ...], fuse_from: int, setbacks: Setbacks) -> Fused:
    """One object for each function, so that what was compiled once is found again."""
    return Fused(function, static, fuse_from, setbacks)
