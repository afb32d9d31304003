"""Lines: nested, named, repeated, immutable; and the steps that they become."""

from __future__ import annotations

import numpy as np
import pytest

import backbeam as bb
from backbeam.maps.drift import DriftMap
from backbeam.plan import Apply, Kick, Repeat, Slicing, compile_line, compile_looks, unroll


def cell():
    return bb.Line([bb.Drift(0.2, name="d"), bb.Quadrupole(0.1, k1=3.0, name="q"), bb.Drift(0.3)], name="cell")


def test_nesting_is_flattened_in_order():
    inner = cell()
    line = bb.Line([bb.Marker(name="start"), inner, bb.Line([inner, bb.Marker(name="end")])], name="ring")
    assert line.sequence == ("start", "d", "q", "drift_1", "d", "q", "drift_1", "end")
    assert len(line) == 8 and [e.kind for e in line][:3] == ["marker", "drift", "quadrupole"]
    assert line.names == ("start", "d", "q", "drift_1", "end")
    assert line.length == pytest.approx(1.2)
    assert line.elements[1] is line.elements[4] is line["d"]


def test_sums_and_multiples():
    one, two = cell(), bb.Line([bb.Marker(name="m")])
    assert (one + two).sequence == (*one.sequence, "m")
    assert (2 * one).sequence == (one * 2).sequence == one.sequence * 2
    assert (one * 2).names == one.names and (one * 2).name == "cell"
    assert len(one * 0) == 0 and (one * 0).length == 0.0


def test_elements_without_a_name_are_numbered_by_kind_and_step_aside_for_given_names():
    line = bb.Line([bb.Drift(0.1), bb.Drift(0.2, name="drift_1"), bb.Drift(0.3), bb.Marker()])
    assert line.names == ("drift_2", "drift_1", "drift_3", "marker_1")
    assert line["drift_1"].length == 0.2 and line["drift_2"].length == 0.1


def test_two_elements_of_one_name_are_refused():
    with pytest.raises(bb.InputError, match=r"line is 'q'; allowed: one element a name"):
        bb.Line([bb.Quadrupole(0.1, k1=1.0, name="q"), bb.Quadrupole(0.1, k1=2.0, name="q")])
    with pytest.raises(bb.InputError, match="one element a name"):
        bb.Line([cell(), cell()])  # equal, but two: which one would q.k1 mean?


@pytest.mark.parametrize("item", [3, "drift", None, bb.Drift])
def test_what_is_no_element_is_refused(item):
    with pytest.raises(bb.InputError, match=r"line\[1\] is .*; allowed: an element or a line"):
        bb.Line([bb.Drift(0.1), item])


def test_repr():
    assert repr(cell()) == "<Line 'cell': 3 elements, 0.6 m>"
    assert repr(bb.Line([bb.Drift(0.5)])) == "<Line: 1 elements, 0.5 m>"


# -- parameters -------------------------------------------------------------------------------------------------------


def test_replace_changes_every_use_and_leaves_the_line_as_it_was():
    line = bb.Line([cell()] * 1 + [bb.Marker(name="m")]) * 3
    changed = line.replace({"q.k1": 5.0, "d.length": 0.25, "q.slices": 4})
    assert [e.k1 for e in changed if e.kind == "quadrupole"] == [5.0] * 3
    assert changed["d"].length == 0.25 and changed["q"].slices == 4
    assert changed.length == pytest.approx(line.length + 0.15)
    assert line["q"].k1 == 3.0 and line.length == pytest.approx(1.8)
    assert changed.sequence == line.sequence and changed.elements[0] is changed.elements[4]
    assert changed["m"] is line["m"]  # what has not changed is the same object


def test_replace_works_on_numbered_names_and_arrays():
    line = cell().replace({"drift_1.length": np.asarray([0.3, 0.4])})
    np.testing.assert_allclose(line.length, [0.6, 0.7])


def test_parameters_are_listed_by_path():
    assert cell().parameters == {"d.length": 0.2, "q.length": 0.1, "q.k1": 3.0, "drift_1.length": 0.3}
    assert cell().get("q.k1") == 3.0 and cell().get("q.dx") is None


@pytest.mark.parametrize(
    "path,said",
    [
        ("qq.k1", "element is 'qq'; allowed: q"),
        ("nowhere.k1", "element is 'nowhere'; allowed: the name of an element of the line"),
        ("q.k11", r"parameter is 'q\.k11'; allowed: q\.k1"),
        ("q.voltage", r"parameter is 'q\.voltage'; allowed: q with one of"),
        ("k1", "element is ''"),
    ],
)
def test_unknown_paths_say_what_there_is(path, said):
    with pytest.raises(bb.InputError, match=said):
        cell().replace({path: 1.0})
    with pytest.raises(bb.InputError, match=said):
        cell().get(path)


def test_a_bad_value_is_refused_as_by_the_element():
    with pytest.raises(bb.InputError, match=r"q\.length is inf; allowed: a finite number in m"):
        cell().replace({"q.length": float("inf")})


def test_with_elements_exchanges_whole_elements():
    changed = (cell() * 2).with_elements({"q": bb.Sextupole(0.1, k2=5.0, name="s")})
    assert changed.sequence == ("d", "s", "drift_1") * 2


def test_beam_is_tracked_alike_however_the_line_is_nested():
    beam = bb.Beam.gaussian(
        n=20, species="electron", kinetic_energy=1e7, charge=1e-12, sigma_x=1e-3, sigma_px=1e-3, seed=2
    )
    nested = cell() * 3
    flat = bb.Line(nested.elements)
    np.testing.assert_array_equal(bb.track(nested, beam).coordinates, bb.track(flat, beam).coordinates)


# -- the steps of a line ----------------------------------------------------------------------------------------------


SPACE_CHARGE = {"space charge": bb.SpaceCharge3D()}


def maps_and_kicks(plan):
    flat = unroll(plan)
    return sum(isinstance(s, Apply) for s in flat), sum(isinstance(s, Kick) for s in flat)


@pytest.mark.parametrize("slices", [1, 2, 3, 7])
def test_half_maps_between_kicks_are_merged(slices):
    """An element of k slices: k kicks, and k + 1 maps instead of 2 k."""
    plan = compile_line(bb.Line([bb.Drift(1.0)]), Slicing(slices), SPACE_CHARGE)
    assert maps_and_kicks(plan) == (slices + 1, slices)
    fractions = [s.map.fraction for s in unroll(plan) if isinstance(s, Apply)]
    assert sum(fractions) == pytest.approx(1.0)
    assert fractions[0] == fractions[-1] == pytest.approx(0.5 / slices)
    assert all(f == pytest.approx(1.0 / slices) for f in fractions[1:-1])
    assert all(isinstance(s.map, DriftMap) for s in unroll(plan) if isinstance(s, Apply))


def test_slices_are_a_loop_whose_size_does_not_grow():
    few, many = (compile_line(bb.Line([bb.Drift(1.0, slices=k)]), Slicing(), SPACE_CHARGE) for k in (3, 300))
    assert len(few) == len(many)
    (loop,) = (s for s in many if isinstance(s, Repeat))
    assert loop.count == 299


def test_without_space_charge_nothing_is_sliced():
    plan = compile_line(cell(), Slicing(slices=10), {})
    assert maps_and_kicks(plan) == (3, 0)


def test_plans_compare_by_value():
    """So that what was compiled for one serves the other."""
    one, other = (compile_line(cell(), Slicing(slices=3), SPACE_CHARGE) for _ in range(2))
    assert one == other and hash(one) == hash(other)
    assert compile_line(cell().replace({"q.k1": 7.0}), Slicing(slices=3), SPACE_CHARGE) == one


def test_slicing_by_number_by_step_and_by_the_element():
    line = bb.Line([
        bb.Drift(0.35, name="a"), bb.Drift(0.1, name="b"), bb.Drift(0.3, name="own", slices=5),
        bb.ThinMultipole(k1l=0.1), bb.Marker(), bb.Drift(0.0, name="nothing"),
    ])  # fmt: skip
    model = bb.SpaceCharge3D()
    assert bb.count_kicks(line, space_charge=model) == 1 + 1 + 5
    assert bb.count_kicks(line, space_charge=model, slices=3) == 3 + 3 + 5
    assert bb.count_kicks(line, space_charge=model, step=0.1) == 4 + 1 + 5
    assert bb.count_kicks(line, space_charge=model, step=0.05) == 7 + 2 + 5
    assert bb.count_kicks(line, space_charge=model, step=10.0) == 1 + 1 + 5
    assert bb.count_kicks(line) == bb.count_kicks(line, slices=3) == 0


def test_a_step_that_divides_the_length_but_for_rounding_makes_no_extra_slice():
    assert bb.count_kicks(bb.Line([bb.Drift(0.3)]), space_charge=bb.SpaceCharge3D(), step=0.1) == 3


def test_a_step_goes_by_the_longest_of_a_batch():
    line = bb.Line([bb.Drift(np.asarray([0.1, 0.35]))])
    assert bb.count_kicks(line, space_charge=bb.SpaceCharge3D(), step=0.1) == 4


def test_kicks_cover_the_length():
    line = bb.Line([bb.Drift(0.35), bb.Quadrupole(0.2, k1=1.0), bb.Drift(0.3, slices=5)])
    kicks = [s for s in unroll(compile_line(line, Slicing(step=0.1), SPACE_CHARGE)) if isinstance(s, Kick)]
    lengths = {name: {"length": line[name].length} for name in line.names}
    assert sum(kick.given(lengths)["length"] for kick in kicks) == pytest.approx(0.85)


def test_looks_cover_the_line_as_the_plan_does():
    line = cell()
    looks = compile_looks(line, Slicing(slices=4), SPACE_CHARGE)
    assert [look.element for look in looks] == ["d"] * 4 + ["q"] * 4 + ["drift_1"] * 4
    assert sum(look.fraction * line[look.element].length for look in looks) == pytest.approx(line.length)
    assert looks[-1].steps == len(unroll(compile_line(line, Slicing(slices=4), SPACE_CHARGE)))


@pytest.mark.parametrize(
    "given,said",
    [
        ({"slices": 2, "step": 0.1}, r"track\.step is 0\.1; allowed: slices or step, not both"),
        ({"slices": -1}, r"track\.slices is -1; allowed: a whole number, at least 0"),
        ({"slices": 1.5}, r"track\.slices is 1\.5"),
        ({"slices": True}, r"track\.slices is True"),
        ({"step": 0.0}, r"track\.step is 0\.0; allowed: a length in m, greater than 0"),
        ({"step": float("nan")}, r"track\.step is nan"),
        ({"step": float("inf")}, r"track\.step is inf"),
        ({"step": True}, r"track\.step is True"),
        ({"step": "0.1"}, r"track\.step is '0\.1'"),
    ],
)
def test_bad_slicing_is_refused(given, said):
    with pytest.raises(bb.InputError, match=said):
        bb.count_kicks(cell(), space_charge=bb.SpaceCharge3D(), **given)
