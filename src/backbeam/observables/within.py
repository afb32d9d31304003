"""Charge within an opening whose edge is smooth: what an aperture lets pass, with a slope."""

from __future__ import annotations

from dataclasses import dataclass

from backbeam.arrays import Array, join, namespace, over_particles, per_particle
from backbeam.beam import Beam, BeamCotangent
from backbeam.distributions.inputs import sign_of
from backbeam.errors import InputError
from backbeam.observables.base import Objective
from backbeam.scalars import plain

SHAPES = ("rectangular", "elliptical")


@dataclass(frozen=True)
class ChargeWithin(Objective):
    """Magnitude of the charge [C] within a rectangle or an ellipse, of which a particle counts by a sigmoid.

    With f(u) = 1/(1 + exp(-u)) a particle counts f((a - x)/w) f((a + x)/w) f((b - y)/w) f((b + y)/w), or in an ellipse
    f((1 - x^2/a^2 - y^2/b^2) min(a, b)/(2 w)), whose edge is as wide on the shorter axis.
    """

    half_x: float
    half_y: float
    width: float
    shape: str

    @property
    def name(self) -> str:
        """``charge_within(0.002, 0.001, width=0.0001, shape=rectangular)``."""
        return f"charge_within({self.half_x:g}, {self.half_y:g}, width={self.width:g}, shape={self.shape})"

    def _weights(self, x: Array, y: Array) -> tuple[Array, Array, Array]:
        """What a particle counts for, and the slopes in x and y."""
        if self.shape == "elliptical":
            scale = 0.5 * min(self.half_x, self.half_y) / self.width
            u, v = x / self.half_x, y / self.half_y
            f, slope = _sigmoid(scale * (1.0 - u * u - v * v))
            return f, slope * (-2.0 * scale / self.half_x) * u, slope * (-2.0 * scale / self.half_y) * v
        (f, fx), (g, gy) = self._slit(x, self.half_x), self._slit(y, self.half_y)
        return f * g, fx * g, f * gy

    def _slit(self, x: Array, half: float) -> tuple[Array, Array]:
        """Between two edges, and the slope."""
        (right, of_right), (left, of_left) = _sigmoid((half - x) / self.width), _sigmoid((half + x) / self.width)
        return right * left, (right * of_left - of_right * left) / self.width

    def _rows(self, beam: Beam) -> tuple[Array, Array]:
        xp = namespace(beam.coordinates)
        nothing = xp.zeros_like(beam.x)
        return xp.where(beam.alive, beam.x, nothing), xp.where(beam.alive, beam.y, nothing)

    def __call__(self, beam: Beam) -> Array:
        """Sum of the charges, of positive sign."""
        weight, _, _ = self._weights(*self._rows(beam))
        alive = namespace(weight).astype(beam.alive, weight.dtype)
        return sign_of(beam.species) * over_particles(alive * beam.charges * weight)

    def pullback(self, beam: Beam, bar: Array) -> BeamCotangent:
        """By the slopes of the weights, and the weights."""
        weight, of_x, of_y = self._weights(*self._rows(beam))
        xp = namespace(weight)
        seen = sign_of(beam.species) * per_particle(bar) * xp.astype(beam.alive, weight.dtype)
        x_bar, y_bar = (seen * beam.charges * slope for slope in (of_x, of_y))
        zero = xp.zeros_like(x_bar)
        return BeamCotangent(join(x_bar, zero, y_bar, zero, zero, zero), seen * weight, xp.zeros_like(bar))


def _sigmoid(u: Array) -> tuple[Array, Array]:
    """1/(1 + exp(-u)) and its slope; nothing overflows."""
    t = namespace(u).tanh(0.5 * u)
    return 0.5 * (1.0 + t), 0.25 * (1.0 - t) * (1.0 + t)


def charge_within(
    half_x: float, half_y: float, *, width: float, shape: str = "rectangular", at: str | None = None
) -> Objective:
    """Magnitude of the charge within an opening with a smooth edge [C]: see `ChargeWithin`.

    Parameters
    ----------
    half_x, half_y:
        Half widths of the opening about the axis [m].
    width:
        Of the edge [m]: half of the particles at the edge count, 73 % of those one width within, 27 % one width beyond.
    shape:
        "rectangular" or "elliptical".
    at:
        Element behind which it is meant; an aperture in the line loses what it loses besides.
    """
    numbers = {"half_x": plain(half_x), "half_y": plain(half_y), "width": plain(width)}
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 < value < float("inf"):
            raise InputError(f"charge_within.{name}", value, "a length in m, greater than 0")
    if shape not in SHAPES:
        raise InputError("charge_within.shape", shape, " or ".join(SHAPES))
    return ChargeWithin(float(half_x), float(half_y), float(width), shape).at(at)
