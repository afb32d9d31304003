"""What the elements of Bmad are in the words that all readers share (`backbeam.lattices.mapping`).

Bmad's manual (https://www.classe.cornell.edu/bmad) names them. Strengths may be fields, which need the reference
momentum. Errors of alignment turn about the middle of an element. Phases are turns: of an rfcavity from the falling
zero of a sine, as MAD's lag; of an lcavity from the crest.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from math import pi
from typing import Any

from backbeam.formulas import Formula, operation
from backbeam.lattices.description import LatticeError, Location
from backbeam.lattices.pipes import kept, opening
from backbeam.reference import Reference
from backbeam.species import SPEED_OF_LIGHT

TYPES = """ab_multipole ac_kicker beambeam beginning_ele capillary converter crab_cavity custom crystal detector
    diffraction_plate drift e_gun ecollimator elseparator em_field feedback fiducial floor_shift foil fork
    gkicker group girder hkicker hybrid instrument kicker lcavity lens marker mask match mirror monitor
    multilayer_mirror multipole null_ele octupole overlay patch photon_fork photon_init pickup pipe pixel
    quadrupole ramper rbend rcollimator rfcavity rf_bend sad_mult sample sbend sextupole sol_quad solenoid
    taylor thick_multipole undulator vkicker wiggler""".split()
IDLE = frozenset(
    """ds_step num_steps n_steps integrator_order type alias descrip x_limit y_limit x1_limit x2_limit y1_limit
    y2_limit aperture aperture_at aperture_type offset ref ref_origin ele_origin superimpose wrap_superimpose
    create_jumbo_slave field_master tracking_method mat6_calc_method field_calc spin_tracking_method
    ptc_integration_type ptc_field_geometry ptc_fringe_geometry ptc_max_fringe_order fringe_type fringe_at is_on
    symplectify csr_method space_charge_method csr_ds_step reference l_active lr_wake_file sr_wake_file sr_wake
    lr_wake dphi0_ref n_ref_pass multipass_ref_energy offset_moves_aperture taylor_map_includes_offsets
    allow_tm_saturation autoscale_phase autoscale_amplitude scale particle geometry to_line to_element
    new_branch direction coupler_at coupler_strength coupler_angle coupler_phase n_cell e_loss polarity
    longitudinal_mode exact_multipoles fiducial_pt fq1 fq2 eps_step_scale rf_wake delta_ref_time old_command
    lord_pad1 lord_pad2 static_linear_map scale_multipoles num_wedges field_autoscale phi0_autoscale cavity_type
    e_tot_start p0c_start flexible user_sets_length beta_a beta_b alpha_a alpha_b phi_a phi_b eta_x eta_y etap_x
    etap_y z_position x_position y_position theta_position""".split()
)
"""Attributes that do not change the linear optics, or are looked at elsewhere."""
LIMITS = ("x_limit", "y_limit", "x1_limit", "x2_limit", "y1_limit", "y2_limit")
ALIGNMENT = {"dx": "x_offset", "dy": "y_offset", "ds": "z_offset", "yaw": "x_pitch", "pitch": "y_pitch"}
Made = tuple[str, dict[str, Any]]


class Word:
    """One element's attributes; those that nobody takes are left for the mapping to refuse."""

    def __init__(self, type: str, attributes: dict[str, Any], place: Location, reference: Reference | None) -> None:
        self.type, self.place, self.reference = type, place, reference
        self.texts = {n: v for n, v in attributes.items() if isinstance(v, str)}
        self.rest = {n: v for n, v in attributes.items() if n not in IDLE and not isinstance(v, str)}
        sides = {f"{p}{side}_limit": attributes.get("aperture") for p in "xy" for side in "12"}
        given = {n: v for n, v in (sides | attributes).items() if n in LIMITS and isinstance(v, int | float)}
        self.limits: dict[str, Any] = given

    def get(self, name: str, default: Any = 0.0) -> Any:
        """An attribute, which is taken; its default where it is not there."""
        return self.rest.pop(name, default)

    def field(self, name: str, factor: float = 1.0) -> Any:
        """A field over B rho."""
        value = self.get(name)
        if is_zero(value):
            return 0.0
        if self.reference is None or self.reference.species.charge_number == 0.0:
            raise LatticeError(self.place, f"{name} needs a charged reference particle (parameter[p0c])")
        rigidity = float(self.reference.momentum) / (self.reference.species.charge_number * SPEED_OF_LIGHT)
        return operation("/", factor * value, rigidity)

    def opening(self) -> dict[str, Any]:
        """Aperture of a pipe that is symmetric about the axis."""
        limits = self.limits
        half = [max(limits.get(f"{p}_limit", 0.0), limits.get(f"{p}1_limit", 0.0)) for p in "xy"]
        if any(limits.get(f"{p}1_limit") != limits.get(f"{p}2_limit") for p in "xy"):
            return {}
        elliptical = self.texts.get("aperture_type", "ell" if self.type == "ecollimator" else "rec").startswith("ell")
        return kept(opening(elliptical, *half), 1)

    def body(self) -> dict[str, Any]:
        """Length and errors of alignment."""
        found = {ours: self.get(name) for ours, name in ALIGNMENT.items()}
        found = {n: v for n, v in found.items() if not is_zero(v)}
        if set(found) & {"pitch", "yaw"}:
            found["pivot"] = "middle"
        return found | {"length": self.get("l"), "tilt": self.get("tilt")}


def is_zero(value: Any) -> bool:
    """Whether it is the number 0, and no formula."""
    return not isinstance(value, Formula) and value == 0.0


def _sum(a: Any, b: Any) -> Any:
    return b if is_zero(a) else a if is_zero(b) else a + b


def _magnet(kind: str, normal: str, field: str) -> Callable[[Word], Made]:
    """A straight magnet; what it kicks besides is its dipole."""

    def made(w: Word) -> Made:
        found = w.body()
        strength = _sum(w.get(normal), w.field(field))
        kicks = [_sum(w.get(f"{p}kick"), w.field(f"bl_{p}kick")) for p in "hv"]
        if not all(is_zero(k) for k in kicks) and not is_zero(found["length"]):
            order = int(normal[1])
            per_metre = [operation("/", k, found["length"]) for k in kicks]
            row = [operation("neg", per_metre[0]), *[0.0] * (order - 1), strength]
            return "multipole", found | {"kn": row, "ks": [per_metre[1]]}
        return kind, found | {normal: strength, normal + "s": w.get(normal + "s")}

    return made


def _bend(w: Word) -> Made:
    """Arc, angle, curvature from two of them; the length of an rbend is the chord, its faces at half the angle."""
    found = w.body()
    found.pop("tilt")
    length, angle, g = found["length"], w.get("angle", None), w.get("g", None)
    rho, chord, arc = w.get("rho", None), w.get("l_chord", None), w.get("l_arc", None)
    if g is None:
        g = operation("/", 1.0, rho) if rho is not None else None
    field = w.field("b_field")
    if g is None and not is_zero(field):
        g = field
    if w.type == "rbend" and arc is None and chord is None:
        chord = length
    if chord is not None and not is_zero(chord):
        if angle is None:
            angle = 2.0 * operation("asin", 0.5 * g * chord) if g is not None else 0.0
        length = operation("/", chord, operation("sinc", 0.5 * angle))
    elif arc is not None:
        length = arc
    if angle is None:
        angle = g * length if g is not None else 0.0
    elif is_zero(length) and g is not None:
        length = operation("/", angle, g)
    half = 0.5 * angle if w.type == "rbend" else 0.0
    found |= {"length": length, "angle": angle, "e1": _sum(w.get("e1"), half), "e2": _sum(w.get("e2"), half)}
    dg = _sum(w.get("dg"), _sum(w.get("g_err"), w.field("db_field")))
    if not is_zero(dg) and not is_zero(length):
        found["k0"] = operation("/", angle, length) + dg
    found |= {"k1": _sum(w.get("k1"), w.field("b1_gradient")), "k2": _sum(w.get("k2"), w.field("b2_gradient"))}
    fint, hgap = w.get("fint"), w.get("hgap")
    found |= {"fint": fint, "hgap": hgap, "fintx": w.get("fintx", fint), "hgapx": w.get("hgapx", hgap)}
    found["tilt"] = w.get("ref_tilt")
    return "bend", found


def _solenoid(w: Word) -> Made:
    found = w.body()
    ks, k1 = _sum(w.get("ks"), w.field("bs_field")), _sum(w.get("k1"), w.field("b1_gradient"))
    return "solenoid", found | {"ks": ks, "k1": k1}


def _kicker(w: Word) -> Made:
    found = w.body()
    if w.type in ("hkicker", "vkicker"):
        return "corrector", found | {w.type[:5]: _sum(w.get("kick"), w.field("bl_kick"))}
    return "corrector", found | {f"{p}kick": _sum(w.get(f"{p}kick"), w.field(f"bl_{p}kick")) for p in "hv"}


def _multipole(w: Word) -> Made:
    """Integrated strengths, each with a tilt of its own; those of an ab_multipole are over a factorial."""
    found = w.body()
    found.pop("length")
    rows: dict[str, list[Any]] = {"knl": [], "ksl": []}
    for name in [n for n in w.rest if re.fullmatch(r"k\d+l|[ab]\d+|k\d+sl", n)]:
        order, value = int(re.sub(r"\D", "", name)), w.get(name)
        if order > 30:
            raise LatticeError(w.place, f"{name}: a multipole of that order is more than there is")
        if name[0] in "ab":
            value = value * float(math.factorial(order))
        row = rows["ksl" if name[0] == "a" or name.endswith("sl") else "knl"]
        row += [0.0] * (order + 1 - len(row))
        row[order] = value
    if any(not is_zero(v) for row in rows.values() for v in row[:1]):
        w.rest["k0l of a multipole, which bends the reference"] = 1.0
    return "thin_multipole", found | rows


def _cavity(w: Word) -> Made:
    found = w.body()
    voltage = w.get("voltage", None)
    gradient = w.get("gradient")
    if voltage is None:
        voltage = gradient * found["length"]
    phase = 2.0 * pi * _sum(w.get("phi0"), w.get("phi0_multipass"))
    harmon, frequency = w.get("harmon", w.get("harmonic")), w.get("rf_frequency")
    w.get("voltage_err"), w.get("phi0_err"), w.get("gradient_err")
    if is_zero(frequency) and not is_zero(harmon) and not is_zero(voltage):
        w.rest["harmon"] = harmon
    if w.texts.get("is_on", "t").startswith("f"):
        voltage = 0.0
    found |= {"voltage": voltage, "frequency": frequency}
    if w.type == "rfcavity":
        return "cavity", found | {"phase": 0.5 * pi - phase, "axial": 1.0}
    if w.type == "crab_cavity":
        return "crab", found | {"phase": 0.5 * pi - phase}
    structure = "travelling" if w.texts.get("cavity_type", "").startswith("trav") else "standing"
    return "cavity", found | {"phase": phase} | ({"structure": structure} if not is_zero(found["length"]) else {})


def _patch(w: Word) -> Made:
    found = {ours: w.get(name) for ours, name in ALIGNMENT.items()}
    w.get("l")
    return "patch", found | {"roll": w.get("tilt")}


def _passive(w: Word) -> Made:
    return ("monitor" if w.type in ("monitor", "instrument", "detector") else "drift"), {"length": w.body()["length"]}


def _marker(w: Word) -> Made:
    w.rest.clear()
    return "marker", {}


def _only_if_idle(*strengths: str) -> Callable[[Word], Made]:
    """A drift where all strengths are 0; otherwise what there is not here."""

    def made(w: Word) -> Made:
        length = w.get("l")
        if all(is_zero(w.rest.get(s, 0.0)) for s in strengths):
            w.rest.clear()
            return "drift", {"length": length}
        return w.type, {"length": length}

    return made


WORDS: dict[str, Callable[[Word], Made]] = {
    **dict.fromkeys("drift pipe monitor instrument detector ecollimator rcollimator mask".split(), _passive),
    **dict.fromkeys("marker fork photon_fork floor_shift fiducial null_ele beginning_ele pickup".split(), _marker),
    "quadrupole": _magnet("quadrupole", "k1", "b1_gradient"),
    "sextupole": _magnet("sextupole", "k2", "b2_gradient"),
    "octupole": _magnet("octupole", "k3", "b3_gradient"),
    **dict.fromkeys(("sbend", "rbend"), _bend),
    **dict.fromkeys(("solenoid", "sol_quad"), _solenoid),
    **dict.fromkeys(("kicker", "hkicker", "vkicker"), _kicker),
    **dict.fromkeys(("multipole", "ab_multipole"), _multipole),
    **dict.fromkeys(("rfcavity", "lcavity", "crab_cavity"), _cavity),
    "patch": _patch,
    "elseparator": _only_if_idle("hkick", "vkick", "e_field"),
    "beambeam": _only_if_idle("n_particle"),
    **dict.fromkeys(("wiggler", "undulator"), _only_if_idle("b_max", "k1y", "k1x")),
}
"""Kind and attributes of each type; what is missing is refused under its own word."""


def type_named(word: str) -> str | None:
    """Bmad's type that a word means, which may be cut short to what tells it apart; None if it is none."""
    word = word.lower()
    if word in TYPES:
        return word
    found = [t for t in TYPES if t.startswith(word)] if len(word) >= 3 else []
    return found[0] if found and (len(found) == 1 or len(word) >= 4) else None
