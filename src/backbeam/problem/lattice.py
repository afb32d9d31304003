"""The lattice of a problem file, and the line that it becomes.

A lattice is a list of entries, or a mapping with more to say::

    lattice:
      model: exact                # or linear: for every element that does not say it itself
      order: 4                    # the same for the order and the number of steps of integrators
      steps: 8
      splitting: matrix-drift     # or drift-kick: for every quadrupole that does not say it itself
      knobs: {kq: 29.6, kd: -kq}  # numbers, and formulas of other knobs
      define:                     # elements and lines that entries call by name
        qf: {quadrupole: {length: 0.1, k1: kq}}
        cell: [qf, {drift: {length: 0.2}}, qd, {drift: {length: 0.2}}]
      line: [cell, {repeat: 10, line: cell}, {marker: {name: end}}]

An entry is one of

- the name of something defined; an element that is used twice is one element, with one set of parameters,
- an element: its kind (see `backbeam.elements`) and its parameters, ``{drift: {length: 0.2, name: d1}}``,
- a list of entries,
- ``{repeat: n, line: entries}``.

A parameter that is text is a formula of knobs: ``k1: kq*(1 + trim)``, with x/0 = 0 as in MAD-X.

``{file: other.yaml}`` takes the lattice of another file, relative to this one. A file of another code is read by
`backbeam.load`: ``{file: [ring.seq, ring.str], line: ring, format: madx, replace: {wire: drift}}``, of which all but
``file`` may be left out; ``knobs`` beside it turns knobs of that lattice. ``reference``, the species and kinetic energy
that a lattice was made for, are those of a beam that does not say its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any

import numpy as np

from backbeam.elements import Element
from backbeam.elements.base import MODELS
from backbeam.elements.multipoles import SPLITTINGS
from backbeam.errors import InputError
from backbeam.formulas import Formula
from backbeam.knobs import Knobs
from backbeam.line import Line
from backbeam.problem.keys import Said, check_keys, check_mapping, missing, unknown
from backbeam.quantities import looks_like_quantity, quantity

LARGEST = 1_000_000
"""More elements than this are taken for a slip."""
DEFAULTS = ("model", "order", "steps", "splitting")
KEYS = (*DEFAULTS, "knobs", "reference", "define", "line")
_WITH_UNIT = re.compile(r"\s*[-+]?[\d.]+(?:[eE][-+]?\d+)?\s*[^\d\s(+*/^.-].*")
"""``30 deg`` is a number, not a formula."""
_ENTRY = "the name of something defined, {kind: {parameters}}, a list, or {repeat: n, line: entries}"


@dataclass(frozen=True, eq=False)
class Lattice:
    """A line, and where in the problem's data each of its elements stands."""

    line: Line
    homes: tuple[tuple[Element, Any], ...]
    """(element, mapping whose only key is its kind and whose value holds its parameters)"""

    def home(self, name: str) -> dict[str, Any]:
        """Mapping ``{kind: parameters}`` of the element of that name; `InputError` if there is none."""
        if name not in self.line.names:
            raise unknown(f"lattice.{name}", name, self.line.names, what="no element of the line")
        element = self.line[name]
        return next(home for mine, home in self.homes if mine is element)


def read_lattice(given: Any, name: str | None = None) -> Lattice:
    """Return the lattice that a section describes.

    Raises
    ------
    InputError
        For what cannot be built, with its path.
    """
    if given is None:
        raise missing("lattice", "a list of elements, or a mapping with define and line")
    builder = _Builder(given)
    entries, path = (given, "lattice") if isinstance(given, list) else (given.get("line"), "lattice.line")
    if entries is None:
        raise missing(path, "a list of entries")
    items = builder.entries(entries, path)
    try:
        line = Line(items.items, name=name, knobs=builder.knobs)
    except InputError as error:
        raise InputError("lattice", error.value, error.allowed) from None
    if not len(line):
        raise InputError(path, entries, "at least one element")
    return Lattice(line, tuple(builder.homes))


class _Builder:
    """Builds what is defined once, when it is first called for."""

    def __init__(self, given: Any) -> None:
        section = {} if isinstance(given, list) else check_mapping(given, "lattice", f"a list, or {', '.join(KEYS)}")
        check_keys(section, (*KEYS, "file"), {}, "lattice")
        self.defaults = {key: section[key] for key in DEFAULTS if section.get(key) is not None}
        self._check_defaults()
        self.knobs = _knobs(section.get("knobs"))
        self.define = check_mapping(section.get("define"), "lattice.define", "a mapping of names to entries")
        self.built: dict[str, Element | Line] = {}
        self.under_way: list[str] = []
        self.homes: list[tuple[Element, Any]] = []
        for name in self.define:
            self.defined(name, "lattice.define")

    def _check_defaults(self) -> None:
        rules = (("model", MODELS), ("order", (2, 4, 6)), ("splitting", tuple(SPLITTINGS)))
        for key, allowed in rules:
            if key in self.defaults and self.defaults[key] not in allowed:
                raise InputError(f"lattice.{key}", self.defaults[key], " or ".join(map(str, allowed)))
        if "steps" in self.defaults:
            self.defaults["steps"] = _count(self.defaults["steps"], "lattice.steps")

    def defined(self, name: str, path: str) -> Element | Line:
        """What a name stands for."""
        if name not in self.define:
            raise unknown(
                path,
                name,
                self.define or ("names under lattice.define",),
                what=f"{name!r}, which is not defined",
            )
        if name in self.built:
            return self.built[name]
        if name in self.under_way:
            raise InputError(f"lattice.define.{name}", self.define[name], "a line that does not hold itself")
        self.under_way.append(name)
        self.built[name] = self.entry(self.define[name], f"lattice.define.{name}", name)
        self.under_way.pop()
        return self.built[name]

    def entries(self, given: Any, path: str, name: str | None = None) -> Line:
        """Line of a list of entries, or of one."""
        if not isinstance(given, list):
            item = self.entry(given, path)
            return item if isinstance(item, Line) else Line([item])
        items = [self.entry(entry, f"{path}[{k}]") for k, entry in enumerate(given)]
        self._check_size(sum(len(i) if isinstance(i, Line) else 1 for i in items), path)
        return _line(items, path, name)

    def entry(self, given: Any, path: str, name: str | None = None) -> Element | Line:
        """Element or line of one entry; ``name`` is what it is defined as."""
        if isinstance(given, str):
            return self.defined(given, path)
        if isinstance(given, list):
            return self.entries(given, path, name)
        if not isinstance(given, Mapping) or not given:
            raise InputError(path, given, _ENTRY)
        if "repeat" in given:
            check_keys(given, ("repeat", "line"), {"line": "entries to repeat"}, path)
            count = _count(given["repeat"], f"{path}.repeat")
            line = self.entries(given["line"], f"{path}.line", name)
            self._check_size(count * len(line), f"{path}.repeat")
            return count * line
        if len(given) != 1:
            raise InputError(path, given, _ENTRY)
        return self.element(given, path, name)

    def element(self, home: Mapping[str, Any], path: str, name: str | None) -> Element:
        """Element of ``{kind: parameters}``."""
        ((kind, parameters),) = home.items()
        path = f"{path}.{kind}"
        if kind not in Element.kinds:
            raise unknown(path, str(kind), Element.kinds, what="an unknown element")
        cls = Element.kinds[kind]
        values = dict(check_mapping(parameters, path, f"a mapping with the parameters of a {kind}"))
        known = {f.name: f for f in fields(cls) if f.name != "formulas"}
        required = {key: _unit(f) for key, f in known.items() if f.default is MISSING and f.default_factory is MISSING}
        check_keys(values, known, required, path)
        if name is not None:
            if "name" in values:
                raise InputError(f"{path}.name", values["name"], f"left out: it is defined as {name}")
            values["name"] = name
        for key, value in self.defaults.items():
            integrates = "order" in known
            if key in known and values.get(key) is None and (integrates or key == "model"):
                values[key] = value
        formulas = self.formulas({k: v for k, v in values.items() if known[k].metadata.get("parameter")}, path)
        values |= {key: self.knobs.evaluate(formula) for key, formula in formulas.items()}
        given = {key: _value(known[key], value, f"{path}.{key}") for key, value in values.items()}
        try:
            element = cls(**given, formulas=tuple(formulas.items()))
        except InputError as error:
            raise InputError(f"{path}.{error.field.rpartition('.')[2]}", error.value, error.allowed) from None
        self.homes.append((element, home))
        return element

    def formulas(self, values: Mapping[str, Any], path: str) -> dict[str, Formula]:
        """Formulas of the parameters that are text, in a lattice that has knobs."""
        found = {}
        for key, value in values.items():
            if not isinstance(value, str) or not self.knobs or _WITH_UNIT.fullmatch(value):
                continue
            formula = _formula(value, f"{path}.{key}")
            if not isinstance(formula, Formula):
                raise InputError(f"{path}.{key}", value, "a number without quotes, or a formula of knobs")
            for name in formula.names:
                if name not in self.knobs:
                    raise unknown(f"{path}.{key}", name, self.knobs, what=f"{value!r}, where {name!r} is no knob")
            found[key] = formula
        return found

    @staticmethod
    def _check_size(count: int, path: str) -> None:
        if count > LARGEST:
            raise InputError(path, Said(f"a line of {count} elements"), f"at most {LARGEST}")


def with_knobs(lattice: Any, values: Mapping[str, Any]) -> Any:
    """Turn knobs of a lattice's data; `InputError` for one that there is not."""
    known = (lattice.get("knobs") if isinstance(lattice, Mapping) else None) or {}
    for name in values:
        if name not in known:
            raise unknown(f"lattice.knobs.{name}", name, known or ("knobs of a lattice that has some",), what="no knob")
    return {**lattice, "knobs": {**known, **values}} if values else lattice


def _knobs(given: Any) -> Knobs:
    """Knobs of a mapping of names to numbers and formulas."""
    given = check_mapping(given, "lattice.knobs", "a mapping of names to numbers and formulas")
    found = {str(n): _formula(v, f"lattice.knobs.{n}") if isinstance(v, str) else v for n, v in given.items()}
    try:
        return Knobs(found)
    except InputError as error:
        raise InputError(f"lattice.knobs.{error.field}", error.value, error.allowed) from None


def _formula(text: str, path: str) -> Any:
    from backbeam.lattices.expressions import Dialect

    try:
        return Dialect(lower=False, zero_division=True).parse(text)
    except InputError as error:
        raise InputError(path, text, f"a number, or a formula of knobs ({error})") from None


def _line(items: list[Element | Line], path: str, name: str | None) -> Line:
    try:
        return Line(items, name=name)
    except InputError as error:
        raise InputError(path, error.value, error.allowed) from None


def _count(value: Any, path: str) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not int or value < 1:
        raise InputError(path, value, "a whole number, at least 1")
    return value


def _unit(field: Any) -> str:
    unit = field.metadata.get("unit", "")
    return "a number" + ("" if not unit else " without unit" if unit == "1" else f" in {unit}")


def _value(field: Any, value: Any, path: str) -> Any:
    """A list as the array that an element wants; whole numbers written as 1e2 where they count something."""
    shape = field.metadata.get("shape")
    if shape and value is not None:
        try:
            array = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError):
            array = np.zeros(0)
        fits = array.ndim == len(shape) and all(n in (None, m) for n, m in zip(shape, array.shape, strict=True))
        if not fits or not np.isfinite(array).all():
            raise InputError(path, value, f"finite numbers of shape {shape}")
        return array
    if isinstance(value, str) and field.metadata.get("parameter") and looks_like_quantity(value):
        return quantity(value, field.metadata["unit"], path)
    if field.name in ("steps", "slices") and isinstance(value, float) and value.is_integer():
        return int(value)
    return value
