"""Kicks every so many metres along a line, wherever elements begin and end.

The elements in which an effect acts are laid end to end and cut into equal parts; a kick stands in the middle of each
and covers it. So a ring of short magnets needs no kick in each of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from backbeam import backends
from backbeam.errors import InputError

if TYPE_CHECKING:
    from typing import Any

    from backbeam.effects.base import Effect, Term
    from backbeam.elements.base import Element

Spaced = dict[int, list[tuple[Fraction, tuple["Term", ...]]]]
"""By place in the line: what part of the element lies before a kick, and the terms of the length that it covers."""


def spaced(effect: Effect, elements: Sequence[Element], names: Sequence[str]) -> Spaced:
    """Where the kicks of an effect with ``every`` stand.

    Raises
    ------
    InputError
        While a length is traced: their number has to be known.
    """
    acting = [k for k, (e, name) in enumerate(zip(elements, names, strict=True)) if effect.acts_along(e, name)]
    lengths = [_length(getattr(elements[k], "length", 0.0), names[k]) for k in acting]
    ends = [math.fsum(lengths[: j + 1]) for j in range(len(lengths))]
    every, total = effect.every, ends[-1] if ends else 0.0
    found: Spaced = {}
    if every is None or total == 0.0:
        return found
    count = max(1, math.ceil(total / every * (1.0 - 1e-12)))
    first = 0
    for kick in range(count):
        start, middle, stop = (total * (2 * kick + half) / (2 * count) for half in (0, 1, 2))
        terms = []
        while first + 1 < len(acting) and ends[first] <= start:
            first += 1
        j = first
        while j < len(acting) and ends[j] - lengths[j] < stop:
            begin = ends[j] - lengths[j]
            covered = min(stop, ends[j]) - max(start, begin)
            if covered > 0.0:
                terms.append((names[acting[j]], "length", covered / lengths[j]))
            if begin <= middle < ends[j] or (j + 1 == len(acting) and middle >= ends[j]):
                at = acting[j], Fraction(min((middle - begin) / lengths[j], 1.0))
            j += 1
        found.setdefault(at[0], []).append((at[1], tuple(terms)))
    return found


def _length(value: Any, name: str) -> float:
    if isinstance(value, int | float):
        return abs(float(value))
    backend = backends.of(value)
    if backend.traced([value]):
        raise InputError("every", f"a distance, while {name}.length is traced", "slices, whose number is fixed")
    return float(abs(backend.to_numpy(value)).max())
