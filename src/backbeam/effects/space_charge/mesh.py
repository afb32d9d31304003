"""Particles at fixed t on the grid that covers them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from backbeam import backends
from backbeam.arrays import namespace
from backbeam.effects.space_charge import particles
from backbeam.effects.space_charge.base import BLOCK, LEAST_BLOCK
from backbeam.effects.space_charge.cloud_in_cell import in_spacings, kernels
from backbeam.effects.space_charge.extents import Box, Extent
from backbeam.errors import TrackingError

if TYPE_CHECKING:
    from backbeam.arrays import Array
    from backbeam.effects.space_charge.extents import Survey
    from backbeam_backends.particle_mesh import CloudInCell

    Rows = tuple[Array, Array, Array]

OUTSIDE = 1e-4
"""Part of a cell by which rounding may carry a particle over the edge of its box."""


def block_of(row: Array) -> int:
    """Particles of a block of rows ``(B, n)``."""
    return max(LEAST_BLOCK, BLOCK // row.shape[0])


class Mesh(NamedTuple):
    """Positions of particles, and the grid of each beam."""

    r: Rows
    """Positions (x, y, z) at fixed t, three rows ``(B, n)`` [m]. Those not alive are in the middle of the box."""
    box: Box
    survey: Survey
    """What the box was made from."""
    grid: tuple[int, int, int]
    guard: int
    weights: CloudInCell

    def deposit(self, values: Array) -> Array:
        """Share ``values (k, B, n)`` among the nodes: ``(k, B, nx, ny, nz)``."""
        return self.weights.deposit(values, self.r, *self.box, self.grid, self.guard)


def meshed(
    X: Array,
    q: Array,
    alive: Array | None,
    inverse_beta: Array,
    gamma: Array,
    grid: tuple[int, int, int],
    extent: Extent,
) -> Mesh:
    """Bring particles to fixed t and find their boxes; `TrackingError` for one outside a box that stays."""

    def placed(block: tuple[Array, Array | None], inverse_beta: Array) -> tuple[Rows, Survey]:
        X, alive = block
        r = backends.of(X).compile(particles.positions)(X, alive, inverse_beta)
        return r, extent.survey(r, alive)

    r, survey = backends.of(X).blockwise(placed, (X, alive), inverse_beta, extent.combine, block_of(q))
    box = extent.box(survey, gamma, grid)
    if alive is not None or not extent.holds_all:
        r = _held(r, alive, box, grid, extent)
    return Mesh(r, box, survey, grid, extent.guard, kernels(r[0], q, inverse_beta, gamma))


def _held(r: Rows, alive: Array | None, box: Box, grid: tuple[int, int, int], extent: Extent) -> Rows:
    """Put those not alive in the middle; `TrackingError` for others outside, or NaN for them under tracing."""
    traced = backends.of(*r).traced(r)

    def held(block: tuple[Rows, Array | None], box: Box) -> tuple[Rows, Array]:
        r, alive = block
        xp = namespace(*r)
        if alive is not None:
            r = tuple(xp.where(alive, a, xp.zeros_like(a) + box.centre[k, :, None]) for k, a in enumerate(r))
        if extent.holds_all:
            return r, xp.zeros_like(box.centre[0, :])
        outside = r[0] != r[0]
        for u, n in zip(in_spacings(r, *box, grid), grid, strict=True):
            outside = outside | (u < extent.guard - OUTSIDE) | (u > n - 1 - extent.guard + OUTSIDE)
        if traced:
            r = (xp.where(outside, xp.full_like(r[0], math.nan), r[0]), *r[1:])
        return r, xp.sum(xp.astype(outside, r[0].dtype), axis=-1)

    r, count = backends.of(*r).blockwise(held, (r, alive), box, block=block_of(r[0]))
    if not extent.holds_all and not traced:
        outside = int(namespace(count).sum(count))
        if outside:
            raise TrackingError(
                f"{outside} of {math.prod(r[0].shape)} particles are outside the space-charge box "
                f"{extent}; enlarge it, or use extent='beam', which follows all of them"
            )
    return r
