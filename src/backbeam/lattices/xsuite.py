"""Xsuite's JSON: an Environment with its lines, or a Line, of any age; expressions stay knobs.

Properties that `xtrack` leaves out of a file have its defaults. A phase is a lag in degrees from the rising zero of a
sine; edge angles of an RBend are counted from its faces, its length may be the straight one.
"""

from __future__ import annotations

import re
from typing import Any

from backbeam.errors import InputError
from backbeam.formulas import Formula, Property, Variable, substitute
from backbeam.lattices.choosing import check_size, some, the_line
from backbeam.lattices.description import Description, Item, LatticeError, Location, Note, Report, reference_particle
from backbeam.lattices.expressions import Dialect
from backbeam.lattices.json_text import JsonFile, number
from backbeam.lattices.sources import Sources
from backbeam.lattices.xsuite_words import CLASSES, IDLE, Given
from backbeam.reference import Reference
from backbeam.species import species_like

TARGET = re.compile(r"(\w+)\['([^']*)'\](?:\.(\w+)(?:\[(\d+)\])?)?")
FUNCTION = re.compile(r"\bf\.(\w+)\(")
LARGEST_ORDER = 50


class XsuiteReader:
    """Reads Xsuite's JSON; see `backbeam.lattices.loading`."""

    suffixes = (".json",)

    def recognises(self, head: str) -> bool:
        """Whether a class of xtrack is named, or a line of its own is there."""
        return '"__class__"' in head or '"element_names"' in head or '"xtrack_version"' in head

    def read(self, sources: Sources, line: str | None) -> Description:
        """Describe a line."""
        file = JsonFile(sources, sources.paths[0])
        tree = file.tree
        if "lines" in tree:
            lines = file.mapping(tree, "lines")
            name = the_line(line, lines, (), file.name)
            chosen = file.mapping(lines, name)
        else:
            name = str(tree.get("name") or sources.paths[0].stem)
            if line not in (None, name):
                raise InputError("line", line, f"left out: the file holds one line, {name}")
            chosen = tree
        return _Line(file, name, chosen, {**tree, **chosen}).describe(sources)


READER = XsuiteReader()


class _Line:
    """A line and what its environment knows."""

    def __init__(self, file: JsonFile, name: str, line: dict[str, Any], known: dict[str, Any]) -> None:
        self.file, self.name = file, name
        self.known = known
        self.elements, self.names = self._elements(line)
        self.variables: dict[str, Any] = {}
        self.formulas: dict[tuple[str, str, int | None], Any] = {}
        self.report = Report()
        self.dialect = Dialect(lower=False, item=_item)

    def _elements(self, line: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """Elements by name, and the names in turn; in the oldest files elements are a list beside them."""
        names, elements = line.get("element_names"), self.known.get("elements")
        if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
            raise LatticeError(self.file.place(self.name), "a list of names is expected below 'element_names'")
        check_size(len(names), self.file.place(self.name))
        if isinstance(elements, list):
            if len(elements) != len(names):
                raise LatticeError(self.file.name, f"{len(names)} element_names are not {len(elements)} elements")
            elements = dict(zip(names, elements, strict=True))
        if not isinstance(elements, dict):
            raise LatticeError(self.file.name, "a mapping is expected below 'elements'")
        return elements, names

    def describe(self, sources: Sources) -> Description:
        self._read_variables()
        made: dict[str, Item] = {}
        for name in self.names:
            if name not in made:
                made[name] = self._item(name)
        items = [made[name] for name in self.names]
        unused = [n for n in self.elements if n not in made]
        if unused:
            self.report.unused.append(Note(None, f"{len(unused)} elements: {some(unused)}"))
        reference = self._reference() or sources.reference
        return Description(self.name, items, self._needed(items), reference, self.report)

    # -- variables -----------------------------------------------------------------------------------------------

    def _read_variables(self) -> None:
        data = self.known.get("_var_management_data") or {}
        values = data.get("var_values") if isinstance(data, dict) else None
        for name, value in (values if isinstance(values, dict) else {}).items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                self.variables[name] = number(value, self.file.place(), name)
        rules = self.known.get("_var_manager") or []
        if not isinstance(rules, list):
            raise LatticeError(self.file.place("_var_manager"), "a list of pairs is expected below '_var_manager'")
        for rule in rules:
            if not (isinstance(rule, list) and len(rule) == 2 and all(isinstance(t, str) for t in rule)):
                raise LatticeError(self.file.place("_var_manager"), f"{str(rule)[:60]} is no pair of texts")
            self._rule(*rule)

    def _rule(self, target: str, text: str) -> None:
        place = self.file.place("_var_manager")
        found = TARGET.fullmatch(target)
        if found is None:
            raise LatticeError(place, f"{target[:60]} is neither a variable nor a property of an element")
        owner, name, attribute, index = found.groups()
        try:
            value = self.dialect.parse(FUNCTION.sub(r"\1(", text))
        except InputError as error:
            raise LatticeError(place, f"{target[:60]}: {error}") from None
        if owner == "vars" and attribute is None:
            self.variables[name] = value
        elif attribute is not None:
            self.formulas[name, attribute, None if index is None else int(index)] = value
        else:
            raise LatticeError(place, f"{target[:60]} is neither a variable nor a property of an element")

    def _needed(self, items: list[Item]) -> dict[str, Any]:
        """Variables that the formulas of the items need, with what they need."""
        waiting = [n for item in set(items) for v in item.attributes.values() for n in _names(v)]
        found: dict[str, Any] = {}
        while waiting:
            name = waiting.pop()
            if name in found:
                continue
            if name not in self.variables:
                raise LatticeError(self.file.place("_var_manager"), f"{name} has no value")
            found[name] = self._resolved(self.variables[name], 0)
            waiting += _names(found[name])
        return {name: found[name] for name in self.variables if name in found}

    def _resolved(self, value: Any, depth: int) -> Any:
        """A formula in which properties of elements are what stands for them."""
        if depth > 50:
            raise LatticeError(self.file.place("_var_manager"), "properties that lead to each other more than 50 deep")

        def known(part: Formula) -> Any:
            if not isinstance(part, Property):
                return None
            own = self.formulas.get((part.owner, part.name, None))
            if own is not None:
                return self._resolved(own, depth + 1)
            place = self.file.place(part.owner)
            fields = self.elements.get(part.owner)
            if not isinstance(fields, dict):
                raise LatticeError(place, f"{part.owner} is not an element")
            return number(fields.get(part.name, 0.0), place, part.name)

        return substitute(value, known)

    # -- elements ------------------------------------------------------------------------------------------------

    def _item(self, name: str) -> Item:
        fields, place = self._fields(name), self.file.place(name)
        word = str(fields.pop("__class__", ""))
        if word not in CLASSES:
            return Item(_ours(name), word or "element", _numbers(fields, ("length",), place), place, word)
        kind, attributes = CLASSES[word](Given(fields, place, self.report, name))
        return Item(_ours(name), kind, attributes, place, word)

    def _fields(self, name: str, depth: int = 0) -> dict[str, Any]:
        """Properties of an element, formulas in the place of numbers; a replica has those of its parent."""
        place, found = self.file.place(name), self.elements.get(name)
        if not isinstance(found, dict):
            raise LatticeError(place, f"{name} is not an element")
        if found.get("__class__") == "Replica":
            if depth > 50:
                raise LatticeError(place, "replicas of each other")
            return self._fields(str(found.get("parent_name")), depth + 1)
        fields = {n: v for n, v in found.items() if n not in IDLE}
        for (_, attribute, index), formula in self._formulas_of(name):
            formula = self._resolved(formula, 0)
            if index is None:
                fields[attribute] = formula
            elif index <= LARGEST_ORDER:
                old = fields.get(attribute)
                row = list(old) if isinstance(old, list) else []
                fields[attribute] = row + [0.0] * (index + 1 - len(row))
                fields[attribute][index] = formula
        return fields

    def _formulas_of(self, name: str) -> list[tuple[tuple[str, str, int | None], Any]]:
        if not hasattr(self, "_by_owner"):
            self._by_owner: dict[str, Any] = {}
            for key, formula in self.formulas.items():
                self._by_owner.setdefault(key[0], []).append((key, formula))
        return self._by_owner.get(name, [])

    def _reference(self) -> Reference | None:
        """The reference particle of the line."""
        found = self.known.get("particle_ref")
        if isinstance(found, str):
            particles = self.known.get("particles") or {}
            found = particles.get(found) if isinstance(particles, dict) else None
        if not isinstance(found, dict) or "p0c" not in found:
            return None
        place = self.file.place("particle_ref")
        mass = number(found.get("mass0", 938272088.16), place, "mass0")
        charge = number(found.get("q0", 1.0), place, "q0")
        try:
            return reference_particle(species_like(mass, charge), momentum=number(found["p0c"], place, "p0c"))
        except InputError as error:
            raise LatticeError(place, f"particle_ref: {error}") from None


def _item(owner: str, key: str, more: str | None) -> Any:
    """``vars['k']`` is a variable, ``element_refs['q'].k1`` a property."""
    if owner == "vars" and more is None:
        return Variable(key)
    if more is None:
        raise InputError("expression", f"{owner}['{key}']", "vars['name'] or element_refs['name'].property")
    return Property(key, more)


def _ours(name: str) -> str | None:
    """Names of drifts that xtrack filled in are nobody's."""
    return None if name.startswith("||") else name


def _names(value: Any) -> list[str]:
    if isinstance(value, list):
        return [n for v in value for n in _names(v)]
    return sorted(value.names) if isinstance(value, Formula) else []


def _numbers(fields: dict[str, Any], names: tuple[str, ...], place: Location) -> dict[str, Any]:
    """These properties, where they are numbers."""
    return {n: number(fields[n], place, n) for n in names if isinstance(fields.get(n), int | float)}
