"""PALS, the Particle Accelerator Language Standard, as of commit e6e44372 of pals-project/pals: it has no version yet.

A document is a list of facility entries, carried out in turn: constants, variables, elements, beam lines, lattices,
controllers, sets; other files are joined by ``load`` and spliced in by ``include``. Strengths may be normalised or
fields, per metre or integrated; a bend is any two of its curvature, a length and its angle. Variables, and those of
controllers as ``controller.variable``, stay knobs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

from backbeam.errors import InputError
from backbeam.extras import need
from backbeam.formulas import Formula, Property, Variable, evaluate, substitute
from backbeam.lattices.choosing import Steps, check_size, some, the_line
from backbeam.lattices.description import Description, Item, LatticeError, Location, Note, Report, reference_particle
from backbeam.lattices.expressions import Dialect
from backbeam.lattices.pals_words import CONSTANTS, GROUPS, KINDS, Given, species_of
from backbeam.lattices.sources import Sources
from backbeam.reference import Reference

DEEPEST = 100
KEY = re.compile(r'(?m)^[ \t]*(?:- *)*"?([\w.%$#:-]+)"?[ \t]*:(?=\s|$)')
OTHER = re.compile(r"(?<![-\s])\s*>\s*(?=[A-Za-z])")
SPECIES_FUNCTION = re.compile(r"\b(mass_of|charge_of)\s*\(\s*\"?([^()\"]*)\"?\s*\)")
WHOLE = re.compile(r"(?s)\s*expr\s*\((.*)\)\s*")
RANDOM = re.compile(r"\brandom(?:_gauss)?\s*\([^()]*\)")
PATTERN = re.compile(r"[*+?\[\]()|^$%]")
Tree = dict[str, Any]


class PalsReader:
    """Reads PALS; see `backbeam.lattices.loading`."""

    suffixes = (".pals.yaml", ".pals.yml")

    def recognises(self, head: str) -> bool:
        """Whether its root is there."""
        return re.search(r"(?m)^PALS\s*:", head) is not None

    def read(self, sources: Sources, line: str | None) -> Description:
        """Describe a branch of the lattice in use, or any beam line by its name."""
        facility = _Facility(sources)
        for path in sources.paths:
            facility.load(path, 0)
        return facility.describe(line)


READER = PalsReader()


class _Facility:
    """What the entries have defined so far."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self.dialect = Dialect(lower=False, constants=CONSTANTS)
        self.loaded: set[Path] = set()
        self.places: dict[str, Location] = {}
        self.place = Location(str(sources.paths[0]))
        self.variables: Tree = dict(CONSTANTS)
        self.texts: dict[str, str] = {}
        self.elements: dict[str, Tree] = {}
        self.lines: dict[str, Tree] = {}
        self.lattices: dict[str, Tree] = {}
        self.extensions: set[str] = set()
        self.used: str | None = None
        self.controls: list[tuple[str, str, Any, bool]] = []
        self.steps = Steps()
        self.expanded: dict[tuple[str, bool], list[str]] = {}
        self.report = Report()

    # -- files ---------------------------------------------------------------------------------------------------

    def _tree(self, path: Path) -> Any:
        need("cli", "yaml", purpose="reading PALS")
        from backbeam.problem.text import ProblemError, read_tree

        shown, text = self.sources.shown(path), self.sources.text(path)
        self.place = Location(shown)
        at, line = 0, 1
        for found in KEY.finditer(text):
            line += text.count("\n", at, found.start(1))
            at = found.start(1)
            self.places.setdefault(found[1], Location(shown, line))
        try:
            return read_tree(text, shown)
        except ProblemError as error:
            raise LatticeError(shown, str(error).removeprefix(f"{shown}: ")) from None

    def load(self, path: Path, depth: int) -> None:
        """Carry out a document and those that it loads; one that is loaded again is not carried out again."""
        path = path.resolve()
        if path in self.loaded:
            return
        self.loaded.add(path)
        tree = self._tree(path)
        root = tree.get("PALS") if isinstance(tree, dict) else None
        if not isinstance(root, dict):
            raise LatticeError(self.sources.shown(path), "a document has the root PALS")
        labels = root.get("extension_labels")
        if isinstance(labels, dict) and isinstance(labels.get("names"), dict):
            self.extensions |= set(labels["names"])
        names = self._list(root.get("load"), "load")
        for name in names if "SELF" in names else [*names, "SELF"]:
            if name == "SELF":
                self._entries(root.get("facility"), path, depth)
            else:
                self.load(self.sources.called(str(name), path, self.place, depth + 1), depth + 1)

    def _list(self, value: Any, what: str) -> list[Any]:
        if value is None:
            return []
        if not isinstance(value, list):
            raise LatticeError(self.place, f"a list is expected below {what!r}")
        return value

    # -- entries -------------------------------------------------------------------------------------------------

    def _entries(self, entries: Any, path: Path, depth: int) -> None:
        for entry in self._list(entries, "facility"):
            if not isinstance(entry, dict) or len(entry) != 1:
                raise LatticeError(self.place, f"an entry has one name, unlike {str(entry)[:60]}")
            ((name, body),) = entry.items()
            self.place = self.places.get(name, self.place)
            if name == "include":
                called = self.sources.called(str(body), path, self.place, depth + 1)
                self._entries(self._tree(called), called, depth + 1)
                continue
            try:
                self._entry(name, body)
            except InputError as error:
                raise LatticeError(self.place, f"{name}: {error}") from None

    def _entry(self, name: str, body: Any) -> None:
        if name in ("constants", "variables"):
            for key, value in _pairs(body):
                self._define(key, value)
        elif name == "use":
            self.used = str(body)
        elif name == "set":
            self._set(str(_of(body, "parameter")), _of(body, "value"))
        elif name == "sets":
            for parameter, value in _pairs(body):
                self._set(parameter, value)
        elif isinstance(body, dict):
            self._named(name, body)
        else:
            raise InputError(name, body, "a mapping with its kind")

    def _named(self, name: str, body: Tree) -> None:
        """An element, a line, a lattice, a controller, a constant, or what belongs to other programs."""
        kind = body.get("kind")
        if kind in ("constant", "variable"):
            self._define(name, _of(body, "value"))
        elif kind == "BeamLine":
            self.lines[name] = body
            self._parts(body)
        elif kind == "Lattice":
            self.lattices[name] = body
            for part in self._list(body.get("branches"), "branches"):
                if isinstance(part, dict):
                    self._inline(part)
        elif kind == "Controller":
            self._controller(name, body)
        elif kind is not None or "inherit" in body:
            self.elements[name] = self._inherited(body)
        elif not (set(body) - {"extension"} <= self.extensions or "extension" in body):
            raise InputError(name, "without a kind", "a mapping with its kind, or with a registered extension")

    def _inherited(self, body: Tree, depth: int = 0) -> Tree:
        """An element with all that it takes from others."""
        parent = body.get("inherit")
        if parent is None:
            return deepcopy(body)
        if parent not in self.elements or depth > DEEPEST:
            raise InputError("inherit", parent, "an element above")
        return _merged(self.elements[parent], {k: v for k, v in body.items() if k != "inherit"})

    def _parts(self, body: Tree) -> None:
        for part in self._list(body.get("line"), "line"):
            if isinstance(part, dict):
                self._inline(part)

    def _inline(self, part: Tree) -> None:
        """What a line defines where it is used."""
        for name, body in part.items():
            if isinstance(body, dict) and ("kind" in body or ("inherit" in body and name not in self.lines)):
                self.place = self.places.get(name, self.place)
                if body.get("inherit") in self.lines:
                    self.lines[name] = {**self.lines[body["inherit"]], **body}
                else:
                    self._named(name, {k: v for k, v in body.items() if k != "repeat"})

    # -- values --------------------------------------------------------------------------------------------------

    def _define(self, name: str, value: Any) -> None:
        if name in CONSTANTS:
            raise InputError(name, value, "another name: it is a constant of PALS")
        if isinstance(value, str) and (value.startswith("#") or value in SPECIES_NAMES):
            self.texts[name] = value
        else:
            self.variables[name] = self.value(value)

    def value(self, value: Any, place: Location | None = None) -> Any:
        """A number or formula of what stands in a document."""
        if isinstance(value, Formula) or (isinstance(value, int | float) and not isinstance(value, bool)):
            return value
        if not isinstance(value, str):
            raise LatticeError(place or self.place, f"{str(value)[:60]!r} is neither a number nor an expression")
        text = whole[1] if (whole := WHOLE.fullmatch(value)) else value
        if RANDOM.search(text):
            self.report.guessed.append(Note(place or self.place, f"{value}: a random number is 0 here"))
            text = RANDOM.sub("0", text)

        def known(found: re.Match[str]) -> str:
            species = species_of(self.texts.get(found[2].strip(), found[2].strip()))
            return repr(species.mass if found[1] == "mass_of" else species.charge_number)

        try:
            return self.dialect.parse(OTHER.sub("->", SPECIES_FUNCTION.sub(known, text)))
        except InputError as error:
            raise LatticeError(place or self.place, f"{value[:60]!r}: {error}") from None

    def _set(self, parameter: str, value: Any) -> None:
        """Write all parameters that a pattern matches."""
        for owner, way in self._targets(parameter):
            body = self.elements[owner]

            def known(part: Formula, body: Tree = body, way: list[str] = way) -> Any:
                if part == Variable("PARAMETER"):
                    return self.value(_get(body, way) or 0.0)
                if isinstance(part, Variable) and part.name.startswith("SELF."):
                    return self.value(_get(body, part.name.split(".")[1:]) or 0.0)
                return None

            _put(body, way, substitute(self.value(value), known))

    def _targets(self, parameter: str) -> Iterator[tuple[str, list[str]]]:
        pattern, _, way = (part.strip() for part in parameter.partition(">"))
        names = list(_matching(pattern, self.elements))
        if not names or not way:
            raise InputError("parameter", parameter, "element>Group.name of an element above")
        for name in names:
            yield name, way.split(".")

    def _controller(self, name: str, body: Tree) -> None:
        own = dict(_pairs(body.get("variables")))
        for key, value in own.items():
            self.variables[f"{name}.{key}"] = self.value(value)

        def local(part: Formula) -> Any:
            return Variable(f"{name}.{part.name}") if isinstance(part, Variable) and part.name in own else None

        relative = str(body.get("control_type", "ABSOLUTE")).upper() == "RELATIVE"
        for control in self._list(body.get("controls"), "controls"):
            formula = substitute(self.value(_of(control, "expression")), local)
            self.controls.append((name, str(_of(control, "parameter")), formula, relative))

    def _control(self) -> None:
        """Put the controllers' expressions in their places: absolute ones add up, relative ones add their change."""
        absolute: dict[tuple[str, ...], Any] = {}
        for _, parameter, formula, relative in self.controls:
            pattern, _, way = (part.strip() for part in parameter.partition(">"))
            if f"{pattern}.{way}" in self.variables:
                self.variables[f"{pattern}.{way}"] = formula
                continue
            for owner, path in self._targets(parameter):
                key = (owner, *path)
                if relative:
                    change = formula - self._number(formula) if isinstance(formula, Formula) else 0.0
                    _put(self.elements[owner], path, self.value(_get(self.elements[owner], path) or 0.0) + change)
                else:
                    absolute[key] = formula + absolute.get(key, 0.0)
        for (owner, *path), formula in absolute.items():
            _put(self.elements[owner], path, formula)

    def _number(self, formula: Any, depth: int = 0) -> float:
        """What a formula is worth as the variables stand."""
        if depth > DEEPEST:
            raise LatticeError(self.place, "variables that lead to each other")

        def worth(name: str) -> float:
            if name not in self.variables:
                raise LatticeError(self.place, f"{name} has no value")
            return self._number(self.variables[name], depth + 1)

        return float(evaluate(self.resolved(formula), worth))

    def resolved(self, formula: Any, depth: int = 0) -> Any:
        """A formula in which parameters of elements are what stands for them."""
        if depth > DEEPEST:
            raise LatticeError(self.place, "parameters that lead to each other")

        def known(part: Formula) -> Any:
            if not isinstance(part, Property):
                return None
            if f"{part.owner}.{part.name}" in self.variables:
                return Variable(f"{part.owner}.{part.name}")
            if part.owner not in self.elements:
                raise LatticeError(self.place, f"{part.owner} is not an element")
            value = _get(self.elements[part.owner], part.name.split("."))
            return self.resolved(self.value(0.0 if value is None else value), depth + 1)

        return substitute(formula, known)

    # -- the line ------------------------------------------------------------------------------------------------

    def describe(self, asked: str | None) -> Description:
        """A branch of the lattice in use, or any line."""
        try:
            self._control()
            name = self._chosen(asked)
            entries = self._expanded(name, False, 0)
            reference = self._reference(entries)
            made = {n: self._item(n, reference) for n in dict.fromkeys(entries)}
        except InputError as error:
            if error.field == "line":
                raise
            raise LatticeError(self.place, str(error)) from None
        items = [made[n] for n in entries]
        unused = [n for n in self.elements if n not in made]
        if unused:
            self.report.unused.append(Note(None, f"{len(unused)} elements: {some(unused)}"))
        return Description(name, items, self._needed(items), reference or self.sources.reference, self.report)

    def _chosen(self, asked: str | None) -> str:
        file = self.sources.paths[0]
        if asked is not None and asked in self.lines:
            return asked
        lattice = asked if asked in self.lattices else self.used if asked is None else None
        if lattice is None and asked is None and len(self.lattices) == 1:
            (lattice,) = self.lattices
        if lattice is not None and lattice in self.lattices:
            branches = {}
            for part in self._list(self.lattices[lattice].get("branches"), "branches"):
                name, body = next(iter(part.items())) if isinstance(part, dict) and part else (part, None)
                source = body.get("inherit", name) if isinstance(body, dict) else name
                branches[str(source)] = name
            return the_line(None, branches, (), file)
        return the_line(asked, self.lines, (), file)

    def _expanded(self, name: str, backwards: bool, depth: int) -> list[str]:
        """Names of the elements of a line in turn."""
        if name not in self.lines:
            raise LatticeError(self.place, f"{name} is neither an element nor a line")
        place = self.places.get(name, self.place)
        if depth > DEEPEST:
            raise LatticeError(place, f"lines in each other more than {DEEPEST} deep")
        if (name, backwards) in self.expanded:
            return self.expanded[name, backwards]
        found: list[str] = []
        for part in self._list(self.lines[name].get("line"), "line"):
            self.steps.step(place)
            if isinstance(part, dict) and len(part) == 1:
                ((key, body),) = part.items()
                times = body.get("repeat", 1) if isinstance(body, dict) else 1
            else:
                key, times = part, 1
            if not isinstance(times, int) or isinstance(times, bool):
                raise LatticeError(place, f"{key}: repeat is {times!r}, not a whole number")
            inner = [key] if key in self.elements else self._expanded(str(key), times < 0, depth + 1)
            check_size(len(found) + abs(times) * len(inner), place)
            found += inner * abs(times)
        self.expanded[name, backwards] = found[::-1] if backwards else found
        return self.expanded[name, backwards]

    def _reference(self, entries: list[str]) -> Reference | None:
        """The reference particle that the first element with one says."""
        for name in entries:
            group = self.elements[name].get("ReferenceP")
            if isinstance(group, dict) and "species_ref" in group:
                species = species_of(self.texts.get(str(group["species_ref"]), str(group["species_ref"])))
                found = {k: self._number(self.value(v)) for k, v in group.items() if k in ("E_tot_ref", "pc_ref")}
                if not found:
                    continue
                self.place = self.places.get(name, self.place)
                return reference_particle(species, momentum=found.get("pc_ref"), energy=found.get("E_tot_ref"))
        return None

    def _item(self, name: str, reference: Reference | None) -> Item:
        body, place = self.elements[name], self.places.get(name, self.place)
        kind = str(body.get("kind"))
        self.place = place
        values: Tree = {}
        for key, value in body.items():
            if key in GROUPS and isinstance(value, dict):
                values |= {f"{key}.{k}": self._formula(v) for k, v in value.items() if k not in GROUPS[key]}
            elif key == "length":
                values[key] = self._formula(value)
        if "ApertureP" in body:
            self.report.dropped.append(Note(place, f"{name}: its aperture"))
        if kind in self.extensions:
            raise LatticeError(place, f"{name}: {kind} belongs to an extension")
        if kind not in KINDS:
            return Item(name, kind, {k: v for k, v in values.items() if k == "length"}, place, kind)
        own, attributes = KINDS[kind](Given(values, place, reference))
        return Item(name, own, attributes, place, kind)

    def _formula(self, value: Any) -> Any:
        return value if isinstance(value, str) and value in WORDS else self.resolved(self.value(value))

    def _needed(self, items: list[Item]) -> Tree:
        waiting = [n for item in set(items) for v in item.attributes.values() for n in _names(v)]
        found: Tree = {}
        while waiting:
            name = waiting.pop()
            if name in found:
                continue
            if name not in self.variables:
                raise LatticeError(self.place, f"{name} has no value")
            found[name] = self.resolved(self.variables[name])
            waiting += _names(found[name])
        return {n: found[n] for n in self.variables if n in found}


SPECIES_NAMES = ("electron", "positron", "proton", "antiproton", "muon", "antimuon", "deuteron")
WORDS = ("ACCELERATING", "ABOVE_TRANSITION", "BELOW_TRANSITION", "STANDING_WAVE", "TRAVELING_WAVE")


def _pairs(body: Any) -> Iterator[tuple[str, Any]]:
    """Names and values of a mapping, or of a list of mappings of one."""
    if body is None:
        return
    for part in body if isinstance(body, list) else [body]:
        if not isinstance(part, dict):
            raise InputError("entry", str(part)[:60], "names with their values")
        yield from part.items()


def _of(body: Any, key: str) -> Any:
    if not isinstance(body, dict) or body.get(key) is None:
        raise InputError(key, None, f"a mapping with {key}")
    return body[key]


def _merged(old: Tree, new: Tree) -> Tree:
    found = deepcopy(old)
    for key, value in new.items():
        both = isinstance(value, dict) and isinstance(found.get(key), dict)
        found[key] = _merged(found[key], value) if both else deepcopy(value)
    return found


def _get(body: Tree, way: list[str]) -> Any:
    for key in way:
        body = body.get(key) if isinstance(body, dict) else None  # type: ignore[assignment]
    return body


def _put(body: Tree, way: list[str], value: Any) -> None:
    for key in way[:-1]:
        body = body.setdefault(key, {})
        if not isinstance(body, dict):
            raise InputError("parameter", ".".join(way), "a parameter of the element")
    body[way[-1]] = value


def _matching(pattern: str, names: Any) -> Iterator[str]:
    """Names that a pattern matches; ``*`` and ``%`` stand for any letters, ``.*`` too."""
    if pattern in names:
        yield pattern
    elif PATTERN.search(pattern):
        simple = re.escape(pattern).replace(r"\.\*", ".*").replace(r"\*", ".*").replace("%", ".")
        yield from (name for name in names if re.fullmatch(simple, name))


def _names(value: Any) -> list[str]:
    if isinstance(value, list):
        return [n for v in value for n in _names(v)]
    return sorted(value.names) if isinstance(value, Formula) else []
