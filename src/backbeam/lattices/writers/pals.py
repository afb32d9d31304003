"""A line as a PALS document (pals-project/pals at e6e44372): elements, a beam line, a lattice; knobs as variables."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import pi
from typing import Any

import numpy as np

from backbeam.elements import Element
from backbeam.errors import InputError
from backbeam.formulas import Formula, Variable, operation, substitute, text_of
from backbeam.line import Line
from backbeam.problem.text import write_tree
from backbeam.reference import Reference
from backbeam.species import KNOWN

Group = dict[str, Any]
"""Parameters by name, and groups of them; None is left out."""
_SPECIES = {"muon-": "muon", "muon+": "antimuon"}


def to_pals(line: Line, reference: Reference | None = None) -> str:
    """Text of a PALS document.

    Raises
    ------
    InputError
        For what PALS, as it is read here, has no word for.
    """
    variables = _free(line.knobs)
    write = _Writer(line, variables)
    facility: list[Any] = []
    if variables:
        facility.append({"variables": {variables[n]: write.plain(v, n) for n, v in line.knobs.given.items()}})
    names = []
    if reference is not None:
        facility.append({"beginning": {"kind": "BeginningEle", "ReferenceP": _reference(reference)}})
        names.append("beginning")
    facility += [{name: write.element(name, element)} for name, element in line._named.items()]
    title = line.name if line.name and line.name not in (*line.names, "beginning") else "beam_line"
    facility.append({title: {"kind": "BeamLine", "line": [*names, *line.sequence]}})
    facility += [{f"{title}_lattice": {"kind": "Lattice", "branches": [title]}}, {"use": f"{title}_lattice"}]
    return write_tree({"PALS": {"facility": facility}})


def _free(names: Any) -> dict[str, str]:
    """Names of variables that need no quotes, each its own."""
    found: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"\W", "_", name)
        plain = plain if re.match(r"[A-Za-z]", plain) else f"x{plain}"
        while plain in found.values():
            plain += "_"
        found[name] = plain
    return found


def _reference(reference: Reference) -> Group:
    species = reference.species
    if KNOWN.get(species.name) != species:
        raise InputError("species", species.name, f"one of {', '.join(KNOWN)}")
    return {"species_ref": _SPECIES.get(species.name, species.name), "pc_ref": float(np.asarray(reference.momentum))}


class _Writer:
    def __init__(self, line: Line, variables: dict[str, str]) -> None:
        self.line, self.variables = line, variables

    def plain(self, value: Any, path: str) -> Any:
        """A number, or the text of a formula."""
        if isinstance(value, Formula):
            return text_of(substitute(value, lambda f: Variable(self.variables.get(str(f), str(f)))))
        array = np.asarray(value)
        if array.ndim:
            raise InputError(path, value, "one number: a batch of settings is not a lattice of a file")
        return float(array)

    def element(self, name: str, element: Element) -> Group:
        """Kind, length and groups of an element."""
        if element.kind not in _KINDS:
            raise InputError(name, element.kind, f"what PALS can say here: {', '.join(_KINDS)}")
        kind, groups = _KINDS[element.kind](name, element)
        if element.kind != "patch":
            groups["BodyShiftP"] = _shift(name, element)
        return {"kind": kind, **self.cleaned(groups, name)}

    def cleaned(self, groups: Group, path: str) -> Group:
        """Without what is absent."""
        found: Group = {}
        for key, value in groups.items():
            if isinstance(value, dict):
                value = self.cleaned(value, f"{path}.{key}")
                if value:
                    found[key] = value
            elif value is not None:
                found[key] = self.plain(value, f"{path}.{key}")
        return found


def _value(element: Element, name: str) -> Any:
    """A parameter: its formula where it follows knobs, else its value."""
    return dict(element.formulas).get(name, getattr(element, name, None))


def _minus(value: Any) -> Any:
    return None if value is None else operation("neg", value) if isinstance(value, Formula) else -value


def _shift(name: str, e: Element) -> Group:
    """Errors of alignment, which turn about the middle there; the tilt of a straight element is a roll."""
    roll, tilt = _value(e, "roll"), _value(e, "tilt")
    if e.curved and roll is not None:
        raise InputError(f"{name}.roll", roll, "none for a bend: PALS rolls it about its middle")
    if not e.curved and tilt is not None:
        roll = tilt if roll is None else roll + tilt
    if (e.pitch is not None or e.yaw is not None) and e.pivot != "middle":
        raise InputError(f"{name}.pivot", e.pivot, "middle: PALS turns elements about it")
    return {
        "x_offset": _value(e, "dx"), "y_offset": _value(e, "dy"), "z_offset": _value(e, "ds"),
        "x_rot": _minus(_value(e, "pitch")), "y_rot": _value(e, "yaw"), "z_rot": roll,
    }  # fmt: skip


Made = tuple[str, Group]


def _body(kind: str) -> Callable[[str, Element], Made]:
    return lambda name, e: (kind, {"length": _value(e, "length")})


def _strengths(e: Element) -> Group:
    """Normal and skew strengths, per metre or integrated."""
    found: Group = {}
    for name in e.parameter_names():
        if match := re.fullmatch(r"k(\d)(s?)(l?)", name):
            found[f"K{'s' if match[2] else 'n'}{match[1]}{match[3].upper()}"] = _value(e, name)
    return {"MagneticMultipoleP": found}


def _magnet(kind: str) -> Callable[[str, Element], Made]:
    return lambda name, e: (kind, {"length": _value(e, "length"), **_strengths(e)})


def _thin(name: str, e: Element) -> Made:
    if e.angle is not None:
        raise InputError(f"{name}.angle", e.angle, "none: a thin multipole does not bend the line in PALS")
    return "Multipole", _strengths(e)


def _bend(name: str, e: Element) -> Made:
    end = "_rect" if e.kind == "rectangular_bend" else ""
    faces: Group = {"angle_ref": _value(e, "angle"), "tilt_ref": _value(e, "tilt")}
    faces |= {f"e1{end}": _face(e, "e1", end), f"e2{end}": _face(e, "e2", end)}
    for n, at in ((1, "entrance"), (2, "exit")):
        fint, hgap = (_value(e, p) for p in e._fringe_at(at))
        faces[f"edge{n}_int"] = None if fint is None or hgap is None else fint * hgap
    return "Bend", {"length": _value(e, "length"), "BendP": faces, **_strengths(e)}


def _face(e: Element, name: str, end: str) -> Any:
    value = _value(e, name)
    return 0.0 if value is None and end else value


def _solenoid(name: str, e: Element) -> Made:
    return "Solenoid", {"length": _value(e, "length"), "SolenoidP": {"Ksol": _value(e, "ks")}, **_strengths(e)}


def _corrector(name: str, e: Element) -> Made:
    kick = {"Kn0L": _minus(_value(e, "hkick")), "Ks0L": _value(e, "vkick")}
    return "Kicker", {"length": _value(e, "length"), "MagneticMultipoleP": kick}


def _cavity(name: str, e: Element) -> Made:
    if e.radial_kick or e.structure != "gaps":
        raise InputError(f"{name}.radial_kick", e.radial_kick, "false: PALS says nothing of fields across the axis")
    wave = {
        "voltage": _value(e, "voltage"),
        "frequency": _value(e, "frequency"),
        "phase": _value(e, "phase") / (2.0 * pi),
    }
    return "RFCavity", {"length": _value(e, "length"), "RFP": wave}


def _patch(name: str, e: Element) -> Made:
    shift = {f"{axis}_offset": _value(e, f"d{ours}") for axis, ours in (("x", "x"), ("y", "y"), ("z", "s"))}
    turn = {"x_rot": _minus(_value(e, "pitch")), "y_rot": _value(e, "yaw"), "z_rot": _value(e, "roll")}
    return "Patch", {"PatchP": shift | turn}


_KINDS: dict[str, Callable[[str, Element], Made]] = {
    "drift": _body("Drift"),
    "marker": lambda name, e: ("Marker", {}),
    "monitor": _body("Instrument"),
    "screen": lambda name, e: ("Instrument", {}),
    "quadrupole": _magnet("Quadrupole"),
    "sextupole": _magnet("Sextupole"),
    "octupole": _magnet("Octupole"),
    "multipole": _magnet("ThickMultipole"),
    "thin_multipole": _thin,
    "sector_bend": _bend,
    "rectangular_bend": _bend,
    "solenoid": _solenoid,
    "corrector": _corrector,
    "rf_cavity": _cavity,
    "patch": _patch,
}
"""What each of our kinds is there; what is missing is refused."""
