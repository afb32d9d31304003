"""What a monitor or a screen saw on the way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

from backbeam.arrays import Array, namespace
from backbeam.beam import Beam, BeamCotangent
from backbeam.errors import InputError
from backbeam.observables.base import Objective


@dataclass(frozen=True, eq=False)
class Reading(Objective):
    """Weighted sum over what a monitor or a screen in the line saw.

    Parameters
    ----------
    element:
        Name of the monitor (centroid x, y [m]) or the screen (charge of each pixel [C]).
    weights:
        Array of the reading's own shape, ``(2,)`` or ``(nx, ny)``, or what broadcasts to it.
    passage:
        Which of the readings, from 0, where the beam passes the element several times.
    """

    element: str
    weights: Any
    passage: int | None = None

    @property
    def name(self) -> str:
        """``reading:yag``."""
        return f"reading:{self._passed}"

    @property
    def _passed(self) -> str:
        return self.element if self.passage is None else f"{self.element}[{self.passage}]"

    def at_place(self, place: str | None) -> Self:
        """It is at its monitor, and nowhere else."""
        if place is not None:
            raise InputError(f"objective {self.name}: at", place, "left out: a reading is of its monitor or screen")
        return self

    def meant(self, beam: Beam) -> Self:
        """Itself, or the only reading of an element whose name ends in brackets."""
        bracketed = self.passage is not None and self.element not in beam.readings and self._passed in beam.readings
        return replace(self, element=self._passed, passage=None) if bracketed else self

    def _seen(self, beam: Beam) -> Array:
        """The one reading."""
        if self.element not in beam.readings:
            known = ", ".join(beam.readings) or "that there is; this line has none"
            raise InputError("objective", self.name, f"the reading of a monitor or screen: {known}")
        found = beam.readings[self.element]
        if not isinstance(found, list):
            found = [found]
        elif self.passage is None:
            allowed = f"{self.element}[0] ... {self.element}[{len(found) - 1}]: the beam passes {len(found)} times"
            raise InputError("objective", self.name, allowed)
        if not -len(found) <= (self.passage or 0) < len(found):
            raise InputError("objective", self.name, f"one of {len(found)} passages, counted from 0")
        return found[self.passage or 0]

    def _weights(self, beam: Beam, seen: Array) -> Array:
        """Weights of the shape of the reading ``(..., *own)``."""
        try:
            return namespace(seen).broadcast_to(beam.as_mine(self.weights, "weights"), seen.shape)
        except (ValueError, TypeError, RuntimeError):
            allowed = f"weights that broadcast to the reading's shape {tuple(seen.shape)}"
            raise InputError("objective", self.name, allowed) from None

    def __call__(self, beam: Beam) -> Array:
        """Sum of weights times reading."""
        mine = self.meant(beam)
        seen = mine._seen(beam)
        return namespace(seen).sum(mine._weights(beam, seen) * seen, axis=mine._own(beam, seen))

    @staticmethod
    def _own(beam: Beam, seen: Array) -> tuple[int, ...]:
        """Axes of the reading behind the batch."""
        return tuple(range(beam.coordinates.ndim - 2, seen.ndim))

    def pullback(self, beam: Beam, bar: Array) -> BeamCotangent:
        """Of the reading alone; what came out of the line has no part in it."""
        if (meant := self.meant(beam)) is not self:
            return meant.pullback(beam, bar)
        xp = namespace(beam.coordinates)
        mine: Any = self.of_reading(beam, self._seen(beam), bar)
        found = beam.readings[self.element]
        if isinstance(found, list):
            passed = (self.passage or 0) % len(found)
            mine = [mine if k == passed else xp.zeros_like(one) for k, one in enumerate(found)]
        nothing = (xp.zeros_like(beam.coordinates), xp.zeros_like(beam.charges), xp.zeros_like(bar))
        return BeamCotangent(*nothing, {self.element: mine})

    def of_reading(self, beam: Beam, seen: Array, bar: Array) -> Array:
        """Cotangent of the reading."""
        spread = namespace(bar).reshape(bar, (*bar.shape, *[1] * len(self._own(beam, seen))))
        return spread * self._weights(beam, seen)


AXES = {"x": (1.0, 0.0), "y": (0.0, 1.0)}
"""Weights of a monitor's centroid that leave one of its two numbers."""


@dataclass(frozen=True, eq=False)
class MonitorReading(Reading):
    """Centroid x or y [m] that a monitor saw."""

    component: str = "x"

    @property
    def name(self) -> str:
        """``reading:bpm1.x``."""
        return f"reading:{self._passed}.{self.component}"

    def _seen(self, beam: Beam) -> Array:
        seen = super()._seen(beam)
        if seen.ndim != beam.coordinates.ndim - 1:
            raise InputError("objective", self.name, "x or y of a monitor; a screen has pixels instead")
        return seen


def reading(element: str, what: Any, passage: int | None = None) -> Objective:
    """What a monitor or screen in mid-line saw.

    Parameters
    ----------
    element:
        Its name.
    what:
        "x" or "y" of a monitor [m]; or weights, of the pixels of a screen or of both numbers of a monitor, for the
        sum of weights times reading.
    passage:
        Which of the readings, from 0, where the beam passes the element several times.
    """
    if not isinstance(what, str):
        return Reading(element, what, passage)
    if what not in AXES:
        raise InputError("reading", what, "x or y, or weights")
    return MonitorReading(element, AXES[what], passage, what)
