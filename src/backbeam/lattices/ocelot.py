"""Ocelot's lattices: Python programs, of which only the words are read, and nothing is run.

What is understood: assignments of numbers, text, tuples and lists, of arithmetic with them and the names above, of
elements by their class with such arguments, and of cells as tuples or lists of elements; imports, comments and
docstrings, ``cell``, ``MagneticLattice(cell)`` and attributes set on elements (``q.k1 = 2``). Anything else in the way
of a name that the cell needs is refused.

Lengths and strengths are ours. A bend counts its faces from half its angle (RBend) or from the arc (SBend, Bend); a
cavity's voltage is in GV, its phase in degrees of which a late particle sees an earlier one.
"""

from __future__ import annotations

import ast
import math
import operator
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backbeam.lattices.choosing import Steps, check_size, some, the_line
from backbeam.lattices.description import Description, Item, LatticeError, Location, Note, Report
from backbeam.lattices.sources import Sources

DEEPEST = 100
BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: lambda a, b: _power(a, b),
}
FUNCTIONS = {n: getattr(math, n) for n in "sin cos tan asin acos atan sqrt exp log log10 radians degrees fabs".split()}
FUNCTIONS |= {"arcsin": math.asin, "arccos": math.acos, "arctan": math.atan, "abs": abs, "float": float, "int": int}
IDLE = ("eid",)


class OcelotReader:
    """Reads Ocelot; see `backbeam.lattices.loading`."""

    suffixes = (".py",)

    def recognises(self, head: str) -> bool:
        """Whether Ocelot is imported."""
        return "ocelot" in head

    def read(self, sources: Sources, line: str | None) -> Description:
        """Describe a cell: that of the name, or ``cell``."""
        module = _Module(sources)
        for path in sources.paths:
            module.read(path)
        return module.describe(line)


READER = OcelotReader()


class _Element:
    """An element as it is constructed."""

    def __init__(self, kind: str, values: dict[str, Any], place: Location) -> None:
        self.kind, self.values, self.place = kind, values, place
        self.name: str | None = None


class _Unknown(Exception):  # noqa: N818  (caught here, always)
    """An expression that is not understood; its text is why."""


class _Module:
    """Names and what they stand for."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self.names: dict[str, Any] = {"pi": math.pi, "speed_of_light": 299792458.0, "m_e_GeV": 0.51099895e-3}
        self.missing: dict[str, tuple[Location, str]] = {}
        self.steps = Steps()
        self.report = Report()

    def read(self, path: Path) -> None:
        """Take in the assignments of a file."""
        shown = self.sources.shown(path)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of the compiler, of a style that is not ours
                tree = ast.parse(self.sources.text(path))
        except (SyntaxError, ValueError, MemoryError) as error:
            place = Location(shown, getattr(error, "lineno", 0) or 0)
            raise LatticeError(place, f"no Python: {getattr(error, 'msg', error)}") from None
        for node in tree.body:
            place = Location(shown, node.lineno)
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    self._assign(target, node.value, place)
            elif isinstance(node, ast.AnnAssign) and node.value is not None:
                self._assign(node.target, node.value, place)
            elif not isinstance(node, ast.Import | ast.ImportFrom | ast.Expr | ast.Pass):
                for name in {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}:
                    self.missing[name] = (place, f"a {type(node).__name__.lower()} statement is not carried out")

    def _assign(self, target: ast.expr, value: ast.expr, place: Location) -> None:
        try:
            found = self._value(value, place, 0)
        except _Unknown as reason:
            for node in ast.walk(target):
                if isinstance(node, ast.Name):
                    self.missing[node.id] = (place, str(reason))
            return
        if isinstance(target, ast.Name):
            if isinstance(found, _Element) and found.name is None:
                found.name = target.id
            self.names[target.id] = found
            self.missing.pop(target.id, None)
        elif isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
            owner = self.names.get(target.value.id)
            if isinstance(owner, _Element):
                owner.values[target.attr] = found

    # -- expressions ---------------------------------------------------------------------------------------------

    def _value(self, node: ast.expr, place: Location, depth: int) -> Any:
        """Value of an expression of the white list."""
        if depth > DEEPEST:
            raise LatticeError(place, f"an expression more than {DEEPEST} deep")
        match node:
            case ast.Constant(value=int() | float() | str() | bool() | None):
                return node.value
            case ast.Name():
                if node.id in self.missing:
                    raise _Unknown(f"{node.id} is not known: {self.missing[node.id][1]}")
                if node.id not in self.names:
                    raise _Unknown(f"{node.id} is not known")
                return self.names[node.id]
            case ast.Tuple() | ast.List():
                return [self._value(item, place, depth + 1) for item in node.elts]
            case ast.UnaryOp(op=ast.USub() | ast.UAdd()):
                value = self._number(node.operand, place, depth)
                return -value if isinstance(node.op, ast.USub) else value
            case ast.Attribute(value=ast.Name(id="np" | "numpy" | "math"), attr="pi"):
                return math.pi
            case ast.Attribute(value=ast.Name()):
                return self._attribute(node, place, depth)
            case ast.BinOp():
                return self._binary(node, place, depth)
            case ast.Call():
                return self._call(node, place, depth)
        raise _Unknown(f"{type(node).__name__} is not carried out")

    def _attribute(self, node: ast.Attribute, place: Location, depth: int) -> Any:
        owner = self._value(node.value, place, depth + 1)
        if not isinstance(owner, _Element):
            raise _Unknown(f"{node.attr} of what is no element")
        return owner.values.get(node.attr, 0.0)

    def _number(self, node: ast.expr, place: Location, depth: int) -> float:
        value = self._value(node, place, depth + 1)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _Unknown("arithmetic with what is no number")
        return float(value)

    def _binary(self, node: ast.BinOp, place: Location, depth: int) -> Any:
        left, right = (self._value(side, place, depth + 1) for side in (node.left, node.right))
        if isinstance(node.op, ast.Mult) and (isinstance(left, list) or isinstance(right, list)):
            row, times = (left, right) if isinstance(left, list) else (right, left)
            if not isinstance(times, int):
                raise _Unknown("a cell repeated other than a whole number of times")
            check_size(len(row) * max(times, 0), place)
            return row * times
        if isinstance(node.op, ast.Add) and isinstance(left, list) and isinstance(right, list):
            check_size(len(left) + len(right), place)
            return left + right
        if type(node.op) not in BINARY or not all(isinstance(v, int | float) for v in (left, right)):
            raise _Unknown("arithmetic with what is no number")
        try:
            value = BINARY[type(node.op)](float(left), float(right))
            return int(value) if _stays_whole(node.op, left, right, value) else value
        except (ArithmeticError, ValueError, TypeError) as error:
            raise LatticeError(place, f"{ast.unparse(node)[:60]}: {error}") from None

    def _call(self, node: ast.Call, place: Location, depth: int) -> Any:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in FUNCTIONS and len(node.args) == 1:
            try:
                return FUNCTIONS[name](self._number(node.args[0], place, depth))
            except (ArithmeticError, ValueError) as error:
                raise LatticeError(place, f"{ast.unparse(node)[:60]}: {error}") from None
        if name == "MagneticLattice" and node.args:
            return self._value(node.args[0], place, depth + 1)
        if name not in CLASSES:
            raise _Unknown(f"{name or 'a call'} is not carried out")
        order = CLASSES[name][1]
        if len(node.args) > len(order) or any(k.arg is None for k in node.keywords):
            raise _Unknown(f"{name} with arguments that are not named")
        values = {key: self._value(arg, place, depth + 1) for key, arg in zip(order, node.args, strict=False)}
        values |= {str(k.arg): self._value(k.value, place, depth + 1) for k in node.keywords}
        return _Element(name, values, place)

    # -- the cell ------------------------------------------------------------------------------------------------

    def describe(self, asked: str | None) -> Description:
        """The cell that is asked for; ``cell``; or the only one that is in no other."""
        seen: dict[int, bool] = {}
        cells = {n: v for n, v in self.names.items() if isinstance(v, list) and v and _is_cell(v, 0, seen)}
        wanted = asked if asked is not None else "cell"
        if wanted in self.missing and wanted not in cells:
            raise LatticeError(*self.missing[wanted])
        inside = {n for n, v in cells.items() for o in cells.values() if any(part is v for part in o)}
        name = the_line(asked if asked is not None else "cell" if "cell" in cells else None, cells, inside,
                        self.sources.paths[0])  # fmt: skip
        items: list[Item] = []
        made: dict[int, Item] = {}
        self._flatten(cells[name], items, made, 0)
        unused = [n for n, v in self.names.items() if isinstance(v, _Element) and id(v) not in made]
        if unused:
            self.report.unused.append(Note(None, f"{len(unused)} elements: {some(unused)}"))
        return Description(name, items, {}, self.sources.reference, self.report)

    def _flatten(self, cell: list[Any], items: list[Item], made: dict[int, Item], depth: int) -> None:
        if depth > DEEPEST:
            raise LatticeError(str(self.sources.paths[0]), f"cells in each other more than {DEEPEST} deep")
        for part in cell:
            self.steps.step(str(self.sources.paths[0]))
            if isinstance(part, list):
                self._flatten(part, items, made, depth + 1)
            elif isinstance(part, _Element):
                if id(part) not in made:
                    made[id(part)] = self._item(part)
                items.append(made[id(part)])
            check_size(len(items), str(self.sources.paths[0]))

    def _item(self, element: _Element) -> Item:
        name = element.values.get("eid") if isinstance(element.values.get("eid"), str) else None
        kind, attributes = CLASSES[element.kind][0](_Given(element, self.report))
        return Item(name or element.name, kind, attributes, element.place, element.kind)


def _stays_whole(op: ast.operator, left: Any, right: Any, value: float) -> bool:
    """Whether a result is a whole number that may repeat a cell."""
    whole = isinstance(left, int) and isinstance(right, int) and not isinstance(op, ast.Div)
    return whole and value.is_integer() and abs(value) < 2**50


def _power(a: float, b: float) -> float:
    found = a**b
    if isinstance(found, complex):
        raise ValueError("a power that is not real")
    return found


def _is_cell(row: list[Any], depth: int, seen: dict[int, bool]) -> bool:
    """Whether a list holds elements and cells alone; ``seen`` is what is known of lists by their identity."""
    if id(row) not in seen:
        parts = (
            isinstance(p, _Element) or (isinstance(p, list) and bool(p) and _is_cell(p, depth + 1, seen)) for p in row
        )
        seen[id(row)] = depth < DEEPEST and all(parts)
    return seen[id(row)]


class _Given:
    """Arguments of an element; those that nobody takes are left for the mapping to refuse."""

    def __init__(self, element: _Element, report: Report) -> None:
        self.rest = {n: v for n, v in element.values.items() if n not in IDLE and not isinstance(v, str)}
        self.place, self.report, self.name = element.place, report, element.name or element.kind

    def take(self, *names: str, **renamed: str) -> dict[str, Any]:
        """Numbers by the same names, and ``new="old"`` by others; those that are not there are left out."""
        pairs = {n: n for n in names} | renamed
        return {new: self.number(old) for new, old in pairs.items() if old in self.rest}

    def number(self, name: str, default: float = 0.0) -> float:
        """A finite number, which is taken."""
        value = self.rest.pop(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e300:
            raise LatticeError(self.place, f"{name} is {str(value)[:60]!r}, not a number")
        return float(value)

    def body(self, *names: str) -> dict[str, Any]:
        """Length, errors of alignment, and strengths of these names."""
        return self.take(*names, "tilt", "dx", "dy", length="l")

    def others(self) -> dict[str, Any]:
        """What nobody has taken."""
        return {n: v for n, v in self.rest.items() if v is not None}


Made = tuple[str, dict[str, Any]]


def _strong(kind: str, *names: str) -> Callable[[_Given], Made]:
    return lambda g: (kind, g.body(*names) | g.others())


def _passive(g: _Given) -> Made:
    found = g.take(length="l")
    for name in ("xmax", "ymax", "dx", "dy", "type", "lperiod", "nperiods"):
        g.rest.pop(name, None)
    return "drift", found | g.others()


def _marker(g: _Given) -> Made:
    return "marker", {}


def _undulator(g: _Given) -> Made:
    """A drift of its length while it has no field."""
    length = g.number("lperiod") * g.number("nperiods") or g.number("l")
    return "drift", {"length": length} | g.take("Kx", "Ky") | g.others()


def _bend(straight: bool) -> Callable[[_Given], Made]:
    """Its gap is the full one; of an RBend the faces stand at half the angle."""

    def made(g: _Given) -> Made:
        found = g.body("angle", "k1", "k2")
        half = 0.5 * found.get("angle", 0.0) if straight else 0.0
        hgap, fint = 0.5 * g.number("gap"), g.number("fint")
        found |= {"e1": g.number("e1") + half, "e2": g.number("e2") + half, "hgap": hgap, "hgapx": hgap}
        found["fint"], found["fintx"] = g.number("fint1", fint), g.number("fint2", g.number("fintx", fint))
        return "bend", found | g.others()

    return made


def _solenoid(g: _Given) -> Made:
    """k is B/(2 B rho)."""
    found = g.body()
    return "solenoid", found | {"ks": 2.0 * g.number("k")} | g.others()


def _corrector(kick: str) -> Callable[[_Given], Made]:
    return lambda g: ("corrector", g.body() | g.take(**{kick: "angle"}) | g.others())


def _multipole(g: _Given) -> Made:
    kn = g.rest.pop("kn", 0.0)
    row = [float(v) for v in kn] if isinstance(kn, list) and all(isinstance(v, int | float) for v in kn) else [kn]
    return "thin_multipole", g.take("dx", "dy", "tilt") | {"knl": row} | g.others()


def _cavity(g: _Given) -> Made:
    found = g.body() | {"voltage": 1e9 * g.number("v"), "frequency": g.number("freq")}
    return "cavity", found | {"phase": -math.pi / 180.0 * g.number("phi"), "structure": "standing"} | g.others()


CLASSES: dict[str, tuple[Callable[[_Given], Made], tuple[str, ...]]] = {
    **dict.fromkeys(("Drift", "Aperture"), (_passive, ("l", "eid"))),
    **dict.fromkeys(("Marker", "UnknownElement", "Pulse"), (_marker, ("eid",))),
    "Monitor": (_passive, ("l", "eid")),
    "Quadrupole": (_strong("quadrupole", "k1", "k2"), ("l", "k1", "k2", "tilt", "eid")),
    "Sextupole": (_strong("sextupole", "k2"), ("l", "k2", "tilt", "eid")),
    "Octupole": (_strong("octupole", "k3"), ("l", "k3", "tilt", "eid")),
    "SBend": (_bend(False), ("l", "angle", "k1", "k2", "e1", "e2", "tilt", "gap")),
    "Bend": (_bend(False), ("l", "angle", "k1", "k2", "e1", "e2", "gap")),
    "RBend": (_bend(True), ("l", "angle", "k1", "k2", "e1", "e2", "tilt")),
    "Solenoid": (_solenoid, ("l", "k", "eid")),
    "Hcor": (_corrector("hkick"), ("l", "angle", "eid")),
    "Vcor": (_corrector("vkick"), ("l", "angle", "eid")),
    "Multipole": (_multipole, ("kn", "eid")),
    "Cavity": (_cavity, ("l", "v", "phi", "freq")),
    "Undulator": (_undulator, ("lperiod", "nperiods", "Kx", "Ky")),
}
"""How each class becomes a kind, and the order of its arguments."""
