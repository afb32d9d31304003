"""What a kick takes beside the beam that goes in and the one that comes out: the budget of a laptop, and of a GPU."""

from __future__ import annotations

import numpy as np
import pytest
from called import forward

import backbeam as bb
from backbeam import backends
from backbeam_backends.recycling import Recycler

PARTICLES, GRID = 120_000, 24


def taken(n: int, side: int, monkeypatch) -> int:
    """Peak of what NumPy allocates for a kick, the result's 48 B a particle left out."""
    backend = backends.get("numpy")
    monkeypatch.setattr(backend, "recycler", Recycler())  # none is left from before
    beam = bb.Beam.gaussian(
        n=n, species="electron", kinetic_energy=100e6, charge=1e-9, sigma_x=1e-3, sigma_y=1e-3, sigma_tau=1e-3,
        sigma_px=1e-4, sigma_py=1e-4, sigma_pt=1e-3, seed=1,
    )  # fmt: skip
    model, ds = bb.SpaceCharge3D(grid=(side, side, side)), np.asarray(0.1)

    def kick() -> None:
        forward(model, beam.coordinates, beam.charges, None, beam.reference, ds)

    kick()
    backend.recycler = Recycler()
    peak = backend.meter.peak_of(kick, beam.coordinates)
    assert peak > 48 * n, "the result at least is seen"
    return peak - 48 * n


@pytest.mark.parametrize("fused", [True, False])
def test_a_kick_takes_little(fused, monkeypatch):
    if not fused:
        monkeypatch.setattr("backbeam_backends.numpy_backend.available", lambda: False)
    small = taken(PARTICLES, 8, monkeypatch)
    per_particle = (taken(3 * PARTICLES, 8, monkeypatch) - small) / (2 * PARTICLES)
    per_cell = (taken(PARTICLES, 2 * GRID, monkeypatch) - taken(PARTICLES, GRID, monkeypatch)) / (7 * GRID**3)
    assert per_particle < 150.0
    assert per_cell < 200.0
