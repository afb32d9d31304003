"""Numbers that come out of a sweep are NumPy's, and are numbers; so are fractions and decimals."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import backbeam as bb


def sigma(line, **options):
    beam = bb.Beam.gaussian(n=50, species="electron", kinetic_energy=1e8, charge=1e-12, sigma_x=1e-3, sigma_px=1e-4)
    return float(bb.track(line, beam, **options).sigma("x"))


QUAD = bb.Line([bb.Quadrupole(0.2, k1=1.0, name="q")])
KICKS = {"space_charge": bb.SpaceCharge3D(grid=(8, 8, 8), order=2)}


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        (lambda: sigma(QUAD, **KICKS, slices=np.int64(4)), lambda: sigma(QUAD, **KICKS, slices=4)),
        (lambda: sigma(QUAD, **KICKS, step=np.float32(0.125)), lambda: sigma(QUAD, **KICKS, step=0.125)),
        (lambda: sigma(QUAD, turns=np.int32(2)), lambda: sigma(QUAD, turns=2)),
        (lambda: bb.Quadrupole(0.2, k1=1.0, steps=np.int64(2)).steps, lambda: 2),
        (lambda: bb.Aperture(np.float32(0.5), np.asarray(0.25)).half_y, lambda: 0.25),
        (lambda: bb.Screen(1e-2, 1e-2, np.asarray([8, 9])).pixels, lambda: (8, 9)),
        (lambda: bb.Drift(np.float64(0.5)).length, lambda: 0.5),
        (lambda: sigma(bb.Line([bb.Drift(Decimal("0.5"))])), lambda: sigma(bb.Line([bb.Drift(0.5)]))),
        (lambda: sigma(bb.Line([bb.Drift(Fraction(1, 2))])), lambda: sigma(bb.Line([bb.Drift(0.5)]))),
        (lambda: bb.RmsExtent(np.float32(6.0), np.int64(2)), lambda: bb.RmsExtent(6.0, 2)),
        (lambda: bb.RmsExtent(Fraction(13, 2)), lambda: bb.RmsExtent(6.5)),
        (
            lambda: bb.FixedExtent((0, 0, 0), (1, 1, np.float64(1.0)), np.int8(1)),
            lambda: bb.FixedExtent((0, 0, 0), (1, 1, 1)),
        ),
        (lambda: bb.AutoExtent(levels=np.int64(2)), lambda: bb.AutoExtent(levels=2)),
        (lambda: bb.Reversible(np.int64(3)), lambda: bb.Reversible(3)),
        (lambda: bb.Checkpoint(np.int16(3)), lambda: bb.Checkpoint(3)),
    ],
)
def test_as_plain_ones(given, plain):
    assert given() == plain()


@pytest.mark.parametrize("value", [np.float64("nan"), np.bool_(True), "1", 1 + 2j])
def test_what_is_no_length_is_refused(value):
    with pytest.raises(bb.InputError, match=r"drift\.length is .*; allowed: a (finite )?number in m"):
        bb.Drift(value)


def test_arrays_stay_arrays():
    k1 = np.asarray([1.0, 2.0])
    assert bb.Quadrupole(0.2, k1=k1).k1 is k1
    assert isinstance(bb.Quadrupole(0.2, k1=np.asarray(1.0)).k1, np.ndarray)
