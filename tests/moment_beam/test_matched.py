"""Matched beams come back as they were."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import backbeam as bb
from backbeam.errors import InputError

sys.path.insert(0, str(Path(__file__).parents[1] / "optics"))
from rings import reference, ring

SIZES = {"emittance_x": 2e-6, "emittance_y": 1e-6, "sigma_tau": 0.5, "sigma_pt": 1e-3}


@pytest.mark.parametrize("cavity", (False, True))
def test_a_matched_beam_comes_back(cavity):
    line = ring(steered=True, cavity=cavity)
    o = bb.optics(line, reference())
    sizes = {**SIZES, "emittance_z": 1e-4} if cavity else SIZES
    sizes = {k: v for k, v in sizes.items() if not (cavity and k.startswith("sigma"))}
    beam = bb.MomentBeam.matched(o, **sizes)
    after = bb.track(line, beam)
    transverse = slice(0, 6 if cavity else 4)
    before, now = beam.cov()[transverse, transverse], after.cov()[transverse, transverse]
    scale = np.sqrt(np.outer(np.diag(before), np.diag(before)))
    assert (np.abs(now - before) / scale).max() < 1e-8
    assert np.allclose(after.mean()[:4], beam.mean()[:4], atol=1e-11)
    swarm = bb.Beam.matched(o, n=50_000, charge=1e-9, **sizes)
    assert np.isclose(swarm.sigma("x"), beam.sigma("x"), rtol=0.02)
    assert np.isclose(swarm.charge, 1e-9)


def test_matched_in_mid_line_and_what_is_refused():
    line = ring()
    o = bb.optics(line, reference())
    there = bb.MomentBeam.matched(o, at="sd[3]", **SIZES)
    row = o["sd[3]"]
    expected = 2e-6 * row.beta_x + (1e-3 * row.dispersion_x) ** 2
    assert np.isclose(there.sigma("x") ** 2, expected, rtol=1e-12) and np.isclose(there.s, row.s)
    with pytest.raises(InputError, match="left out"):
        bb.MomentBeam.matched(o, emittance_z=1.0, **SIZES)
    with pytest.raises(InputError, match="sigma_pt"):
        bb.Beam.matched(o, n=10, emittance_x=1e-6, emittance_y=1e-6, sigma_tau=1.0)
    with pytest.raises(InputError, match="at least 0"):
        bb.MomentBeam.matched(o, **{**SIZES, "emittance_x": -1e-6})


def test_a_problem_says_so():
    from backbeam.problem import Problem

    text = """
beam: {matched: periodic, species: electron, n: 20000, charge: 1e-9, kinetic_energy: 2e9, emittance_x: 1e-8,
       emittance_y: 2e-8, sigma_tau: 1e-3, sigma_pt: 1e-4}
lattice:
  - quadrupole: {length: 0.3, k1: 3.0, name: qf}
  - drift: {length: 0.7, name: d1}
  - quadrupole: {length: 0.3, k1: -3.0, name: qd}
  - drift: {length: 0.7, name: d2}
"""
    outcome = Problem.parse(text).run()
    before, after = outcome.initial, outcome.final
    assert np.isclose(after.sigma("x"), before.sigma("x"), rtol=0.02)
    assert np.isclose(before.emittance("y"), 2e-8, rtol=0.03)
    with pytest.raises(InputError, match="periodic"):
        Problem.parse(text.replace("matched: periodic", "matched: twiss"))
    with pytest.raises(InputError, match="emittance_y"):
        Problem.parse(text.replace("       emittance_y: 2e-8,", "      "))
