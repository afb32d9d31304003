"""Cheetah's LatticeJSON: nested lists of names, each an element with its parameters.

Lengths, angles and strengths are ours but for: ``gap`` is the full gap of a dipole, phases are degrees of which a late
particle sees an earlier one, and the length of an RBend is that of its arc, as in Cheetah's own tracking.
"""

from __future__ import annotations

from collections.abc import Callable
from math import pi
from typing import Any

from backbeam.lattices.choosing import Steps, check_size, some, the_line
from backbeam.lattices.description import Description, Item, LatticeError, Location, Note, Report
from backbeam.lattices.json_text import JsonFile, number
from backbeam.lattices.pipes import kept, opening
from backbeam.lattices.sources import Sources

DEEPEST = 100
IDLE = frozenset(
    """metadata name tracking_method num_steps sanitize_name fringe_type is_active resolution pixel_size binning method
    kde_bandwidth is_skippable device dtype""".split()
)
Parameters = dict[str, Any]


class CheetahReader:
    """Reads Cheetah's LatticeJSON; see `backbeam.lattices.loading`."""

    suffixes = (".json",)

    def recognises(self, head: str) -> bool:
        """Whether it says so, or there are elements as lists."""
        return '"version": "cheetah' in head or ('"root"' in head and '"lattices"' in head)

    def read(self, sources: Sources, line: str | None) -> Description:
        """Describe a lattice: the root, unless another is asked for."""
        file = JsonFile(sources, sources.paths[0])
        elements, lattices = file.mapping(file.tree, "elements"), file.mapping(file.tree, "lattices")
        root = file.tree.get("root")
        name = the_line(line or (root if root in lattices else None), lattices, (), file.name)
        return _Expansion(file, elements, lattices).describe(name, sources)


READER = CheetahReader()


class _Expansion:
    """Items of a lattice and of those in it."""

    def __init__(self, file: JsonFile, elements: dict[str, Any], lattices: dict[str, Any]) -> None:
        self.file, self.elements, self.lattices = file, elements, lattices
        self.made: dict[str, Item] = {}
        self.steps = Steps()
        self.report = Report()

    def describe(self, name: str, sources: Sources) -> Description:
        items: list[Item] = []
        self._expand(name, items, 0)
        unused = [n for n in self.elements if n not in self.made]
        if unused:
            self.report.unused.append(Note(None, f"{len(unused)} elements: {some(unused)}"))
        return Description(name, items, {}, sources.reference, self.report)

    def _expand(self, name: str, items: list[Item], depth: int) -> None:
        place, parts = self.file.place(name), self.lattices[name]
        if depth > DEEPEST:
            raise LatticeError(place, f"lattices in each other more than {DEEPEST} deep")
        if not isinstance(parts, list):
            raise LatticeError(place, f"a list of names is expected in {name!r}")
        for part in parts:
            self.steps.step(place)
            if not isinstance(part, str):
                raise LatticeError(place, f"{str(part)[:60]!r} is no name of an element or a lattice")
            if part in self.lattices:
                self._expand(part, items, depth + 1)
            elif part in self.elements:
                items.append(self._item(part))
            else:
                raise LatticeError(place, f"{part} is neither an element nor a lattice")
            check_size(len(items), place)

    def _item(self, name: str) -> Item:
        if name not in self.made:
            place, found = self.file.place(name), self.elements[name]
            if not (isinstance(found, list) and len(found) == 2 and isinstance(found[1], dict)):
                raise LatticeError(place, f"{name}: a list of a class and its parameters is expected")
            word, given = str(found[0]), {n: v for n, v in found[1].items() if n not in IDLE}
            thick = given.get("length", 0.0) not in (0, 0.0)
            if word in KICKING and thick:
                self.report.guessed.append(Note(place, f"{name}: {KICKING[word]}"))
            if word in ACTING and found[1].get("is_active", True):
                self.report.dropped.append(Note(place, f"{name}: {ACTING[word]}"))
            kind, attributes = KINDS.get(word, _unknown(word))(
                _Given(given, place, found[1].get("is_active", True) is not False)
            )
            self.made[name] = Item(name, kind, attributes, place, word)
        return self.made[name]


class _Given:
    """Parameters of an element; those that nobody takes are left for the mapping to refuse."""

    def __init__(self, parameters: Parameters, place: Location, active: bool) -> None:
        self.rest, self.place, self.active = parameters, place, active

    def take(self, *names: str, **renamed: str) -> Parameters:
        pairs = {n: n for n in names} | renamed
        return {new: self.number(old) for new, old in pairs.items() if old in self.rest}

    def number(self, name: str, default: float = 0.0) -> float:
        return number(self.rest.pop(name), self.place, name) if name in self.rest else default

    def body(self, *names: str) -> Parameters:
        """Length, tilt, displacement, and the strengths of these names."""
        found = self.take("length", "tilt", *names)
        place = self.rest.pop("misalignment", [0.0, 0.0])
        if not isinstance(place, list) or len(place) != 2:
            raise LatticeError(self.place, "a misalignment has two numbers")
        dx, dy = (number(v, self.place, "misalignment") for v in place)
        return found | {"dx": dx, "dy": dy}

    def others(self) -> Parameters:
        """What is left, as numbers where it is some."""
        return {n: v for n, v in self.rest.items() if v not in (None, [], "")}


Made = tuple[str, Parameters]


def _strong(kind: str, *names: str) -> Callable[[_Given], Made]:
    return lambda g: (kind, g.body(*names) | g.others())


def _passive(g: _Given) -> Made:
    found = g.take("length")
    for name in ("x_max", "y_max", "shape", "misalignment", "period_length", "x_slices"):
        g.rest.pop(name, None)
    return "drift", found | g.others()


def _aperture(g: _Given) -> Made:
    """A rectangle or an ellipse, while it is active."""
    elliptical = g.rest.pop("shape", "rectangular") != "rectangular"
    hole = opening(elliptical, g.number("x_max"), g.number("y_max"))
    return "marker", (kept(hole) if g.active else {}) | g.others()


def _dipole(g: _Given) -> Made:
    """Its gap is the full one; the faces of an RBend stand at half the angle."""
    found = g.body("angle", "k1")
    e1, e2 = g.number("dipole_e1"), g.number("dipole_e2")
    half = 0.5 * found.get("angle", 0.0)
    if "rbend_e1" in g.rest or "rbend_e2" in g.rest:
        e1, e2 = g.number("rbend_e1") + half, g.number("rbend_e2") + half
    gap, fint = g.number("gap"), g.number("fringe_integral")
    gap_exit, fint_exit = g.number("gap_exit", gap), g.number("fringe_integral_exit", fint)
    at = g.rest.pop("fringe_at", "both")
    first, last = at in ("both", "entrance"), at in ("both", "exit")
    return "bend", found | g.others() | {
        "e1": e1 if first else 0.0, "fint": fint if first else 0.0, "hgap": 0.5 * gap if first else 0.0,
        "e2": e2 if last else 0.0, "fintx": fint_exit if last else 0.0, "hgapx": 0.5 * gap_exit if last else 0.0,
    }  # fmt: skip


def _solenoid(g: _Given) -> Made:
    """k is B/(2 B rho)."""
    found = g.body()
    return "solenoid", found | {"ks": 2.0 * g.number("k")} | g.others()


def _corrector(kick: str) -> Callable[[_Given], Made]:
    return lambda g: ("corrector", g.body() | g.take(**{kick: "angle"}) | g.others())


def _both(g: _Given) -> Made:
    return "corrector", g.body() | g.take(hkick="horizontal_angle", vkick="vertical_angle") | g.others()


def _cavity(g: _Given) -> Made:
    found = g.body("voltage", "frequency") | {"phase": -pi / 180.0 * g.number("phase")}
    structure = {"standing_wave": "standing", "travelling_wave": "travelling", "traveling_wave": "travelling"}
    kind = str(g.rest.pop("cavity_type", "standing_wave"))
    if kind not in structure:
        raise LatticeError(g.place, f"cavity_type is {kind!r}, not standing_wave or traveling_wave")
    return "cavity", found | {"structure": structure[kind]} | g.others()


def _unknown(word: str) -> Callable[[_Given], Made]:
    return lambda g: (word, g.take("length"))


KINDS: dict[str, Callable[[_Given], Made]] = {
    **dict.fromkeys(("Drift", "Undulator"), _passive),
    "Aperture": _aperture,
    **dict.fromkeys(("Marker", "BPM", "Screen", "SpaceChargeKick", "ClosedOrbitMonitor"), lambda g: ("marker", {})),
    "Quadrupole": _strong("quadrupole", "k1"),
    "Sextupole": _strong("sextupole", "k2"),
    "Dipole": _dipole,
    "RBend": _dipole,
    "Solenoid": _solenoid,
    "HorizontalCorrector": _corrector("hkick"),
    "VerticalCorrector": _corrector("vkick"),
    "CombinedCorrector": _both,
    "Cavity": _cavity,
}
"""Kind and attributes of each class; what is missing is refused by its name."""
KICKING = dict.fromkeys(
    ("HorizontalCorrector", "VerticalCorrector", "CombinedCorrector"),
    "its kick is spread over its length; Cheetah's stands at its end",
)
"""What acts elsewhere than in Cheetah where it has a length."""
ACTING = {"SpaceChargeKick": "a kick of space charge"}
"""What leaves something out that it does while it is active."""
