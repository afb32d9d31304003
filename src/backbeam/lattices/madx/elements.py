"""What the elements of MAD-X are in the words that all readers share (`backbeam.lattices.mapping`).

MAD-X counts voltages in MV, frequencies in MHz and the lag of a cavity in turns from the zero crossing; its strengths
and angles are ours.
"""

from __future__ import annotations

from collections.abc import Callable
from math import pi
from typing import Any

from backbeam.formulas import Formula
from backbeam.lattices.madx.sequences import Definition
from backbeam.lattices.madx.words import IDLE, SWITCHES

Attributes = dict[str, Any]


class Word:
    """One element's attributes, of which those that are not taken are left for the mapping to refuse."""

    def __init__(
        self,
        definition: Definition,
        charge: float,
        frequency: Callable[[Any], Any],
        value: Callable[[Any], float],
    ) -> None:
        self.charge, self.frequency, self.value = charge, frequency, value
        self.base = definition.base
        self.rest = {n: v for n, v in definition.attributes.items() if n not in IDLE or (n in SWITCHES and v != 0.0)}

    def take(self, *names: str, **renamed: str) -> Attributes:
        """Attributes by the same names, and ``new="old"`` by others; those that are not there are left out."""
        pairs = {n: n for n in names} | renamed
        return {new: self.rest.pop(old) for new, old in pairs.items() if old in self.rest}

    def get(self, name: str) -> Any:
        """An attribute; 0 where it is not there."""
        return self.rest.pop(name, 0.0)


def _zero(value: Any) -> bool:
    return not isinstance(value, Formula) and value == 0.0


def _passive(w: Word) -> tuple[str, Attributes]:
    return ("monitor" if "monitor" in w.base else "drift"), w.take(length="l")


def _strong(kind: str, *names: str) -> Callable[[Word], tuple[str, Attributes]]:
    """A magnet that does nothing without a length, as in MAD-X."""

    def made(w: Word) -> tuple[str, Attributes]:
        found = w.take(*names, "tilt", length="l")
        if _zero(found.get("length", 0.0)):
            return "marker", {}
        return kind, found

    return made


def _bend(w: Word) -> tuple[str, Attributes]:
    """Its faces have all their orders: those of TWISS have the second, which shifts tunes and chromaticities."""
    found = w.take(
        "angle", "k0", "k1", "k1s", "k2", "e1", "e2", "fint", "hgap", "fintx", "tilt", "h1", "h2", length="arc"
    )
    found |= {"rectangular": float(w.base == "rbend"), "hard": 1.0}
    w.get("l")
    if _zero(w.value(found.get("k0", 0.0))):
        found.pop("k0", None)  # then the field is that of the reference
    fintx = found.get("fintx", -1.0)
    if not isinstance(fintx, Formula) and fintx == -1.0:  # not given: as at the entrance
        found["fintx"] = found.get("fint", 0.0)
    found["hgapx"] = found.get("hgap", 0.0)
    return "bend", found


def _multipole(w: Word) -> tuple[str, Attributes]:
    """Its dipole bends the reference by as much, unless it says another angle."""
    found = w.take("knl", "ksl", "tilt", "angle", "lrad")
    knl, ksl = found.get("knl") or [0.0], found.get("ksl") or [0.0]
    if "angle" not in found:
        found["angle"] = knl[0]
    if not _zero(ksl[0]):
        w.rest["a skew dipole, ksl[0]"] = ksl[0]
    return "thin_multipole", found


def _dipedge(w: Word) -> tuple[str, Attributes]:
    return "dipole_edge", w.take("fint", "hgap", "tilt", curvature="h", e="e1")


def _solenoid(w: Word) -> tuple[str, Attributes]:
    found = w.take("ks", "tilt", length="l")
    if _zero(found.get("length", 0.0)):
        found |= w.take(ksl="ksi")
        found.pop("ks", None)
    else:
        w.get("ksi")
    return "solenoid", found


def _kicker(w: Word) -> tuple[str, Attributes]:
    found = w.take("tilt", length="l")
    plane = {"hkicker": "hkick", "vkicker": "vkick"}.get(w.base)
    if plane is None:
        return "corrector", found | w.take("hkick", "vkick")
    kick = w.take(plane).get(plane, 0.0)
    other = w.take("kick").get("kick", 0.0)
    return "corrector", found | {plane: other if not _zero(other) else kick}


def _phase(w: Word) -> Any:
    """V sin(2 pi (lag - f T/c)), with T = -tau, is V cos(phase + 2 pi f tau/c)."""
    return 2.0 * pi * w.get("lag") - 0.5 * pi


def _cavity(w: Word) -> tuple[str, Attributes]:
    harmon, freq = w.get("harmon"), 1e6 * w.get("freq")
    found = w.take("tilt", length="l")
    found |= {"gaps": 1.0, "axial": 1.0, "voltage": 1e6 / abs(w.charge) * w.get("volt")}
    found["frequency"] = freq if _zero(harmon) else w.frequency(harmon)
    if found["frequency"] is None and not _zero(found["voltage"]):
        w.rest["harmon (of a beam that the file does not say)"] = harmon
    found["phase"] = _phase(w)
    return "cavity", found


def _crab(w: Word) -> tuple[str, Attributes]:
    found = w.take("tilt", length="l")
    found |= {"gaps": 1.0, "voltage": 1e6 / abs(w.charge) * w.get("volt"), "frequency": 1e6 * w.get("freq")}
    found["phase"] = _phase(w)
    return "crab", found


def _matrix(w: Word) -> tuple[str, Attributes]:
    """Its coordinates are ours, but for T = -tau."""
    sign = (1.0, 1.0, 1.0, 1.0, -1.0, 1.0)
    rows = [[w.rest.pop(f"rm{i + 1}{j + 1}", float(i == j)) for j in range(6)] for i in range(6)]
    matrix = [[sign[i] * sign[j] * rows[i][j] for j in range(6)] for i in range(6)]
    return "matrix", {"matrix": matrix} | w.take(length="l")


def _rotation(w: Word) -> tuple[str, Attributes]:
    angle = w.get("angle")
    return "patch", {"srotation": {"roll": angle}, "xrotation": {"pitch": -angle}, "yrotation": {"yaw": angle}}[w.base]


def _translation(w: Word) -> tuple[str, Attributes]:
    return "patch", w.take("dx", "dy", "ds")


_PLACED = "tilt dx dy ds dtheta dphi dpsi aper_tilt fringe slice lrad"
_WAVE = "freq lag harmon betrf pg shunt tfill eloss volterr lagerr nbin binmax"
_RAMPS = "ramp1 ramp2 ramp3 ramp4"


def _only_if_idle(strengths: str, others: str = "") -> Callable[[Word], tuple[str, Attributes]]:
    """A drift where all strengths are 0, whatever the others are; otherwise what there is not here."""

    def made(w: Word) -> tuple[str, Attributes]:
        if all(_zero(v) for s in strengths.split() for v in _flat(w.rest.get(s, 0.0))):
            w.take(*strengths.split(), *others.split(), *_PLACED.split())
            return "drift", w.take(length="l")
        return w.base, w.take(length="l")

    return made


def _flat(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


WORDS: dict[str, Callable[[Word], tuple[str, Attributes]]] = {
    **dict.fromkeys(
        "drift marker monitor hmonitor vmonitor instrument placeholder collimator ecollimator rcollimator"
        " sixmarker".split(),
        _passive,
    ),
    "quadrupole": _strong("quadrupole", "k1", "k1s"),
    "sextupole": _strong("sextupole", "k2", "k2s"),
    "octupole": _strong("octupole", "k3", "k3s"),
    "sbend": _bend,
    "rbend": _bend,
    "multipole": _multipole,
    "dipedge": _dipedge,
    "solenoid": _solenoid,
    **dict.fromkeys(("hkicker", "vkicker", "kicker", "tkicker"), _kicker),
    "rfcavity": _cavity,
    "matrix": _matrix,
    **dict.fromkeys(("srotation", "xrotation", "yrotation"), _rotation),
    "translation": _translation,
    "twcavity": _only_if_idle("volt", f"{_WAVE} psi delta_lag"),
    "crabcavity": _crab,
    "elseparator": _only_if_idle("ex ey ex_l ey_l"),
    "rfmultipole": _only_if_idle("volt knl ksl", f"{_WAVE} pnl psl"),
    "hacdipole": _only_if_idle("volt", f"{_WAVE} {_RAMPS}"),
    "vacdipole": _only_if_idle("volt", f"{_WAVE} {_RAMPS}"),
    "wire": _only_if_idle("current", "l_int l_phy xma yma closed_orbit"),
    "beambeam": _only_if_idle("charge", "sigx sigy xma yma width bbshape bbdir npart angle"),
    "nllens": _only_if_idle("knll", "cnll"),
}
"""Kind and attributes of each element of MAD-X; what is missing is refused under its own word."""
