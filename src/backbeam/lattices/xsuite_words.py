"""What the classes of xtrack are in the words that all readers share (`backbeam.lattices.mapping`)."""

from __future__ import annotations

from collections.abc import Callable
from math import pi, sin
from typing import Any

from backbeam.elements.openings import RectEllipse
from backbeam.formulas import Formula, operation
from backbeam.lattices.description import LatticeError, Location, Note, Report
from backbeam.lattices.json_text import number
from backbeam.lattices.pipes import FAR, kept, opening

IDLE = frozenset(
    """prototype name_associated_aperture order inv_factorial_order model integrator num_multipole_kicks radiation_flag
    rbend_model allow_rot_and_shift _isthick iscollective backtrack
    allow_loss_refinement
    extra h k0_from_h a_squ b_squ a_b_squ compensate_sagitta rbend_compensate_sagitta delta_taper lag_taper _k0_from_h
    isthick_ mult_order""".split()
)
"""Properties that do not change the linear optics, or follow from others."""
Made = tuple[str, dict[str, Any]]


class Given:
    """Properties of an element; those that nobody takes are left for the mapping to refuse.

    ``kicks`` says how many a cavity has: one, if the file does not.
    """

    def __init__(self, fields: dict[str, Any], place: Location, report: Report, name: str) -> None:
        self.rest, self.place, self.report, self.name = fields, place, report, name
        kicks = fields.pop("num_kicks", 0)
        self.kicks = float(kicks) if isinstance(kicks, int | float) and kicks >= 1 else 1.0

    def take(self, *names: str, **renamed: str) -> dict[str, Any]:
        """Properties by the same names, and ``new="old"`` by others; those that are not there are left out."""
        pairs = {n: n for n in names} | renamed
        return {new: self.get(old) for new, old in pairs.items() if old in self.rest}

    def get(self, name: str, default: Any = 0.0) -> Any:
        """A number or formula, or a list of them."""
        value = self.rest.pop(name, default)
        if isinstance(value, list):
            return [self._number(v, name) for v in value]
        return self._number(value, name)

    def _number(self, value: Any, name: str) -> Any:
        return value if isinstance(value, Formula) else number(value, self.place, name)

    def body(self, *names: str) -> dict[str, Any]:
        """Length, errors of alignment, and strengths of these names."""
        return self.take("length", *names, dx="shift_x", dy="shift_y", ds="shift_s", tilt="rot_s_rad")

    def others(self) -> dict[str, Any]:
        """What nobody has taken, lists of zeros and words that mean nothing left out."""
        rest = {n: v for n, v in self.rest.items() if not isinstance(v, str | dict | bool) and v is not None}
        for name, value in rest.items():
            if not isinstance(value, int | float | Formula | list):
                raise LatticeError(self.place, f"{name} is {str(value)[:60]!r}, not a number")
        return rest


def is_zero(value: Any) -> bool:
    """Whether it is the number 0, and no formula."""
    return not isinstance(value, Formula) and value == 0.0


def _strong(kind: str, *names: str) -> Callable[[Given], Made]:
    return lambda g: (kind, g.body(*names) | g.others())


def _passive(g: Given) -> Made:
    return "drift", g.take("length")


def _aperture(g: Given) -> Made:
    """A rectangle about its centre, an ellipse, or both; other shapes are left out, and said."""
    names = ("min_x", "max_x", "min_y", "max_y", "a", "b")
    low_x, high_x, low_y, high_y, a, b = (g.get(n) if n in g.rest else None for n in names)
    hole = None
    if low_x is None and a is not None and b is not None:
        hole = opening(True, a, b) if high_x is None else RectEllipse(*map(float, (high_x, high_y, a, b)))
        return "marker", kept(hole) | g.take(dx="shift_x", dy="shift_y")
    if "corners" not in g.rest and not {"x_vertices", "a_vertices"} & set(g.rest) and high_x is not None and a is None:
        sides = [(-FAR if low is None else low, FAR if high is None else high) for low, high in
                 ((low_x, high_x), (low_y, high_y))]  # fmt: skip
        if all(-1e9 < low < high < 1e9 for low, high in sides):
            hole = opening(False, *(0.5 * (high - low) for low, high in sides))
            middle = {n: 0.5 * (low + high) for n, (low, high) in zip(("dx", "dy"), sides, strict=True)}
            return "marker", kept(hole) | middle
    g.report.dropped.append(Note(g.place, f"the aperture {g.name}"))
    return "marker", {}


def _bend(g: Given) -> Made:
    """A sector bend along its arc, or one whose faces stand at half the angle, by its straight length."""
    straight = "length_straight" in g.rest
    found = g.body("angle", "k0", "k1", "k2")
    angle, chord = found.get("angle", 0.0), g.get("length_straight")
    if straight and ("length" not in found or isinstance(chord, Formula)):
        found["length"] = operation("/", chord, operation("sinc", 0.5 * angle))
    difference = g.get("rbend_angle_diff")
    if not is_zero(difference):
        g.rest["rbend_angle_diff"] = 1.0
    g.get("rbend_shift")
    if not is_zero(found.get("k0", 0.0)) and not isinstance(found["k0"], Formula) and not isinstance(angle, Formula):
        length = found.get("length", 0.0)
        if not isinstance(length, Formula) and abs(found["k0"] * length - angle) <= 1e-15 * abs(angle):
            del found["k0"]
    found |= _faces(g, 0.5 * angle if straight else 0.0)
    return "bend", found | g.others()


def _faces(g: Given, begin: Any) -> dict[str, Any]:
    """Faces that are there, counted from an angle; those of the models full and dipole-only have all their orders."""
    found: dict[str, Any] = {}
    models = []
    for end, (e, fint, hgap) in {"entry": ("e1", "fint", "hgap"), "exit": ("e2", "fintx", "hgapx")}.items():
        works = not is_zero(g.get(f"edge_{end}_active", 1.0))
        model = g.rest.pop(f"edge_{end}_model", "linear") if works else "suppressed"
        face, integral, gap = (g.get(f"edge_{end}_{what}") for what in ("angle", "fint", "hgap"))
        if model != "suppressed":
            found |= {e: begin + face, fint: integral, hgap: gap}
        models.append(model)
    hard = [model in ("full", "dipole-only") for model in models]
    if any(hard):
        found["hard"] = 1.0
        if not all(hard):
            g.report.guessed.append(Note(g.place, f"{g.name}: both faces have all their orders, not {models}"))
    return found


def _edge(g: Given) -> Made:
    return "dipole_edge", g.take("fint", "hgap", curvature="k", e="e1") | g.others()


def _multipole(g: Given) -> Made:
    knl, ksl = _row(g.get("knl", [])), _row(g.get("ksl", []))
    found = g.take(dx="shift_x", dy="shift_y", tilt="rot_s_rad")
    thick = bool(g.rest.pop("isthick", False))
    length, angle = g.get("length"), g.get("hxl")
    if thick and not is_zero(length):
        if not is_zero(angle):
            found["hxl of a thick multipole"] = 1.0
        kn, ks = ([operation("/", v, length) for v in row] for row in (knl, ksl))
        return "multipole", found | {"length": length, "kn": kn, "ks": ks} | g.others()
    return "thin_multipole", found | {"knl": knl, "ksl": ksl, "angle": angle, "lrad": length} | g.others()


def _row(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _solenoid(g: Given) -> Made:
    """Of the old class, ksi is the integrated strength where there is no length."""
    found = g.body("ks")
    integrated = g.get("ksi")
    if is_zero(found.get("length", 0.0)) and not is_zero(integrated):
        found["ksi of a thin solenoid"] = 1.0
    return "solenoid", found | g.others()


def _cavity(g: Given) -> Made:
    """V sin(phase + w t): ours is a cosine. The reference's energy follows it here; in xtrack it stays."""
    found = g.body("voltage", "frequency")
    phase = _phase(g)
    harmonic = g.get("harmonic")
    if not is_zero(harmonic) and is_zero(found.get("frequency", 0.0)):
        found["frequency"] = 0.0
        if not is_zero(found.get("voltage", 0.0)):
            found["harmonic without a frequency"] = harmonic
    g.get("absolute_time")
    idle = is_zero(found.get("voltage", 0.0)) or (not isinstance(phase, Formula) and abs(sin(phase)) < 1e-11)
    if not idle:
        g.report.guessed.append(Note(g.place, f"{g.name}: the energy of the reference follows it"))
    return "cavity", found | {"phase": phase - 0.5 * pi, "axial": 1.0, "gaps": g.kicks} | g.others()


def _crab(g: Given) -> Made:
    """V sin(phase + w t) towards +x."""
    found = g.body("frequency") | g.take(voltage="crab_voltage")
    g.get("absolute_time")
    return "crab", found | {"phase": _phase(g) - 0.5 * pi, "gaps": g.kicks} | g.others()


def _phase(g: Given) -> Any:
    """A lag in degrees, of older files, and a phase: xtrack adds them."""
    lag, phase = g.get("lag"), g.get("phase")
    return phase if is_zero(lag) else pi / 180.0 * lag + phase


def _rotation(g: Given) -> Made:
    """Of one class now, of three in older files, in degrees."""
    if not is_zero(g.rest.get("shift_s", 0.0)):
        g.report.guessed.append(
            Note(g.place, f"{g.name}: the time of the reference goes on along it, xtrack's does not")
        )
    found = g.take(roll="rot_s_rad", yaw="rot_y_rad")
    if not is_zero(pitch := g.get("rot_x_rad")):
        found["pitch"] = operation("neg", pitch)
    return "patch", found | g.take(dx="shift_x", dy="shift_y", ds="shift_s") | g.others()


def _degrees(name: str, sign: float) -> Callable[[Given], Made]:
    def made(g: Given) -> Made:
        angle = g.get("angle")
        for old in ("cos_z", "sin_z", "cos_angle", "sin_angle", "tan_angle"):
            g.rest.pop(old, None)
        return "patch", {name: sign * pi / 180.0 * angle} | g.others()

    return made


def _map(g: Given) -> Made:
    """A matrix about its closed orbit, in (x, px, y, py, zeta, delta): not ours at finite beta."""
    return "FirstOrderTaylorMap", g.take("length")


APERTURES = "LimitRect LimitEllipse LimitRectEllipse LimitRacetrack LimitPolygon LongitudinalLimitRect".split()
CLASSES: dict[str, Callable[[Given], Made]] = {
    **dict.fromkeys(("Drift", "DriftExact", "Device", "DriftSlice"), _passive),
    **dict.fromkeys(
        ("Marker", "BeamPositionMonitor", "BeamProfileMonitor", "ParticlesMonitor"), lambda g: ("marker", {})
    ),
    **dict.fromkeys(APERTURES, _aperture),
    "Quadrupole": _strong("quadrupole", "k1", "k1s"),
    "Sextupole": _strong("sextupole", "k2", "k2s"),
    "Octupole": _strong("octupole", "k3", "k3s"),
    **dict.fromkeys(("Bend", "RBend", "CombinedFunctionMagnet"), _bend),
    "DipoleEdge": _edge,
    "Multipole": _multipole,
    **dict.fromkeys(("Solenoid", "UniformSolenoid"), _solenoid),
    "Cavity": _cavity,
    "CrabCavity": _crab,
    **dict.fromkeys(("Rotation", "Translation"), _rotation),
    "XYShift": lambda g: ("patch", g.take("dx", "dy") | g.others()),
    "SRotation": _degrees("roll", 1.0),
    "YRotation": _degrees("yaw", 1.0),
    "XRotation": _degrees("pitch", -1.0),
    "FirstOrderTaylorMap": _map,
}
"""Kind and attributes of each class; what is missing is refused by its name."""
