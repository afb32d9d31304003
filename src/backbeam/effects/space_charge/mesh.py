"""Particles on the grid that covers the charge."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from backbeam import backends
from backbeam.arrays import namespace
from backbeam.effects.mesh.cloud_in_cell import in_spacings, kernels
from backbeam.effects.space_charge.base import BLOCK, LEAST_BLOCK
from backbeam.effects.space_charge.extents import Box
from backbeam.errors import TrackingError

if TYPE_CHECKING:
    from backbeam.arrays import Array
    from backbeam_backends.particle_mesh import CloudInCell

    Rows = tuple[Array, Array, Array]

OUTSIDE = 1e-4
"""Part of a cell by which rounding may carry a particle over the edge of the box of the charge."""


def block_of(row: Array) -> int:
    """Particles of a block of rows ``(B, n)``."""
    return max(LEAST_BLOCK, BLOCK // row.shape[0])


class Mesh(NamedTuple):
    """Positions of particles, and the grid of each beam."""

    r: Rows
    """Positions, three rows ``(B, n)`` [m], within the part of the grid that may hold charge."""
    placed: Rows | None
    """The same, None where all are where they are: the lost are elsewhere, and those without charge beyond the grid."""
    box: Box
    grid: tuple[int, int, int]
    guard: int
    weights: CloudInCell
    beyond: int | None = 0
    """Particles without charge, and alive, that are beyond the grid; None where values cannot be looked at."""

    def deposit(self, *values: Array) -> Array:
        """Share rows ``(B, n)`` among the nodes: ``(k, B, nx, ny, nz)``."""
        return self.weights.deposit(values, self.r, *self.box, self.grid, self.guard)


def meshed(
    r: Rows, q: Array, alive: Array | None, box: Box, grid: tuple[int, int, int], guard: int, within: bool
) -> Mesh:
    """Particles at positions r, on a grid; all are ``within`` it, or those beyond are brought to its edge.

    `TrackingError` for a charge outside, or NaN for it under tracing.
    """
    placed, beyond = (None, 0) if alive is None and within else _held(r, q, alive, box, grid, guard)
    return Mesh(r if placed is None else placed, placed, box, grid, guard, kernels(r[0], q, box.centre), beyond)


def _held(
    r: Rows, q: Array, alive: Array | None, box: Box, grid: tuple[int, int, int], guard: int
) -> tuple[Rows, int | None]:
    """Put the lost in the middle, and those without charge that are outside on the edge; and count these."""
    traced = backends.of(*r).traced(r)

    def held(block: tuple[Rows, Array, Array | None], box: Box) -> tuple[Rows, tuple[Array, Array]]:
        r, q, alive = block
        xp = namespace(*r)
        if alive is not None:
            r = tuple(xp.where(alive, a, xp.zeros_like(a) + box.centre[k, :, None]) for k, a in enumerate(r))
        charged, outside, beyond, inside = q != 0.0, q != q, q != q, []
        for k, (a, u, n) in enumerate(zip(r, in_spacings(r, *box, grid), grid, strict=True)):
            below, above = u < guard - OUTSIDE, u > n - 1 - guard + OUTSIDE
            outside, beyond = outside | below | above | (a != a), beyond | below | above
            half, centre = (0.5 * (n - 1) - guard) * box.spacing[k, :, None], box.centre[k, :, None]
            a = xp.where(below & ~charged, centre - half, a)
            inside.append(xp.where(above & ~charged, centre + half, a))
        outside = outside & charged
        if traced:
            inside[0] = xp.where(outside, xp.full_like(q, math.nan), inside[0])
        return tuple(inside), tuple(xp.sum(xp.astype(a, q.dtype), axis=-1) for a in (outside, beyond & ~charged))

    r, counts = backends.of(*r).blockwise(held, (r, q, alive), box, block=block_of(r[0]))
    beyond = None
    if not traced:
        outside, beyond = (int(namespace(count).sum(count)) for count in counts)
        if outside:
            raise TrackingError(
                f"{outside} of {math.prod(r[0].shape)} particles are outside the space-charge box; enlarge it, or use "
                "extent='auto', which follows the charge"
            )
    return r, beyond
