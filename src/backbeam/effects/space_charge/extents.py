"""Which box the grid covers, and the gradient through it.

An extent turns the positions of the particles at fixed t into a `Box`: the centre of the grid and the
spacing of its nodes. Where the box follows the beam, the kick depends on it, and the exact gradient of the
discrete kick goes through it: `Extent.pullback` and `Extent.share`.

A beam may be looked at in parts: `Extent.survey` takes what the box depends on from some of the particles, and
`Extent.combine` joins two surveys.

A beam that is flat in a plane has no width to divide by: a width below `flatness` of the largest one in the
rest frame counts as that. A beam that is a single point has no field, and gets a box of about 1 m.

To add an extent: a subclass of `Extent` with those methods.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from backbeam.arrays import namespace
from backbeam.errors import InputError

if TYPE_CHECKING:
    from typing import Any

    from backbeam.arrays import Array

    Rows = tuple[Array, Array, Array]
    Survey = tuple[Array, ...]
    Shape = tuple[int, int, int]


class Box(NamedTuple):
    """A grid in space, at fixed t."""

    centre: Array
    """Middle of the grid ``(3, B)`` [m]."""
    spacing: Array
    """Distance of neighbouring nodes along x, y, z ``(3, B)`` [m], in the laboratory."""


@dataclass(frozen=True)
class Extent:
    """Base of every extent."""

    holds_all: ClassVar[bool] = False
    """Whether no particle can be outside."""

    guard = 0
    """Empty cells kept around the charge; with one, all that gathers sees central differences."""

    def survey(self, r: Rows, alive: Array | None) -> Survey:
        """What the box depends on: arrays without the axis of the particles.

        ``r`` are positions at fixed t, three rows ``(B, n)`` [m], ``alive (B, n)``, or None for all.
        """
        return ()

    def combine(self, a: Survey, b: Survey) -> Survey:
        """Survey of the particles of two surveys."""
        return ()

    def box(self, survey: Survey, gamma: Array, grid: Shape) -> Box:
        """Box for the particles surveyed; ``gamma (B,)`` stretches z to rest."""
        raise NotImplementedError

    def tally(self, r: Rows, alive: Array | None, survey: Survey) -> Survey:
        """What `pullback` needs beside the survey of all: sums over particles."""
        return ()

    def pullback(
        self, survey: Survey, tally: Survey, gamma: Array, grid: Shape, box_bar: Box
    ) -> tuple[Survey, Array] | None:
        """Arrays for `share`, and the cotangent of gamma; None if the box does not depend on the beam."""
        raise NotImplementedError

    def share(self, r: Rows, alive: Array | None, shares: Survey) -> Rows:
        """Cotangents of the positions, three rows ``(B, n)``."""
        raise NotImplementedError

    def _check_guard(self) -> None:
        if isinstance(self.guard, bool) or not isinstance(self.guard, int) or self.guard < 1:
            raise InputError("space_charge.extent.guard", self.guard, "a whole number of cells, at least 1")

    def _cells(self, grid: Shape, like: Array) -> Array:
        """Number of cells ``(3, 1)`` that may hold charge."""
        xp = namespace(like)
        one = xp.ones_like(like[0, :1])
        return xp.stack([one * float(n - 1 - 2 * self.guard) for n in grid])


@dataclass(frozen=True)
class BeamExtent(Extent):
    """From the first to the last particle along each axis, plus guard cells: no charge is left out.

    The gradient through the box goes to the outermost particles; where several are outermost, to each its
    share.
    """

    guard: int = 1

    holds_all: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self._check_guard()

    def survey(self, r: Rows, alive: Array | None) -> Survey:
        """Least and greatest position of the particles alive ``(3, B)``; where none is, inf and -inf."""
        xp = namespace(*r)
        ends = []
        for reduce, beyond in ((xp.min, math.inf), (xp.max, -math.inf)):
            seen = r if alive is None else [xp.where(alive, a, xp.full_like(a, beyond)) for a in r]
            ends.append(xp.stack([reduce(a, axis=-1) for a in seen]))
        return tuple(ends)

    def combine(self, a: Survey, b: Survey) -> Survey:
        """The lesser and the greater."""
        xp = namespace(a[0])
        return xp.minimum(a[0], b[0]), xp.maximum(a[1], b[1])

    def box(self, survey: Survey, gamma: Array, grid: Shape) -> Box:
        """Middle between the outermost particles, and their distance over the cells between guards."""
        low, high = _ends(survey)
        return Box(0.5 * (low + high), widened(high - low, gamma) / self._cells(grid, low))

    def tally(self, r: Rows, alive: Array | None, survey: Survey) -> Survey:
        """How many particles are at either end of each axis."""
        xp = namespace(*r)
        return tuple(
            xp.stack([xp.sum(_at(a, alive, end[k, :, None]), axis=-1) for k, a in enumerate(r)]) for end in survey
        )

    def pullback(
        self, survey: Survey, tally: Survey, gamma: Array, grid: Shape, box_bar: Box
    ) -> tuple[Survey, Array] | None:
        """Ends, and what each particle at them gets."""
        xp = namespace(gamma)
        low, high = _ends(survey)
        width_bar, gamma_bar = widened_pullback(high - low, gamma, box_bar.spacing / self._cells(grid, low))
        # An all-lost beam has nobody there.
        low_share, high_share = (
            bar / xp.clip(count, 1.0, None)
            for bar, count in zip(
                (0.5 * box_bar.centre - width_bar, 0.5 * box_bar.centre + width_bar), tally, strict=True
            )
        )
        return (low, low_share, high, high_share), gamma_bar

    def share(self, r: Rows, alive: Array | None, shares: Survey) -> Rows:
        """To each of the outermost particles its share."""
        low, low_share, high, high_share = shares
        x, y, z = (
            _at(a, alive, low[k, :, None]) * low_share[k, :, None]
            + _at(a, alive, high[k, :, None]) * high_share[k, :, None]
            for k, a in enumerate(r)
        )
        return x, y, z


@dataclass(frozen=True)
class RmsExtent(Extent):
    """A multiple of the rms size on either side of the mean: a box that changes smoothly with the beam.

    Parameters
    ----------
    sigmas:
        Half the width of the box in rms sizes. A particle outside is an error:
        `backbeam.errors.TrackingError` where values can be looked at, NaN in the result where the library
        only traces.
    """

    sigmas: float = 6.0
    guard: int = 1

    def __post_init__(self) -> None:
        self._check_guard()
        if isinstance(self.sigmas, bool) or not isinstance(self.sigmas, int | float) or not 0 < self.sigmas < math.inf:
            raise InputError("space_charge.extent.sigmas", self.sigmas, "a number of rms sizes, greater than 0")

    def survey(self, r: Rows, alive: Array | None) -> Survey:
        """Number ``(1, B)``, mean and variance ``(3, B)`` of the particles alive."""
        xp = namespace(*r)
        one = xp.ones_like(r[0])
        weight = one if alive is None else xp.where(alive, one, xp.zeros_like(one))
        count = xp.sum(weight, axis=-1)
        weight = weight / xp.clip(count, 1.0, None)[:, None]
        mean = xp.stack([xp.sum(weight * a, axis=-1) for a in r])
        off = (a - mean[k, :, None] for k, a in enumerate(r))
        variance = xp.stack([xp.sum(weight * a * a, axis=-1) for a in off])
        return count[None, :], mean, variance

    def combine(self, a: Survey, b: Survey) -> Survey:
        """Pairwise, after Chan, Golub & LeVeque, Am. Stat. 37 (1983) 242."""
        count = a[0] + b[0]
        one, other = (n / namespace(count).clip(count, 1.0, None) for n in (a[0], b[0]))
        apart = b[1] - a[1]
        return count, a[1] + apart * other, one * a[2] + other * b[2] + apart * apart * one * other

    def box(self, survey: Survey, gamma: Array, grid: Shape) -> Box:
        """Mean, and ``2 sigmas`` rms sizes over the cells that are not guard cells."""
        _, mean, variance = survey
        return Box(mean, widened(2.0 * self.sigmas * _root(variance), gamma) / self._cells(grid, mean))

    def pullback(
        self, survey: Survey, tally: Survey, gamma: Array, grid: Shape, box_bar: Box
    ) -> tuple[Survey, Array] | None:
        """Mean, and the part of each particle's cotangent that is constant and that which grows with its distance."""
        xp = namespace(gamma)
        count, mean, variance = survey
        sigma = _root(variance)
        width_bar, gamma_bar = widened_pullback(
            2.0 * self.sigmas * sigma, gamma, box_bar.spacing / self._cells(grid, mean)
        )
        # d sigma/dr = weight (r - mean)/sigma; at sigma = 0 the width does not depend on sigma.
        slope = xp.where(sigma > 0.0, 2.0 * self.sigmas * width_bar, xp.zeros_like(sigma))
        slope = slope / xp.where(sigma > 0.0, sigma, xp.ones_like(sigma))
        count = xp.clip(count, 1.0, None)
        return (mean, box_bar.centre / count, slope / count), gamma_bar

    def share(self, r: Rows, alive: Array | None, shares: Survey) -> Rows:
        """To every particle alive."""
        xp = namespace(*r)
        mean, constant, slope = shares
        bars = [constant[k, :, None] + slope[k, :, None] * (a - mean[k, :, None]) for k, a in enumerate(r)]
        x, y, z = bars if alive is None else (xp.where(alive, bar, xp.zeros_like(bar)) for bar in bars)
        return x, y, z


@dataclass(frozen=True)
class FixedExtent(Extent):
    """A box that stays: the first and the last node along each axis.

    A particle outside is an error: `backbeam.errors.TrackingError` where values can be looked at, NaN in
    the result where the library only traces. At the outer nodes the field is a one-sided difference.

    Parameters
    ----------
    lower, upper:
        Corners (x, y, z) at fixed t [m].
    """

    lower: tuple[float, float, float]
    upper: tuple[float, float, float]

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
        if not all(a < b for a, b in zip(self.lower, self.upper, strict=True)):
            raise InputError("space_charge.extent.upper", self.upper, f"greater than lower, {self.lower}")

    def box(self, survey: Survey, gamma: Array, grid: Shape) -> Box:
        """The same for every beam of the batch."""
        corners = zip(self.lower, self.upper, grid, strict=True)
        centre, spacing = zip(*((0.5 * (a + b), (b - a) / (n - 1)) for a, b, n in corners), strict=True)
        return Box(_constants(centre, gamma), _constants(spacing, gamma))

    def pullback(
        self, survey: Survey, tally: Survey, gamma: Array, grid: Shape, box_bar: Box
    ) -> tuple[Survey, Array] | None:
        """Return None: nothing moves it."""
        return None


EXTENTS: dict[str, type[Extent]] = {"beam": BeamExtent, "rms": RmsExtent}
"""Extents that can be called by name."""


def extent_named(extent: Any) -> Extent:
    """Return the extent of that name, or of ``{name: {fields}}``; an `Extent` is returned as it is.

    Raises
    ------
    InputError
        For anything else.
    """
    if isinstance(extent, Extent):
        return extent
    if isinstance(extent, Mapping) and len(extent) == 1:
        return _with_fields(*next(iter(extent.items())))
    if isinstance(extent, str) and extent in EXTENTS:
        return EXTENTS[extent]()
    raise InputError("space_charge.extent", extent, f"{', '.join(EXTENTS)}, or an Extent (FixedExtent, ...)")


def _with_fields(name: Any, values: Any) -> Extent:
    """The extent of that name with these fields."""
    kinds = {**EXTENTS, "fixed": FixedExtent}
    if name not in kinds:
        raise InputError(f"space_charge.extent.{name}", name, f"one of {', '.join(kinds)}")
    values = {} if values is None else values
    known = [f.name for f in fields(kinds[name])]
    if not isinstance(values, Mapping) or not set(values) <= set(known):
        raise InputError(f"space_charge.extent.{name}", values, f"a mapping with {', '.join(known) or 'nothing'}")
    missing = [f.name for f in fields(kinds[name]) if f.default is MISSING and f.name not in values]
    if missing:
        raise InputError(f"space_charge.extent.{name}", values, f"{' and '.join(missing)}, too")
    return kinds[name](**values)


def flatness(a: Array) -> float:
    """Part of the largest rest-frame width below which a width counts as none.

    The field in a flat plane is a difference of equal potentials: their rounding over this number is what
    remains of it beside the field in the other planes.
    """
    xp = namespace(a)
    return 1e-6 if a.dtype == xp.float64 else 3e-5


def widened(width: Array, gamma: Array) -> Array:
    """Widths ``(3, B)``, none below `flatness` of the largest in the rest frame."""
    xp = namespace(width)
    _, _, least = _least(width, gamma)
    return xp.where(width > least, width, least)


def widened_pullback(width: Array, gamma: Array, bar: Array) -> tuple[Array, Array]:
    """Cotangents of the widths ``(3, B)`` and of gamma ``(B,)`` for `widened`."""
    xp = namespace(width)
    stretch, largest, least = _least(width, gamma)
    zero = xp.zeros_like(bar)
    least_bar = xp.where(width > least, zero, bar)
    rest_bar = xp.sum(flatness(width) / stretch * least_bar, axis=0)
    at_largest = xp.astype((width * stretch == largest[None, :]), width.dtype)
    share = at_largest / xp.clip(xp.sum(at_largest, axis=0), 1.0, None)
    stretched_bar = share * rest_bar[None, :]
    gamma_bar = stretched_bar[2, ...] * width[2, ...] - least_bar[2, ...] * least[2, ...] / gamma
    return xp.where(width > least, bar, zero) + stretched_bar * stretch, gamma_bar


def _least(width: Array, gamma: Array) -> tuple[Array, Array, Array]:
    """Stretch to the rest frame ``(3, B)``, largest width there ``(B,)``, least width in the laboratory."""
    xp = namespace(width)
    one = xp.ones_like(gamma)
    stretch = xp.stack([one, one, gamma])
    largest = xp.max(width * stretch, axis=0)
    largest = xp.where(largest > 0.0, largest, one / flatness(width))
    return stretch, largest, flatness(width) * largest[None, :] / stretch


def _constants(numbers: tuple[float, ...], like: Array) -> Array:
    """Three numbers for each beam of a batch: ``(3, B)``."""
    one = namespace(like).ones_like(like)
    return namespace(like).stack([number * one for number in numbers])


def _ends(survey: Survey) -> Survey:
    """Least and greatest position, 0 where no particle is alive."""
    low, high = survey
    xp = namespace(low)
    nobody = low > high
    return xp.where(nobody, xp.zeros_like(low), low), xp.where(nobody, xp.zeros_like(high), high)


def _at(position: Array, alive: Array | None, end: Array) -> Array:
    """1 for particles alive that are at the end, 0 for others ``(B, n)``."""
    there = position == end
    return namespace(position).astype(there if alive is None else there & alive, position.dtype)


def _root(variance: Array) -> Array:
    """The root has no slope at 0: take it elsewhere."""
    xp = namespace(variance)
    some = variance > 0.0
    return xp.where(some, xp.sqrt(xp.where(some, variance, xp.ones_like(variance))), xp.zeros_like(variance))
