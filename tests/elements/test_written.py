"""Every element as the plain data of a problem file, and read again."""

from __future__ import annotations

import json

import numpy as np
import pytest
from element_cases import CASES, make

import backbeam as bb
from backbeam.problem.lattice import read_lattice
from backbeam.problem.written import lattice_tree


@pytest.mark.parametrize("case", CASES)
def test_every_element_can_be_written_and_read(case):
    """Its parameters, those that are 0 too, and whatever else is not as usual."""
    element = make(case)
    tree = json.loads(json.dumps(lattice_tree(bb.Line([element]))))
    (again,) = read_lattice(tree).line.elements
    assert type(again) is type(element) and again.static() == element.static()
    assert again.parameters().keys() == element.parameters().keys()
    for name, value in element.parameters().items():
        np.testing.assert_array_equal(again.parameters()[name], value)
