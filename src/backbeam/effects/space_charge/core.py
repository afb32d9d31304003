"""The extent that looks for the core of the charge: one grid, or a second one about the core.

A stray particle, or a halo, makes the box of all the charge many times the core, which then sees a few cells. So where
a side of the box is `BEYOND` rms sizes or more, `AutoExtent` takes two levels (``levels``). The core is found in
rounds: mean and rms size of the charge, then of the charge within `REACH` rms sizes of that mean, and so on; who is
counted is fixed by the last round. A side on which all the charge is as near as that has no window, and the fine grid
ends there with the charge.

How many levels there are is decided by the beam that a run begins with (`AutoExtent.settled`), and is the same for all
of it, its gradient included. A train of bunches of the like charge has no core: it takes a grid that resolves its
bunches.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from backbeam import backends
from backbeam.arrays import namespace
from backbeam.effects.space_charge.extents import BeamExtent, Box, RmsExtent
from backbeam.errors import InputError

if TYPE_CHECKING:
    from backbeam.arrays import Array
    from backbeam.effects.space_charge.drive import Drive
    from backbeam.effects.space_charge.extents import Rows, Shape, Survey

BEYOND = 12.0
"""Full width of a box, in rms sizes, from which on there are two levels; that of 10^8 particles of a Gaussian is 11."""
REACH = 6.0
"""Half the width of the core's box, in rms sizes."""
ROUNDS = 4
"""After which the core is taken as found: a halo of 1 % at 100 sizes of the core is out of sight after two."""


@dataclass(frozen=True)
class AutoExtent(BeamExtent):
    """From the first to the last charge, with a second, fine grid about the core where that is much smaller.

    Parameters
    ----------
    levels:
        1 or 2 grids; None: as the beam is that a run begins with, 1 where values cannot be looked at.

    Examples
    --------
    >>> bb.SpaceCharge3D().extent
    AutoExtent(guard=1, levels=None)
    """

    levels: int | None = None

    inner: ClassVar[RmsExtent] = RmsExtent(REACH)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.levels is not None and (isinstance(self.levels, bool) or self.levels not in (1, 2)):
            raise InputError("space_charge.extent.levels", self.levels, "1, 2, or None for as many as the beam wants")

    def is_wide(self, r: Rows, q: Array | None) -> Array:
        """Whether a side of the box of all charge is `BEYOND` rms sizes or more."""
        low, high = self.survey(r, q)
        _, _, variance = _survey(self.inner, r, q, None)
        xp = namespace(low)
        return xp.any(high - low > BEYOND * xp.sqrt(variance))

    def settled(self, is_wide: bool) -> AutoExtent:
        """With as many levels as the charge wants."""
        return self if self.levels is not None else replace(self, levels=2 if is_wide else 1)

    # -- the core --------------------------------------------------------------------------------------------------

    def core(
        self, r: Rows, q: Array, survey: Survey, drive: Drive, grid: Shape, guard: int
    ) -> tuple[Survey, Box, Array]:
        """Survey with that of the core behind it, the fine box, and along which axes it holds all charge ``(3, B)``."""
        low, high = survey
        inner = _survey(self.inner, r, q, None)
        for _ in range(ROUNDS - 1):
            around = _around(inner)
            inner = _survey(self.inner, r, q, around)
        whole, core = super().box(survey, drive, grid, guard), self.inner.box(inner, drive, grid, guard)
        is_open = _half(whole, grid, guard) <= _half(core, grid, guard)
        xp = namespace(low)
        found = Box(*(xp.where(is_open, a, b) for a, b in zip(whole, core, strict=True)))
        return (low, high, *inner, *around), found, is_open

    def tally(self, r: Rows, q: Array, survey: Survey) -> Survey:
        """How many particles are at either end of each axis."""
        return super().tally(r, q, survey[:2])

    def pullback_both(
        self,
        survey: Survey,
        tally: Survey,
        drive: Drive,
        grid: Shape,
        guard: int,
        whole_bar: Box,
        core_bar: Box,
        is_open: Array,
    ) -> tuple[Survey, Drive]:
        """Shares of the particles in both boxes, and cotangents of the drive."""
        xp = namespace(is_open, whole_bar.centre)
        nothing = xp.zeros_like(core_bar.centre)
        whole_bar = Box(*(a + xp.where(is_open, b, nothing) for a, b in zip(whole_bar, core_bar, strict=True)))
        core_bar = Box(*(xp.where(is_open, nothing, b) for b in core_bar))
        ends, bars = super().pullback(survey[:2], tally, drive, grid, guard, whole_bar)
        inner, more = self.inner.pullback(survey[2:5], (), drive, grid, guard, core_bar)
        assert ends is not None and inner is not None  # both boxes hang on positions
        return (*ends, *inner, *survey[5:]), type(bars)(*(a + b for a, b in zip(bars, more, strict=True)))

    def share(self, r: Rows, q: Array, shares: Survey) -> Rows:
        """To each of the outermost particles its share, and to those that make the core theirs."""
        ends = super().share(r, q, shares[:4])
        if len(shares) == 4:
            return ends
        inside = self.inner.share(r, _within(r, q, shares[7:]), shares[4:7])
        return tuple(a + b for a, b in zip(ends, inside, strict=True))


def _survey(extent: RmsExtent, r: Rows, q: Array | None, around: Survey | None) -> Survey:
    """Survey of the charge, of that within some limits if there are any."""

    def surveyed(block: tuple[Rows, Array | None], around: Survey | None) -> tuple[None, Survey]:
        r, q = block
        return None, extent.survey(r, q if q is None or around is None else _within(r, q, around))

    return backends.of(*r).blockwise(surveyed, (r, q), around, extent.combine)[1]


def _around(inner: Survey) -> Survey:
    """Least and greatest position ``(3, B)`` within reach."""
    _, mean, variance = inner
    reach = REACH * namespace(mean).sqrt(variance)
    return mean - reach, mean + reach


def _within(r: Rows, q: Array, around: Survey) -> Array:
    """Charges ``(B, n)``, 0 beyond the limits."""
    low, high = around
    for k, a in enumerate(r):
        is_near = (a >= low[k, :, None]) & (a <= high[k, :, None])
        q = namespace(q).where(is_near, q, namespace(q).zeros_like(q))
    return q


def _half(box: Box, grid: Shape, guard: int) -> Array:
    """Half the width ``(3, B)`` of what may hold charge."""
    xp = namespace(box.spacing)
    return xp.stack([box.spacing[k, ...] * (0.5 * (n - 1 - 2 * guard)) for k, n in enumerate(grid)])
