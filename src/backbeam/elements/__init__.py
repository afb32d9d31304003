"""Elements: what a line is made of. One file a family; see `backbeam.elements.base` for the contract."""

from __future__ import annotations

from backbeam.elements import openings
from backbeam.elements.aperture import Aperture
from backbeam.elements.base import Element
from backbeam.elements.bend import DipoleEdge, RectangularBend, SectorBend
from backbeam.elements.cavity import Buncher, RFCavity
from backbeam.elements.constant_focusing import ConstantFocusing
from backbeam.elements.crab_cavity import CrabCavity
from backbeam.elements.diagnostics import Marker, Monitor, Screen
from backbeam.elements.drift import Drift
from backbeam.elements.field_cavity import FieldCavity
from backbeam.elements.function import Function
from backbeam.elements.linear_map import LinearMap
from backbeam.elements.multipoles import Corrector, Multipole, Octupole, Quadrupole, Sextupole, ThinMultipole
from backbeam.elements.patch import Patch
from backbeam.elements.solenoid import Solenoid

ALL = tuple(Element.kinds.values())
"""Every element of this package that a problem file can name. `Element.kinds` has those that others defined, too."""

__all__ = [
    "ALL",
    "Aperture",
    "Buncher",
    "ConstantFocusing",
    "Corrector",
    "CrabCavity",
    "DipoleEdge",
    "Drift",
    "Element",
    "FieldCavity",
    "Function",
    "LinearMap",
    "Marker",
    "Monitor",
    "Multipole",
    "Octupole",
    "Patch",
    "Quadrupole",
    "RFCavity",
    "RectangularBend",
    "Screen",
    "SectorBend",
    "Sextupole",
    "Solenoid",
    "ThinMultipole",
    "openings",
]
