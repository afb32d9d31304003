"""What the kinds and parameter groups of PALS are in the words that all readers share (`backbeam.lattices.mapping`)."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import pi
from typing import Any

from backbeam.errors import InputError
from backbeam.formulas import Formula, operation
from backbeam.lattices.description import LatticeError, Location
from backbeam.reference import Reference
from backbeam.species import ELECTRON_MASS, ELEMENTARY_CHARGE, KNOWN, PROTON_MASS, SPEED_OF_LIGHT, Species

CONSTANTS: dict[str, float] = {
    "pi": pi,
    "c_light": SPEED_OF_LIGHT,
    "e_charge": ELEMENTARY_CHARGE,
    "h_planck": 4.135667696e-15,
    "r_electron": 2.8179403262e-15,
    "r_proton": 1.5346982671888944e-18,
    "m_electron": ELECTRON_MASS,
    "m_proton": PROTON_MASS,
    "eps_0_vac": 8.8541878128e-12,
    "mu_0_vac": 1.25663706212e-6,
    "fine_structure": 7.2973525693e-3,
    "avogadro": 6.02214076e23,
}
"""Constants that every document knows: SI units, masses in eV."""
GROUPS: dict[str, tuple[str, ...]] = {
    "MagneticMultipoleP": (),
    "ElectricMultipoleP": (),
    "BendP": ("h1", "h2", "Kn0_from_g_ref", "L_rectangle", "L_sagitta", "bend_field_ref", "edge_gap1", "edge_gap2"),
    "SolenoidP": (),
    "RFP": ("n_cell", "zero_phase", "cavity_type", "num_cells", "autoscale"),
    "BodyShiftP": (),
    "PatchP": ("flexible", "user_sets_length", "ref_coords"),
}
"""Groups that change the optics, with what in them does not (of thick bends: faces without curvature)."""
ATOMS = {"#1H": 1.00782503223, "#2H": 2.01410177812, "#3He": 3.0160293201, "#4He": 4.00260325413, "#12C": 12.0}
"""Atomic masses [u]."""
OURS = {"muon": "muon-", "antimuon": "muon+"}
Made = tuple[str, dict[str, Any]]


def species_of(name: str) -> Species:
    """The species of a name: ours, or an atom with its charge, ``#3He++`` or ``#12C+6``.

    Raises
    ------
    InputError
        For one that is not known.
    """
    name = name.strip().strip('"')
    if OURS.get(name, name) in KNOWN:
        return KNOWN[OURS.get(name, name)]
    found = re.fullmatch(r"(#\d+[A-Z][a-z]?)([+-]\d+|[+]+|-+)?", name)
    if found is None or found[1] not in ATOMS:
        raise InputError("species", name, f"one of {', '.join((*KNOWN, *ATOMS))}")
    charge = found[2] or "0"
    number = float(charge) if charge.lstrip("+-") else float(len(charge) * (1 if charge[0] == "+" else -1))
    return Species(name, ATOMS[found[1]] * 931494102.42 - number * ELECTRON_MASS, number)


class Given:
    """Parameters of an element as ``Group.name``; those that nobody takes are left for the mapping to refuse."""

    def __init__(self, values: dict[str, Any], place: Location, reference: Reference | None) -> None:
        self.rest, self.place, self.reference = values, place, reference

    def get(self, name: str, default: Any = 0.0) -> Any:
        """A parameter, which is taken; its default where it is not there."""
        return self.rest.pop(name, default)

    def per_rigidity(self, field: Any) -> Any:
        """A field over B rho, which the reference particle says."""
        if self.reference is None or self.reference.species.charge_number == 0.0:
            raise LatticeError(self.place, "a field needs a charged reference particle (ReferenceP)")
        rigidity = float(self.reference.momentum) / (self.reference.species.charge_number * SPEED_OF_LIGHT)
        return operation("/", field, rigidity)

    def body(self) -> dict[str, Any]:
        """Length and errors of alignment; PALS turns about the element's middle."""
        shift = {
            "dx": "x_offset",
            "dy": "y_offset",
            "ds": "z_offset",
            "pitch": "x_rot",
            "yaw": "y_rot",
            "roll": "z_rot",
        }
        found = {ours: self.get(f"BodyShiftP.{name}") for ours, name in shift.items()}
        found = {n: v for n, v in found.items() if not is_zero(v)}
        if "pitch" in found:
            found["pitch"] = operation("neg", found["pitch"])
        if set(found) & {"pitch", "yaw"}:
            found["pivot"] = "middle"
        return found | {"length": self.get("length")}

    def strengths(self, length: Any) -> tuple[list[Any], list[Any], bool]:
        """Strengths by order, normal and skew, per metre where there is a length; whether they are integrated."""
        group = "MagneticMultipoleP."
        thin = is_zero(length)
        rows: tuple[list[Any], list[Any]] = ([], [])
        for key in [k for k in self.rest if k.startswith(group)]:
            found = re.fullmatch(r"([KB])([ns])(\d)(L?)", key.removeprefix(group))
            if found is None:
                continue
            field, skew, order, integrated = found[1] == "B", found[2] == "s", int(found[3]), bool(found[4])
            value = self.get(key)
            value = self.per_rigidity(value) if field else value
            if integrated and not thin:
                value = operation("/", value, length)
            elif thin and not integrated:
                value = 0.0
            row = rows[skew]
            row += [0.0] * (order + 1 - len(row))
            row[order] = row[order] + value
        for key in [k for k in self.rest if re.fullmatch(r"MagneticMultipoleP\.tilt\d", k)]:
            if is_zero(self.rest[key]):
                self.rest.pop(key)
        return (*rows, thin)

    def others(self) -> dict[str, Any]:
        """What nobody has taken."""
        return self.rest


def is_zero(value: Any) -> bool:
    """Whether it is the number 0, and no formula."""
    return not isinstance(value, Formula) and value == 0.0


def _all_zero(row: list[Any]) -> bool:
    return all(is_zero(v) for v in row)


def _magnet(kind: str, order: int) -> Callable[[Given], Made]:
    """A magnet of one order, or a multipole where it has others."""

    def made(g: Given) -> Made:
        found = g.body()
        kn, ks, thin = g.strengths(found["length"])
        others = [v for row in (kn, ks) for k, v in enumerate(row) if k != order]
        if thin:
            found.pop("length")
            return "thin_multipole", found | {"knl": kn, "ksl": ks} | g.others()
        if kind and _all_zero(others):
            strength = {f"k{order}{s}": row[order] for s, row in (("", kn), ("s", ks)) if len(row) > order}
            return kind, found | strength | g.others()
        return "multipole", found | {"kn": kn, "ks": ks} | g.others()

    return made


def _bend(g: Given) -> Made:
    """Any two of curvature, length and angle give the third; the edge integral is FINT times HGAP."""
    found = g.body()
    angle, g_ref, radius = (g.get(f"BendP.{n}", None) for n in ("angle_ref", "g_ref", "radius_ref"))
    length, chord = found["length"], g.get("BendP.L_chord", None)
    if g_ref is None and radius is not None:
        g_ref = operation("/", 1.0, radius)
    if chord is not None and is_zero(length):
        if angle is None:
            angle = 2.0 * operation("asin", 0.5 * g_ref * chord) if g_ref is not None else 0.0
        length = operation("/", chord, operation("sinc", 0.5 * angle))
    elif is_zero(length) and angle is not None and g_ref is not None:
        length = operation("/", angle, g_ref)
    elif angle is None:
        angle = g_ref * length if g_ref is not None else 0.0
    found["length"], found["angle"] = length, angle
    kn, ks, thin = g.strengths(length)
    if thin and is_zero(angle):
        for name in ("e1", "e2", "e1_rect", "e2_rect", "edge1_int", "edge2_int", "tilt_ref"):
            g.get(f"BendP.{name}")
        return "thin_multipole", {"knl": kn, "ksl": ks} | g.others()
    found |= {f"k{order}": v for order, v in enumerate(kn)} | {f"k{order}s": v for order, v in enumerate(ks)}
    if "k0" in found and not isinstance(found["k0"], Formula) and is_zero(found["k0"]):
        del found["k0"]
    for n, fint, hgap in ((1, "fint", "hgap"), (2, "fintx", "hgapx")):
        rectangular, integral = g.get(f"BendP.e{n}_rect", None), g.get(f"BendP.edge{n}_int")
        e = g.get(f"BendP.e{n}")
        found[f"e{n}"] = e if rectangular is None else rectangular + 0.5 * angle
        found |= {fint: 1.0, hgap: integral} if not is_zero(integral) else {}
    return "bend", found | {"tilt": g.get("BendP.tilt_ref")} | g.others()


def _solenoid(g: Given) -> Made:
    found = g.body()
    ks = g.get("SolenoidP.Ksol")
    field = g.get("SolenoidP.Bsol")
    if not is_zero(field):
        ks = ks + g.per_rigidity(field)
    kn, sn, _ = g.strengths(found["length"])
    found |= {f"k{order}": v for order, v in enumerate(kn)} | {f"k{order}s": v for order, v in enumerate(sn)}
    return "solenoid", found | {"ks": ks} | g.others()


def _kicker(g: Given) -> Made:
    """Its dipole kicks without bending the reference: -K0 L in x."""
    found = g.body()
    kn, ks, thin = g.strengths(found["length"])
    if thin:
        found.pop("length")
        return "corrector", found | {"hkick": operation("neg", kn[0]) if kn else 0.0, "vkick": ks[0] if ks else 0.0}
    return "multipole", found | {"kn": kn, "ks": ks} | g.others()


def _cavity(g: Given) -> Made:
    """Phases in turns from the crest; the gradient acts over the active length, which is the element's unless given."""
    found = g.body()
    voltage, gradient = g.get("RFP.voltage", None), g.get("RFP.gradient")
    active = g.get("RFP.L_active", found["length"])
    if voltage is None:
        voltage = gradient * active
    return "cavity", found | {
        "voltage": voltage,
        "frequency": g.get("RFP.frequency"),
        "phase": 2.0 * pi * g.get("RFP.phase"),
        "axial": 1.0,
        "harmon": g.get("RFP.harmon") if not is_zero(voltage) else 0.0,
    } | g.others()  # fmt: skip


def _passive(g: Given) -> Made:
    found = g.body()
    return "drift", {"length": found["length"]} | g.others()


def _marker(g: Given) -> Made:
    g.rest.pop("length", None)
    return "marker", g.others()


def _patch(g: Given) -> Made:
    names = {"dx": "x_offset", "dy": "y_offset", "ds": "z_offset", "yaw": "y_rot", "roll": "z_rot"}
    found = {ours: g.get(f"PatchP.{name}") for ours, name in names.items()}
    pitch = g.get("PatchP.x_rot")
    return "patch", found | {"pitch": operation("neg", pitch) if not is_zero(pitch) else 0.0} | g.others()


KINDS: dict[str, Callable[[Given], Made]] = {
    **dict.fromkeys(("Drift", "Collimator", "Mask", "Instrument", "Pipe", "Placeholder", "NullEle"), _passive),
    **dict.fromkeys(("Marker", "BeginningEle", "Fork", "FloorShift", "Fiducial"), _marker),
    "Quadrupole": _magnet("quadrupole", 1),
    "Sextupole": _magnet("sextupole", 2),
    "Octupole": _magnet("octupole", 3),
    **dict.fromkeys(("Multipole", "ThickMultipole"), _magnet("", 0)),
    "Bend": _bend,
    "Solenoid": _solenoid,
    **dict.fromkeys(("Kicker", "HKicker", "VKicker"), _kicker),
    "RFCavity": _cavity,
    "Patch": _patch,
}
"""Kind and attributes of each kind of PALS; what is missing is refused by its name."""
