"""What an element says of itself, and of words that it does not know."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from element_cases import CASES, make

import backbeam as bb
from backbeam import elements


@pytest.mark.parametrize("case", CASES)
def test_every_element_shows_what_is_not_as_usual(case):
    """Read as Python, it is that element."""
    element = make(case)
    with np.printoptions(precision=17, threshold=100):
        shown = repr(element)
    again = eval(shown, {**vars(elements), **vars(bb.openings), "array": np.array})
    assert "=None" not in shown and again.static() == element.static()
    assert again.parameters().keys() == element.parameters().keys()
    for name, value in element.parameters().items():
        np.testing.assert_array_equal(again.parameters()[name], value)


def test_a_kind_says_what_the_one_before_it_says():
    class Told(bb.Marker):
        def __repr__(self):
            return "told"

    class Again(dataclass(frozen=True, eq=False)(Told)):
        pass

    assert repr(dataclass(frozen=True, eq=False)(Again)(name="m")) == "told"


def test_what_is_as_usual_is_not_shown():
    bend = bb.SectorBend(1.0, angle=0.1, name="b", steps=2)
    assert repr(bend) == "SectorBend(length=1.0, angle=0.1, name='b')"
    assert repr(bb.SpaceCharge3D(grid=(8, 8, 8))) == "SpaceCharge3D(grid=(8, 8, 8), order=4)"
    assert repr(bb.Quadrupole(0.2, k1=np.zeros(2))) == "Quadrupole(length=0.2, k1=array([0., 0.]))"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: bb.Quadrupole(l=0.2, k1=1.0), "Quadrupole.l is an unknown keyword; allowed: length"),
        (lambda: bb.RFCavity(1.0, volt=1e6, frequency=1e9), "RFCavity.volt is .*; allowed: voltage, in V"),
        (lambda: bb.Quadrupole(0.2, K1=1.0), "Quadrupole.K1 is an unknown keyword; allowed: k1"),
        (lambda: bb.SpaceCharge3D(nodes=(8, 8, 8)), "SpaceCharge3D.nodes is an unknown keyword; allowed: grid"),
        (
            lambda: bb.Drift(1.0, colour="red"),
            "Drift.colour is an unknown keyword; allowed: one of length, model, name",
        ),
    ],
)
def test_a_word_of_another_code_gets_its_name_here(make, said):
    with pytest.raises(bb.InputError, match=said):
        make()
