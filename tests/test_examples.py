"""Every class and function of the public face has an example, and it runs."""

from __future__ import annotations

import doctest

import pytest

import backbeam as bb

TOLD_ELSEWHERE = {
    "BackbeamError", "BackbeamWarning", "BackendError", "TrackingError",  # they are raised
    "DynamicAperture", "Loaded", "Match", "Turns",  # they are returned
    "SpaceCharge",  # a base
}  # fmt: skip
PUBLIC = {name for name in dir(bb) if not name.startswith("_") and callable(getattr(bb, name))}


@pytest.mark.parametrize("name", sorted(PUBLIC - TOLD_ELSEWHERE))
def test_its_example_runs(name):
    thing = getattr(bb, name)
    test = doctest.DocTestParser().get_doctest(thing.__doc__, {"bb": bb}, name, None, None)
    assert test.examples, f"{name} has no example"
    said = []
    found = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=said.append)
    assert not found.failed, "".join(said)
