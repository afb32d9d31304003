"""Kicks every so many metres, wherever elements begin and end; and none where slices say none."""

from __future__ import annotations

import math

import numpy as np
import pytest

import backbeam as bb
from backbeam.course import Course
from backbeam.errors import InputError

CELL = bb.Line([
    bb.Quadrupole(0.4, k1=0.6, name="qf"), bb.Drift(1.2, name="d"), bb.Sextupole(0.05, k2=1.0, name="s"),
    bb.Marker(name="m"), bb.Quadrupole(0.4, k1=-0.6, name="qd"), bb.Drift(1.2, name="e"),
])  # fmt: skip
BEAM = bb.Beam.gaussian(
    n=500, species="proton", kinetic_energy=4e8, charge=3e-9, sigma_x=1e-3, sigma_y=1e-3, sigma_px=1e-4, sigma_py=1e-4,
    sigma_tau=0.1, sigma_pt=1e-4, seed=1,
)  # fmt: skip


def model(**where) -> bb.SpaceCharge3D:
    return bb.SpaceCharge3D(grid=(8, 8, 8), **where)


@pytest.mark.parametrize("every", (0.03, 0.3, 1.0, 2.0, 100.0))
def test_every_metre_is_covered_once(every):
    line = CELL * 2
    plan = Course.of(line, space_charge=model(every=every)).plan
    kicks = [dict(inner.needs)["length"] for step in plan for inner in step.unrolled() if inner.kicks]
    assert len(kicks) == math.ceil(line.length / every - 1e-9)
    share = line.length / len(kicks)
    lengths = {name: line[name].length for name in line.names if name != "m"}
    for terms in kicks:
        assert sum(part * lengths[name] for name, _, part in terms) == pytest.approx(share, rel=1e-9)
    for name in lengths:
        assert sum(part for terms in kicks for owner, _, part in terms if owner == name) == pytest.approx(2.0)


def test_in_one_drift_it_is_slices():
    drift = bb.Line([bb.Drift(2.0, name="d")])
    found, expected = (bb.track(drift, BEAM, space_charge=model(**where)) for where in ({"every": 0.5}, {"slices": 4}))
    assert np.allclose(found.coordinates, expected.coordinates, rtol=1e-12, atol=1e-18)
    pieces = bb.Line([bb.Drift(0.2, name=f"d{k}") for k in range(10)])
    found = bb.track(pieces, BEAM, space_charge=model(every=0.5))
    assert np.allclose(found.coordinates, expected.coordinates, rtol=1e-9, atol=1e-14)


def test_gradients_hold_the_places():
    names, size = ["qf.k1", "d.length", "beam.charge"], bb.observables.sigma("x")
    given = {"space_charge": model(every=0.7), "turns": 2}
    _, found = bb.value_and_grad(size, CELL, BEAM, names, **given)
    h = 1e-5
    ends = [bb.track(CELL.replace({"qf.k1": 0.6 + d}), BEAM, **given).sigma("x") for d in (h, -h)]
    assert np.isclose(found["qf.k1"], (ends[0] - ends[1]) / (2 * h), rtol=1e-6)
    store = bb.value_and_grad(size, CELL * 2, BEAM, names, space_charge=model(every=0.7), adjoint=bb.Store())[1]
    assert np.isclose(found["beam.charge"], store["beam.charge"], rtol=1e-6)


def test_along_named_elements_and_not_in_others():
    effect = model(every=0.5, along=("d", "e"))
    assert bb.count_kicks(CELL, space_charge=effect) == 5
    looked = [name for _, name, _ in bb.trace(CELL, BEAM, space_charge=effect)]
    assert looked[1:] == ["qf", "d", "s", "m", "qd", "e"]
    assert bb.count_kicks(CELL, space_charge=model(), slices=0) == 0
    still = bb.track(CELL, BEAM, space_charge=model(), slices=0)
    assert np.allclose(still.coordinates, bb.track(CELL, BEAM).coordinates, rtol=1e-12)
    only = CELL.with_elements({"qf": CELL["qf"].replace(slices=0), "qd": CELL["qd"].replace(slices=0)})
    assert bb.count_kicks(only, space_charge=model()) == bb.count_kicks(CELL, space_charge=model()) - 2


def test_what_is_refused():
    for where, said in (
        ({"every": 0.0}, "greater than 0"),
        ({"every": True}, "greater than 0"),
        ({"every": 1.0, "slices": 2}, "left out beside slices"),
        ({"every": 1.0, "step": 2.0}, "left out beside step"),
    ):
        with pytest.raises(InputError, match=said):
            model(**where)
    with pytest.raises(InputError, match="knows the element"):
        bb.CSR(nodes=20, every=1.0)
