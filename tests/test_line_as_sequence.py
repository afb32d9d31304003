"""A line as a sequence: places, slices, names, what is in it, and how it grows."""

from __future__ import annotations

from time import process_time

import numpy as np
import pytest

import backbeam as bb


def cell():
    q = bb.Quadrupole(0.2, k1=3.0, name="q")
    d = bb.Drift(0.5, name="d")
    return bb.Line([q, d, bb.Quadrupole(0.2, k1=-3.0, name="p:1.x"), d, bb.Marker(name="end[1]")], name="cell")


def test_places_and_slices():
    line = cell()
    assert line[0] is line["q"] and line[-1] is line["end[1]"] and line[np.int64(1)] is line["d"]
    assert [e.name for e in line[1:4]] == ["d", "p:1.x", "d"] and line[1:4].length == pytest.approx(1.2)
    assert [e.name for e in line["d":"p:1.x"]] == ["d", "p:1.x"]
    assert [e.name for e in line["p:1.x":]] == ["p:1.x", "d", "end[1]"]
    assert [e.name for e in reversed(line)] == [e.name for e in line][::-1] == [e.name for e in line[::-1]]
    with pytest.raises(IndexError):
        line[5]
    with pytest.raises(bb.InputError, match="behind place 2"):
        line["p:1.x":"q"]


def test_the_second_passage_ends_a_part():
    line = cell() * 2
    part = line["p:1.x":"q"]
    assert [e.name for e in part] == ["p:1.x", "d", "end[1]", "q"]
    assert line["q":"end[1]"].length == pytest.approx(cell().length)


def test_what_is_in_it():
    line = cell()
    assert "q" in line and "z" not in line and line["q"] in line and bb.Drift(0.5) not in line
    assert list(line.of_kind("quadrupole")) == ["q", "p:1.x"] and line.of_kind("octupole") == {}
    assert line.of_kind(bb.Quadrupole) == line.of_kind("quadrupole")
    with pytest.raises(bb.InputError, match="kind is 'quad'; allowed: a class of element, or one of aperture"):
        line.of_kind("quad")


def test_a_name_where_a_parameter_is_meant_and_the_other_way_round():
    with pytest.raises(
        bb.InputError, match=r"parameter is .q.; allowed: q with one of .* k1; an element as a whole by"
    ):
        cell().replace({"q": bb.Drift(0.2)})
    with pytest.raises(bb.InputError, match="element is 'qq'; allowed: q"):
        cell().with_elements({"qq": bb.Drift(0.2)})


def test_a_line_grows_a_thousand_times():
    line, step = bb.Line([]), bb.Drift(1e-3, name="d")
    for _ in range(1500):
        line = line + bb.Line([step])
    assert len(line) == 1500 and line.length == pytest.approx(1.5) and line.names == ("d",)
    assert line.replace({"d.length": 2e-3}).length == pytest.approx(3.0)
    assert len(line + step) == len(step + line) == 1501 and (step + line)[0] is step
    with pytest.raises(TypeError):
        line + 1.0


def test_a_line_grows_by_additions():
    """Element by element, in a time that grows with its length: twice as long is not four times as slow."""
    line = bb.Line([])
    begun = process_time()
    for k in range(2400):
        line = line + bb.Line([bb.Drift(0.1, name=None if k % 2 else f"d{k}")])
    assert process_time() - begun < 2.0
    assert len(line) == 2400 and line.names[:3] == ("d0", "drift_1", "d2") and line.names[-1] == "drift_1200"
    assert line.replace({"d2398.length": 1.0}).length == pytest.approx(240.9)
    with pytest.raises(bb.InputError, match="line is 'd0'; allowed: one element a name"):
        line + bb.Line([bb.Drift(0.2, name="d0")])
    assert len(line + bb.Line([line["d0"]])) == 2401
