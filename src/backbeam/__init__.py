"""backbeam: charged-particle beams through accelerator lattices, with 3D space charge and exact gradients.

Coordinates of a macroparticle are deviations from the reference particle at fixed path length s:

======  ==============================================  ======
x, y    transverse position                             m
px, py  P_x/P0, P_y/P0                                  1
tau     c (t - t0): a late particle is positive         m
pt      (E - E0)/(P0 c): more energy is positive        1
======  ==============================================  ======

Canonical pairs are (x, px), (y, py), (tau, -pt). Arrays are ``(..., 6, n)``, a row a coordinate; leading axes are a
batch. Charges are per macroparticle, in C, signed by the species. SI units, energies in eV, angles in rad. A positive
bending angle turns towards -x; a positive k1 focuses x whatever the sign of the charge.

====================  =================================================
other code            its longitudinal pair in ours
====================  =================================================
Cheetah, Ocelot       (tau, p) = (tau, pt)
ImpactX               (t, pt) = (tau, -pt)
MAD-X                 (T, PT) = (-tau, pt)
Xsuite                (zeta, ptau) = (-beta0 tau, pt), delta = P/P0 - 1
Bmad                  z = -beta c (t - t0), pz = P/P0 - 1
====================  =================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbeam import effects, trees  # noqa: F401  (trees: so that lines and beams are known as such)
from backbeam.adjoint import Auto, Checkpoint, Reversible, Store, Tape
from backbeam.beam import Beam
from backbeam.dynamic_aperture import DynamicAperture, dynamic_aperture
from backbeam.effects import (
    CSR,
    Effect,
    ResistiveWallWake,
    ResonatorWake,
    SpaceCharge,
    SpaceCharge2DPipe,
    SpaceCharge3D,
    SpaceCharge25D,
    SteadyCSR,
    TableWake,
)
from backbeam.effects.space_charge import AutoExtent, BeamExtent, FixedExtent, RmsExtent
from backbeam.elements import (
    Aperture,
    Buncher,
    ConstantFocusing,
    Corrector,
    CrabCavity,
    DipoleEdge,
    Drift,
    Element,
    FieldCavity,
    Function,
    LinearMap,
    Marker,
    Monitor,
    Multipole,
    Octupole,
    Patch,
    Quadrupole,
    RectangularBend,
    RFCavity,
    Screen,
    SectorBend,
    Sextupole,
    Solenoid,
    ThinMultipole,
    openings,
)
from backbeam.errors import BackbeamError, BackbeamWarning, BackendError, InputError, TrackingError
from backbeam.late import late
from backbeam.line import Line
from backbeam.moment_beam import LinearSpaceCharge, MomentBeam
from backbeam.reference import Reference
from backbeam.species import Species
from backbeam.tracking import count_kicks, trace, track
from backbeam.trainable import trainable
from backbeam.turns import Record, Turns

if TYPE_CHECKING:
    from backbeam import observables
    from backbeam.gradient import differentiate, value_and_grad
    from backbeam.jacobians import jacobian
    from backbeam.lattice_functions import Optics, Twiss, optics
    from backbeam.lattices import Loaded, load
    from backbeam.matching import Match
    from backbeam.matching.function import function
    from backbeam.matching.match import match
    from backbeam.naff import tunes_of
    from backbeam.observables import END, Target
    from backbeam.problem import Problem  # noqa: F401

__all__ = [
    "CSR",
    "END",
    "Aperture",
    "Auto",
    "AutoExtent",
    "BackbeamError",
    "BackbeamWarning",
    "BackendError",
    "Beam",
    "BeamExtent",
    "Buncher",
    "Checkpoint",
    "ConstantFocusing",
    "Corrector",
    "CrabCavity",
    "DipoleEdge",
    "Drift",
    "DynamicAperture",
    "Effect",
    "Element",
    "FieldCavity",
    "FixedExtent",
    "Function",
    "InputError",
    "Line",
    "LinearMap",
    "LinearSpaceCharge",
    "Loaded",
    "Marker",
    "Match",
    "MomentBeam",
    "Monitor",
    "Multipole",
    "Octupole",
    "Optics",
    "Patch",
    "Quadrupole",
    "RFCavity",
    "Record",
    "RectangularBend",
    "Reference",
    "ResistiveWallWake",
    "ResonatorWake",
    "Reversible",
    "RmsExtent",
    "Screen",
    "SectorBend",
    "Sextupole",
    "Solenoid",
    "SpaceCharge",
    "SpaceCharge2DPipe",
    "SpaceCharge3D",
    "SpaceCharge25D",
    "Species",
    "SteadyCSR",
    "Store",
    "TableWake",
    "Tape",
    "Target",
    "ThinMultipole",
    "TrackingError",
    "Turns",
    "Twiss",
    "count_kicks",
    "differentiate",
    "dynamic_aperture",
    "effects",
    "function",
    "jacobian",
    "load",
    "match",
    "observables",
    "openings",
    "optics",
    "trace",
    "track",
    "trainable",
    "tunes_of",
    "value_and_grad",
]

_LATE = {
    "backbeam.gradient": ("differentiate", "value_and_grad"),
    "backbeam.jacobians": ("jacobian",),
    "backbeam.lattice_functions": ("Optics", "Twiss", "optics"),
    "backbeam.lattices": ("Loaded", "load"),
    "backbeam.matching": ("Match", "function", "match"),
    "backbeam.naff": ("tunes_of",),
    "backbeam.observables": ("END", "Target", "observables"),
    "backbeam.problem": ("Problem",),
}
"""Modules that are imported when one of these is first asked for: not all who track want all, nor the extra ``cli``."""


__getattr__ = late(__name__, _LATE)


def __dir__() -> list[str]:
    return sorted([*__all__, "Problem", *(name for name in globals() if name.startswith("__"))])
