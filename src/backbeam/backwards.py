"""The way back: a line that undoes another one, met from its other end.

Lengths are negative in it, and so are the angles of bends and all strengths that are integrated over a length; the
faces of a bend change places and signs. Space charge in it, at the same places, undoes its kicks too.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from backbeam.errors import InputError

if TYPE_CHECKING:
    from backbeam.elements.base import Element
    from backbeam.line import Line

ODD = re.compile(r"length|angle|lrad|k\d+s?l|hkick|vkick")
"""Parameters that change sign."""

PIVOTS = {"entrance": "exit", "middle": "middle", "exit": "entrance"}


def turned(element: Element) -> Element:
    """The element with its lengths, angles and integrated strengths negative: all that most elements need."""
    if "frequency" in element.parameter_names():
        raise InputError(
            element.name or element.kind, element.kind, "an element without RF: its way back has no element"
        )
    changes = {name: -value for name, value in element.parameters().items() if ODD.fullmatch(name)}
    return element.replace(**changes, pivot=PIVOTS[element.pivot])


def backwards(line: Line) -> Line:
    """Return the line that undoes this one; what is shared stays shared, under its own name.

    Raises
    ------
    InputError
        For an element that no element undoes: a cavity, a patch that turns about more than one axis.
    """
    new: dict[int, Element | Line] = {}

    def rebuild(item: Element | Line) -> Element | Line:
        if id(item) not in new:
            new[id(item)] = backwards_of(item) if isinstance(item, type(line)) else item.backwards()
        return new[id(item)]

    def backwards_of(part: Line) -> Line:
        return type(line)([rebuild(item) for item in reversed(part.items)], name=part.name, knobs=part.knobs)

    return backwards_of(line)
