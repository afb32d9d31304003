"""Second moments with space charge beside ImpactX 26.10's envelope, whose numbers `benchmarks.envelope` makes.

Slice by slice both take the same steps; their constants of nature differ by 1e-9.
"""

from __future__ import annotations

import numpy as np
import pytest
from test_moment_beam import reference

import backbeam as bb

SIZES = [1e-3, 1.5e-3, 1.2e-3, 1e-3, 2e-3, 1e-5]
CELL = ((0.1, 12.0), (0.3, None), (0.2, -12.0), (0.3, None), (0.1, 12.0))
CASES = [
    ([(1.0, None)], 1e-10, None,
     [0.006190909511126521, 0.0063297521538396365, 0.00594269274284379, 0.005832259286731824, 0.07841934278591259,
      0.0004935097980276641]),
    (CELL * 2, 1e-10, None,
     [0.007859256116800705, 0.0026233825054530033, 0.003028871436974321, 0.0032865995078200003, 0.16777588675900137,
      0.0005048961091710834]),
    (CELL * 2, 5e-3, 1.0,
     [0.0023173954545083887, 0.0008987782454925802, 0.0007785205053522124, 0.0018098452360531764, 0.004248319221082969,
      1e-05]),
]  # fmt: skip
"""Lengths and k1; charge [C], or current [A] where there is a length; rms of all coordinates at the end."""


@pytest.mark.parametrize(("magnets", "intensity", "length", "expected"), CASES, ids=["drift", "cells", "coasting"])
def test_sizes_of_its_envelope(magnets, intensity, length, expected):
    protons = reference(energy=2.5e6)
    charge = intensity if length is None else intensity * length / (float(protons.beta) * 299_792_458.0)
    line = bb.Line(
        [
            bb.Drift(metres, model="linear") if k1 is None else bb.Quadrupole(metres, k1=k1, model="linear")
            for metres, k1 in magnets
        ]
    )
    beam = bb.MomentBeam(np.zeros(6), np.diag(np.square(SIZES)), protons, charge)
    found = bb.track(line, beam, space_charge=bb.LinearSpaceCharge(length), slices=10).sigma()
    assert np.allclose(found, expected, rtol=5e-9, atol=0)
