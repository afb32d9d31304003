"""Difference quotients on a grid: the field from the potential, and the transpose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbeam.arrays import namespace

if TYPE_CHECKING:
    from backbeam.arrays import Array


def _part(axis: int, start: int | None, stop: int | None) -> tuple[object, ...]:
    """Index of a slice along an axis counted from the end (-1, -2, -3)."""
    return (..., slice(start, stop), *(slice(None),) * (-1 - axis))


def difference(f: Array, axis: int) -> Array:
    """Central difference along an axis (-3, -2 or -1) per spacing; one-sided at the first and last node."""
    at = lambda start, stop: f[_part(axis, start, stop)]  # noqa: E731
    inner = 0.5 * (at(2, None) - at(None, -2))
    return namespace(f).concat([at(1, 2) - at(0, 1), inner, at(-1, None) - at(-2, -1)], axis=axis)


def difference_transpose(g: Array, axis: int) -> Array:
    """Transpose of `difference`."""
    xp = namespace(g)
    at = lambda start, stop: g[_part(axis, start, stop)]  # noqa: E731
    g = xp.concat([at(0, 1), 0.5 * at(1, -1), at(-1, None)], axis=axis)
    inner = at(None, -2) - at(2, None)
    return xp.concat([-at(0, 1) - at(1, 2), inner, at(-2, -1) + at(-1, None)], axis=axis)
