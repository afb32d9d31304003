"""The one table from the words that readers share to backbeam's elements.

===============  ==========================================================================================
kind             attributes (SI units, our signs; a length in m, angles in rad)
===============  ==========================================================================================
drift            length
marker
monitor          length; observes and does nothing: a marker, or a drift if it has a length
quadrupole       length k1 k1s
sextupole        length k2 k2s
octupole         length k3 k3s
multipole        length kn ks: lists of strengths per metre, by order, normal and skew
thin_multipole   knl ksl: lists of integrated strengths, by order; angle by which it bends the reference, lrad
bend             length (of the arc) angle k0 k1 k1s k2 e1 e2 fint hgap fintx hgapx rectangular (0 or 1); hard (0 or 1):
                 faces with all their orders, as of `SectorBend`'s fringe
dipole_edge      curvature e fint hgap
solenoid         length ks k1 k1s
corrector        length hkick vkick
cavity           length voltage frequency phase (0 on crest, late is positive) structure, as of `RFCavity`; gaps: how
                 many; axial (0 or 1): without the field across the axis
crab             length voltage frequency phase (0 deflects towards +x, late is positive) gaps
patch            dx dy ds pitch yaw roll, as in `backbeam.Patch`
matrix           matrix (6 x 6)
===============  ==========================================================================================

Every other kind may have ``dx dy ds pitch yaw roll tilt`` and a ``pivot``, and all an ``aperture`` (one of
`backbeam.elements.openings`) with its ``aperture_tests``, as elements have. What is absent, None or 0 is not there.
What a reader hands over and nothing here takes would have changed the optics: it is refused, with the place where it
stands, unless the user says what to put there instead.

To add a kind: a function that takes what it knows and makes an element.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import numpy as np

from backbeam import elements
from backbeam.elements.base import ERRORS, Element
from backbeam.errors import InputError
from backbeam.formulas import Formula
from backbeam.knobs import Knobs
from backbeam.lattices.description import Description, Item, LatticeError, Location, Note
from backbeam.line import Line

FOCUSING = {"order": 6, "steps": 8}
"""Steps of a quadrupole that is integrated: its matrix is right to 3e-9 of k1 L^2 = 0.5, and to 4e-12 of 0.1."""
INSTEAD = ("drift", "marker")
"""What anything can be replaced by."""


class Refusal(NamedTuple):
    """What cannot be read without changing the optics."""

    place: Location
    word: str
    """What the file calls its kind."""
    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.place}: {self.word} {self.name}: {self.reason}"


class Refused(Exception):  # noqa: N818  (caught here, always)
    """An element that is not there yet; its text is the reason."""


class Given:
    """The attributes of an item, of which a kind takes what it knows."""

    def __init__(self, item: Item, knobs: Knobs) -> None:
        self.item, self.knobs = item, knobs
        self.rest = {name: value for name, value in item.attributes.items() if not _absent(value)}

    def take(self, name: str, default: Any = None) -> Any:
        """Value or formula of an attribute; the default where it is not there."""
        return self.rest.pop(name, default)

    def number(self, name: str, default: float = 0.0) -> float:
        """Value of an attribute that decides what is built."""
        value = self.take(name, default)
        return float(self.knobs.evaluate(value))

    def orders(self, name: str, pattern: str) -> dict[str, Any]:
        """A list of strengths by order as parameters named after a pattern: ``k{}l``; those that are 0 are left out."""
        return {pattern.format(j): v for j, v in enumerate(self.take(name, ())) if not _absent(v)}

    def make(self, cls: type[Element], **parameters: Any) -> Element:
        """Element of a class; what is None is left out, formulas are kept beside their values."""
        for name in (*ERRORS, "tilt"):
            parameters.setdefault(name, self.take(name))
        static = {name: self.take(name) for name in ("pivot", "aperture", "aperture_tests") if name in self.rest}
        present = {name: value for name, value in parameters.items() if value is not None}
        formulas = tuple((name, value) for name, value in present.items() if isinstance(value, Formula))
        values = {name: self.knobs.evaluate(value) for name, value in present.items()}
        return cls(**values, **static, name=self.item.name, formulas=formulas)


def _absent(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_absent(v) for v in value)
    return value is None or (isinstance(value, int | float) and value == 0)


# -- kinds ------------------------------------------------------------------------------------------------------------


def _drift(a: Given) -> Element:
    length = a.take("length")
    if length is None:
        return a.make(elements.Marker)
    return a.make(elements.Drift, length=length)


def _marker(a: Given) -> Element:
    return a.make(elements.Marker)


def _straight(a: Given, cls: type[Element], order: int) -> Element:
    """Quadrupole, sextupole, octupole: with its skew part where the class has one, else as a multipole."""
    normal, skew = f"k{order}", f"k{order}s"
    length, k, ks = a.take("length"), a.take(normal), a.take(skew)
    if length is None:
        if k is None and ks is None:
            return a.make(elements.Marker)
        raise Refused("it has a strength and no length")
    if ks is None or skew in cls.parameter_names():
        return a.make(cls, **{"length": length, normal: k or 0.0, skew: ks})
    return a.make(elements.Multipole, **{"length": length, normal: k, skew: ks}, **(FOCUSING if order == 1 else {}))


def _quadrupole(a: Given) -> Element:
    return _straight(a, elements.Quadrupole, 1)


def _sextupole(a: Given) -> Element:
    return _straight(a, elements.Sextupole, 2)


def _octupole(a: Given) -> Element:
    return _straight(a, elements.Octupole, 3)


def _strengths(a: Given, cls: type[Element], normal: str, skew: str, form: str) -> dict[str, Any]:
    found = a.orders(normal, form) | a.orders(skew, form.replace("{}", "{}s"))
    for name in found:
        if name not in cls.parameter_names():
            raise Refused(f"a multipole of the order of {name} is more than there is")
    return found


def _multipole(a: Given) -> Element:
    length, strengths = a.take("length"), _strengths(a, elements.Multipole, "kn", "ks", "k{}")
    if not strengths:
        return a.make(elements.Drift, length=length) if length is not None else a.make(elements.Marker)
    if length is None:
        raise Refused("it has strengths per metre and no length")
    focusing = FOCUSING if strengths.keys() & {"k1", "k1s"} else {}
    return a.make(elements.Multipole, length=length, **strengths, **focusing)


def _thin_multipole(a: Given) -> Element:
    strengths = _strengths(a, elements.ThinMultipole, "knl", "ksl", "k{}l")
    angle, lrad = a.take("angle"), a.take("lrad")
    if not strengths and angle is None:
        return a.make(elements.Marker)
    if angle is None or "k0l" not in strengths:
        lrad = None  # it counts only where the reference bends
    return a.make(elements.ThinMultipole, **strengths, angle=angle, lrad=lrad)


def _bend(a: Given) -> Element:
    cls = elements.RectangularBend if a.number("rectangular") else elements.SectorBend
    fringe = "hard" if a.number("hard") else None
    length, angle = a.take("length"), a.take("angle", 0.0)
    if length is None:
        raise Refused("a bend without length")
    strengths = {name: a.take(name) for name in ("k0", "k1", "k2", "e1", "e2")}
    return a.make(cls, length=length, angle=angle, fringe=fringe, **strengths, **_fringes(a))


def _fringes(a: Given) -> dict[str, Any]:
    """Fringe at the entrance, and that at the exit where it is another; a fringe needs both of its numbers."""
    entrance, exit = (a.take("fint"), a.take("hgap")), (a.take("fintx"), a.take("hgapx"))
    entrance = (None, None) if None in entrance else entrance
    exit = (None, None) if None in exit else exit
    found = dict(zip(("fint", "hgap"), entrance, strict=True))
    if exit == entrance:
        return found
    if exit == (None, None):
        return found | {"fint_exit": 0.0}
    return found | dict(zip(("fint_exit", "hgap_exit"), exit, strict=True))


def _dipole_edge(a: Given) -> Element:
    fint, hgap = a.take("fint"), a.take("hgap")
    if fint is None or hgap is None:
        fint = hgap = None
    curvature, e = a.take("curvature"), a.take("e")
    if curvature is None or (e is None and fint is None):
        return a.make(elements.Marker)
    return a.make(elements.DipoleEdge, curvature=curvature, e=e, fint=fint, hgap=hgap)


def _solenoid(a: Given) -> Element:
    length, ks, k1, k1s = a.take("length"), a.take("ks"), a.take("k1"), a.take("k1s")
    if length is None:
        if ks is None and k1 is None and k1s is None:
            return a.make(elements.Marker)
        raise Refused("a solenoid without length")
    return a.make(elements.Solenoid, length=length, ks=0.0 if ks is None else ks, k1=k1, k1s=k1s)


def _corrector(a: Given) -> Element:
    length, hkick, vkick = a.take("length"), a.take("hkick"), a.take("vkick")
    if hkick is None and vkick is None:
        return a.make(elements.Marker) if length is None else a.make(elements.Drift, length=length)
    return a.make(elements.Corrector, length=length, hkick=hkick, vkick=vkick)


def _cavity(a: Given) -> Element:
    radial, structure = not a.number("axial"), a.take("structure", "gaps")
    wave = _wave(a)
    if wave is None:
        return _drift(a)
    return a.make(elements.RFCavity, **wave, radial_kick=radial, structure=structure)


def _crab(a: Given) -> Element:
    wave = _wave(a)
    return _drift(a) if wave is None else a.make(elements.CrabCavity, **wave)


def _wave(a: Given) -> dict[str, Any] | None:
    """What cavities share; None where there is no voltage."""
    frequency, phase, gaps = a.take("frequency", 0.0), a.take("phase", 0.0), a.number("gaps")
    voltage = a.take("voltage")
    if voltage is None:
        return None
    found = {"length": a.take("length"), "voltage": voltage, "frequency": frequency, "phase": phase}
    return found | ({"steps": int(gaps)} if gaps else {})


def _patch(a: Given) -> Element:
    return a.make(elements.Patch if any(n in a.rest for n in ERRORS) else elements.Marker)


def _matrix(a: Given) -> Element:
    rows = a.take("matrix")
    if any(isinstance(v, Formula) for row in rows for v in row):
        raise Refused("a matrix that follows knobs")
    return a.make(elements.LinearMap, matrix=np.asarray(rows, dtype=np.float64))


KINDS: dict[str, Callable[[Given], Element]] = {
    "drift": _drift,
    "marker": _marker,
    "monitor": _drift,
    "quadrupole": _quadrupole,
    "sextupole": _sextupole,
    "octupole": _octupole,
    "multipole": _multipole,
    "thin_multipole": _thin_multipole,
    "bend": _bend,
    "dipole_edge": _dipole_edge,
    "solenoid": _solenoid,
    "corrector": _corrector,
    "cavity": _cavity,
    "crab": _crab,
    "patch": _patch,
    "matrix": _matrix,
}
"""How each kind is made; what has no entry is refused."""


# -- a line -----------------------------------------------------------------------------------------------------------


class Built(NamedTuple):
    """What became of a description."""

    line: Line | None
    """None where something is refused."""
    refusals: list[Refusal]


def build(description: Description, replace: Mapping[str, str] | None = None) -> Built:
    """Make a line of what a reader found.

    Parameters
    ----------
    description:
        What the reader found; its report hears of what is replaced.
    replace:
        What to put in the place of kinds (in the file's own words) or of elements (by names or patterns): ``drift``,
        ``marker``, or another kind that has the same attributes.

    Raises
    ------
    InputError
        For a replacement that is no kind, or that nothing in the line answers to.
    """
    if description.line is not None:
        return Built(description.line, [])
    replace = {str(name).lower(): kind for name, kind in (replace or {}).items()}
    for name, kind in replace.items():
        if kind not in KINDS:
            raise InputError(f"replace[{name!r}]", kind, f"one of {', '.join(dict.fromkeys((*INSTEAD, *KINDS)))}")
    knobs = Knobs(description.variables)
    made: dict[Any, Element] = {}
    refusals: dict[Any, Refusal] = {}
    used: set[str] = set()
    items: list[Element] = []
    for item in description.items:
        key = id(item) if item.name is None else item.name
        if key not in made and key not in refusals:
            asked = _asked(item, replace)
            used |= {asked} if asked else set()
            try:
                made[key] = _element(item, knobs, replace[asked] if asked else None, description)
            except Refused as reason:
                refusals[key] = Refusal(item.place, item.word or item.kind, item.name or "", str(reason))
        if key in made:
            items.append(made[key])
    for found in description.obstacles:
        if found.word in replace:
            used.add(found.word)
            description.report.replaced.append(Note(found.place, f"{found.word} by nothing"))
        else:
            refusals[found] = Refusal(found.place, found.word, "", found.reason)
    for name in replace.keys() - used:
        there = dict.fromkeys(item.word or item.kind for item in description.items)
        raise InputError("replace", name, f"a kind or an element of the line; its kinds: {', '.join(there)}")
    if refusals:
        return Built(None, list(refusals.values()))
    needed = frozenset().union(*(f.names for e in made.values() for _, f in e.formulas))
    return Built(Line(items, name=description.name, knobs=knobs.only(needed)), [])


def _asked(item: Item, replace: Mapping[str, str]) -> str | None:
    """The entry of ``replace`` that means an item, if there is one."""
    for name in (item.word.lower(), item.kind):
        if name in replace:
            return name
    if item.name is not None:
        return next((p for p in replace if fnmatchcase(item.name.lower(), p)), None)
    return None


def _element(item: Item, knobs: Knobs, instead: str | None, description: Description) -> Element:
    given = Given(item, knobs)
    kind = instead or item.kind
    if kind not in KINDS:
        raise Refused("there is no such element here")
    try:
        if instead in INSTEAD:
            length = None if instead == "marker" else given.take("length")
            given.rest.clear()
            element = given.make(elements.Marker) if length is None else given.make(elements.Drift, length=length)
        else:
            element = KINDS[kind](given)
    except InputError as error:
        if error.field in ("name",):
            raise LatticeError(item.place, str(error)) from None
        raise Refused(str(error)) from None
    if instead is not None:
        description.report.replaced.append(Note(item.place, f"{item.word or item.kind} {item.name or ''} by {instead}"))
    if given.rest:
        names = ", ".join(f"{n} = {v}" for n, v in given.rest.items())
        raise Refused(f"{names} would change what it does, and there is nothing for it here")
    return element
