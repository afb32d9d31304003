"""Where steps cannot be undone, the reversible gradient says so: an error with advice, or NaN under a trace."""

from __future__ import annotations

import numpy as np
import pytest

import backbeam as bb

CHAOS = dict(sigma_x=2e-3, sigma_y=2e-3, sigma_px=1e-3, sigma_py=1e-3, sigma_tau=1e-3, sigma_pt=1e-3)
OBJECTIVE = bb.observables.sigma("x")


def cells(count, k2l=20.0):
    """A FODO of 90 degrees with strong sextupoles: stable in the core, chaotic further out."""
    half = bb.Drift(0.5, name="d")
    return bb.Line([
        bb.ThinMultipole(k1l=2.0**0.5, name="qf"), half, bb.ThinMultipole(k2l=k2l, name="s"), half,
        bb.ThinMultipole(k1l=-2.0**0.5, name="qd"), half, half,
    ]) * count  # fmt: skip


def beam(backend="numpy", dtype="float32", **changes):
    given = {**CHAOS, "n": 200, "species": "electron", "kinetic_energy": 1e9, "charge": 1e-12, **changes}
    return bb.Beam.gaussian(backend=backend, dtype=dtype, **given)
