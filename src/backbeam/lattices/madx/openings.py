"""Apertures of MAD-X: ``apertype`` and the numbers of ``aperture``, as openings of the pipe."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from backbeam.elements.openings import Ellipse, Opening, Polygon, Racetrack, Rectangle, RectEllipse
from backbeam.errors import InputError


def _octagon(half_x: float, half_y: float, first: float, second: float) -> Opening:
    """A rectangle whose corners are cut where rays at two angles meet its sides."""
    y, x = half_x * math.tan(first), half_y / math.tan(second)
    if not (0.0 < y <= half_y and 0.0 < x <= half_x):
        raise InputError("aperture", [half_x, half_y, first, second], "an octagon that is convex")
    corner = [(half_x, y), (x, half_y)]
    turns = [*corner, *[(-a, b) for a, b in reversed(corner)]]
    return Polygon((*turns, *[(-a, -b) for a, b in turns]))


_SHAPES: dict[str, tuple[int, Callable[..., Opening]]] = {
    "circle": (1, lambda radius: Ellipse(radius)),
    "ellipse": (2, Ellipse),
    "rectangle": (2, Rectangle),
    "rectellipse": (4, RectEllipse),
    "lhcscreen": (4, RectEllipse),
    "racetrack": (4, Racetrack),
    "octagon": (4, _octagon),
}
"""Number of parameters of each ``apertype``, and what they make."""


def opening(kind: str, numbers: Sequence[float]) -> Opening | None:
    """The opening of an element; None where its numbers are 0.

    Raises
    ------
    InputError
        For a kind that there is not, or numbers that make none.
    """
    if not any(numbers):
        return None
    if kind not in _SHAPES:
        raise InputError("apertype", kind, f"one of {', '.join(_SHAPES)}")
    count, shape = _SHAPES[kind]
    if kind == "ellipse" and len(numbers) == 1:
        return Ellipse(numbers[0])
    if len(numbers) < count:
        raise InputError("aperture", list(numbers), f"{count} numbers for a {kind}")
    return shape(*numbers[:count])
