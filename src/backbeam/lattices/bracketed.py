"""The text of a beamline in brackets, ``(a, 2*(b, -c))``, as elegant and Bmad write it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from backbeam.lattices.choosing import check_size
from backbeam.lattices.description import LatticeError, Location

DEEPEST = 100
"""Brackets in each other."""
PARTS = 1_000_000
"""Parts of a line's text, its repetitions not counted."""

Leaf = Callable[[str, int, int], tuple[Any, int]]
"""(word, where the text goes on, how often it comes, negative: backwards) -> the part, and where the text goes on."""


def parts_of(
    text: str, place: Location, token: re.Pattern[str], leaf: Leaf, group: Callable[[int, list[Any]], Any], form: str
) -> list[Any]:
    """What stands between the brackets: parts in turn, as `leaf` and `group` make them; `form` is what is allowed."""
    stack: list[list[Any]] = []
    factors: list[int] = []
    times, sign, at, count = 1, 1, 0, 0
    text = text.strip()
    while at < len(text):
        found = token.match(text, at)
        if found is None:
            raise LatticeError(place, f"{text[at : at + 20]!r} does not belong in a line")
        at, word = found.end(), found[1]
        count += 1
        if count > PARTS:
            raise LatticeError(place, f"a line of more than {PARTS} parts")
        if word == "(":
            if len(stack) > DEEPEST:
                raise LatticeError(place, f"brackets in each other more than {DEEPEST} deep")
            stack.append([])
            factors.append(sign * times)
            times, sign = 1, 1
        elif not stack:
            raise LatticeError(place, f"a line is {form}")
        elif word == ")":
            inner, factor = stack.pop(), factors.pop()
            if not stack:
                if text[at:].strip(" ;\t"):
                    raise LatticeError(place, f"{text[at : at + 20].strip()!r} stands behind the line")
                return inner
            stack[-1].append(group(factor, inner))
        elif word == "-":
            sign = -sign
        elif word == ",":
            times, sign = 1, 1
        elif re.match(r"\d+$", word) and re.match(r"\s*\*", text[at:]):
            times = int(word)
            check_size(times, place)
            at += text[at:].index("*") + 1
        elif word == "*":
            raise LatticeError(place, "a number of repetitions before *")
        else:
            part, at = leaf(word, at, sign * times)
            stack[-1].append(part)
            times, sign = 1, 1
    raise LatticeError(place, "a line whose brackets do not close")
