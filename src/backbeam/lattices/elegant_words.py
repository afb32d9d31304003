"""What the elements of elegant are in the words that all readers share (`backbeam.lattices.mapping`).

Elegant's manual (https://ops.aps.anl.gov/manuals/elegant_latest/elegant.html) names them and their defaults. Signs and
strengths are ours, but for KS, which is -Bs/(B rho), and phases, which are degrees from the rising zero of a sine.
"""

from __future__ import annotations

from collections.abc import Callable
from math import pi
from typing import Any

from backbeam.formulas import Formula, operation
from backbeam.lattices.pipes import kept, opening

Attributes = dict[str, Any]

TYPES = """rcol ecol quad sben rben drif sext octu mult sole hkick vkick kicker rfca else hmon vmon moni mark matr alph
    rfdf tmcf cepl watch twpl malign twla peppot energy maxamp rotate trcount recirc qufringe scraper center ksext
    ksbend kquad magnify sample hvcor scatter nibend kpoly niseptum ramprf rampp stray csbend twmta matter rfmode
    trfmode zlongit sreffects modrf bmapxy ztransverse ibscatter fmult wake trwake tubend charge pfilter histogram
    csrcsbend csrdrift rfcw remcor mapsolenoid reflect clean twiss wiggler script floor lthinlens lmirror ematrix
    frfmode ftrfmode tfbpickup tfbdriver lscdrift dscatter lsrmdltr taylorseries rftm110 cwiggler edrift scmult
    ilmatrix tscatter kquse ukickmap mbumper emittance mhistogram ftable koct mradintegrals apple mrfdf corgpipe
    lrwake ehkick evkick ekicker bmxyz brat bggexp branch ioneffects slice speedbump ccbend hkpoly boffaxe
    apcontour taperapc taperape taperapr shrfdf gkickmap lgbend corgplates""".split()
"""Names of elegant's types, by as many letters as tell them apart."""

IDLE = frozenset(
    """order n_kicks n_slices integration_order nonlinear synch_rad isr isr1part edge_order edge1_order edge2_order
    fitpoint group bins bin_upper output_file output_interval sg_halfwidth sg_order sgderiv_halfwidth
    sgderiv_order trapezoid steady_state use_stupakov csr n_bins lsc smoothing interpolate
    high_frequency_cutoff0 high_frequency_cutoff1 low_frequency_cutoff0 low_frequency_cutoff1 lsc_bins
    lsc_interpolate cell_length wake zwakefile trwakefile wzcolumn wxcolumn wycolumn tcolumn wake_file lerad
    spread csr_in integrated_lsc particle_output_file mode label filename start_pid end_pid phase_reference
    fiducial n_sections slice_analysis_interval steering xsteering ysteering expand_hgap q t tref
    matrix_method drift_matrix quad_matrix sqrt_order trapazoid block_csr parallel_track_bins cutoffs
    allow_long_beam acausal_allowed weight tune_multipoles use_bpm xfactor yfactor xsetpoint ysetpoint co_fitpoint
    coupling_limit reference_correction fringe_type expand method tracking_matrix systematic_multipoles""".split()
)
"""Attributes that do not change the linear optics, or say how elegant is to compute or to write."""

BENDS = ("sben", "rben", "csbend", "ksbend", "csrcsbend", "tubend")
PASSIVE = """drif edrift hmon vmon moni mark watch scraper lscdrift csrdrift speedbump cepl""".split()
QUIET = dict.fromkeys(
    """charge histogram mhistogram floor recirc trcount sample wake trwake lrwake zlongit ztransverse rfmode trfmode
    frfmode ftrfmode ibscatter tscatter script twiss pfilter maxamp clean remcor sreffects emittance mradintegrals
    tfbpickup tfbdriver slice ioneffects apcontour taperapc taperape taperapr branch ramprf rampp dscatter corgpipe
    corgplates scmult""".split(),
    "an effect on the beam or a command",
) | {"center": "it moves the beam's centre"}
"""Types that have no linear optics of their own; they become markers or drifts, and are reported."""


class Word:
    """One element's attributes; those that nobody takes are left for the mapping to refuse."""

    def __init__(self, type: str, attributes: Attributes) -> None:
        self.type = type
        self.rest = {n: v for n, v in attributes.items() if n not in IDLE and not isinstance(v, str)}
        if type == "mult":
            self.rest["order"] = attributes.get("order", 1.0)

    def take(self, *names: str, **renamed: str) -> Attributes:
        """Attributes by the same names, and ``new="old"`` by others; those that are not there are left out."""
        pairs = {n: n for n in names} | renamed
        return {new: self.rest.pop(old) for new, old in pairs.items() if old in self.rest}

    def get(self, name: str, default: Any = 0.0) -> Any:
        """An attribute; its default where it is not there."""
        return self.rest.pop(name, default)

    def body(self) -> Attributes:
        """What most magnets have."""
        along = {} if self.type in BENDS else {"ds": "dz"}
        return self.take("dx", "dy", "tilt", length="l", **along)


def is_zero(value: Any) -> bool:
    """Whether it is the number 0, and no formula."""
    return not isinstance(value, Formula) and value == 0.0


def _passive(w: Word) -> tuple[str, Attributes]:
    length = w.take(length="l")
    for name in (
        "dx",
        "dy",
        "tilt",
        "dz",
        "x_max",
        "y_max",
        "position",
        "direction",
        "insert_from",
        "exponent",
        "yexponent",
    ):
        w.get(name)
    return ("monitor" if w.type in ("hmon", "vmon", "moni", "watch", "mark") else "drift"), length


def _collimator(w: Word) -> tuple[str, Attributes]:
    """Rectangular, or elliptical; a border of 0 is none."""
    found = w.take("dx", "dy", length="l")
    hole = opening(w.type == "ecol", w.get("x_max"), w.get("y_max"))
    for name in ("tilt", "dz", "exponent", "yexponent", "invert", "open_side"):
        w.get(name)
    return "drift", found | kept(hole)


def _quiet(w: Word) -> tuple[str, Attributes]:
    length = w.take(length="l")
    w.rest.clear()
    return "drift", length


def _error(w: Word, value: Any) -> Any:
    """A strength with its fractional error FSE."""
    error = w.get("fse")
    return value if is_zero(error) else value * (1.0 + error)


def _strong(kind: str, normal: str, skew: str | None = None) -> Callable[[Word], tuple[str, Attributes]]:
    def made(w: Word) -> tuple[str, Attributes]:
        found = w.body()
        found[normal] = _error(w, w.get(normal))
        if skew is not None:
            found[normal + "s"] = w.get(skew)
        if w.type == "sext" or w.type == "ksext":
            w.rest |= {n: v for n, v in (("k1 of a sextupole", w.get("k1")), ("j1", w.get("j1"))) if not is_zero(v)}
        return kind, found

    return made


def _bend(w: Word) -> tuple[str, Attributes]:
    """A sector bend along its arc; of RBEN, L is the straight length, and the faces stand at half the angle."""
    found = w.body() | w.take("angle", "k1", "k2")
    angle = found.get("angle", 0.0)
    e1, e2 = w.get("e1"), w.get("e2")
    if w.type in ("rben", "tubend"):
        found["length"] = operation("/", found.get("length", 0.0), operation("sinc", 0.5 * angle))
        e1, e2 = e1 + 0.5 * angle, e2 + 0.5 * angle
    if not is_zero(w.get("use_bn")):
        h = operation("/", angle, found["length"]) if not is_zero(found.get("length", 0.0)) else 0.0
        found |= {"k1": w.get("b1") * h, "k2": w.get("b2") * h}
    else:
        w.get("b1"), w.get("b2")
    hgap, fint = w.get("hgap"), w.get("fint", 0.5)
    ends = [(e1, hgap, w.get("fint1", -1.0), "edge1_effects"), (e2, hgap, w.get("fint2", -1.0), "edge2_effects")]
    if not is_zero(w.get("hgapx", -1.0) + 1.0):
        w.rest["hgapx"] = 1.0
    for n, (e, gap, own, switch) in enumerate(ends):
        works = not is_zero(w.get(switch, 1.0))
        at_end = fint if is_zero(own + 1.0) else own
        found[("e1", "e2")[n]] = e if works else 0.0
        found[("hgap", "hgapx")[n]] = gap if works else 0.0
        found[("fint", "fintx")[n]] = 0.0 if is_zero(gap) or not works else at_end
    return "bend", found


def _multipole(w: Word) -> tuple[str, Attributes]:
    order, length, strength = int(w.get("order")), w.get("l"), w.get("knl")
    skew = [0.0] * order + [strength]
    found = w.take("dx", "dy", "tilt")
    if is_zero(length):
        return "thin_multipole", found | {"knl": skew}
    return "multipole", found | {"length": length, "kn": [operation("/", v, length) if v else 0.0 for v in skew]}


def _solenoid(w: Word) -> tuple[str, Attributes]:
    found = w.take("dx", "dy", length="l")
    return "solenoid", found | {"ks": operation("neg", w.get("ks"))}


def _kicker(w: Word) -> tuple[str, Attributes]:
    found = w.body()
    if w.type in ("hkick", "ehkick"):
        return "corrector", found | w.take(hkick="kick")
    if w.type in ("vkick", "evkick"):
        return "corrector", found | w.take(vkick="kick")
    return "corrector", found | w.take("hkick", "vkick")


def _cavity(w: Word) -> tuple[str, Attributes]:
    """Energy from a sine: 90 degrees is the crest. No radial kick but by the ends, where it asks for them."""
    found = w.take("dx", "dy", length="l")
    phase = pi / 180.0 * (w.get("phase") - 90.0)
    found |= {"voltage": w.get("volt"), "frequency": w.get("freq", 500e6), "phase": phase}
    w.get("change_p0")
    ends = [not is_zero(w.get(name)) for name in ("end1_focus", "end2_focus")]
    if ends[0] != ends[1]:
        w.rest["end1_focus without end2_focus"] = 1.0
    found |= {"structure": "travelling"} if all(ends) else {"axial": 1.0}
    for name in ("body_focus_model", "linearize"):
        w.get(name)
    return "cavity", found


def _deflector(w: Word) -> tuple[str, Attributes]:
    """Deflects towards +x by V cos(phase + w t); nothing while it has no voltage. A standing wave has to be thin."""
    length, voltage = w.take(length="l"), _error(w, w.get("voltage"))
    standing = not is_zero(w.get("standing_wave"))
    if is_zero(voltage):
        w.rest.clear()
        return "drift", length
    if w.type != "rfdf":
        return w.type, length
    if standing and not is_zero(length.get("length", 0.0)):
        w.rest["standing_wave of a cavity with a length"] = 1.0
    frequency, offset = w.get("frequency", 2856e6), w.get("time_offset")
    phase = pi / 180.0 * w.get("phase") + (0.0 if is_zero(offset) else 2.0 * pi * offset * frequency)
    found = length | w.body() | {"voltage": voltage, "frequency": frequency, "phase": phase}
    for name in ("magnetic_deflection", "drift_matrix"):
        w.get(name)
    return "crab", found


def _rotate(w: Word) -> tuple[str, Attributes]:
    return "patch", w.take(roll="tilt")


def _offset(w: Word) -> tuple[str, Attributes]:
    """What moves the beam: nothing, or refused for what it is told to do."""
    for name in ("on_pass", "end_on_pass", "match_beamline", "match_particles", "probability", "mode"):
        w.get(name)
    return "marker", {}


WORDS: dict[str, Callable[[Word], tuple[str, Attributes]]] = {
    **dict.fromkeys(PASSIVE, _passive),
    **dict.fromkeys(("rcol", "ecol"), _collimator),
    **dict.fromkeys(QUIET, _quiet),
    **dict.fromkeys(("quad", "kquad"), _strong("quadrupole", "k1")),
    **dict.fromkeys(("sext", "ksext"), _strong("sextupole", "k2")),
    **dict.fromkeys(("octu", "koct"), _strong("octupole", "k3")),
    **dict.fromkeys(BENDS, _bend),
    "mult": _multipole,
    "sole": _solenoid,
    **dict.fromkeys(("hkick", "vkick", "kicker", "ehkick", "evkick", "ekicker"), _kicker),
    **dict.fromkeys(("rfca", "rfcw"), _cavity),
    **dict.fromkeys(("rfdf", "rftm110", "mrfdf", "shrfdf"), _deflector),
    "rotate": _rotate,
    **dict.fromkeys(("malign", "scatter", "energy"), _offset),
}
"""Kind and attributes of each type; what is missing is refused under its own word."""


def type_named(word: str) -> str | None:
    """Elegant's type that a word means: DRIFT is DRIF, and QUA is QUAD; None if it is none."""
    word = word.lower()
    begun = [t for t in TYPES if word.startswith(t)]
    if begun:
        return max(begun, key=len)
    found = [t for t in TYPES if t.startswith(word)]
    return found[0] if len(found) == 1 else None
