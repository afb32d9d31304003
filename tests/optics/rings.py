"""Rings and lines that the tests of optics share, on any array library."""

from __future__ import annotations

from collections.abc import Callable
from math import pi
from typing import Any

import numpy as np

import backbeam as bb
from backbeam.reference import Reference
from backbeam.species import species_named

LENGTH_OF_CELLS = 80.0


def reference(backend: Any = None, dtype: str = "float64") -> Reference:
    """Protons of 400 MeV."""
    found = Reference.from_kinetic_energy(np.asarray(4e8), species_named("proton"))
    if backend is None:
        return found
    return Reference(backend.asarray(found.beta_gamma, dtype=dtype), found.species)


def ring(
    *, steered: bool = False, cavity: bool = False, cells: int = 8, array: Callable[[float], Any] = float
) -> bb.Line:
    """Eight FODO cells with bends and sextupoles; steered: with an orbit and a skew quadrupole; with a cavity.

    ``array`` makes what every parameter is.
    """
    a = array
    qf, qd = bb.Quadrupole(a(0.5), k1=a(0.5), name="qf"), bb.Quadrupole(a(0.5), k1=a(-0.465), name="qd")
    sf, sd = bb.Sextupole(a(0.1), k2=a(5.0), name="sf"), bb.Sextupole(a(0.1), k2=a(-8.0), name="sd")
    d = bb.Drift(a(1.0), name="d")
    b = bb.SectorBend(a(2.0), angle=a(pi / 8), e1=a(0.05), name="b")
    items: list[Any] = [bb.Line([qf, sf, d, b, d, qd, sd, d, b, d]) * cells]
    if steered:
        half = bb.Drift(a(0.1), name="half")
        corrector = bb.Corrector(hkick=a(3e-4), vkick=a(2e-4), name="c")
        skew = bb.Multipole(a(0.2), k1s=a(0.1), name="qs", order=6)
        items += [half, corrector, half, skew]
    if cavity:
        frequency = 299792458.0 / LENGTH_OF_CELLS * 0.8
        items.append(bb.RFCavity(a(0.3), voltage=a(1e6), frequency=a(frequency), phase=a(-pi / 2), name="rf"))
    return bb.Line(items)


def fodo(k1: Any = 0.6) -> bb.Line:
    """A cell without bends, which every library compiles quickly."""
    half = bb.Drift(1.2, name="d")
    return bb.Line([bb.Quadrupole(0.4, k1=k1, name="qf"), half, bb.Quadrupole(0.4, k1=-k1, name="qd"), half])
