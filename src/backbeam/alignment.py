"""Errors of alignment, drawn by passage: each use of a shared element stands wrong in its own way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np

from backbeam.elements.base import ERRORS
from backbeam.errors import InputError

if TYPE_CHECKING:
    from backbeam.elements.base import Element
    from backbeam.line import Line

Spread = float | Callable[[np.random.Generator], float]


def with_errors(line: Line, errors: Mapping[str, Mapping[str, Spread]], seed: int) -> Line:
    """Return the line with errors of alignment drawn for every passage of the elements that a pattern names.

    Parameters
    ----------
    line:
        The line as designed; errors that an element has already are added to.
    errors:
        Pattern of names (``*``, ``?``) -> error -> its rms [m, rad] of a normal distribution, or what draws it from a
        `numpy.random.Generator`. Where several patterns name an element, all of them add.
    seed:
        Seed of all numbers: the same one, the same machine.

    Raises
    ------
    InputError
        For what is no error of alignment, or a pattern that names no element.
    """
    for pattern, spreads in errors.items():
        for name in spreads:
            if name not in ERRORS:
                raise InputError(f"errors.{pattern}", name, f"one of {', '.join(ERRORS)}")
        if not any(fnmatchcase(name, pattern) for name in line.names):
            raise InputError("errors", pattern, f"a pattern of names of the line, such as {line.names[0]}")
    rng = np.random.default_rng(seed)
    uses, passage = Counter(line.sequence), Counter[str]()
    new: list[Element] = []
    for element, name in zip(line.elements, line.sequence, strict=True):
        passage[name] += 1
        drawn: dict[str, Any] = {}
        for pattern, spreads in errors.items():
            if fnmatchcase(name, pattern):
                for error, spread in spreads.items():
                    drawn[error] = drawn.get(error, 0.0) + _draw(spread, rng)
        if drawn:
            stands = {e: v if getattr(element, e) is None else getattr(element, e) + v for e, v in drawn.items()}
            element = element.replace(**stands, name=name if uses[name] == 1 else f"{name}@{passage[name]}")
        new.append(element)
    return type(line)(new, name=line.name, knobs=line.knobs)


def _draw(spread: Spread, rng: np.random.Generator) -> float:
    return float(spread(rng)) if callable(spread) else float(spread * rng.standard_normal())
