"""A line as a MAD-X sequence, or line: what `backbeam.lattices.madx` reads as the same optics.

Drifts without a name become gaps. Where a length follows a knob so do all places behind it: MAD-X's line says that,
which its sequence, whose expressions it follows to a limited depth, cannot. MAD-X's names know no capitals; where two
become one, or a character is none of its own, they are changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from math import pi
from typing import Any

import numpy as np

from backbeam.elements import Element
from backbeam.errors import InputError
from backbeam.formulas import Formula, Variable, operation, substitute, text_of
from backbeam.lattices.madx.words import BASES, CONSTANTS, HARMLESS_COMMANDS, SKIPPED
from backbeam.line import Line
from backbeam.reference import Reference
from backbeam.species import KNOWN

_PARTICLES = {
    "positron": "positron", "electron": "electron", "proton": "proton", "antiproton": "antiproton",
    "muon+": "posmuon", "muon-": "negmuon",
}  # fmt: skip
_ERRORS = ("dx", "dy", "ds", "pitch", "yaw")

Words = tuple[str, dict[str, Any]]
"""A word of MAD-X and its attributes: numbers, formulas, lists."""


def to_madx(line: Line, reference: Reference | None = None) -> str:
    """Text of a MAD-X file with one sequence.

    Raises
    ------
    InputError
        For what MAD-X has no word for.
    """
    return _Writer(line, reference).text()


class _Writer:
    def __init__(self, line: Line, reference: Reference | None) -> None:
        self.line, self.reference = line, reference
        charge = 1.0 if reference is None else abs(reference.species.charge_number)
        self.volt = 1e-6 * charge
        self.taken = {*CONSTANTS, *BASES, *SKIPPED, *HARMLESS_COMMANDS}
        self.variables = {name: self.free(name) for name in line.knobs}
        self.moves = any(field == "length" for e in line._named.values() for field, _ in e.formulas)
        """Whether lengths follow knobs: then places do, and a line says it better than a sequence."""
        self.name = self.free(line.name or "ring")
        self.names = {id(e): self.free(n) for n, e in line._named.items()}
        self.remarks: dict[str, None] = {}

    def free(self, name: str) -> str:
        """A name that MAD-X can read and that nothing has yet."""
        plain = re.sub(r"[^a-z0-9_.]", "_", name.lower())
        plain = plain if re.match(r"[a-z]", plain) else f"x{plain}"
        number, found = 1, plain
        while found in self.taken:
            number, found = number + 1, f"{plain}_{number}"
        self.taken.add(found)
        return found

    def text(self) -> str:
        """The whole file."""
        definitions = [self.definition(e) for n, e in self.line._named.items() if not self.is_gap(e)]
        head = [f"! {self.line.name or 'a line'}, from backbeam", *(f"! {remark}" for remark in self.remarks)]
        knobs = [f"{self.variables[n]} {self.value(v, n)};" for n, v in self.line.knobs.given.items()]
        return "\n".join([
            *head, "option, rbarc=false; ! lengths of rectangular bends are along the arc", *self.beam(), "",
            *knobs, "", *definitions, "", *(self.in_parts() if self.moves else self.sequence()),
            f"use, sequence={self.name};", "",
        ])  # fmt: skip

    def beam(self) -> list[str]:
        """The reference particle."""
        if self.reference is None:
            return []
        species, pc = self.reference.species, float(np.asarray(self.reference.momentum)) * 1e-9
        known = KNOWN.get(species.name) == species and species.name in _PARTICLES
        name = _PARTICLES[species.name] if known else "ion"
        more = "" if known else f", mass={species.mass * 1e-9!r}, charge={species.charge_number!r}"
        return [f"beam, particle={name}{more}, pc={pc!r};"]

    def value(self, value: Any, path: str) -> str:
        """``= number`` or ``:= formula``."""
        if isinstance(value, list):
            late = any(isinstance(v, Formula) for v in value)
            return f"{':' if late else ''}= {{{', '.join(self.value(v, path).lstrip(':= ') for v in value)}}}"
        if isinstance(value, Formula):
            return f":= {text_of(substitute(value, self._renamed))}"
        array = np.asarray(value)
        if array.ndim:
            raise InputError(path, value, "one number: a batch of settings is not a lattice of a file")
        return f"= {float(array)!r}"

    def _renamed(self, formula: Formula) -> Formula | None:
        name = str(formula)
        return Variable(self.variables[name]) if name in self.variables else None

    # -- places ------------------------------------------------------------------------------------------------------

    def is_gap(self, element: Element) -> bool:
        """Whether it is a drift of a sequence that needs no word."""
        return not self.moves and element.kind == "drift" and element.name is None and _usual(element)

    def sequence(self) -> list[str]:
        """Elements at their places."""
        entries: list[str] = []
        s = 0.0
        for element in self.line.elements:
            if not self.is_gap(element):
                entries.append(f"  {self.names[id(element)]}, at = {s!r};")
            s += float(element.length) if element.is_thick else 0.0
        return [f"{self.name}: sequence, refer=entry, l = {s!r};", *entries, "endsequence;"]

    def in_parts(self) -> list[str]:
        """Elements one behind the other: lengths that follow knobs move all that comes after."""
        names = [self.names[id(element)] for element in self.line.elements]
        parts = {self.free(f"part.{k}"): names[k : k + 10] for k in range(0, len(names), 10)}
        return [
            *(f"{part}: line=({', '.join(group)});" for part, group in parts.items()),
            f"{self.name}: line=({', '.join(parts)});",
        ]

    # -- elements ----------------------------------------------------------------------------------------------------

    def definition(self, element: Element) -> str:
        """The statement that defines an element."""
        if element.kind not in _WORDS:
            self.refuse(element, f"there is no {element.kind} in MAD-X")
        if element.kind != "patch":
            for name in _ERRORS:
                if _value(element, name) is not None:
                    self.refuse(element, f"an error of alignment ({name}) is no part of a sequence there")
        word, attributes = _WORDS[element.kind](self, element)
        if element.kind != "patch":
            attributes["tilt"] = _turn(self, element)
        attributes |= _opening(self, element)
        said = [f"{n} {self.value(v, n)}" if not isinstance(v, str) else f"{n}={v}" for n, v in attributes.items()
                if v is not None]  # fmt: skip
        return f"{self.names[id(element)]}: {', '.join([word, *said])};"

    def refuse(self, element: Element, reason: str) -> Any:
        """Raise `InputError` for what cannot be said."""
        name = next(n for n, e in self.line._named.items() if e is element)
        raise InputError(name, element.kind, f"what MAD-X can say: {reason}")


def _value(element: Element, name: str) -> Any:
    """A parameter: its formula where it follows knobs, else its value."""
    return dict(element.formulas).get(name, getattr(element, name))


def _usual(element: Element) -> bool:
    return element.aperture is None and not any(_value(element, n) is not None for n in (*_ERRORS, "roll", "tilt"))


def _turn(w: _Writer, element: Element) -> Any:
    """Tilt; the roll of a straight element is one, too."""
    tilt, roll = _value(element, "tilt"), _value(element, "roll")
    if roll is None:
        return tilt
    if element.curved:
        w.refuse(element, "a roll of a bend is an error of alignment")
    return roll if tilt is None else tilt + roll


def _opening(w: _Writer, element: Element) -> dict[str, Any]:
    opening = element.aperture
    if opening is None:
        return {}
    kind = {"Ellipse": "ellipse", "Rectangle": "rectangle", "RectEllipse": "rectellipse", "Racetrack": "racetrack"}
    if type(opening).__name__ not in kind:
        w.remarks[f"{w.names[id(element)]}: its opening cannot be said and is left out"] = None
        return {}
    return {"apertype": kind[type(opening).__name__], "aperture": [float(v) for v in vars(opening).values()]}


def _take(element: Element, **names: str) -> dict[str, Any]:
    """Parameters under MAD-X's names."""
    return {theirs: _value(element, ours) for ours, theirs in names.items()}


def _magnet(word: str, *names: str) -> Callable[[_Writer, Element], Words]:
    def words(w: _Writer, e: Element) -> Words:
        return word, _take(e, length="l", **{n: n for n in names})

    return words


def _multipole(w: _Writer, e: Element) -> Words:
    present = {n for n in e.parameters() if re.fullmatch(r"k\d+s?", n)}
    for order, word in ((1, "quadrupole"), (2, "sextupole"), (3, "octupole")):
        if present <= {f"k{order}", f"k{order}s"}:
            return _magnet(word, f"k{order}", f"k{order}s")(w, e)
    return w.refuse(e, "a thick magnet of one order")


def _thin_multipole(w: _Writer, e: Element) -> Words:
    orders = range(6)
    normal = [_value(e, f"k{j}l") for j in orders]
    skew = [_value(e, f"k{j}sl") for j in orders]
    angle = _value(e, "angle")
    if angle is None and (normal[0] is not None or skew[0] is not None):
        if any(v is not None for v in (*normal[1:], *skew[1:])):
            w.refuse(e, "a thin dipole that does not bend the line has no other orders there")
        return "kicker", {"hkick": None if normal[0] is None else -normal[0], "vkick": skew[0]}
    lists = {"knl": normal, "ksl": skew}
    found: dict[str, Any] = {n: _cut(v) for n, v in lists.items() if any(x is not None for x in v)}
    if angle is not None and angle != normal[0]:
        found["angle"] = angle
    return "multipole", found | {"lrad": _value(e, "lrad")}


def _cut(values: list[Any]) -> list[Any]:
    last = max(k for k, v in enumerate(values) if v is not None)
    return [0.0 if v is None else v for v in values[: last + 1]]


def _bend(word: str) -> Callable[[_Writer, Element], Words]:
    def words(w: _Writer, e: Element) -> Words:
        names = {n: n for n in ("angle", "k0", "k1", "k2", "e1", "e2", "fint", "hgap")}
        found = _take(e, length="l", fint_exit="fintx", **names)
        if _value(e, "hgap_exit") not in (None, found["hgap"]):
            if found["hgap"] is not None and found["fint"] is not None:
                w.refuse(e, "the gap is the same at both ends of a bend there")
            found["hgap"] = _value(e, "hgap_exit")
        if e.fringe == "linear":
            w.remarks["faces of bends are linear here, and have all their orders in MAD-X"] = None
        return word, found

    return words


def _cavity(w: _Writer, e: Element) -> Words:
    if getattr(e, "structure", "gaps") != "gaps":
        w.refuse(e, f"a {e.structure}-wave structure is none of its cavities")
    if e.radial_kick:
        w.remarks[f"{w.names[id(e)]}: MAD-X's cavities have no radial kick, this one has"] = None
    return "rfcavity", _wave(w, e)


def _wave(w: _Writer, e: Element) -> dict[str, Any]:
    length = _value(e, "length") if "length" in e.parameter_names() else None
    volt, freq = w.volt * _value(e, "voltage"), 1e-6 * _value(e, "frequency")
    return {"l": length, "volt": volt, "freq": freq, "lag": (_value(e, "phase") + 0.5 * pi) / (2.0 * pi)}


def _crab(w: _Writer, e: Element) -> Words:
    return "crabcavity", _wave(w, e)


def _corrector(w: _Writer, e: Element) -> Words:
    return "kicker", _take(e, length="l", hkick="hkick", vkick="vkick")


def _solenoid(w: _Writer, e: Element) -> Words:
    if e.k1 is not None or e.k1s is not None:
        w.refuse(e, "a solenoid without a quadrupole")
    return "solenoid", _take(e, length="l", ks="ks")


def _patch(w: _Writer, e: Element) -> Words:
    shifts = {n: _value(e, n) for n in ("dx", "dy", "ds") if _value(e, n) is not None}
    turns = {n: _value(e, n) for n in ("pitch", "yaw", "roll") if _value(e, n) is not None}
    if (shifts and turns) or len(turns) > 1:
        w.refuse(e, "shifts, or one rotation: write several patches")
    if shifts:
        return "translation", shifts
    ((name, angle),) = turns.items()
    word = {"roll": "srotation", "pitch": "xrotation", "yaw": "yrotation"}[name]
    return word, {"angle": operation("neg", angle) if name == "pitch" else angle}


def _matrix(w: _Writer, e: Element) -> Words:
    sign = np.asarray([1.0, 1.0, 1.0, 1.0, -1.0, 1.0])
    rows = sign[:, None] * np.asarray(e.matrix) * sign
    return "matrix", {f"rm{i + 1}{j + 1}": float(rows[i, j]) for i in range(6) for j in range(6)}


def _thin_aperture(w: _Writer, e: Element) -> Words:
    if e.action != "transmit" or e.shape not in ("rectangular", "elliptical"):
        w.refuse(e, "an opening, rectangular or elliptical")
    kind = {"rectangular": "rectangle", "elliptical": "ellipse"}[e.shape]
    return "collimator", {"apertype": kind, "aperture": [float(e.half_x), float(e.half_y)]}


_WORDS: dict[str, Callable[[_Writer, Element], Words]] = {
    "drift": lambda w, e: ("drift" if e.aperture is None else "collimator", _take(e, length="l")),
    "marker": lambda w, e: ("marker", {}),
    "monitor": lambda w, e: ("monitor", {}),
    "screen": lambda w, e: ("instrument", {}),
    "quadrupole": _magnet("quadrupole", "k1"),
    "sextupole": _magnet("sextupole", "k2", "k2s"),
    "octupole": _magnet("octupole", "k3", "k3s"),
    "multipole": _multipole,
    "thin_multipole": _thin_multipole,
    "sector_bend": _bend("sbend"),
    "rectangular_bend": _bend("rbend"),
    "dipole_edge": lambda w, e: ("dipedge", _take(e, curvature="h", e="e1", fint="fint", hgap="hgap")),
    "solenoid": _solenoid,
    "corrector": _corrector,
    "rf_cavity": _cavity,
    "buncher": _cavity,
    "crab_cavity": _crab,
    "patch": _patch,
    "linear_map": _matrix,
    "aperture": _thin_aperture,
}
"""What each of our kinds is there; what is missing is refused."""
