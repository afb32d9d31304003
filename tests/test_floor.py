"""Floor coordinates: closed forms, MAD-X's survey of a line with every kind of turn, batches and gradients."""

from __future__ import annotations

import json
from math import pi
from pathlib import Path

import numpy as np
import pytest
import torch

import backbeam as bb
from backbeam import backends
from backbeam.errors import InputError
from backbeam.floor import COLUMNS

MADX = json.loads((Path(__file__).parent / "data" / "survey_madx.json").read_text())
START = (1.0, -2.0, 3.0, 0.3, -0.2, 0.5)


def crooked() -> bb.Line:
    """Bends in tilted planes, patches, a thin bend, a magnet that stands wrong."""
    return bb.Line([
        bb.Drift(1.5, name="d1"),
        bb.SectorBend(2.0, angle=0.7, tilt=0.4, name="b1"),
        bb.Quadrupole(0.5, k1=1.0, dx=1e-3, yaw=1e-3, tilt=0.2, name="q"),
        bb.Patch(dx=0.2, dy=-0.1, ds=0.3, name="t"),
        bb.Patch(yaw=0.3, name="y"),
        bb.RectangularBend(1.0, angle=-0.5, tilt=pi / 2, name="b2"),
        bb.Patch(roll=0.7, name="r"),
        bb.ThinMultipole(angle=0.1, k0l=0.1, name="m"),
        bb.Drift(0.8, name="d2"),
        bb.Patch(pitch=0.2, name="x"),
        bb.Drift(0.1, name="d3"),
    ])  # fmt: skip


def test_beside_madx():
    found = crooked().floor(START)
    assert list(found.names[1:]) == MADX["names"]
    for column in COLUMNS:
        assert np.allclose(getattr(found, column)[1:], MADX[column], rtol=0, atol=1e-14), column


def test_a_ring_closes_and_a_bend_is_an_arc():
    ring = bb.Line([bb.SectorBend(2.0, angle=pi / 4), bb.Drift(1.0)] * 8)
    found = ring.floor()
    assert np.allclose([found.X[-1], found.Z[-1], found.theta[-1]], 0.0, atol=1e-13) and len(found) == 17
    rho, half = 8.0 / pi, bb.Line([bb.SectorBend(8.0, angle=pi, name="b")]).floor()["b"]
    assert np.allclose([half["X"], half["Z"], abs(half["theta"])], [-2.0 * rho, 0.0, pi])
    there = crooked().floor(START)
    back = crooked().backwards().floor([getattr(there, c)[-1] for c in COLUMNS])
    assert np.allclose([getattr(back, c)[-1] for c in COLUMNS], START, atol=1e-14)


def test_batches_and_gradients():
    line = crooked()
    many = line.replace({"b1.angle": np.asarray([0.0, 1e-9, 0.7])}).floor()
    assert np.allclose(many.X[2], line.floor().X) and np.allclose(many.X[0], many.X[1], atol=1e-8)
    angle = torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
    line.replace({"b1.angle": angle}).floor().X[-1].backward()
    h = 1e-5
    ends = [line.replace({"b1.angle": d}).floor().X[-1] for d in (h, -h)]
    assert np.isclose(float(angle.grad), (ends[0] - ends[1]) / (2 * h), rtol=1e-8)
    strict = backends.get("array_api_strict")
    there = line.replace({"d1.length": strict.asarray(1.5, dtype="float64")}).floor(START)
    assert np.allclose(strict.to_numpy(there.Z), line.floor(START).Z, rtol=1e-14)


def test_what_is_refused():
    line = crooked()
    for start in ((0.0,) * 5, "x", None):
        with pytest.raises(InputError, match="six numbers"):
            line.floor(start)
    with pytest.raises(InputError, match="passed once, not 2 times"):
        (line * 2).floor()["q"]
    with pytest.raises(InputError, match="an element of the line"):
        line.floor()["nothing"]
    assert "11" not in repr(line.floor()) or repr(line.floor()).startswith("<Floor of 12 places")
