"""The first cases of every campaign; the long run is ``python tests/fuzz``, and RESULTS.md has its counts."""

from __future__ import annotations

import campaign
import pytest

SHORT = {"problems": 200, "commands": 40, "calls": 200, "gradients": 8}


@pytest.mark.parametrize("name", SHORT)
def test_no_faults(name):
    module = pytest.importorskip(name)
    found = campaign.run(name, campaign.case_of(module), range(SHORT[name]))
    assert not found["faults"]
    assert len(found["counts"]) > 1  # not all end alike


def test_a_fault_is_noticed():
    """Whatever a case raises, and one that never ends."""

    def wrong(number):
        if number == 0:
            return "right"
        if number == 1:
            raise campaign.Fault("not so")
        if number == 2:
            return [][1]
        while True:
            pass

    found = campaign.run("wrong", wrong, range(4), seconds=0.2)
    assert found["counts"] == {"right": 1, "fault": 3}
    assert found["faults"] == {1: "not so", 2: "IndexError at ?: list index out of range", 3: "more than 0.2 s"}
