"""The claim itself: the reversible gradient's memory does not grow with the number of kicks."""

from __future__ import annotations

import pytest

from backbeam.adjoint import Reversible, Store
from backbeam.memory.resident import can_watch
from backbeam.problem import Problem
from backbeam.problem.measuring import measure

PARTICLES, GRID = 60_000, 12
STATE = PARTICLES * 48


def expanding(backend, kicks):
    return Problem({
        "beam": {
            "distribution": "uniform_ellipsoid", "species": "electron", "n": PARTICLES, "kinetic_energy": 250e6,
            "charge": 1e-9, "radius": 1e-3, "seed": 1,
        },
        "lattice": [{"drift": {"length": 6.0, "name": "d"}}],
        "space_charge": {"model": "3d", "grid": [GRID] * 3}, "track": {"slices": kicks},
        "run": {"backend": backend},
    })  # fmt: skip


@pytest.mark.long
@pytest.mark.skipif(not can_watch(), reason="Linux tells and resets a process's peak")
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_reversible_is_flat_and_store_is_not(library):
    """30 kicks more cost the reversible gradient nothing, and Store the 30 states that it keeps."""
    few, many = (measure(expanding(library, k), Reversible(), wrt=("d.length", "beam.charge")) for k in (10, 40))
    assert few.peak_bytes > 3 * STATE  # it measures something
    assert abs(many.peak_bytes - few.peak_bytes) < 0.5 * STATE
    # The process as a whole, with what the compiler and the allocator hold in one process and not in another.
    assert many.process_bytes - few.process_bytes < 8.0 * STATE
    few, many = (measure(expanding(library, k), Store()) for k in (10, 40))
    assert many.peak_bytes - few.peak_bytes == pytest.approx(30.0 * STATE, rel=0.05)
