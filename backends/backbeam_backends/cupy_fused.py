"""Functions of CuPy arrays as one kernel over the particles, if they can, and as they are otherwise.

See `backbeam_backends.fusing`: what is traced is the same as for NumPy, what is compiled is CUDA C++, which CuPy keeps
on disk.
"""

from __future__ import annotations

from math import prod
from typing import Any

import cupy
import numpy as np

from backbeam_backends.fusing.cuda import THREADS, CudaKernel
from backbeam_backends.fusing.fused import Fused
from backbeam_backends.fusing.graph import Graph

PLACES = 65_535
"""Most blocks along the axis that counts places of a batch: a limit of CUDA."""


class LoadedKernel(CudaKernel):
    """A kernel that CuPy compiles for the current device, and for another when it is first launched there."""

    def _compile(self, graph: Graph) -> None:
        super()._compile(graph)
        self.lanes = cupy.RawKernel(self.program.source, "lanes")
        self.numbers = cupy.RawKernel(self.program.source, "numbers")
        # Here, where a failure means the plain path. Each of the two is there only if it has something to do.
        if self.launches:
            self.lanes.compile()
        elif self.made:
            self.numbers.compile()

    @property
    def launches(self) -> bool:
        """Whether there is a pass over the particles."""
        return bool(self.program.sums) or any(o.lane for o in self.made)


class CudaCall:
    """A kernel for inputs of certain sizes."""

    def __init__(self, kernel: LoadedKernel, n: int, batch: tuple[int, ...], leaves: list[Any]) -> None:
        self.kernel, self.n, self.places = kernel, n, prod(batch)
        self.shapes = [((*batch, *o.core, n) if o.lane else (*batch, *o.core), o.symbol.dtype) for o in kernel.made]
        self.blocks = kernel.program.blocks(n)
        self.launches = kernel.launches

    def run(self, leaves: list[Any]) -> tuple[Any]:
        """Result of the kernel, in a tuple."""
        kernel, program, n = self.kernel, self.kernel.program, np.int64(self.n)
        given = next(a for a in leaves if isinstance(a, cupy.ndarray))
        with given.device:
            every = [*leaves, *(getattr(cupy.linalg, name)(leaves[k]) for name, k in kernel.derived)]
            made = [cupy.empty(shape, dtype=dtype) for shape, dtype in self.shapes]
            lanes = [a for a, o in zip(made, kernel.made, strict=True) if o.lane]
            numbers = [a for a, o in zip(made, kernel.made, strict=True) if not o.lane]
            rows = [part for k in program.rows for part in _row(every[k])]
            scalars = [cupy.ascontiguousarray(cupy.asarray(every[k])) for k in program.scalars]
            parts, blocks = [], []
            if program.sums:
                parts = [cupy.empty((self.places, program.sums, self.blocks))]
                blocks = [np.int32(self.blocks)]
            if self.launches:
                kernel.lanes((self.blocks, min(self.places, PLACES)), (THREADS,), (*rows, *scalars, *lanes, *parts, n))
            if numbers:
                kernel.numbers((min(self.places, PLACES),), (THREADS,), (*scalars, *parts, *blocks, *numbers, n))
        fresh = iter(made)
        found = [leaves[o[1]] if o[0] == "same" else next(fresh) for o in kernel.outputs]
        return (kernel.build(found),)


class CudaFused(Fused):
    """A function of nests of CuPy arrays; called as the function is."""

    kernel = LoadedKernel
    call = CudaCall  # type: ignore[assignment]  # it runs as a `Call` does, and takes what `kernel` made


def _row(a: cupy.ndarray) -> list[Any]:
    """An array whose rows are contiguous, and the distance of neighbours along each other axis, in elements."""
    if a.shape[-1] > 1 and a.strides[-1] != a.itemsize:
        a = cupy.ascontiguousarray(a)
    return [a, *(np.int64(step // a.itemsize) for step in a.strides[:-1])]
