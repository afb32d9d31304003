"""The way back: every element has one that undoes it, or says that it has none; lines with space charge too."""

from __future__ import annotations

import numpy as np
import pytest
from element_cases import CASES, make

import backbeam as bb
from backbeam.errors import InputError

NONE = ("rf_cavity", "buncher", "crab_cavity", "field_cavity")
LOSES = ("aperture",)


def beam(n=30, charge=0.0, **given):
    X = np.random.default_rng(7).uniform(-1e-3, 1e-3, (6, n))
    return bb.Beam.from_arrays(X, species="electron", kinetic_energy=20e6, charge=charge, **given)


@pytest.mark.parametrize(
    "label", [label for label in CASES if not label.startswith((*NONE, *LOSES)) and make(label).aperture is None]
)
def test_there_and_back(label):
    start, element = beam(), make(label)
    if label == "sector_bend_hard":
        with pytest.raises(InputError, match="linear, to go back"):
            element.backwards()
        return
    if label == "patch":  # three rotations at once
        with pytest.raises(InputError, match="one rotation alone"):
            element.backwards()
        return
    out = bb.track(bb.Line([element]), start)
    back = bb.track(bb.Line([element.backwards()]), out)
    error = np.abs(back.coordinates - start.coordinates).max()
    assert error < (1e-15 if "map" not in label else 1e-14)
    assert back.s == pytest.approx(0.0, abs=1e-15)
    again = element.backwards().backwards()
    for name, value in element.parameters().items():
        np.testing.assert_allclose(getattr(again, name), value, rtol=1e-13)


@pytest.mark.parametrize("label", [label for label in CASES if label.startswith(NONE)])
def test_cavities_have_no_way_back(label):
    with pytest.raises(InputError, match="without RF"):
        make(label).backwards()


def test_a_line_goes_back_through_its_kicks():
    q = bb.Quadrupole(0.2, k1=3.0, name="q", dx=1e-3)
    cell = bb.Line(
        [bb.Drift(0.3), q, bb.SectorBend(0.5, angle=0.3, e1=0.1, k1=0.5, yaw=1e-3), bb.Drift(0.1)], name="cell"
    )
    line = bb.Line([cell, bb.Solenoid(0.3, ks=2.0), cell])
    back = line.backwards()
    assert back.length == pytest.approx(-line.length)
    assert back["q"].length == -0.2 and sum(e is back["q"] for e in back) == 2
    start, kicks = beam(300, 1e-10), {"space_charge": bb.SpaceCharge3D(grid=(8, 8, 8)), "slices": 2}
    out = bb.track(line, start, **kicks)
    assert np.abs(out.coordinates - start.coordinates).max() > 1e-4
    returned = bb.track(back, out, **kicks)
    assert np.abs(returned.coordinates - start.coordinates).max() < 1e-13
    stepped = bb.track(back, bb.track(line, start, space_charge=kicks["space_charge"], step=0.1),
                       space_charge=kicks["space_charge"], step=0.1)  # fmt: skip
    assert np.abs(stepped.coordinates - start.coordinates).max() < 1e-13


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_negative_lengths_of_a_batch(dtype):
    lengths = np.asarray([-0.3, 0.0, 0.4], dtype=dtype)
    start = beam(dtype=dtype)
    out = bb.track(bb.Line([bb.Quadrupole(lengths, k1=2.0)]), start)
    for k, length in enumerate((-0.3, 0.0, 0.4)):
        one = bb.track(bb.Line([bb.Quadrupole(length, k1=2.0)]), start)
        np.testing.assert_allclose(
            out.coordinates[k], one.coordinates, rtol=0, atol=1e-15 if dtype == "float64" else 1e-9
        )


def test_what_is_no_length():
    for bad in (float("nan"), float("inf"), "long"):
        with pytest.raises(InputError, match="number in m"):
            bb.Drift(bad)
    with pytest.raises(InputError, match="not 0"):
        bb.SectorBend(0.0, angle=0.1)
