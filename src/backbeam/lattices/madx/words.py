"""Words of MAD-X: kinds of elements, constants, and commands by what becomes of them here."""

from __future__ import annotations

import math

_KINDS = """
drift marker monitor hmonitor vmonitor instrument placeholder collimator ecollimator rcollimator hkicker vkicker kicker
tkicker quadrupole sextupole octupole multipole sbend rbend dipedge solenoid rfcavity twcavity crabcavity elseparator
srotation xrotation yrotation translation changeref changerefp0 matrix nllens beambeam hacdipole vacdipole rfmultipole
wire sixmarker
"""
BASES = {word: word for word in _KINDS.split()} | {"bpm": "monitor"}
"""Kinds of elements, and the names that some have besides."""

CONSTANTS = {
    "pi": math.pi, "twopi": 2.0 * math.pi, "degrad": 180.0 / math.pi, "raddeg": math.pi / 180.0, "e": math.e,
    "emass": 0.51099895e-3, "pmass": 0.93827208816, "nmass": 0.93956542052, "umass": 0.93149410242,
    "mumass": 0.1056583755, "clight": 299792458.0, "qelect": 1.602176634e-19, "hbar": 6.582119569e-25,
    "erad": 2.8179403262e-15, "prad": 1.5346982671e-18, "version": 50900.0, "true": 1.0, "false": 0.0, "none": 0.0,
}  # fmt: skip
"""Constants: energies in GeV, CODATA 2018, as MAD-X has them."""

NAMES = frozenset(
    """refer from particle sequence period file apertype class element refpos type range flag place pattern start
    newname""".split()
)
"""Attributes whose values are names."""
IDLE = frozenset(
    """type slot_id assembly_id mech_sep v_pos magnet model calib polarity apertype aperture aper_tol aper_offset
    aper_vx aper_vy at from kmax kmin thick method bv exact nst no_cavity_totalpath n_bessel comments lagf dx_aper
    kill_ent_fringe kill_exi_fringe bend_fringe add_angle ktap k1tap secname""".split()
)
"""Attributes that do not change the optics of a line, or are looked at elsewhere."""
SWITCHES = {"kill_ent_fringe", "kill_exi_fringe", "bend_fringe"}
"""Switches that do, where they are on."""
LISTS = frozenset("knl ksl pnl psl aperture aper_tol aper_offset aper_vx aper_vy at patch_ang patch_trans".split())
"""Attributes whose values may be lists."""
NAMES_IN = {"extract": NAMES | {"to"}, "replace": NAMES | {"by"}}
"""The same in commands that have names where others have numbers."""

HARMLESS_COMMANDS = frozenset("title set value show print printf help assign system eoption".split())
"""Commands that change nothing here, and of which nobody needs to hear."""

SKIPPED = frozenset(
    """twiss save savebeta plot setplot match endmatch vary constraint global gweight weight lmdif migrad
    jacobian simplex ptc_create_universe ptc_create_layout ptc_twiss ptc_end ptc_normal ptc_setswitch
    ptc_track ptc_observe ptc_start ptc_track_end ptc_align write survey track endtrack start observe run
    dynap dynaptune emit aperture esave sectormap makethin resplot beta0 readtable create fill delete copyfile
    removefile renamefile ibs touschek coguess sxfwrite sxfread correct usekick usemonitor setvars setvars_lin
    fill_knob shrink sdds dumpsequ chdir sodd use_macro readmytable errplot csave setcorr seterr extract_twiss
    tabstring getkick putorbit getorbit getdisp add2expr exec_time crossing option_twiss""".split()
)
"""Commands that compute or write; matching and correcting would change variables, and is not done."""

TELLING = {
    "ealign": "errors of alignment are not applied",
    "efcomp": "errors of the field are not applied",
}
"""Commands that change the optics and are not carried out: refused."""
