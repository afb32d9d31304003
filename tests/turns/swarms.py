"""Cells and beams that the tests of turns share."""

from __future__ import annotations

from typing import Any

import numpy as np

import backbeam as bb


def cell(k1: Any = 0.6) -> bb.Line:
    """A FODO cell with a monitor."""
    half = bb.Drift(1.2, name="d")
    quads = bb.Quadrupole(0.4, k1=k1, name="qf"), bb.Quadrupole(0.4, k1=-0.6, name="qd")
    return bb.Line([quads[0], half, bb.Monitor(name="m"), quads[1], half])


def lossy_cell() -> bb.Line:
    """The same with a sextupole and two openings: particles are lost in several turns."""
    sextupole = bb.Sextupole(0.1, k2=8.0, name="s")
    return bb.Line([bb.Aperture(4.5e-3, 6e-3, name="a"), cell(), sextupole, bb.Aperture(4.2e-3, 6e-3, name="b")])


def ramp() -> bb.Line:
    """The same with a cavity that accelerates: the reference is another one in every turn."""
    return bb.Line([cell(), bb.RFCavity(0.3, voltage=2e6, frequency=1e7, phase=-1.0, name="rf")])


def swarm(backend: Any = None, n: int = 12) -> bb.Beam:
    """Protons of 400 MeV, the first rows the same on every library."""
    X = np.random.default_rng(3).normal(size=(6, n)) * np.asarray([2e-3, 4e-4, 2e-3, 4e-4, 0.2, 1e-4])[:, None]
    X = X if backend is None else backend.asarray(X)
    return bb.Beam.from_arrays(X, species="proton", kinetic_energy=4e8, charge=1e-7)
