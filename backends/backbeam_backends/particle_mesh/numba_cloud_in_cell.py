"""`CloudInCell` for NumPy arrays, by Numba: beam by beam, the deposit on all the cores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from backbeam_backends.blocks import thread_count
from backbeam_backends.particle_mesh import numba_kernels as kernels
from backbeam_backends.particle_mesh.contract import CloudInCell, Rows

GRADIENTS = {
    2: (kernels.gradient_2, kernels.gradient_2_transpose, (1.0, 1.0 / 2.0)),
    4: (kernels.gradient_4, kernels.gradient_4_transpose, (2.0 / 3.0, -1.0 / 12.0)),
}
"""Loops for differences of an order, and the weights that they want: at order 2 of a step of one node, and of two."""

SHARE = 131_072
"""Fewest particles for which a thread and a grid of its own are worth while."""


class NumbaCloudInCell(CloudInCell):
    """Cloud-in-cell weights for NumPy arrays. Fields of three components are arranged node by node."""

    def threads(self, batch: int, n: int) -> int:
        """Threads that share the particles of one beam."""
        return max(1, min(-(-thread_count() // batch), n // SHARE))

    def deposit(
        self,
        values: Rows,
        r: Rows,
        centre: np.ndarray,
        spacing: np.ndarray,
        grid: tuple[int, int, int],
        guard: int,
    ) -> np.ndarray:
        """Each thread has a grid of its own, added in order: the same bits for the same number of threads."""
        k, (batch, n) = len(values), r[0].shape
        shares = self.threads(batch, n)
        edges = [n * s // shares for s in range(shares + 1)]
        # Three components side by side, as `gradient_transpose` reads them.
        together = 3 if k == 3 else 1

        def share(j: int, b: int, start: int, stop: int) -> np.ndarray:
            x, y, z = (_row(a[b])[start:stop] for a in r)
            node = np.zeros((*grid, together))  # thousands may meet in a node
            rows = (_row(a[b])[start:stop] for a in values[j : j + together])
            loop = kernels.deposit_three if together == 3 else kernels.deposit
            loop(*rows, x, y, z, frame(centre, spacing, b, grid, guard), node.reshape(-1), *grid[1:])
            return node

        starts = range(0, k, together)
        jobs = [(j, b, edges[s], edges[s + 1]) for j in starts for b in range(batch) for s in range(shares)]
        made = _in_threads(share, jobs)
        if len(made) == 1:
            total = made[0][None, None, ...]
        else:
            total = np.zeros((len(starts), batch, *grid, together))
            for (j, b, _, _), node in zip(jobs, made, strict=True):
                total[j // together, b] += node
        total = total.astype(values[0].dtype, copy=False)
        return total[..., 0] if together == 1 else np.moveaxis(total[0], -1, 0)

    def arrange(self, field: np.ndarray) -> np.ndarray:
        """Return ``(B, nx, ny, nz, k)``."""
        return np.ascontiguousarray(np.moveaxis(field, 0, -1))

    def gradient(self, phi: np.ndarray, factors: np.ndarray, order: int) -> np.ndarray:
        """In one pass over the nodes."""
        loop, _, weights = GRADIENTS[order]
        found = np.zeros((*phi.shape, 3), factors.dtype)
        for b, one in enumerate(np.ascontiguousarray(phi)):
            loop(one, *(w * factors[:, b].astype(phi.dtype) for w in weights), found[b])
        return found

    def gradient_transpose(self, E_bar: np.ndarray, factors: np.ndarray, order: int) -> np.ndarray:
        """In one pass over the nodes."""
        _, loop, weights = GRADIENTS[order]
        bars, phi_bar = self.arrange(E_bar), np.zeros(E_bar.shape[1:])
        for b, one in enumerate(phi_bar):
            loop(bars[b], *(w * factors[:, b].astype(np.float64) for w in weights), one)
        return phi_bar

    def gather(self, field: np.ndarray, r: Rows, centre: np.ndarray, spacing: np.ndarray, guard: int) -> np.ndarray:
        """One loop for a field of one or of three components."""
        batch, *grid, k = field.shape
        found = np.empty((k, *r[0].shape), field.dtype)
        loop = _by_components(k, kernels.gather, kernels.gather_three)
        for b in range(batch):
            x, y, z = (_row(a[b]) for a in r)
            place = frame(centre, spacing, b, grid, guard)
            loop(field[b].reshape(-1), x, y, z, place, grid[1], grid[2], *found[:, b])
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
        """One loop for a field of one or of three components."""
        batch, *grid, k = field.shape
        found, slopes = np.empty((k, *r[0].shape), field.dtype), np.empty((3, *r[0].shape), field.dtype)
        loop = _by_components(k, kernels.gather_slope, kernels.gather_slope_three)
        for b in range(batch):
            x, y, z = (_row(a[b]) for a in r)
            place = frame(centre, spacing, b, grid, guard)
            rows = (_row(a[b]) for a in factors)
            loop(field[b].reshape(-1), *rows, x, y, z, place, grid[1], grid[2], *found[:, b], *slopes[:, b])
        return found, (slopes[0], slopes[1], slopes[2])


def frame(centre: np.ndarray, spacing: np.ndarray, b: int, grid: Sequence[int], guard: int) -> np.ndarray:
    """Where the nodes of a beam's grid are, in the type of its positions.

    Centre, spacings^-1, centre in spacings, for each axis; the first node that may hold charge, the last lower node for
    each axis, and 1.
    """
    nodes = np.asarray(grid)
    parts = (centre[:, b], 1.0 / spacing[:, b], 0.5 * (nodes - 1), [guard], nodes - 2 - guard, [1])
    return np.concatenate(parts).astype(centre.dtype)


def _row(a: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(a)


def _by_components(k: int, one: Callable[..., None], three: Callable[..., None]) -> Callable[..., None]:
    if k not in (1, 3):
        raise ValueError(f"a field has 1 or 3 components, this one {k}")
    return one if k == 1 else three


def _in_threads(function: Callable[..., np.ndarray], jobs: Sequence[tuple[Any, ...]]) -> list[np.ndarray]:
    """Do the jobs, the results in their order."""
    threads = min(thread_count(), len(jobs))
    if threads == 1:
        return [function(*job) for job in jobs]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda job: function(*job), jobs))
