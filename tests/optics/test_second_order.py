"""Second-order maps: MAD-X's sector map, the closed form of a chicane, differences, and every library."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from rings import fodo, reference, ring

import backbeam as bb
from backbeam import backends
from backbeam.errors import InputError
from backbeam.reference import Reference
from backbeam.species import species_named

MADX = json.loads((Path(__file__).parents[1] / "data" / "sectormap_madx.json").read_text())


def test_beside_madx():
    """Whose bends have nonlinear faces; its file has ten digits."""
    d = bb.Drift(0.7, name="d")
    line = bb.Line([
        d, bb.SectorBend(0.8, angle=0.3, fringe="hard", name="b"), bb.Quadrupole(0.4, k1=2.0, steps=8, name="q"), d,
        bb.Sextupole(0.2, k2=15.0, steps=8, name="s"), bb.Multipole(0.3, k1s=1.5, order=6, steps=8, name="qs"),
        bb.SectorBend(0.6, angle=-0.2, k1=0.8, tilt=0.3, steps=8, fringe="hard", name="c"), d,
    ])  # fmt: skip
    electron = species_named("electron")
    given = Reference(np.asarray(np.sqrt((50e6 / electron.mass) ** 2 - 1.0)), electron)
    o = bb.optics(line, given, bb.Twiss(1.0, 1.0))
    R, T = np.asarray(MADX["R"]), np.asarray(MADX["T"])
    assert np.allclose(o.matrix(), R, rtol=0, atol=2e-9 * np.abs(R).max())
    found = o.second_order()
    assert np.allclose(found, np.swapaxes(found, 1, 2), rtol=0, atol=0)
    assert np.allclose(found, T, rtol=0, atol=2e-10 * np.abs(T).max())


def test_a_chicane_of_thin_angles():
    """R56 of tau by pt is -2 angle^2 (d + 2 L/3), and T566 -3/2 of that, to the order of angle^2 and 1/gamma^2."""
    L, d, angle = 0.2, 2.0, 0.02
    bends = [bb.RectangularBend(L, angle=s * angle, name=f"b{k}") for k, s in enumerate((1, -1, -1, 1))]
    gap = bb.Drift(d, name="d")
    line = bb.Line([bends[0], gap, bends[1], bb.Drift(0.5, name="m"), bends[2], gap, bends[3]])
    given = Reference(np.asarray(2e5), species_named("electron"))
    o = bb.optics(line, given, bb.Twiss(10.0, 10.0))
    r56 = o.matrix()[4, 5]
    assert np.isclose(r56, -2.0 * angle**2 * (d + 2.0 * L / 3.0), rtol=5e-4)
    assert np.isclose(o.second_order()[4, 5, 5], -1.5 * r56, rtol=2e-3)


@pytest.mark.parametrize("cavity", (False, True))
def test_differences_and_exact_derivatives(cavity):
    line, given = ring(steered=True, cavity=cavity, cells=2), reference()
    o = bb.optics(line, given, bb.Twiss(9.0, 6.0), orbit=1e-3 * np.arange(6.0))
    T, z, h = o.second_order(), o.solution.z[0], 1e-5

    def matrix(at):
        return bb.optics(line, given, bb.Twiss(9.0, 6.0), orbit=at).matrix()

    slopes = [
        (8.0 * (matrix(z + h * e) - matrix(z - h * e)) - (matrix(z + 2 * h * e) - matrix(z - 2 * h * e))) / (12.0 * h)
        for e in np.eye(6)
    ]
    scale = np.abs(T).max()
    assert np.allclose(T, 0.5 * np.stack(slopes, axis=-1), rtol=0, atol=1e-9 * scale)
    there = torch.tensor(float(given.beta_gamma), dtype=torch.float64)
    exact = bb.optics(line, Reference(there, given.species), bb.Twiss(9.0, 6.0), orbit=torch.tensor(z))
    assert np.allclose(T, exact.second_order(), rtol=0, atol=2e-11 * scale)


def test_ways_join_and_go_round():
    o = bb.optics(ring(steered=True), reference())
    R1, R2 = o.matrix("start", "c"), o.matrix("c", "end")
    T1, T2 = o.second_order("start", "c"), o.second_order("c", "end")
    once = np.einsum("ip,pjk->ijk", R2, T1) + np.einsum("ipq,pj,qk->ijk", T2, R1, R1)
    assert np.allclose(o.second_order(), once, rtol=0, atol=1e-11 * np.abs(once).max())
    round_ = o.second_order("c", "b[0]")
    R3, T3 = o.matrix("start", "b[0]"), o.second_order("start", "b[0]")
    expected = np.einsum("ip,pjk->ijk", R3, T2) + np.einsum("ipq,pj,qk->ijk", T3, R2, R2)
    assert np.allclose(round_, expected, rtol=0, atol=1e-11 * np.abs(expected).max())
    line = bb.optics(ring(), reference(), bb.Twiss(1.0, 1.0))
    assert not np.any(line.second_order("b[1]", "b[1]"))
    with pytest.raises(InputError, match="behind"):
        line.second_order("b[3]", "b[1]")


def test_batches_and_libraries():
    many = bb.optics(fodo(np.asarray([0.5, 0.6])), reference()).second_order()
    one = bb.optics(fodo(0.6), reference()).second_order()
    assert many.shape == (2, 6, 6, 6) and np.allclose(many[1], one, rtol=1e-12, atol=1e-12)
    strict = backends.get("array_api_strict")
    found = strict.to_numpy(bb.optics(fodo(0.6), reference(strict)).second_order())
    assert np.allclose(found, one, rtol=0, atol=1e-13 * np.abs(one).max())
    single = bb.optics(fodo(0.6), reference(backends.get("numpy"), "float32")).second_order()
    assert single.dtype == np.float32 and np.allclose(single, one, rtol=0, atol=1e-4 * np.abs(one).max())
