"""Xsuite's and Cheetah's JSON: what the classes of each mean, knobs, and what is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import reading
from reading import matrix, passages

import backbeam as bb
from backbeam.lattices import LatticeError


def xsuite(tmp_path, elements, names=None, rules=(), values=None, line=None, replace=None, **more):
    """An Environment with one line of these elements."""
    names = list(elements) if names is None else names
    tree = {
        "__class__": "Environment",
        "elements": {n: {"__class__": c, **f} for n, (c, f) in elements.items()},
        "lines": {"ring": {"__class__": "Line", "element_names": names, **more}},
        "_var_management_data": {"var_values": values or {}, "functions": {"_funcs": {}}},
        "_var_manager": [list(r) for r in rules],
    }
    return reading.load(tmp_path, json.dumps(tree, indent=1), "ring.json", line, replace)


def cheetah(tmp_path, elements, names=None, replace=None, **lattices):
    """A LatticeJSON with one lattice of these elements."""
    tree = {
        "version": "cheetah-0.8",
        "root": "cell",
        "elements": {n: [c, f] for n, (c, f) in elements.items()},
        "lattices": {"cell": list(elements) if names is None else names, **lattices},
    }
    return reading.load(tmp_path, json.dumps(tree, indent=1), "cell.json", replace=replace)


# -- Xsuite ---------------------------------------------------------------------------------------------------


def test_an_environment_and_a_line_of_its_own(tmp_path):
    drift = {"__class__": "Drift", "length": 0.5}
    quad = {"__class__": "Quadrupole", "length": 0.2, "k1": 1.5, "order": 5, "shift_x": 1e-3}
    elements = {"||drift_1": drift, "q.1": quad}
    particle = {"mass0": 938272089.43, "q0": 1.0, "p0c": [1e9], "x": [float("nan")]}
    tree = {"__class__": "Line", "elements": elements, "element_names": ["||drift_1", "q.1"], "particle_ref": particle}
    loaded = reading.load(tmp_path, json.dumps(tree), "a.json")
    assert passages(loaded) == ["drift", "q.1"] and loaded.line["q.1"].dx == 1e-3
    assert loaded.reference.species.name == "proton" and float(loaded.reference.momentum) == pytest.approx(1e9)
    tree["elements"] = [drift, quad]  # of the oldest files
    assert passages(reading.load(tmp_path, json.dumps(tree), "b.json")) == ["drift", "q.1"]


def test_expressions_are_knobs(tmp_path):
    loaded = xsuite(
        tmp_path,
        {"qf": ("Quadrupole", {"length": 0.2, "k1": 9.0}), "m": ("Multipole", {"knl": [0.0, 0.0]}),
         "qd": ("Quadrupole", {"length": 0.2})},
        rules=[("vars['kd']", "(-vars['kf'])"), ("element_refs['qf'].k1", "vars['kf']"), ("element_refs['qd'].k1",
               "(2 * vars['kd'])**1"), ("element_refs['m'].knl[2]", "f.sqrt((element_refs['qf'].k1 + vars['a.b']))")],
        values={"kf": 1.5, "kd": -7.0, "a.b": 2.5, "unused": 3, "__vary_default": {}},
    )  # fmt: skip
    assert set(loaded.knobs) == {"kf", "kd", "a.b"}
    assert (loaded.line["qd"].k1, loaded.line["m"].k2l) == (-3.0, 2.0)
    turned = loaded.line.replace({"kf": 6.5})
    assert (turned["qf"].k1, turned["qd"].k1, turned["m"].k2l) == (6.5, -13.0, 3.0)


def test_bends_of_xtrack(tmp_path):
    edges = {f"edge_{end}_{what}": v for end in ("entry", "exit") for what, v in (("fint", 0.4), ("hgap", 0.02))}
    edges |= {"edge_entry_angle": 0.1, "edge_exit_angle": 0.05}
    body = {"length": 1.0, "angle": 0.2, "k1": 0.3, "k0": 0.2, "k0_from_h": True}
    bend = xsuite(tmp_path, {"b": ("Bend", {**body, **edges})})
    b = bend.line["b"]
    assert (b.length, b.angle, b.k1, b.e1, b.e2) == (1.0, 0.2, 0.3, 0.1, 0.05) and (b.fint, b.hgap) == (0.4, 0.02)
    straight = xsuite(tmp_path, {"b": ("RBend", {"length_straight": 1.0, "angle": 0.2, "edge_entry_angle": 0.01})})
    b = straight.line["b"]
    assert b.length == pytest.approx(0.1 / math.sin(0.1), rel=1e-15)
    assert (b.e1, b.e2) == (pytest.approx(0.11), pytest.approx(0.1))
    both = xsuite(tmp_path, {"b": ("RBend", {"length_straight": 1.0, "length": 0.1 / math.sin(0.1), "angle": 0.2})})
    assert both.line["b"].length == pytest.approx(0.1 / math.sin(0.1), rel=1e-15)


def test_multipoles_and_cavities_of_xtrack(tmp_path):
    loaded = xsuite(
        tmp_path,
        {"thin": ("Multipole", {"knl": [0.0, 0.0, 3.0], "ksl": [0.0, 1.0], "length": 0.1}),
         "thick": ("Multipole", {"knl": [1e-3], "length": 0.5, "isthick": True}),
         "rf": ("Cavity", {"voltage": 1e6, "frequency": 1e8, "lag": 180.0}),
         "off": ("CrabCavity", {"length": 0.3}), "s": ("UniformSolenoid", {"length": 1.0, "ks": 0.1}),
         "stop": ("LimitEllipse", {"a": 0.1, "b": 0.1})},
    )  # fmt: skip
    line = loaded.line
    assert (line["thin"].k2l, line["thin"].k1sl, line["thick"].k0, line["rf"].phase) == (3.0, 1.0, 2e-3, math.pi / 2)
    assert line["off"].kind == "drift" and line["s"].ks == 0.1 and line["stop"].aperture.half_x == 0.1
    gaining = xsuite(tmp_path, {"rf": ("Cavity", {"voltage": 1e6, "frequency": 1e8, "lag": 90.0})})
    assert "the energy of the reference follows it" in str(gaining.report)


CLASSES = json.loads((Path(__file__).parents[1] / "data" / "xsuite_classes.json").read_text())
ONE_KICK = {"quadrupole": 1e-3, "sextupole_off": 1e-5, "octupole_off": 1e-6, "multipole_thick": 1e-3}
"""What xtrack does in one kick in the middle, unless it is told otherwise: of a quadrupole, its skew part."""
EXPANDED = {"quadrupole_off": 2e-7}
"""Off its axis by 1 mm, in xtrack by a matrix."""


@pytest.mark.parametrize("name", CLASSES["cases"])
def test_classes_of_xtrack_next_to_xtrack(tmp_path, name):
    """R about the reference, and particles of 0.1 mm and 1 mm in tau."""
    case = CLASSES["cases"][name]
    element = dict(case["element"])
    line = xsuite(tmp_path, {"x": (element.pop("__class__"), element)}).line
    energy = np.hypot(1e9, 938272089.43) - 938272089.43
    tolerance = (ONE_KICK | EXPANDED).get(name, 1e-8)
    np.testing.assert_allclose(matrix(line, "proton", energy), case["R"], rtol=0, atol=tolerance)
    beam = bb.Beam.from_arrays(np.asarray(CLASSES["in"]), species="proton", kinetic_energy=energy, charge=0.0)
    out = bb.track(line, beam).coordinates
    np.testing.assert_allclose(out, case["out"], rtol=0, atol=max(5e-9, 1e-3 * tolerance))


def test_faces_of_all_orders_where_xtrack_has_them(tmp_path):
    full = {"length": 1.0, "angle": 0.2, "edge_entry_model": "full", "edge_exit_model": "full"}
    half, off = {**full, "edge_exit_model": "linear"}, {**full, "edge_entry_active": 0, "edge_exit_model": "linear"}
    loaded = xsuite(tmp_path, {"b": ("Bend", full), "c": ("Bend", half), "d": ("Bend", off)})
    assert [loaded.line[n].fringe for n in "bcd"] == ["hard", "hard", "linear"]
    assert "c: both faces have all their orders" in str(loaded.report)
    moved = xsuite(tmp_path, {"t": ("Translation", {"shift_s": 0.1})})
    assert "t: the time of the reference goes on along it" in str(moved.report)


@pytest.mark.parametrize(
    ("element", "message"),
    [
        (("Elens", {"length": 1.0}), "Elens x: there is no such element here"),
        (("Quadrupole", {"length": 1.0, "k1": 1.0, "knl": [0.0, 0.0, 3.0]}), "knl"),
        (("Bend", {"length": 1.0, "angle": 0.1, "rot_s_rad_no_frame": 0.1}), "rot_s_rad_no_frame"),
        (("Quadrupole", {"length": "long"}), "length is 'long', not a number"),
        (("Quadrupole", {"length": float("nan")}), "length is 'nan', not a number"),
        (("RFMultipole", {"knl": [0.0, 1e-3]}), "RFMultipole x"),
        (("Replica", {"parent_name": "x"}), "replicas of each other"),
        (("Cavity", {"voltage": 1e6, "harmonic": 4.0, "lag": 0.0}), "harmonic without a frequency"),
    ],
)
def test_what_xsuite_has_and_we_do_not_is_refused_with_its_line(tmp_path, element, message):
    with pytest.raises(LatticeError) as error:
        xsuite(tmp_path, {"d": ("Drift", {"length": 1.0}), "x": element})
    assert message in str(error.value) and str(error.value).startswith("ring.json:8: ")


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (("vars['a']", "vars['b'] +"), "ring.json"), (("os.system('x')", "1"), "is neither a variable nor a property"),
        (("element_refs['q'].k1", "vars['b']"), "b has no value"), (("element_refs['q'].k1", "__import__('os')"), "q"),
        (("element_refs['q'].k1", "element_refs['q'].k1"), "more than 50 deep"), ("abc", "is no pair of texts"),
        (("element_refs['q'].knl[99999999999]", "1"), None),
    ],
)  # fmt: skip
def test_bad_rules_of_xsuite(tmp_path, rule, message):
    def call():
        return xsuite(tmp_path, {"q": ("Quadrupole", {"length": 0.2, "k1": 1.0})}, rules=[rule])

    if message is None:
        assert call().line["q"].k1 == 1.0
        return
    with pytest.raises(LatticeError) as error:
        call()
    assert message in str(error.value) and "\n" not in str(error.value)


# -- Cheetah --------------------------------------------------------------------------------------------------


def test_lattices_in_each_other_and_kinds(tmp_path):
    loaded = cheetah(
        tmp_path,
        {"d": ("Drift", {"length": 0.4, "metadata": {}}), "s": ("Screen", {"resolution": [10, 10], "is_active": False}),
         "q": ("Quadrupole", {"length": 0.2, "k1": 3.0, "tilt": 0.1, "misalignment": [1e-4, -2e-4]}),
         "h": ("HorizontalCorrector", {"length": 0.1, "angle": 1e-3}), "so": ("Solenoid", {"length": 0.2, "k": 0.5}),
         "a": ("Aperture", {"x_max": 0.1, "y_max": 0.1, "shape": "elliptical", "is_active": True})},
        ["d", "inner", "inner", "a"], inner=["q", "s", "h", "so"],
    )  # fmt: skip
    assert passages(loaded) == ["d", *["q", "s", "h", "so"] * 2, "a"]
    line = loaded.line
    assert (line["q"].dx, line["q"].dy, line["h"].hkick, line["so"].ks) == (1e-4, -2e-4, 1e-3, 1.0)
    assert "h: its kick is spread over its length" in str(loaded.report)
    assert type(line["a"].aperture).__name__ == "Ellipse" and line["a"].aperture.half_x == 0.1


def test_dipoles_have_a_full_gap_and_faces_of_their_own(tmp_path):
    plain = {"length": 0.5, "angle": 0.2, "gap": 0.04, "fringe_integral": 0.5, "fringe_at": "both"}
    sector = {**plain, "dipole_e1": 0.1, "dipole_e2": 0.1}
    faces = {"length": 0.5, "angle": -0.2, "rbend_e1": 0.01, "rbend_e2": 0.0}
    loaded = cheetah(tmp_path, {"b": ("Dipole", sector), "r": ("RBend", faces)})
    b, r = loaded.line["b"], loaded.line["r"]
    assert (b.hgap, b.fint, b.e1, b.e2) == (0.02, 0.5, 0.1, 0.1)
    assert (r.length, r.e1, r.e2) == (0.5, pytest.approx(-0.09), -0.1)


def test_a_late_particle_sees_an_earlier_phase_of_cheetah(tmp_path):
    """Cheetah 0.8.4: 1 m, 10 MV, 30 degrees, 1.3 GHz, from 100 MeV: pt of a particle at tau = 1e-4 is 1.2507e-4."""
    values = {"length": 1.0, "voltage": 1e7, "phase": 30.0, "frequency": 1.3e9, "cavity_type": "standing_wave"}
    line = cheetah(tmp_path, {"c": ("Cavity", values)}).line
    beam = bb.Beam.from_arrays(np.asarray([[0.0] * 2, [0.0] * 2, [0.0] * 2, [0.0] * 2, [0.0, 1e-4], [0.0] * 2]),
                               species="electron", kinetic_energy=1e8 - 510998.95, charge=0.0)  # fmt: skip
    assert float(bb.track(line, beam).pt[1]) == pytest.approx(1.2507e-4, rel=1e-3)
    assert line["c"].structure == "standing"


def test_numbers_of_cheetah_itself(tmp_path):
    """Its R of two linear elements, Cheetah 0.8.4, 100 MeV: a rotated quadrupole and a solenoid."""
    loaded = cheetah(tmp_path, {"s": ("Solenoid", {"length": 1.0, "k": 0.5})})
    M = matrix(loaded.line, kinetic_energy=1e8)
    np.testing.assert_allclose(M[:4, 0], [0.77015, -0.21037, -0.42074, 0.11492], atol=1e-5)


@pytest.mark.parametrize(
    ("elements", "names", "message"),
    [
        ({"x": ("CustomTransferMap", {"length": 1.0})}, None, "cell.json:5: CustomTransferMap x: there is no such"),
        ({"x": ("Drift", {"length": 1.0, "hue": 3.0})}, None, "cell.json:5: Drift x: hue = 3.0 would change"),
        ({"x": ("Drift", {"length": [1.0, 2.0]})}, None, "cell.json:5: length is '[1.0, 2.0]', not a number"),
        ({"x": ("Drift", [])}, None, "cell.json:5: x: a list of a class and its parameters"),
        ({"x": ("Drift", {})}, ["y"], "y is neither an element nor a lattice"),
        ({"x": ("Drift", {})}, ["cell"], "more than 100 deep"),
        ({"x": ("Drift", {})}, [3], "'3' is no name"),
        ({"x": ("Drift", {})}, "x", "a list of names is expected"),
    ],
)
def test_what_cheetah_has_and_we_do_not(tmp_path, elements, names, message):
    with pytest.raises(LatticeError) as error:
        cheetah(tmp_path, elements, names)
    assert message in str(error.value)


@pytest.mark.parametrize("text", ["", "[", "[]", "{}", '{"root": 3', '{"a": ' * 2000, '{"element_names": 3}', "null"])
def test_what_is_no_lattice_gets_one_line(tmp_path, text):
    for format in ("xsuite", "cheetah"):
        (tmp_path / "x.json").write_text(text)
        with pytest.raises((LatticeError, bb.InputError)) as error:
            bb.load(tmp_path / "x.json", format=format)
        assert "\n" not in str(error.value)
