"""Openings: the cross-sections that particles pass through, of an aperture or of the pipe in any element.

An opening says who is inside, in the element's own frame. It is static: no gradient is asked of its sizes, which are
plain numbers in m. A particle on the border passes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from backbeam.arrays import namespace
from backbeam.errors import InputError

if TYPE_CHECKING:
    from backbeam.arrays import Array


class Opening:
    """Base of every opening."""

    def passes(self, x: Array, y: Array) -> Array:
        """Boolean row ``(..., n)`` of positions [m]."""
        raise NotImplementedError


def _check(owner: Any, *names: str) -> None:
    """Each field is a size."""
    for name in names:
        value = getattr(owner, name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            raise InputError(f"{type(owner).__name__.lower()}.{name}", value, "a number in m, greater than 0")


@dataclass(frozen=True)
class Rectangle(Opening):
    """Half width and half height [m]."""

    half_x: float
    half_y: float

    def __post_init__(self) -> None:
        _check(self, "half_x", "half_y")

    def passes(self, x: Array, y: Array) -> Array:
        """Inside both pairs of jaws."""
        return (abs(x) <= self.half_x) & (abs(y) <= self.half_y)


@dataclass(frozen=True)
class Ellipse(Opening):
    """Half-axes [m]; a circle if the second is left out."""

    half_x: float
    half_y: float | None = None

    def __post_init__(self) -> None:
        if self.half_y is None:
            object.__setattr__(self, "half_y", self.half_x)
        _check(self, "half_x", "half_y")

    def passes(self, x: Array, y: Array) -> Array:
        """Inside the ellipse."""
        u, v = x / self.half_x, y / self.half_y
        return u * u + v * v <= 1.0


@dataclass(frozen=True)
class RectEllipse(Opening):
    """What a rectangle and an ellipse have in common: a beam screen [m]."""

    half_x: float
    half_y: float
    ellipse_x: float
    ellipse_y: float

    def __post_init__(self) -> None:
        _check(self, "half_x", "half_y", "ellipse_x", "ellipse_y")

    def passes(self, x: Array, y: Array) -> Array:
        """Inside both."""
        round_part = Ellipse(self.ellipse_x, self.ellipse_y).passes(x, y)
        return Rectangle(self.half_x, self.half_y).passes(x, y) & round_part


@dataclass(frozen=True)
class Racetrack(Opening):
    """Rectangle with elliptical corners: half width and height, and the corners' half-axes [m]."""

    half_x: float
    half_y: float
    radius_x: float
    radius_y: float | None = None

    def __post_init__(self) -> None:
        if self.radius_y is None:
            object.__setattr__(self, "radius_y", self.radius_x)
        _check(self, "half_x", "half_y", "radius_x", "radius_y")
        for radius, half in (("radius_x", self.half_x), ("radius_y", self.half_y)):
            if getattr(self, radius) > half:
                raise InputError(
                    f"racetrack.{radius}", getattr(self, radius), f"at most half of the opening, {half:g} m"
                )

    def passes(self, x: Array, y: Array) -> Array:
        """Inside the rectangle, and inside the ellipse of a corner where there is one."""
        xp = namespace(x)
        zero = xp.zeros_like(x)
        radius_y = self.radius_x if self.radius_y is None else self.radius_y
        u = xp.maximum(abs(x) - (self.half_x - self.radius_x), zero) / self.radius_x
        v = xp.maximum(abs(y) - (self.half_y - radius_y), zero) / radius_y
        return u * u + v * v <= 1.0


@dataclass(frozen=True)
class Polygon(Opening):
    """Closed polygon, convex or not: its corners (x, y) in order [m], the last joined to the first."""

    corners: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        try:
            corners = tuple((float(x), float(y)) for x, y in self.corners)
        except (TypeError, ValueError):
            corners = ()
        if len(set(corners)) < 3 or not all(math.isfinite(c) for corner in corners for c in corner):
            raise InputError("polygon.corners", self.corners, "three corners (x, y) in m or more")
        object.__setattr__(self, "corners", corners)

    def passes(self, x: Array, y: Array) -> Array:
        """Whether a ray towards +x crosses the border an odd number of times."""
        inside = x != x
        for (x1, y1), (x2, y2) in zip(self.corners, (*self.corners[1:], self.corners[0]), strict=True):
            if y1 != y2:  # a ray along an edge does not cross it
                crosses = ((y1 > y) != (y2 > y)) & (x <= x1 + (x2 - x1) / (y2 - y1) * (y - y1))
                inside = inside != crosses
        return inside


@dataclass(frozen=True)
class Repeating(Opening):
    """The same opening again and again, as of a pepper pot or a multislit, in distances of centres [m]; None: once."""

    opening: Opening
    pitch_x: float | None = None
    pitch_y: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "opening", opening_of(self.opening, "repeating.opening"))
        _check(self, *(name for name in ("pitch_x", "pitch_y") if getattr(self, name) is not None))

    def passes(self, x: Array, y: Array) -> Array:
        """Inside the nearest of them."""
        return self.opening.passes(*(_folded(row, pitch) for row, pitch in ((x, self.pitch_x), (y, self.pitch_y))))


def _folded(row: Array, pitch: float | None) -> Array:
    """Distance from the nearest centre."""
    return row if pitch is None else row - pitch * namespace(row).round(row / pitch)


@dataclass(frozen=True)
class Outside(Opening):
    """All but an opening: what an absorber, such as a wire, lets through."""

    opening: Opening

    def __post_init__(self) -> None:
        object.__setattr__(self, "opening", opening_of(self.opening, "outside.opening"))

    def passes(self, x: Array, y: Array) -> Array:
        """Not inside."""
        return ~self.opening.passes(x, y)


OPENINGS: dict[str, type[Any]] = {
    "rectangle": Rectangle, "ellipse": Ellipse, "rectellipse": RectEllipse, "racetrack": Racetrack,
    "polygon": Polygon, "repeating": Repeating, "outside": Outside,
}  # fmt: skip
"""Every opening by the name that problem files call it."""


def opening_of(given: Any, field: str) -> Opening:
    """Return the opening that is meant: one, a radius [m], or ``{kind: {its fields}}``.

    Raises
    ------
    InputError
        For anything else.
    """
    if isinstance(given, Opening):
        return given
    if isinstance(given, int | float) and not isinstance(given, bool):
        if not 0 < given < math.inf:
            raise InputError(field, given, "a radius in m, greater than 0, or an opening")
        return Ellipse(float(given))
    if not isinstance(given, Mapping) or len(given) != 1 or next(iter(given)) not in OPENINGS:
        raise InputError(field, given, f"a radius in m, or one of {', '.join(OPENINGS)} with its sizes")
    ((kind, values),) = given.items()
    cls = OPENINGS[kind]
    names = [f.name for f in fields(cls)]
    if not isinstance(values, Mapping) or not set(values) <= set(names):
        raise InputError(f"{field}.{kind}", values, f"a mapping with {', '.join(names)}")
    try:
        return cls(**values)
    except TypeError:
        raise InputError(f"{field}.{kind}", values, f"a mapping with {', '.join(names)}") from None
    except InputError as error:
        raise InputError(f"{field}.{error.field}", error.value, error.allowed) from None
