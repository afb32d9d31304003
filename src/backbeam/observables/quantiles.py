"""Quantiles of a coordinate, made smooth: a mean over a narrow band of the charge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from backbeam import backends, moments
from backbeam.arrays import COORDINATES, Array, namespace, over_particles, per_particle
from backbeam.beam import Beam, BeamCotangent
from backbeam.errors import InputError
from backbeam.observables.base import Objective
from backbeam.observables.coordinates import OfCoordinate
from backbeam.scalars import plain

WIDTH = 0.02
"""Half of the band, as a part of the charge, unless told otherwise."""


class Ranked(NamedTuple):
    """A beam in the order of a coordinate, each array ``(..., n)``."""

    order: Array
    x: Array
    weight: Array
    """What each counts for in the beam's own order; they add to 1."""
    behind: Array
    """Part of the charge up to each, its own too, in the order of x."""


@dataclass(frozen=True)
class Quantile(OfCoordinate):
    """Where so much of the charge lies below: the mean of the particles in a band of the charge about that level.

    In the order of the coordinate, particle i covers the part from W_{i-1} to W_i of the charge, and counts for what a
    smooth bump of the half width s about the level has there,

        q = sum x_i (B(W_i) - B(W_{i-1})),    B' = 15/16 (1 - v^2)^2/s,    v = (W - level)/s in [-1, 1].

    It is continuous where particles change places, and its slope jumps there by what the bump changes over a particle:
    about 1/(n s) of itself. Where charges differ they count, and have a slope too.
    """

    level: float
    width: float

    @property
    def name(self) -> str:
        """``quantile(x, 0.95, width=0.02)``."""
        return f"quantile({self.coordinate}, {self.level:g}, width={self.width:g})"

    def _ranked(self, beam: Beam) -> Ranked:
        xp, alive = namespace(beam.coordinates), beam.alive
        x = self._row(beam)[..., 0, :]
        x = xp.where(alive, x, xp.zeros_like(x))
        one = xp.astype(alive, x.dtype)
        charge, count = (per_particle(over_particles(each)) for each in (one * beam.charges, one))
        share = moments.safe_divide(one * beam.charges, charge), moments.safe_divide(one, count)
        weight = xp.where(charge != 0.0, *share)
        order = xp.argsort(x, axis=-1)
        wide = backends.of(x).wide(x)
        behind = xp.cumulative_sum(xp.astype(xp.take_along_axis(weight, order, axis=-1), wide), axis=-1)
        return Ranked(order, xp.take_along_axis(x, order, axis=-1), weight, behind)

    def _in_band(self, behind: Array) -> Array:
        xp = namespace(behind)
        v = (behind - self.level) / self.width
        one = xp.ones_like(v)
        return xp.maximum(xp.minimum(v, one), -one)

    def _shares(self, ranked: Ranked) -> Array:
        """What each particle counts for, in the order of x."""
        xp, v = namespace(ranked.x), self._in_band(ranked.behind)
        v2 = v * v
        upto = 0.5 + v * (15.0 - v2 * (10.0 - 3.0 * v2)) / 16.0
        before = xp.concat([xp.zeros_like(upto[..., :1]), upto[..., :-1]], axis=-1)
        return xp.astype(upto - before, ranked.x.dtype)

    def __call__(self, beam: Beam) -> Array:
        """Value [m or 1]."""
        ranked = self._ranked(beam)
        return over_particles(self._shares(ranked) * ranked.x)

    def pullback(self, beam: Beam, bar: Array) -> BeamCotangent:
        """To each particle in the band its share, and to the charges what they move the others in it."""
        ranked = self._ranked(beam)
        xp, x = namespace(ranked.x), ranked.x
        bar = per_particle(bar)
        v = self._in_band(ranked.behind)
        bump = (15.0 / 16.0 / self.width) * (1.0 - v * v) ** 2
        steps = xp.concat([x[..., :-1] - x[..., 1:], xp.zeros_like(x[..., :1])], axis=-1)
        of_charge = xp.flip(xp.cumulative_sum(xp.flip(bump * steps, axis=-1), axis=-1), axis=-1)
        back = xp.argsort(ranked.order, axis=-1)
        x_bar = bar * xp.take_along_axis(self._shares(ranked), back, axis=-1)
        weight_bar = bar * xp.astype(xp.take_along_axis(of_charge, back, axis=-1), x.dtype)
        one = xp.astype(beam.alive, x.dtype)
        slope = moments.safe_divide(one, per_particle(over_particles(one * beam.charges)))
        mean_bar = per_particle(over_particles(ranked.weight * weight_bar))
        return self._cotangent(beam, x_bar[..., None, :], slope * (weight_bar - mean_bar))


def quantile(coordinate: str, level: float, *, width: float | None = None, at: str | None = None) -> Objective:
    """Where a part ``level`` of the charge lies below, of x, px, y, py, tau or pt [m or 1]; smooth, see `Quantile`.

    Parameters
    ----------
    coordinate:
        Its name.
    level:
        Greater than 0 and less than 1: 0.5 is the median.
    width:
        Half width, as a part of the charge, of the band over which it is a mean: at most what lies between the level
        and 0 or 1. None: 0.02, or half of that.
    at:
        Element behind which it is meant.
    """
    if coordinate not in COORDINATES:
        raise InputError("coordinate", coordinate, f"one of {', '.join(COORDINATES)}")
    level = plain(level)
    if isinstance(level, bool) or not isinstance(level, int | float) or not 0.0 < level < 1.0:
        raise InputError("quantile.level", level, "a part of the charge, greater than 0 and less than 1")
    most = min(level, 1.0 - level)
    half = min(WIDTH, 0.5 * most) if width is None else plain(width)
    if isinstance(half, bool) or not isinstance(half, int | float) or not 0.0 < half <= most:
        raise InputError("quantile.width", width, f"a part of the charge, greater than 0 and at most {most:g}")
    return Quantile(coordinate, float(level), float(half)).at(at)
