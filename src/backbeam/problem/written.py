"""A line as the plain data of a problem file: nothing that it holds is lost.

Elements that are used once stand where they are used, and so do lines without a name; the others are defined, so that
they are one again when they are read. Formulas of knobs are written in the place of the numbers that they have.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import MISSING, Field, fields
from typing import Any, cast

import numpy as np

from backbeam.elements import Element
from backbeam.elements.openings import OPENINGS, Opening
from backbeam.errors import InputError
from backbeam.formulas import Formula, text_of
from backbeam.line import Line
from backbeam.reference import Reference
from backbeam.species import KNOWN


def lattice_tree(line: Line, reference: Reference | None = None) -> dict[str, Any]:
    """Plain data of a line, and of the reference particle that it was made for.

    Raises
    ------
    InputError
        For a line that holds a batch of settings.
    """
    writer = _Writer(line)
    entries = writer.entries(line)
    tree: dict[str, Any] = {}
    if line.knobs:
        tree["knobs"] = {n: _plain(v, f"knob {n}") for n, v in line.knobs.given.items()}
    if reference is not None:
        tree["reference"] = reference_tree(reference)
    if writer.define:
        tree["define"] = writer.define
    return {**tree, "line": entries}


def reference_tree(reference: Reference) -> dict[str, Any]:
    """Species and kinetic energy of a reference particle."""
    species = reference.species
    given: Any = species.name
    if KNOWN.get(species.name) != species:
        given = {"name": species.name, "mass": species.mass, "charge_number": species.charge_number}
    return {"species": given, "kinetic_energy": float(np.asarray(reference.kinetic_energy))}


class _Writer:
    """Writes what is used several times once."""

    def __init__(self, line: Line) -> None:
        self.names = {id(element): name for name, element in line._named.items()}
        self.define: dict[str, Any] = {}
        self.uses: Counter[int] = Counter()
        self._count(line, set())
        self.lines: dict[int, str] = {}
        self._taken = set(line.names)

    def _count(self, line: Line, seen: set[int]) -> None:
        before = None
        for item in line.items:
            if not (isinstance(item, Line) and item is before):  # a line again and again is a repeat
                self.uses[id(item)] += 1
            before = item
            if isinstance(item, Line) and id(item) not in seen:
                seen.add(id(item))
                self._count(item, seen)

    def entries(self, line: Line) -> list[Any]:
        """Entries of a line's items; the same line several times in a row is repeated."""
        found: list[Any] = []
        items, k = line.items, 0
        while k < len(items):
            count = 1
            while isinstance(items[k], Line) and k + count < len(items) and items[k + count] is items[k]:
                count += 1
            entry = self.entry(items[k])
            found.append(entry if count == 1 else {"repeat": count, "line": entry})
            k += count
        return found

    def entry(self, item: Element | Line) -> Any:
        """Entry of an element or a line: its name, where it is defined."""
        if isinstance(item, Line):
            if id(item) in self.lines:
                return self.lines[id(item)]
            entries = self.entries(item)
            if len(entries) == 1 or (self.uses[id(item)] == 1 and item.name is None):
                return entries[0] if len(entries) == 1 else entries
            self.lines[id(item)] = name = self._free(item.name or "line")
            self.define[name] = entries
            return name
        name = self.names[id(item)]
        if self.uses[id(item)] == 1:
            own = {} if item.name is None else {"name": name}
            return {item.kind: {**element_tree(item), **own}}
        if name not in self.define:
            self.define[name] = {item.kind: element_tree(item)}
        return name

    def _free(self, name: str) -> str:
        """The name, or one like it that nothing has yet."""
        number, found = 1, name
        while found in self._taken:
            number, found = number + 1, f"{name}_{number}"
        self._taken.add(found)
        return found


def element_tree(element: Element) -> dict[str, Any]:
    """Parameters that are present, and what else is not as usual."""
    formulas = dict(element.formulas)
    found: dict[str, Any] = {}
    for f in fields(element):
        value = formulas.get(f.name, getattr(element, f.name))
        if f.name in ("name", "formulas") or value is None or _usual(f, value):
            continue
        rank = len(f.metadata.get("shape") or ())
        found[f.name] = _plain(value, f"{element.name or element.kind}.{f.name}", rank)
    return found


def _usual(f: Field[Any], value: Any) -> bool:
    """Whether it need not be said. What is a parameter is said even then: 0 is not absent."""
    return f.default is not MISSING and not f.metadata.get("parameter") and type(value) is type(f.default) and (
        value == f.default
    )  # fmt: skip


def _plain(value: Any, path: str, rank: int = 0) -> Any:
    """A value as plain data; ``rank`` is the number of axes that a parameter has of its own."""
    if isinstance(value, Formula):
        return text_of(value)
    if isinstance(value, Opening):
        kind = next(k for k, cls in OPENINGS.items() if type(value) is cls)
        sizes = {f.name: getattr(value, f.name) for f in fields(cast(Any, value))}
        return {kind: {n: _plain(v, f"{path}.{n}") for n, v in sizes.items() if v is not None}}
    if isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return float(value)
    if isinstance(value, tuple | list):
        return [_plain(v, path) for v in value]
    array = np.asarray(value)
    if array.ndim == 0 and array.dtype.kind in "fiu":
        return float(array)
    if rank and array.ndim == rank and array.dtype.kind in "fiu":
        return array.astype(np.float64).tolist()
    raise InputError(path, value, "one number: a batch of settings is not a lattice of a file")
