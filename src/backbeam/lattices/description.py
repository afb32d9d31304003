"""What a reader returns: the elements of a line, flat, in words that all readers share, and where each of them stood.

A reader knows its format and nothing of our elements; `backbeam.lattices.mapping` knows our elements and nothing of any
format. Between them is a `Description`: kinds and attributes as listed in `mapping`, in SI units and our signs, as
numbers or as formulas of variables.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backbeam.errors import BackbeamError, InputError
from backbeam.line import Line
from backbeam.reference import Reference
from backbeam.species import KNOWN, Species


@dataclass(frozen=True)
class Location:
    """Where something stands: a file's name as the user knows it, and a line, counted from 1; 0 is unknown."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class LatticeError(BackbeamError, ValueError):
    """A lattice file that cannot be read, or not without changing the optics: one line with its place."""

    def __init__(self, place: Location | str, problem: str) -> None:
        self.place, self.problem = place, " ".join(str(problem).split())
        super().__init__(place, problem)

    def __str__(self) -> str:
        problem = self.problem if len(self.problem) <= 400 else self.problem[:397] + "..."
        return f"{self.place}: {problem}"


@dataclass(eq=False)
class Item:
    """One passage of an element.

    Parameters
    ----------
    name:
        Its name in the file; None for a drift that the reader filled in. Items of one name are one element, and an item
        that is the same object again is the same element, with or without name.
    kind:
        A kind of `mapping.KINDS`.
    attributes:
        Numbers, formulas, and lists of them for the orders of a multipole.
    place:
        Where it was defined.
    word:
        What the file calls its kind (``rfcavity``): the name by which it is replaced.
    """

    name: str | None
    kind: str
    attributes: dict[str, Any]
    place: Location
    word: str = ""


@dataclass(frozen=True)
class Note:
    """Something that a reader has to say of one place."""

    place: Location | None
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}" if self.place else self.text


@dataclass
class Report:
    """What became of a file: for a person to look through, and for a program to test."""

    dropped: list[Note] = field(default_factory=list)
    """What was left out, and does not change the optics."""
    guessed: list[Note] = field(default_factory=list)
    """What the file leaves open: a variable without a value, an old default."""
    unused: list[Note] = field(default_factory=list)
    """What was defined and not used."""
    replaced: list[Note] = field(default_factory=list)
    """What was exchanged because ``replace`` said so."""

    def __str__(self) -> str:
        return "\n".join(f"{what}: {note}" for what, notes in vars(self).items() for note in notes) or "nothing to say"


@dataclass(frozen=True)
class Obstacle:
    """Something beside the elements that changes the optics and is not done: refused, unless ``replace`` names it."""

    place: Location
    word: str
    reason: str


@dataclass(eq=False)
class Description:
    """A line as a file has it.

    Parameters
    ----------
    name:
        Name of the line.
    items:
        Elements in the order of the beam, drifts between them included.
    variables:
        Numbers and formulas by name: all that the formulas of the items need, directly or not.
    reference:
        The reference particle, if the file says it.
    report:
        What the reader has to say.
    obstacles:
        What is not an element and changes the optics.
    line:
        The line itself, of a format that holds our own elements; then there are no items.
    """

    name: str
    items: list[Item]
    variables: dict[str, Any] = field(default_factory=dict)
    reference: Reference | None = None
    report: Report = field(default_factory=Report)
    obstacles: list[Obstacle] = field(default_factory=list)
    line: Line | None = None


def reference_particle(
    species: Species | str, *, momentum: float | None = None, energy: float | None = None, kinetic: float | None = None
) -> Reference:
    """Reference of a species with one of: momentum P0 c, total energy, kinetic energy [eV].

    Raises
    ------
    InputError
        If it would not move forward.
    """
    if isinstance(species, str):
        if species not in KNOWN:
            raise InputError("species", species, f"one of {', '.join(KNOWN)}, or mass and charge")
        species = KNOWN[species]
    if momentum is None:
        given: Any = kinetic if energy is None else energy - species.mass
        t = given / species.mass
        if not 0.0 < t < float("inf"):
            raise InputError("energy", energy or kinetic, f"an energy above the rest energy of {species.mass:g} eV")
        return Reference.from_kinetic_energy(np.asarray(t * species.mass), species)
    if not 0.0 < momentum < float("inf"):
        raise InputError("momentum", momentum, "a momentum in eV, greater than 0")
    return Reference(np.asarray(momentum / species.mass), species)
