"""Objectives of the beam on its way: behind an element, at each of its passages, at the start.

A step of the plan reads a leaf there, as it reads monitors; its value is among the readings of the beam that comes out,
and its cotangent enters the beam there on the way back. So a place costs no memory.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from backbeam.arrays import Array, namespace
from backbeam.beam import Beam, BeamCotangent
from backbeam.errors import InputError
from backbeam.observables.base import Objective

if TYPE_CHECKING:
    from collections.abc import Sequence

START, END = "start", "end"
"""The ends of a line, as places; an element that is called so is ``end[0]``."""
_PLAIN = re.compile(r"[^\s\"()*/^@,+]+")


@dataclass(frozen=True)
class Placed(Objective):
    """A leaf at a place of the line."""

    objective: Objective
    place: str

    @property
    def name(self) -> str:
        """``sigma_x @ m1``."""
        return f"{self.objective.name} @ {quoted(self.place)}"

    def __call__(self, beam: Beam) -> Array:
        """It has no value in a beam: those who track it read it on the way."""
        raise InputError("objective", self.name, "asked of a line: value_and_grad(objective, line, beam, ...)")

    pullback = __call__  # type: ignore[assignment]


@dataclass(frozen=True)
class Read(Objective):
    """A leaf whose value stands among the readings of the beam that came out."""

    leaf: Objective
    label: str
    turn: int
    """Which of the readings, where there is one a turn."""

    @property
    def name(self) -> str:
        """That of the leaf."""
        return self.leaf.name

    def __call__(self, beam: Beam) -> Array:
        """Value that was read."""
        found = beam.readings[self.label]
        return found[self.turn] if isinstance(found, list) else found

    def pullback(self, beam: Beam, bar: Array) -> BeamCotangent:
        """What comes out of the line has no part in it, but for the reading."""
        xp, found = namespace(beam.coordinates), beam.readings[self.label]
        mine: Any = bar
        if isinstance(found, list):
            mine = [bar if k == self.turn else xp.zeros_like(bar) for k in range(len(found))]
        nothing = xp.zeros_like(beam.coordinates), xp.zeros_like(beam.charges), xp.zeros_like(bar)
        return BeamCotangent(*nothing, {self.label: mine})


def placed(leaf: Objective, place: str | None) -> Objective:
    """A leaf at a place; None and "end" are the end, where it stands by itself."""
    if place is not None and (not isinstance(place, str) or not place):
        raise InputError("objective: at", place, "the name of an element, start, end, or None for the end")
    if isinstance(leaf, Placed):
        leaf = leaf.objective
    found = leaf.at_place(place) if hasattr(leaf, "at_place") else None
    if found is not None:
        return found
    return leaf if place is None or place == END else Placed(leaf, place)


def quoted(place: str) -> str:
    """A place as a text has it: in quotes where its name has signs of the text's own."""
    return place if _PLAIN.fullmatch(place) else f'"{place}"'


def passage_of(place: str, sequence: Sequence[str], turns: int = 1) -> tuple[int, int]:
    """How many elements of a line are behind a place, and in which turn, from 0.

    Raises
    ------
    InputError
        For an element that is not there, or is passed several times.
    """
    if place in (START, END):
        return (0, 0) if place == START else (len(sequence), turns - 1)
    name, number = place, None
    if place not in sequence and place.endswith("]"):
        head, _, inside = place.removesuffix("]").rpartition("[")
        if inside.isdigit() and head in sequence:
            name, number = head, int(inside)
    passed = [k + 1 for k, element in enumerate(sequence) if element == name]
    if not passed:
        close = get_close_matches(place, dict.fromkeys(sequence), 3)
        raise InputError("objective: at", place, " or ".join(close) or "an element of the line, start or end")
    count = turns * len(passed)
    if number is None and count > 1:
        raise InputError("objective: at", place, f"{name}[0] ... {name}[{count - 1}]: the beam passes {count} times")
    if number is not None and number >= count:
        raise InputError("objective: at", place, f"one of {count} passages, counted from 0")
    turn, which = divmod(number or 0, len(passed))
    return passed[which], turn
