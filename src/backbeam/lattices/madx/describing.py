"""What a MAD-X program comes to: the line that is asked for, its elements, its variables, its reference particle."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from backbeam.errors import InputError
from backbeam.formulas import Formula
from backbeam.lattices.description import Description, Item, LatticeError, Location, Note, Obstacle, reference_particle
from backbeam.lattices.madx.elements import WORDS, Word
from backbeam.lattices.madx.openings import opening
from backbeam.lattices.madx.sequences import LARGEST, NEAR, Definition, Expansion, Layout, Placed, length_of
from backbeam.reference import Reference
from backbeam.species import KNOWN, SPEED_OF_LIGHT, Species

if TYPE_CHECKING:
    from backbeam.lattices.madx.program import Program

_PARTICLES = {
    "positron": "positron", "electron": "electron", "proton": "proton", "antiproton": "antiproton",
    "posmuon": "muon+", "negmuon": "muon-",
}  # fmt: skip
"""MAD-X's names of particles, and ours."""


def describe(program: Program, line: str | None) -> Description:
    """The line of that name, or the one in use, or the only one."""
    name = chosen(program, line)
    program.place = _place_of(program, name)
    reference, bend = _reference(program, name)
    items = _items(program, name, reference)
    description = Description(name, items, _variables(program, items), reference, program.report)
    description.obstacles += [Obstacle(*found) for found in program.obstacles]
    if bend < 0.0:
        description.obstacles.append(Obstacle(program.place, "beam", "bv=-1: a beam that goes the other way"))
    _tell(program, description)
    return description


def chosen(program: Program, line: str | None) -> str:
    """Name of the line or sequence that is meant."""
    known = [*program.sequences, *(n for n, g in program.lines.items() if not g.formals)]
    if line is not None:
        if line.lower() not in known:
            raise InputError("line", line, f"one of {_some(known)}")
        return line.lower()
    if program.used in known:
        return str(program.used)
    inside = {e.name for s in program.sequences.values() for e in s.entries}
    inside |= {n for k in known if k in program.lines for n in _names(program, k)}
    tops = [n for n in known if n not in inside]
    if len(tops) == 1:
        return tops[0]
    if not known:
        raise LatticeError(str(program.sources.paths[0]), "it holds neither a sequence nor a line")
    raise InputError("line", None, f"one of {_some(tops or known)}")


def _names(program: Program, line: str) -> set[str]:
    """Names that the text of a line calls."""
    text = program.lines[line].text.lower()
    return {n for n in (*program.lines, *program.sequences) if n != line and n in text}


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return (", ".join(names[:20]) or "nothing") + more


def _place_of(program: Program, name: str) -> Location:
    return (program.sequences.get(name) or program.lines[name]).place


# -- elements ---------------------------------------------------------------------------------------------------------


def _items(program: Program, name: str, reference: Reference | None) -> list[Item]:
    """Items of a line or a sequence."""
    if name in program.sequences:
        parts = [name]
        total = program.value(length_of(program, name))
    else:
        parts = Expansion(program).of(name)
        total = math.fsum(program.value(length_of(program, part)) for part in parts)
    words = _Words(program, reference, total)
    items: list[Item] = []
    for part in parts:
        items += _sequence(program, part, words) if part in program.sequences else [words.item(part)]
        if len(items) > LARGEST:
            raise LatticeError(_place_of(program, name), f"a line of more than {LARGEST} elements")
    return items


def _sequence(program: Program, name: str, words: _Words) -> list[Item]:
    """Items of a sequence, with the drifts between them."""
    value, sequence = program.value, program.sequences[name]
    items: list[Item] = []
    s: Any = 0.0
    before = name
    for part in [*Layout(program, sequence).placed(), Placed("", length_of(program, name), 0.0, sequence.place)]:
        gap = value(part.start) - value(s)
        if gap < -NEAR:
            what = f"{part.name} overlaps {before}" if part.name else f"{before} reaches beyond the end"
            raise LatticeError(part.place, f"{what} by {-gap:g} m in {name}")
        if gap > NEAR:
            items.append(Item(None, "drift", {"length": part.start - s}, part.place, "drift"))
        if part.name:
            s, before = part.start + part.length, part.name
            items.append(words.item(part.name))
    return items


class _Words:
    """Items of elements, each made once."""

    def __init__(self, program: Program, reference: Reference | None, length: float) -> None:
        self.program, self.reference, self.length = program, reference, length
        self.made: dict[str, Item] = {}
        self.charge = reference.species.charge_number if reference is not None else 1.0

    def item(self, name: str) -> Item:
        """The item of an element."""
        if name not in self.made:
            definition = self.program.elements[name]
            self.program.place = definition.place
            word = Word(definition, self.charge or 1.0, self._frequency, self.program.value)
            if definition.base in ("sbend", "rbend"):
                word.rest["arc"] = length_of(self.program, name)
            if definition.base in WORDS:
                kind, attributes = WORDS[definition.base](word)
                attributes |= word.rest
            else:
                kind, attributes = definition.base, word.rest
            attributes |= self._opening(definition)
            self.made[name] = Item(name, kind, attributes, definition.place, definition.base)
        return self.made[name]

    def _opening(self, definition: Definition) -> dict[str, Any]:
        """The pipe, tested at both ends as MAD-X does; one that cannot be read loses nobody, and is said."""
        numbers = definition.attributes.get("aperture", [])
        values = [self.program.value(v) for v in (numbers if isinstance(numbers, list) else [numbers])]
        offset = definition.attributes.get("aper_offset", [])
        moved = any(self.program.value(v) for v in (offset if isinstance(offset, list) else [offset]))
        try:
            found = opening(str(definition.attributes.get("apertype", "circle")), values)
            if found is not None and moved:
                raise InputError("aper_offset", offset, "0")
        except InputError as error:
            self.program.report.dropped.append(Note(definition.place, f"aperture of {definition.name}: {error}"))
            return {}
        return {} if found is None else {"aperture": found, "aperture_tests": 1}

    def _frequency(self, harmon: Any) -> Any:
        """Frequency of a harmonic of the turn; None where that is not known."""
        if self.reference is None or not self.length > 0.0:
            return None
        return harmon * (float(self.reference.beta) * SPEED_OF_LIGHT / self.length)


# -- variables --------------------------------------------------------------------------------------------------------


def _variables(program: Program, items: list[Item]) -> dict[str, Any]:
    """All that the formulas of the items need."""
    found: dict[str, Any] = {}
    for item in items:
        program.place = item.place
        waiting = [n for v in item.attributes.values() for n in _needed(v)]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found[name] = program.formula_of(name)
                waiting += _needed(found[name])
    order = {name: k for k, name in enumerate(program.variables)}
    return dict(sorted(found.items(), key=lambda pair: order.get(pair[0], len(order))))


def _needed(value: Any) -> list[str]:
    if isinstance(value, list | tuple):
        return [n for v in value for n in _needed(v)]
    return sorted(value.names) if isinstance(value, Formula) else []


# -- the beam ---------------------------------------------------------------------------------------------------------


def _reference(program: Program, name: str) -> tuple[Reference | None, float]:
    """The reference particle of a line, if there is a beam; and its direction."""
    given = program.beams.get(name, program.beams.get(""))
    if given is None:
        return program.sources.reference, 1.0
    numbers = {k: program.value(v) for k, v in given.items() if not isinstance(v, str | list)}
    species = _species(str(given.get("particle", "positron")), numbers)
    mass = species.mass
    kind = next((k for k in ("energy", "pc", "gamma", "beta", "brho") if k in numbers), None)
    x = numbers.get(kind or "", 0.0)
    try:
        if kind == "pc":
            found = reference_particle(species, momentum=1e9 * x)
        elif kind == "gamma":
            found = reference_particle(species, energy=x * mass)
        elif kind == "beta":
            found = reference_particle(species, momentum=mass * x / math.sqrt(1.0 - x * x) if abs(x) < 1.0 else -1.0)
        elif kind == "brho":
            found = reference_particle(species, momentum=x * abs(species.charge_number) * SPEED_OF_LIGHT)
        else:
            found = reference_particle(species, energy=1e9 * numbers.get("energy", 1.0))
    except InputError as error:
        raise LatticeError(program.place, f"beam: {error}") from None
    return found, numbers.get("bv", 1.0)


def _species(particle: str, numbers: dict[str, float]) -> Species:
    if particle in _PARTICLES and not {"mass", "charge"} & set(numbers):
        return KNOWN[_PARTICLES[particle]]
    known = KNOWN.get(_PARTICLES.get(particle, ""), KNOWN["proton"])
    mass, charge = numbers.get("mass", known.mass * 1e-9) * 1e9, numbers.get("charge", known.charge_number)
    same = next((s for s in KNOWN.values() if abs(s.mass - mass) < 1e-9 * mass and s.charge_number == charge), None)
    if same is not None:
        return same
    return Species(particle if particle not in KNOWN else f"{particle}-like", mass, charge)


# -- what there is to say ---------------------------------------------------------------------------------------------


def _tell(program: Program, description: Description) -> None:
    """Fill the report: a note for each kind of thing."""
    report = program.report
    for name, place in program.undefined.items():
        report.guessed.append(Note(place, f"{name} is not defined: 0"))
    report.guessed[:] = dict.fromkeys(report.guessed)
    report.dropped += [Note(place, f"{word}: not carried out") for word, place in program.skipped.items()]
    used = {item.name for item in description.items}
    classes = {c for d in program.elements.values() if d.name in used for c in d.classes}
    elements = [n for n in program.elements if n not in used and n not in classes]
    variables = [n for n in program.variables if n not in description.variables]
    for what, names in (("elements", elements), ("variables", variables)):
        if names:
            report.unused.append(Note(None, f"{len(names)} {what}: {_some(names)}"))
