"""``seqedit``: install, remove, move, replace, cycle, reflect, extract.

An edited sequence is flat, its entries placed by their centres, in the order of these.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from backbeam.lattices.description import LatticeError
from backbeam.lattices.madx.sequences import Entry, Layout, Sequence, length_of

if TYPE_CHECKING:
    from backbeam.lattices.madx.program import Program

_OCCURRENCE = re.compile(r"(.+?)\[(\d+)\]")
_PATTERN = re.compile(r"[\w.$#^\\\[\]*+?-]{1,80}")


def flatten(program: Program, sequence: Sequence) -> None:
    """Put every element by its centre, those of inner sequences too."""
    placed = Layout(program, sequence).placed()
    sequence.entries = [Entry(p.name, p.start + 0.5 * p.length, None, p.place, centred=True) for p in placed]
    sequence.edited = True


def _sequence(program: Program) -> Sequence:
    if program.edit is None:
        raise LatticeError(program.place, "seqedit, sequence=... comes first")
    if not program.edit.edited:
        flatten(program, program.edit)
    return program.edit


def _chosen(program: Program, sequence: Sequence, name: str) -> list[Entry]:
    """Entries that a name, ``name[2]`` or ``selected`` means; at least one."""
    if name == "selected":
        found = [e for e in sequence.entries if any(_fits(program, e, s) for s in program.selected)]
    elif occurrence := _OCCURRENCE.fullmatch(name):
        same = [e for e in sequence.entries if e.name == occurrence[1]]
        found = same[int(occurrence[2]) - 1 : int(occurrence[2])] if len(occurrence[2]) < 8 else []
    else:
        found = [e for e in sequence.entries if e.name == name]
    if not found:
        raise LatticeError(program.place, f"there is no {name[:60]} in {sequence.name}")
    return found


def _fits(program: Program, entry: Entry, selection: dict[str, Any]) -> bool:
    definition = program.elements[entry.name]
    kind, pattern = selection.get("class"), selection.get("pattern")
    if selection.get("range") not in (None, "#s/#e", entry.name):
        return False
    if kind is not None and kind not in (entry.name, *definition.classes):
        return False
    if pattern is None:
        return True
    # Brackets and bars aside, so that no pattern takes long.
    if not _PATTERN.fullmatch(pattern) or sum(pattern.count(c) for c in "*+?") > 6:
        raise LatticeError(program.place, f"the pattern {pattern[:60]!r} is too involved to be read here")
    try:
        return re.search(pattern, entry.name) is not None
    except re.error:
        raise LatticeError(program.place, f"{pattern[:60]!r} is no pattern") from None


def _ends(sequence: Sequence, given: dict[str, Any]) -> Any:
    """What ``at`` and ``to`` count from, where they say it."""
    origin = given.get("from")
    if origin is None:
        return 0.0
    found = next((e for e in sequence.entries if e.name == origin), None)
    return None if found is None else found.at


def install(program: Program, given: dict[str, Any]) -> None:
    """An element with its centre at a place; several where ``at`` is a list."""
    sequence, name = _sequence(program), given.get("element", "")
    if "class" in given and name not in program.elements:
        program.new_element(name, given["class"], {})
    origin = _ends(sequence, given)
    if name not in program.elements or "at" not in given or origin is None:
        raise LatticeError(program.place, f"install, element={name[:60]}: it needs an element, at, and a known from")
    places = given["at"] if isinstance(given["at"], list) else [given["at"]]
    sequence.entries += [Entry(name, at + origin, None, program.place, centred=True) for at in places]


def remove(program: Program, given: dict[str, Any]) -> None:
    """Take elements away."""
    sequence = _sequence(program)
    gone = _chosen(program, sequence, given.get("element", ""))
    sequence.entries = [e for e in sequence.entries if not any(e is g for g in gone)]


def move(program: Program, given: dict[str, Any]) -> None:
    """Move elements by a way, or to a place."""
    sequence = _sequence(program)
    origin = _ends(sequence, given)
    if origin is None or ("by" in given) == ("to" in given):
        raise LatticeError(program.place, "move: it needs by, or to and perhaps a known from")
    for entry in _chosen(program, sequence, given.get("element", "")):
        entry.at = entry.at + given["by"] if "by" in given else given["to"] + origin


def replace(program: Program, given: dict[str, Any]) -> None:
    """Put another element, with the same centre, in the place of one."""
    sequence, by = _sequence(program), given.get("by", "")
    if by not in program.elements:
        raise LatticeError(program.place, f"replace, by={by!s:.60}: there is no such element")
    for entry in _chosen(program, sequence, given.get("element", "")):
        entry.name = by


def cycle(program: Program, given: dict[str, Any]) -> None:
    """Begin with an element: what was before it comes last."""
    sequence = _sequence(program)
    (first, *_) = _chosen(program, sequence, given.get("start", ""))
    entries = _ordered(program, sequence)
    index = next(k for k, e in enumerate(entries) if e is first)
    start, length = first.at - 0.5 * length_of(program, first.name), length_of(program, sequence.name)
    for k, entry in enumerate(entries):
        entry.at = entry.at - start + (length if k < index else 0.0)
    sequence.entries = entries[index:] + entries[:index]


def reflect(program: Program, given: dict[str, Any]) -> None:
    """Exchange beginning and end; the elements themselves stay as they are."""
    sequence = _sequence(program)
    length = length_of(program, sequence.name)
    for entry in sequence.entries:
        entry.at = length - entry.at
    sequence.entries.reverse()


def _ordered(program: Program, sequence: Sequence) -> list[Entry]:
    return sorted(sequence.entries, key=lambda e: round(program.value(e.at), 9))


def flatten_it(program: Program, given: dict[str, Any]) -> None:
    """What is done by the first edit anyway."""
    _sequence(program)


def extract(program: Program, given: dict[str, Any]) -> None:
    """A new sequence from the entrance of one element to the exit of another."""
    source = program.sequences.get(given.get("sequence", ""))
    if source is None or "newname" not in given:
        raise LatticeError(program.place, "extract: it needs a sequence that there is, and newname")
    whole = Sequence(source.name, source.attributes, source.place, list(source.entries), source.edited)
    flatten(program, whole)
    entries = _ordered(program, whole)
    names = [e.name for e in entries]
    first, last = given.get("from", "#s"), given.get("to", "#e")
    if first not in (*names, "#s") or last not in (*names, "#e"):
        raise LatticeError(program.place, f"extract: {first} and {last} are not both in {source.name}")
    begin = 0 if first == "#s" else names.index(first)
    end = len(names) if last == "#e" else names.index(last) + 1
    start = 0.0 if first == "#s" else entries[begin].at - 0.5 * length_of(program, first)
    stop = length_of(program, source.name) if last == "#e" else entries[end - 1].at + 0.5 * length_of(program, last)
    kept = [Entry(e.name, e.at - start, None, e.place, centred=True) for e in entries[begin:end]]
    attributes = {"l": stop - start, "refer": "centre"}
    program.sequences[given["newname"]] = Sequence(given["newname"], attributes, program.place, kept, edited=True)


EDITS: dict[str, Callable[[Program, dict[str, Any]], None]] = {
    "install": install,
    "remove": remove,
    "move": move,
    "replace": replace,
    "cycle": cycle,
    "reflect": reflect,
    "flatten": flatten_it,
    "extract": extract,
}
"""Commands that edit a sequence."""
