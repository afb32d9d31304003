"""Quadrupole element: which splitting it is made of, and how large its error is."""

from __future__ import annotations

import numpy as np
import pytest

import backbeam as bb
from backbeam.errors import InputError
from backbeam.maps.multipole import ThickMultipole
from backbeam.maps.quadrupole import ThickQuadrupole


def body(fraction: float = 1.0, **fields):
    (bound,) = bb.Quadrupole(0.5, k1=4.0, **fields).body(fraction)
    return bound.map


def test_splitting_chooses_the_map_its_order_and_its_steps():
    assert body() == ThickQuadrupole(6, 1, 1.0)
    assert body(0.25, steps=8) == ThickQuadrupole(6, 2, 0.25)
    assert body(order=2, steps=5) == ThickQuadrupole(2, 5, 1.0)
    kicks = body(splitting="drift-kick")
    assert isinstance(kicks, ThickMultipole) and (kicks.order, kicks.steps) == (6, 4)
    kicks = body(splitting="drift-kick", order=4, steps=20)
    assert isinstance(kicks, ThickMultipole) and (kicks.order, kicks.steps) == (4, 20)


@pytest.mark.parametrize("splitting", ["yoshida", "", None, 2, ["drift-kick"]])
def test_bad_splitting_is_named(splitting):
    with pytest.raises(InputError) as caught:
        bb.Quadrupole(0.1, k1=1.0, name="qf", splitting=splitting)
    assert caught.value.field == "qf.splitting"
    assert "matrix-drift or drift-kick" in str(caught.value)


@pytest.mark.parametrize(
    "length,k1,deviation,matrix,kicks",
    [  # the table of its docstring
        (0.1, 30.0, 1e-3, 1e-9, 1e-7),
        (0.1, 30.0, 1e-2, 1e-7, 1e-7),
        (0.5, 4.0, 1e-3, 3e-8, 3e-6),
        (0.5, 4.0, 1e-2, 1e-6, 3e-6),
        (1.0, 3.0, 1e-2, 5e-6, 1e-4),
    ],
)
def test_error_of_the_defaults(length, k1, deviation, matrix, kicks):
    """Next to the largest kick that the quadrupole gives."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-1e-3, 1e-3, (6, 200))
    X[5] = rng.uniform(-deviation, deviation, 200)
    beam = bb.Beam.from_arrays(X, species="electron", kinetic_energy=250e6, charge=1e-10)

    def momenta(**fields):
        out = bb.track(bb.Line([bb.Quadrupole(length, k1=k1, **fields)]), beam)
        return np.asarray(out.coordinates)[[1, 3]]

    best = momenta(order=6, steps=200)
    kick = np.abs(best - X[[1, 3]]).max()
    assert np.abs(momenta() - best).max() < matrix * kick
    assert np.abs(momenta(splitting="drift-kick") - best).max() < kicks * kick
