"""Where the elements of a sequence stand, and what a line is in full.

Positions and lengths are numbers or formulas: a knob that makes a magnet longer makes its neighbours' drifts shorter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from backbeam.formulas import Formula, operation
from backbeam.lattices.description import LatticeError, Location
from backbeam.lattices.madx.text import closing, pieces

if TYPE_CHECKING:
    from backbeam.lattices.madx.program import Program

LARGEST = 300_000
"""A line of more elements is refused."""
NEAR = 1e-6
"""Gaps and overlaps below this [m] are none, as in MAD-X."""
_SHARE = {"entry": 0.0, "centre": 0.5, "center": 0.5, "exit": 1.0}
_REPEATED = re.compile(r"\s*([+-]?)\s*(?:(\d+)\s*\*\s*)?([+-]?)\s*(.*?)\s*", re.S)
_CALLED = re.compile(r"([a-z_][\w.$#%]*)\s*\((.*)\)", re.I | re.S)


@dataclass(eq=False)
class Definition:
    """An element, or a class of elements: a word of MAD-X and attributes."""

    name: str
    base: str
    attributes: dict[str, Any]
    place: Location
    classes: tuple[str, ...] = ()
    """What it was made like, the nearest first."""


@dataclass(eq=False)
class Entry:
    """Something that is placed in a sequence."""

    name: str
    at: Any
    origin: str | None
    """What ``at`` counts from; None: the start."""
    place: Location
    centred: bool = False
    """Whether ``at`` is the centre, whatever the sequence refers to."""


@dataclass(eq=False)
class Sequence:
    """A sequence as it was defined, or edited."""

    name: str
    attributes: dict[str, Any]
    place: Location
    entries: list[Entry] = field(default_factory=list)
    edited: bool = False
    """Whether its entries are to be put in order: MAD-X takes those of a sequence that was not edited as they come."""


@dataclass(eq=False)
class Group:
    """A line: its formal arguments and its text."""

    formals: list[str]
    text: str
    place: Location


class Placed(NamedTuple):
    """An element, where it begins and how long it is [m]."""

    name: str
    start: Any
    length: Any
    place: Location


def length_of(program: Program, name: str) -> Any:
    """Length of an element along the reference, or of a sequence."""
    if name in program.sequences:
        sequence = program.sequences[name]
        if "l" not in sequence.attributes:
            raise LatticeError(sequence.place, f"the sequence {name} has no length l")
        return sequence.attributes["l"]
    definition = program.elements[name]
    return arc(program, definition) if definition.base == "rbend" else definition.attributes.get("l", 0.0)


def arc(program: Program, definition: Definition) -> Any:
    """Length of a rectangular bend along its arc: L/sinc(angle/2), where L is the chord."""
    length, angle = definition.attributes.get("l", 0.0), definition.attributes.get("angle", 0.0)
    if not program.arc or (not isinstance(angle, Formula) and angle == 0.0):
        return length
    return length / operation("sinc", 0.5 * angle)


class Layout:
    """The entries of a sequence at their places."""

    def __init__(self, program: Program, sequence: Sequence, above: tuple[str, ...] = ()) -> None:
        if sequence.name in above or len(above) > 30:
            raise LatticeError(sequence.place, f"the sequence {sequence.name} holds itself, or too many others")
        self.program, self.sequence = program, sequence
        self.above = (*above, sequence.name)
        refer = sequence.attributes.get("refer", "centre")
        if refer not in _SHARE:
            raise LatticeError(sequence.place, f"refer={refer}: it is entry, centre or exit")
        self.share = _SHARE[refer]
        self._references: dict[str, Any] = {}
        self._busy: list[str] = []

    @cached_property
    def _first(self) -> dict[str, Entry]:
        """The first entry of each name."""
        found: dict[str, Entry] = {}
        for entry in self.sequence.entries:
            found.setdefault(entry.name, entry)
        return found

    @cached_property
    def _inner(self) -> dict[str, Layout]:
        """Layouts of the sequences that are placed in this one."""
        sequences = self.program.sequences
        return {n: Layout(self.program, sequences[n], self.above) for n in self._first if n in sequences}

    def reference(self, name: str) -> Any:
        """What ``from=name`` counts from: the centre of an element, the reference point of a sequence."""
        if name in self._references:
            return self._references[name]
        if name in self._busy or len(self._busy) > 100:
            raise LatticeError(self.sequence.place, f"from={name} leads back to itself")
        self._busy.append(name)
        if name in self._first:
            entry = self._first[name]
            inner = self._inner.get(name)
            if inner is not None and "refpos" in inner.sequence.attributes:
                found = self._at(entry)
            else:
                found = self.start(entry) + 0.5 * length_of(self.program, name)
        else:
            within = next((n for n, inner in self._inner.items() if inner.holds(name)), None)
            if within is None:
                raise LatticeError(self.sequence.place, f"from={name}: {name} is not in {self.sequence.name}")
            found = self.start(self._first[within]) + self._inner[within].reference(name)
        self._busy.pop()
        self._references[name] = found
        return found

    def holds(self, name: str) -> bool:
        """Whether an element of that name is in it, at whatever depth."""
        return name in self._first or any(inner.holds(name) for inner in self._inner.values())

    def _at(self, entry: Entry) -> Any:
        return entry.at if entry.origin is None else entry.at + self.reference(entry.origin)

    def start(self, entry: Entry) -> Any:
        """Where an entry begins."""
        at, inner = self._at(entry), self._inner.get(entry.name)
        if inner is not None and "refpos" in inner.sequence.attributes:
            return at - inner.reference(inner.sequence.attributes["refpos"])
        share = 0.5 if entry.centred else self.share
        return at - share * length_of(self.program, entry.name) if share else at

    def placed(self) -> list[Placed]:
        """Every element, those of inner sequences among them, in order."""
        found: list[Placed] = []
        known: dict[str, list[Placed]] = {}
        for entry in self.sequence.entries:
            start = self.start(entry)
            if entry.name in self._inner:
                if entry.name not in known:
                    known[entry.name] = self._inner[entry.name].placed()
                found += [p._replace(start=start + p.start) for p in known[entry.name]]
            else:
                found.append(Placed(entry.name, start, length_of(self.program, entry.name), entry.place))
            if len(found) > LARGEST:
                raise LatticeError(entry.place, f"a sequence of more than {LARGEST} elements")
        if self.sequence.edited:
            value = self.program.value
            found.sort(key=lambda p: round(value(p.start) + 0.5 * value(p.length), 9))
        return found


# -- lines ------------------------------------------------------------------------------------------------------------


class Expansion:
    """Names of the elements and sequences of a line, in full."""

    def __init__(self, program: Program) -> None:
        self.program, self.steps = program, 0

    def of(self, name: str, depth: int = 0) -> list[str]:
        """Names that a name stands for."""
        if name in self.program.lines:
            group = self.program.lines[name]
            return self.items(group.text, {}, group.place, depth + 1)
        return [name]

    def items(self, text: str, meaning: dict[str, str], place: Location, depth: int) -> list[str]:
        """Names of a group in brackets; ``meaning`` says what formal arguments stand for."""
        text = text.strip()
        if depth > 50:
            raise LatticeError(place, "lines are nested more than 50 deep")
        if not text.startswith("(") or closing(text, 0, len(text), "()") != len(text) - 1:
            raise LatticeError(place, f"a line is (a, b, ...), not {text[:60]!r}")
        found: list[str] = []
        for piece in pieces(text[1:-1]):
            if not piece.strip():
                continue
            self.steps += 1
            match = _REPEATED.fullmatch(piece)
            count = int(match[2] or 1) if match and len(match[2] or "") < 8 else LARGEST + 1
            one = self._item(match[4] if match else "", meaning, place, depth)
            backwards = match is not None and (match[1] == "-") != (match[3] == "-")
            if len(one) * count + len(found) > LARGEST or self.steps > LARGEST:
                raise LatticeError(place, f"a line of more than {LARGEST} elements")
            found += (one[::-1] if backwards else one) * count
        return found

    def _item(self, text: str, meaning: dict[str, str], place: Location, depth: int) -> list[str]:
        if text.startswith("("):
            return self.items(text, meaning, place, depth + 1)
        name = text.strip("\"'").lower()
        if name in meaning:
            return self._item(meaning[name], {}, place, depth + 1)
        if called := _CALLED.fullmatch(text):
            name = called[1].lower()
            group = self.program.lines.get(name)
            actual = [meaning.get(p.strip().lower(), p.strip()) for p in pieces(called[2])]
            if group is None or len(actual) != len(group.formals):
                raise LatticeError(place, f"{text[:60]}: there is no line {name} with so many arguments")
            return self.items(group.text, dict(zip(group.formals, actual, strict=True)), group.place, depth + 1)
        program = self.program
        if name not in program.lines and name not in program.elements and name not in program.sequences:
            raise LatticeError(place, f"{name[:60]!r} is neither an element nor a line")
        return self.of(name, depth)
