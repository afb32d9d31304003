"""Rings with exact drifts and bends, sextupoles, an orbit and coupling, beside Xsuite."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from rings import reference, ring

import backbeam as bb

FOUND = json.loads((Path(__file__).parents[1] / "data" / "optics_xsuite.json").read_text())
NAMES = (
    ("s", "s"), ("x", "x"), ("px", "px"), ("y", "y"), ("py", "py"), ("beta_x", "betx"), ("beta_y", "bety"),
    ("alpha_x", "alfx"), ("alpha_y", "alfy"), ("dispersion_x", "dx"), ("dispersion_y", "dy"), ("beta_x2", "betx2"),
    ("beta_y1", "bety1"),
)  # fmt: skip


@pytest.mark.parametrize("case", ("plain", "coupled"))
def test_lattice_functions_tunes_and_chromaticities(case):
    theirs = FOUND[case]
    o = bb.optics(ring(steered=case == "coupled"), reference(), per="delta")
    for mine, name in NAMES:
        column = np.asarray(theirs["columns"][name])
        # Its bends leave an orbit of 8e-10 m in a ring without errors.
        largest = np.abs(column).max()
        # Its dispersion is a difference of two orbits, which sextupoles bend.
        atol = 1e-9 if name in ("x", "px", "y", "py") else (2e-7 if name in ("dx", "dy") else 3e-8) * largest + 1e-15
        assert np.allclose(getattr(o, mine)[::7], column, rtol=0, atol=atol), mine
    for mine, name in (("mu_x", "mux"), ("mu_y", "muy")):
        assert np.allclose(getattr(o, mine)[::7] / (2 * np.pi), theirs["columns"][name], atol=1e-8)
    numbers = theirs["numbers"]
    assert abs(o.tune_x - numbers["qx"]) < 6e-9 and abs(o.tune_y - numbers["qy"]) < 6e-9
    assert np.isclose(o.chromaticity_x, numbers["dqx"], rtol=2e-6)
    assert np.isclose(o.chromaticity_y, numbers["dqy"], rtol=2e-6)
    # It divides by the time along the axis, we by that along the orbit.
    longer = 1.0 + o.tau[-1] * reference().beta / o.length
    assert np.isclose(o.slip_factor * longer, numbers["slip_factor"], rtol=1e-8)
    if case == "plain":
        assert np.isclose(o.momentum_compaction, numbers["momentum_compaction_factor"], rtol=1e-8)


@pytest.mark.parametrize("case", ("cavity", "coupled_cavity"))
def test_six_dimensions(case):
    """Its cavity is thin and kicks along s alone."""
    theirs = FOUND["six_dimensions"][case]
    line = ring(steered=case != "cavity", cavity=True)
    line = line.with_elements({"rf": line["rf"].replace(radial_kick=False)})
    o = bb.optics(line, reference(), per="delta")
    for mine, name in (("tune_x", "qx"), ("tune_y", "qy"), ("tune_z", "qs")):
        assert abs(getattr(o, mine) - theirs[name]) < 6e-8
    assert np.allclose(o.chromaticities, [theirs["dqx"], theirs["dqy"]], rtol=1e-5)
    start = o["start"]
    assert abs(start.x - theirs["x"]) < 3e-9 and abs(start.pt - theirs["ptau"]) < 2e-9
    assert abs(-reference().beta * start.tau - theirs["zeta"]) < 1e-10
    assert np.allclose([start.beta_x, start.beta_y], [theirs["betx"], theirs["bety"]], rtol=3e-7)
