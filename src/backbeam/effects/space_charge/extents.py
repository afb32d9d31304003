"""Which box the grid covers, and the gradient through it.

An extent turns the positions of the charge into a `Box`: the centre of the grid and the spacing of its nodes. A
particle without charge has no say in it. Where the box follows the charge, the kick depends on it, and the exact
gradient of the discrete kick goes through it: `Extent.pullback` and `Extent.share`.

A beam may be looked at in parts: `Extent.survey` takes what the box depends on from some of the particles, and
`Extent.combine` joins two surveys.

A beam that is flat in a plane has no width to divide by: a width of nothing, which is one below `NOTHING` of the
largest one in the rest frame, counts as `flatness` of the smallest that is something. A beam that is a single point
has no field, and gets a box of about 1 m.

To add an extent: a subclass of `Extent` with those methods, and its name in ``named``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from backbeam.arrays import namespace
from backbeam.effects.space_charge.drive import Drive
from backbeam.errors import InputError
from backbeam.scalars import make_plain

if TYPE_CHECKING:
    from backbeam.arrays import Array

    Rows = tuple[Array, Array, Array]
    Survey = tuple[Array, ...]
    Shape = tuple[int, int, int]


class Box(NamedTuple):
    """A grid in space: its third axis is tau at fixed s, and the distance behind the reference at fixed t."""

    centre: Array
    """Middle of the grid ``(3, B)`` [m]."""
    spacing: Array
    """Distance of neighbouring nodes along the axes ``(3, B)`` [m], in the laboratory."""


@dataclass(frozen=True)
class Extent:
    """Base of every extent."""

    holds_all: ClassVar[bool] = False
    """Whether no particle can be outside."""

    @property
    def levels(self) -> int | None:
        """How many grids, one within the other; None: not settled."""
        return 1

    guard = 1
    """Least number of empty cells kept around the charge; order 4 keeps two, so that no difference is one-sided."""

    def survey(self, r: Rows, q: Array | None) -> Survey:
        """What the box depends on: arrays without the axis of the particles.

        ``r`` are positions, three rows ``(B, n)`` [m], ``q (B, n)`` charges; None where none of them is 0.
        """
        return ()

    def combine(self, a: Survey, b: Survey) -> Survey:
        """Survey of the particles of two surveys."""
        return ()

    def box(self, survey: Survey, drive: Drive, grid: Shape, guard: int) -> Box:
        """Box for the charge surveyed, with so many nodes and guard cells."""
        raise NotImplementedError

    def tally(self, r: Rows, q: Array, survey: Survey) -> Survey:
        """What `pullback` needs beside the survey of all: sums over particles."""
        return ()

    def pullback(
        self, survey: Survey, tally: Survey, drive: Drive, grid: Shape, guard: int, box_bar: Box
    ) -> tuple[Survey | None, Drive]:
        """Arrays for `share`, None if the box does not hang on positions, and cotangents of the drive."""
        raise NotImplementedError

    def share(self, r: Rows, q: Array, shares: Survey) -> Rows:
        """Cotangents of the positions, three rows ``(B, n)``."""
        raise NotImplementedError

    def is_wide(self, r: Rows, q: Array | None) -> Array:
        """Whether its box is much wider than the charge of any beam of a batch ``()``; ``q`` and r as in `survey`."""
        raise NotImplementedError

    def settled(self, is_wide: bool) -> Extent:
        """Same extent with what it chooses by the beam that a run begins with."""
        return self

    def _check_guard(self, least: int = 1) -> None:
        if isinstance(self.guard, bool) or not isinstance(self.guard, int) or self.guard < least:
            raise InputError("space_charge.extent.guard", self.guard, f"a whole number of cells, at least {least}")


@dataclass(frozen=True)
class BeamExtent(Extent):
    """From the first to the last charge along each axis, plus guard cells: none is left out.

    The gradient through the box goes to the outermost particles; where several are outermost, to each its
    share.

    Examples
    --------
    >>> bb.SpaceCharge3D(extent=bb.BeamExtent()).extent
    BeamExtent(guard=1)
    """

    guard: int = 1

    holds_all: ClassVar[bool] = True

    def __post_init__(self) -> None:
        make_plain(self)
        self._check_guard()

    def survey(self, r: Rows, q: Array | None) -> Survey:
        """Least and greatest position of the charge ``(3, B)``; where none is, inf and -inf."""
        xp = namespace(*r)
        if q is None:
            return tuple(reduce(xp.stack(r), axis=-1) for reduce in (xp.min, xp.max))
        charged = q != 0.0
        ends = []
        for reduce, beyond in ((xp.min, math.inf), (xp.max, -math.inf)):
            ends.append(reduce(xp.stack([xp.where(charged, a, xp.full_like(a, beyond)) for a in r]), axis=-1))
        return tuple(ends)

    def combine(self, a: Survey, b: Survey) -> Survey:
        """The lesser and the greater."""
        xp = namespace(a[0])
        return xp.minimum(a[0], b[0]), xp.maximum(a[1], b[1])

    def box(self, survey: Survey, drive: Drive, grid: Shape, guard: int) -> Box:
        """Middle between the outermost charges, and their distance over the cells between guards."""
        low, high = _ends(survey)
        return Box(0.5 * (low + high), widened(high - low, drive.stretch) / _cells(grid, guard, low))

    def tally(self, r: Rows, q: Array, survey: Survey) -> Survey:
        """How many particles are at either end of each axis."""
        xp = namespace(q)
        return tuple(xp.sum(xp.stack([_at(a, q, end[k, :, None]) for k, a in enumerate(r)]), axis=-1) for end in survey)

    def pullback(
        self, survey: Survey, tally: Survey, drive: Drive, grid: Shape, guard: int, box_bar: Box
    ) -> tuple[Survey | None, Drive]:
        """Ends, and what each particle at them gets."""
        xp = namespace(drive.stretch)
        low, high = _ends(survey)
        width_bar, stretch_bar = widened_pullback(high - low, drive.stretch, box_bar.spacing / _cells(grid, guard, low))
        # A beam without charge has nobody there.
        low_share, high_share = (
            bar / xp.clip(count, 1.0, None)
            for bar, count in zip(
                (0.5 * box_bar.centre - width_bar, 0.5 * box_bar.centre + width_bar), tally, strict=True
            )
        )
        return (low, low_share, high, high_share), _only(stretch_bar)

    def share(self, r: Rows, q: Array, shares: Survey) -> Rows:
        """To each of the outermost particles its share."""
        low, low_share, high, high_share = shares
        x, y, z = (
            _at(a, q, low[k, :, None]) * low_share[k, :, None] + _at(a, q, high[k, :, None]) * high_share[k, :, None]
            for k, a in enumerate(r)
        )
        return x, y, z


@dataclass(frozen=True)
class RmsExtent(Extent):
    """A multiple of the rms size on either side of the mean: a box that changes smoothly with the beam.

    Mean and size are those of the particles with charge, each counted once.

    Parameters
    ----------
    sigmas:
        Half the width of the box in rms sizes. A charge outside is an error:
        `backbeam.errors.TrackingError` where values can be looked at, NaN in the result where the library
        only traces.

    Examples
    --------
    >>> bb.RmsExtent()
    RmsExtent(sigmas=6.0, guard=1)
    """

    sigmas: float = 6.0
    guard: int = 1

    def __post_init__(self) -> None:
        make_plain(self)
        self._check_guard()
        if isinstance(self.sigmas, bool) or not isinstance(self.sigmas, int | float) or not 0 < self.sigmas < math.inf:
            raise InputError("space_charge.extent.sigmas", self.sigmas, "a number of rms sizes, greater than 0")

    def survey(self, r: Rows, q: Array | None) -> Survey:
        """Number ``(1, B)``, mean and variance ``(3, B)`` of the particles with charge."""
        xp = namespace(*r)
        if q is None:
            mean = xp.mean(xp.stack(r), axis=-1)
            variance = xp.mean(xp.stack([(a - mean[k, :, None]) ** 2 for k, a in enumerate(r)]), axis=-1)
            return xp.full_like(mean[:1, :], float(r[0].shape[-1])), mean, variance
        charged = q != 0.0
        weight = xp.astype(charged, q.dtype)
        count = xp.sum(weight, axis=-1)
        weight = weight / xp.clip(count, 1.0, None)[:, None]
        seen = [xp.where(charged, a, xp.zeros_like(a)) for a in r]
        mean = xp.sum(xp.stack([weight * a for a in seen]), axis=-1)
        off = (a - mean[k, :, None] for k, a in enumerate(seen))
        variance = xp.sum(xp.stack([weight * a * a for a in off]), axis=-1)
        return count[None, :], mean, variance

    def combine(self, a: Survey, b: Survey) -> Survey:
        """Pairwise, after Chan, Golub & LeVeque, Am. Stat. 37 (1983) 242."""
        count = a[0] + b[0]
        one, other = (n / namespace(count).clip(count, 1.0, None) for n in (a[0], b[0]))
        apart = b[1] - a[1]
        return count, a[1] + apart * other, one * a[2] + other * b[2] + apart * apart * one * other

    def box(self, survey: Survey, drive: Drive, grid: Shape, guard: int) -> Box:
        """Mean, and ``2 sigmas`` rms sizes over the cells that are not guard cells."""
        _, mean, variance = survey
        return Box(mean, widened(2.0 * self.sigmas * _root(variance), drive.stretch) / _cells(grid, guard, mean))

    def pullback(
        self, survey: Survey, tally: Survey, drive: Drive, grid: Shape, guard: int, box_bar: Box
    ) -> tuple[Survey | None, Drive]:
        """Mean, and the part of each particle's cotangent that is constant and that which grows with its distance."""
        xp = namespace(drive.stretch)
        count, mean, variance = survey
        sigma = _root(variance)
        width_bar, stretch_bar = widened_pullback(
            2.0 * self.sigmas * sigma, drive.stretch, box_bar.spacing / _cells(grid, guard, mean)
        )
        # d sigma/dr = weight (r - mean)/sigma; at sigma = 0 the width does not depend on sigma.
        slope = xp.where(sigma > 0.0, 2.0 * self.sigmas * width_bar, xp.zeros_like(sigma))
        slope = slope / xp.where(sigma > 0.0, sigma, xp.ones_like(sigma))
        count = xp.clip(count, 1.0, None)
        return (mean, box_bar.centre / count, slope / count), _only(stretch_bar)

    def share(self, r: Rows, q: Array, shares: Survey) -> Rows:
        """To every particle with charge."""
        xp, charged = namespace(q), q != 0.0
        mean, constant, slope = shares
        bars = [constant[k, :, None] + slope[k, :, None] * (a - mean[k, :, None]) for k, a in enumerate(r)]
        x, y, z = (xp.where(charged, bar, xp.zeros_like(bar)) for bar in bars)
        return x, y, z


@dataclass(frozen=True)
class FixedExtent(Extent):
    """A box that stays.

    Guard cells lie outside of it. A charge outside is an error: `backbeam.errors.TrackingError` where values can be
    looked at, NaN in the result where the library only traces.

    Parameters
    ----------
    lower, upper:
        Corners (x, y, z) of the box that may hold charge [m]; z is the distance ahead of the reference, at fixed s
        -beta tau with the beta of the beam's mean energy.
    guard:
        0 leaves the guard cells out, at order 2: differences at the outer nodes are one-sided, as ImpactX makes them,
        and the beam's own field pushes it as a whole.

    Examples
    --------
    >>> bb.FixedExtent((-5e-3, -5e-3, -1e-2), (5e-3, 5e-3, 1e-2)).guard
    1
    """

    lower: tuple[float, float, float]
    upper: tuple[float, float, float]
    guard: int = 1

    def __post_init__(self) -> None:
        for name in ("lower", "upper"):
            corner = getattr(self, name)
            try:
                numbers = tuple(float(a) for a in corner)
            except (TypeError, ValueError):
                numbers = ()
            if len(numbers) != 3 or not all(map(math.isfinite, numbers)):
                raise InputError(f"space_charge.extent.{name}", corner, "three numbers (x, y, z) in m")
            object.__setattr__(self, name, numbers)
        make_plain(self)
        if not all(a < b for a, b in zip(self.lower, self.upper, strict=True)):
            raise InputError("space_charge.extent.upper", self.upper, f"greater than lower, {self.lower}")
        self._check_guard(0)

    def box(self, survey: Survey, drive: Drive, grid: Shape, guard: int) -> Box:
        """The same for every beam of the batch; its third axis points backwards."""
        corners = zip(self.lower, self.upper, strict=True)
        centre, width = (
            _numbers(a, drive.pace) for a in zip(*((0.5 * (a + b), b - a) for a, b in corners), strict=True)
        )
        return Box(centre * self._to_axes(drive, -1.0), width * self._to_axes(drive, 1.0) / _cells(grid, guard, centre))

    def pullback(
        self, survey: Survey, tally: Survey, drive: Drive, grid: Shape, guard: int, box_bar: Box
    ) -> tuple[Survey | None, Drive]:
        """No positions move it, but the pace of the beam does."""
        box, xp = self.box(survey, drive, grid, guard), namespace(drive.pace)
        bar = box_bar.centre[2, :] * box.centre[2, :] + box_bar.spacing[2, :] * box.spacing[2, :]
        nothing = xp.zeros_like(bar)
        return None, Drive(nothing, nothing, bar / drive.pace)

    @staticmethod
    def _to_axes(drive: Drive, sign: float) -> Array:
        """Lengths of the grid for those of the laboratory ``(3, B)``."""
        xp = namespace(drive.pace)
        one = xp.ones_like(drive.pace)
        return xp.stack([one, one, sign * drive.pace])


NOTHING = {"wide": 1e-14, "narrow": 1e-13}
"""Part of the largest rest-frame width below which a width is none, in float64 and in float32.

A bunch 1e9 times as long as wide may be 1e4 times as wide as high; what rounding makes of a flat plane is less.
"""


def flatness(a: Array) -> float:
    """What a width of nothing counts as, beside the smallest that is something.

    The field in a flat plane is a difference of equal potentials: their rounding over this number is what
    remains of it beside the field in the other planes.
    """
    return 1e-6 if _is_wide(a) else 3e-5


def widened(width: Array, stretch: Array) -> Array:
    """Widths ``(3, B)``, those of nothing `flatness` of the smallest other in the rest frame."""
    scale, is_some, smallest = _smallest(width, stretch)
    return namespace(width).where(is_some, width, flatness(width) * smallest[None, :] / scale)


def widened_pullback(width: Array, stretch: Array, bar: Array) -> tuple[Array, Array]:
    """Cotangents of the widths ``(3, B)`` and of the stretch ``(B,)`` for `widened`."""
    xp = namespace(width)
    scale, is_some, smallest = _smallest(width, stretch)
    nothing = xp.zeros_like(bar)
    flat_bar = xp.where(is_some, nothing, bar * flatness(width) / scale)
    # Two that are smallest share, as in a library's own derivative of the least of several.
    is_smallest = xp.astype(is_some & (width * scale == smallest[None, :]), width.dtype)
    share = is_smallest / xp.clip(xp.sum(is_smallest, axis=0), 1.0, None)
    at_rest_bar = share * xp.sum(flat_bar, axis=0)[None, :]
    stretch_bar = at_rest_bar[2, ...] * width[2, ...] - flat_bar[2, ...] * smallest / stretch
    return xp.where(is_some, bar, nothing) + at_rest_bar * scale, stretch_bar


def _smallest(width: Array, stretch: Array) -> tuple[Array, Array, Array]:
    """Stretch to the rest frame ``(3, B)``, which widths are something, and the smallest of them there ``(B,)``."""
    xp = namespace(width)
    one = xp.ones_like(stretch)
    scale = xp.stack([one, one, stretch])
    at_rest = width * scale
    is_some = at_rest > NOTHING["wide" if _is_wide(width) else "narrow"] * xp.max(at_rest, axis=0)
    smallest = xp.min(xp.where(is_some, at_rest, xp.full_like(at_rest, math.inf)), axis=0)
    return scale, is_some, xp.where(xp.isinf(smallest), one / flatness(width), smallest)


def _is_wide(a: Array) -> bool:
    return a.dtype == namespace(a).float64


def _only(stretch: Array) -> Drive:
    """Cotangents of a drive of which only the stretch has one."""
    nothing = namespace(stretch).zeros_like(stretch)
    return Drive(stretch, nothing, nothing)


def _cells(grid: Shape, guard: int, like: Array) -> Array:
    """Number of cells that may hold charge ``(3, 1)``."""
    xp = namespace(like)
    one = xp.ones_like(like[0, :1])
    return xp.stack([one * float(n - 1 - 2 * guard) for n in grid])


def _numbers(numbers: tuple[float, ...], like: Array) -> Array:
    """Three numbers for each beam of a batch: ``(3, B)``."""
    one = namespace(like).ones_like(like)
    return namespace(like).stack([number * one for number in numbers])


def _ends(survey: Survey) -> Survey:
    """Least and greatest position, 0 where there is no charge."""
    low, high = survey
    xp = namespace(low)
    nobody = low > high
    return xp.where(nobody, xp.zeros_like(low), low), xp.where(nobody, xp.zeros_like(high), high)


def _at(position: Array, q: Array, end: Array) -> Array:
    """1 for particles with charge that are at the end, 0 for others ``(B, n)``."""
    return namespace(position).astype((position == end) & (q != 0.0), position.dtype)


def _root(variance: Array) -> Array:
    """The root has no slope at 0: take it elsewhere."""
    xp = namespace(variance)
    some = variance > 0.0
    return xp.where(some, xp.sqrt(xp.where(some, variance, xp.ones_like(variance))), xp.zeros_like(variance))
