"""`CloudInCell` for NumPy arrays, by Numba: beam by beam, the deposit on all the cores.

A deposit is cut into parts with a grid of their own, added in order. How many there are depends on the particles and
the nodes alone: so do the bits, whatever the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from backbeam_backends.blocks import shared_out, thread_count
from backbeam_backends.particle_mesh.contract import RUN, WIDTH, CloudInCell, Rows
from backbeam_backends.particle_mesh.kept_loops import KeptLoops

kernels, stencils = KeptLoops("numba_kernels"), KeptLoops("numba_stencils")

GRADIENTS = {
    2: (stencils.gradient_2, stencils.gradient_2_transpose, (1.0, 1.0 / 2.0)),
    4: (stencils.gradient_4, stencils.gradient_4_transpose, (2.0 / 3.0, -1.0 / 12.0)),
}
"""Loops for differences of an order, and the weights that they want: at order 2 of a step of one node, and of two."""

PARTS = 8
"""Most parts of a deposit: what keeps as many threads busy."""
SHARE = 131_072
"""Fewest particles of a part, and as many as there are nodes: for fewer a grid costs more than it is worth."""

LINE = 64
"""Bytes of a line of the cache."""


class NumbaCloudInCell(CloudInCell):
    """Cloud-in-cell weights for NumPy arrays. Nodes have four numbers: a field's components, and one beside them."""

    def probe(self) -> None:
        """Run a loop: what is wrong with Numba is said here, and not on the way."""
        none = np.zeros(0)
        kernels.deposit(none, none, none, none, np.zeros(14), np.zeros(8), 2, 2, *scratch(none))

    def grids(self, batch: int, n: int) -> int:
        """Grids that the threads of a deposit fill besides those of the beams, where the nodes are not too many."""
        count = parts(n, 0)
        return 0 if count == 1 else min(thread_count(), batch * count)

    def deposit(
        self,
        values: Rows,
        r: Rows,
        centre: np.ndarray,
        spacing: np.ndarray,
        grid: tuple[int, int, int],
        guard: int,
    ) -> np.ndarray:
        """Four rows at once, or one after the other."""
        together, (batch, n) = 4 if len(values) == 4 else 1, r[0].shape
        loop = kernels.deposit_four if together == 4 else kernels.deposit
        count = parts(n, prod(grid))
        edges = [n * s // count for s in range(count + 1)]
        starts = range(0, len(values), together)
        total = _in_lines((len(starts), batch, *grid, together), np.dtype(np.float64))

        def part(j: int, b: int, s: int) -> np.ndarray:
            cut = slice(edges[s], edges[s + 1])
            node = total[j, b] if s == 0 else _in_lines((*grid, together), total.dtype)
            node[...] = 0.0
            rows = (_row(a[b, cut]) for a in (*values[j * together : (j + 1) * together], *r))
            loop(*rows, frame(centre, spacing, b, grid, guard), node.reshape(-1), *grid[1:], *scratch(r[0]))
            return node

        jobs = [(j, b, s) for j in range(len(starts)) for b in range(batch) for s in range(count)]
        for (j, b, s), node in zip(jobs, _in_threads(part, jobs), strict=True):
            if s:
                total[j, b] += node
        total = total.astype(values[0].dtype, copy=False)
        return total[..., 0] if together == 1 else np.moveaxis(total[0], -1, 0)

    def arrange(self, field: np.ndarray) -> np.ndarray:
        """Return ``(B, nx, ny, nz, k)``."""
        found = _no_nodes((*field.shape[1:], WIDTH), field.dtype)
        found[..., : len(field)] = np.moveaxis(field, 0, -1)
        return found[..., : len(field)]

    def beside(self, field: np.ndarray, fourth: np.ndarray) -> np.ndarray:
        """There is room for it."""
        found = _nodes(field)
        found[..., 3] = fourth
        return found

    def gradient(self, phi: np.ndarray, factors: np.ndarray, order: int) -> np.ndarray:
        """In one pass over the nodes."""
        loop, _, weights = GRADIENTS[order]
        found = (_in_lines if order == 4 else _no_nodes)((*phi.shape, WIDTH), factors.dtype)
        for b, one in enumerate(np.ascontiguousarray(phi)):
            _in_layers(loop, one, *(w * factors[:, b].astype(phi.dtype) for w in weights), found[b])
        return found[..., :3]

    def gradient_transpose(self, E_bar: np.ndarray, factors: np.ndarray, order: int) -> np.ndarray:
        """In one pass over the nodes."""
        _, loop, weights = GRADIENTS[order]
        bars, phi_bar = _nodes(np.moveaxis(E_bar, 0, -1)), np.zeros(E_bar.shape[1:])
        for b, one in enumerate(phi_bar):
            _in_layers(loop, bars[b], *(w * factors[:, b].astype(np.float64) for w in weights), one)
        return phi_bar

    def over_cells(self, f: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """In one pass over the corners."""
        return _each(stencils.over_cells, f, factor)

    def over_cells_transpose(self, bar: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """In one pass over the nodes."""
        return _each(stencils.over_cells_transpose, bar, factor)

    def gather(self, field: np.ndarray, r: Rows, centre: np.ndarray, spacing: np.ndarray, guard: int) -> np.ndarray:
        """All components of a particle at once."""
        batch, *grid, _ = _checked(field, 3).shape
        node, found = _nodes(field), np.empty((3, *r[0].shape), field.dtype)
        for b in range(batch):
            rows = (_row(a[b]) for a in r)
            place = frame(centre, spacing, b, grid, guard)
            kernels.gather(node[b].reshape(-1), *rows, place, *grid[1:], *found[:, b], *scratch(r[0]))
        return found

    def gather_slope(
        self,
        field: np.ndarray,
        factors: Rows,
        r: Rows,
        centre: np.ndarray,
        spacing: np.ndarray,
        guard: int,
    ) -> tuple[np.ndarray, Rows]:
        """All components of a particle at once."""
        batch, *grid, _ = _checked(field, 4).shape
        node, found = _nodes(field), np.empty((7, *r[0].shape), field.dtype)
        for b in range(batch):
            place, rows = frame(centre, spacing, b, grid, guard), (_row(a[b]) for a in (*factors, *r))
            kernels.gather_slope(node[b].reshape(-1), *rows, place, *grid[1:], *found[:, b], *scratch(r[0]))
        return found[:4], (found[4], found[5], found[6])


def parts(n: int, nodes: int) -> int:
    """Into how many parts a deposit of so many particles is cut: a power of 2, for as many threads to be even."""
    most = min(PARTS, n // max(SHARE, nodes))
    return 1 << max(0, most.bit_length() - 1)


def frame(centre: np.ndarray, spacing: np.ndarray, b: int, grid: Sequence[int], guard: int) -> np.ndarray:
    """Where the nodes of a beam's grid are, in the type of its positions.

    Centre, spacings^-1, centre in spacings, for each axis; the first node that may hold charge, the last lower node for
    each axis, and 1.
    """
    nodes = np.asarray(grid)
    parts = (centre[:, b], 1.0 / spacing[:, b], 0.5 * (nodes - 1), [guard], nodes - 2 - guard, [1])
    return np.concatenate(parts).astype(centre.dtype)


def scratch(row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Memory for cells and weights of the particles that are located together."""
    return np.empty(RUN, np.int32), np.empty((3, RUN), row.dtype)


def _row(a: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(a)


def _checked(field: np.ndarray, components: int) -> np.ndarray:
    if field.shape[-1] != components:
        raise ValueError(f"a field has {components} components here, this one {field.shape[-1]}")
    return field


def _nodes(field: np.ndarray) -> np.ndarray:
    """Nodes of four numbers, of which a field ``(..., k)`` is the first k: those in whose memory it is, if it is."""
    *axes, k = field.shape
    steps = (*field.strides[:-2], WIDTH * field.itemsize, field.itemsize)
    if field.strides == steps:
        return as_strided(field, (*axes, WIDTH), steps)
    found = _no_nodes((*axes, WIDTH), field.dtype)
    found[..., :k] = field
    return found


def _no_nodes(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Nodes of which all numbers are 0."""
    found = _in_lines(shape, dtype)
    found[...] = 0.0
    return found


def _in_lines(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array that begins with a line of the cache, so that no node lies in two."""
    size = prod(shape) * dtype.itemsize
    memory = np.empty(size + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    return memory[start : start + size].view(dtype).reshape(shape)


def _each(loop: Callable[..., None], given: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """A loop over the nodes for each grid, with its factor."""
    found = np.empty(given.shape, given.dtype)
    for b, one in enumerate(np.ascontiguousarray(given)):
        _in_layers(loop, one, float(factor[b]), found[b])
    return found


def _in_layers(loop: Callable[..., None], *given: Any) -> None:
    """A loop over the nodes, its layers along x shared out among the threads: the last of what is given is made."""
    made = given[-1]
    shared_out(lambda *ends: loop(*given, *ends), len(made), min(thread_count(), made.size // SHARE))


def _in_threads(function: Callable[..., Any], jobs: Sequence[tuple[Any, ...]]) -> Iterator[Any]:
    """Do the jobs, the results in their order; of no more than the threads at once, for each is a grid."""
    threads = min(thread_count(), len(jobs))
    if threads == 1:
        yield from (function(*job) for job in jobs)
        return
    with ThreadPoolExecutor(threads) as pool:
        for first in range(0, len(jobs), threads):
            yield from pool.map(lambda job: function(*job), jobs[first : first + threads])
