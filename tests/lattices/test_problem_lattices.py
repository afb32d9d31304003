"""Lattices with knobs, and of other codes, in problem files and on the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest
from command_line import call, call_json, refused

import backbeam as bb
from backbeam.errors import InputError
from backbeam.formulas import text_of
from backbeam.lattices.writers import write
from backbeam.problem import Problem
from backbeam.problem.written import lattice_tree

BEAM = "{distribution: gaussian, n: 200, charge: 0.0, sigma_x: 1e-3, sigma_px: 1e-4, sigma_y: 1e-3, sigma_py: 1e-4}"
OURS = f"""
beam: {{species: proton, kinetic_energy: 1e9, {BEAM[1:]}
lattice:
  knobs: {{kq: 1.2, kd: -kq, trim: 0.1}}
  define:
    qf: {{quadrupole: {{length: 0.3, k1: kq*(1 + trim)}}}}
    qd: {{quadrupole: {{length: 0.3, k1: kd}}}}
  line: [qf, {{drift: {{length: 0.5, name: d.1}}}}, qd]
"""
RING = """beam, particle=proton, pc=2; kqf := 0.9; kqd := -kqf;
qf.1: quadrupole, l=0.4, k1:=kqf; qd: quadrupole, l=0.4, k1:=kqd; b: sbend, l=1, angle=0.1;
ring: sequence, l=6, refer=entry; qf.1, at=0; b, at=1; qd, at=3; qf.1, at=5; endsequence;
other: line=(qd);
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ours.yaml").write_text(OURS)
    (tmp_path / "ring.madx").write_text(RING)
    (tmp_path / "beam.yaml").write_text(f"beam: {BEAM}\nlattice: [{{drift: {{length: 1.0}}}}]\n")
    return tmp_path


# -- knobs ------------------------------------------------------------------------------------------------------------


def test_parameters_may_be_formulas_of_knobs():
    line = Problem.parse(OURS).line()
    assert line["qf"].k1 == pytest.approx(1.32) and line["qd"].k1 == -1.2
    assert line.replace({"kq": 2.0})["qd"].k1 == -2.0


@pytest.mark.parametrize(
    "path,value,qf,qd",
    [
        ("lattice.knobs.kq", 2.0, 2.2, -2.0), ("lattice.knobs.kd", -0.5, 1.32, -0.5), ("lattice.qf.k1", 7.0, 7.0, -1.2),
        ("lattice.knobs.kd", "2*kq", 1.32, 2.4), ("lattice.qd.k1", "kq/2", 1.32, 0.6),
        ("lattice.d.1.length", 0.7, 1.32, -1.2),
        ("lattice.d.1.length", "70 cm", 1.32, -1.2),
    ],
)  # fmt: skip
def test_knobs_and_parameters_are_set_by_name(path, value, qf, qd):
    line = Problem.parse(OURS, overrides={path: value}).line()
    assert (line["qf"].k1, line["qd"].k1) == (pytest.approx(qf), pytest.approx(qd))
    assert line.length == pytest.approx(1.3 if "d.1" in path else 1.1)


@pytest.mark.parametrize(
    "path,value,message",
    [
        ("lattice.knobs.kp", 1.0, "lattice.knobs.kp is no knob; allowed: one of kq, kd"),
        ("lattice.qf.k1", "kp", "'kp', where .kp. is no knob; allowed: one of kq, kd"),
        ("lattice.qf.k1", "2*(kq", "a number, or a formula of knobs"),
        ("lattice.qf.k1", "3", "a number without quotes, or a formula of knobs"),
        ("lattice.knobs.kq", "kd", "leads? back to itself"),
        ("lattice.knobs.kq", [1.0], "a number, an array, or a formula"),
        ("lattice.kq", 1.0, "lattice.kq.parameter"),
        ("lattice.qf.formulas", [], "an unknown key"),
    ],
)
def test_bad_knobs_get_one_line(path, value, message):
    with pytest.raises(InputError, match=message) as error:
        Problem.parse(OURS, overrides={path: value})
    assert "\n" not in str(error.value)


def test_a_problem_can_ask_for_the_gradient_by_a_knob():
    problem = Problem.parse(OURS + "gradient: {objective: sigma_x, wrt: [k*, qf.k1, qd.k1]}\n")
    found = problem.differentiate().gradient
    assert list(found) == ["kq", "kd", "qf.k1", "qd.k1"]
    assert found["kq"] == pytest.approx(1.1 * found["qf.k1"] - found["qd.k1"], rel=1e-12)


# -- other codes' lattices --------------------------------------------------------------------------------------------


def test_a_file_of_another_code_stands_for_itself(folder):
    text = f"beam: {BEAM}\nlattice: {{file: ring.madx, line: ring, knobs: {{kqf: 0.7}}, model: linear}}\n"
    problem = Problem.parse(text, folder=folder)
    line = problem.line()
    assert line["qf.1"].k1 == 0.7 and line["qd"].k1 == -0.7 and line["b"].model == "linear"
    assert problem.beam().species.name == "proton"
    assert float(problem.beam().reference.momentum) == pytest.approx(2e9, rel=1e-12)
    again = Problem.parse(problem.dump(), folder=folder / "elsewhere")
    assert again.line().sequence == line.sequence and again.tree == problem.tree
    assert problem.replace({"lattice.knobs.kqf": 0.3}).line()["qd"].k1 == -0.3
    assert problem.replace({"lattice.qf.1.k1": 0.2}).line()["qf.1"].k1 == 0.2
    own = Problem.parse(text.replace("n: 200", "n: 200, species: electron, kinetic_energy: 1e9"), folder=folder)
    assert own.beam().species.name == "electron"


@pytest.mark.parametrize(
    "lattice,message",
    [
        ("{file: ring.madx, line: rign}", "line is 'rign'"), ("{file: ring.madx, knobs: {a: 1}}", "line is None"),
        ("{file: ring.madx, line: ring, knobs: {a: 1}}", "lattice.knobs.a is no knob"),
        ("{file: ring.madx, line: ring, format: tape}", "format is 'tape'"),
        ("{file: none.madx}", "none.madx: no such file"), ("{file: [], line: ring}", "the path of a file, or a list"),
        ("{file: ring.madx, define: {}}", "left out where file is given"),
    ],
)  # fmt: skip
def test_bad_files_get_one_line(folder, lattice, message):
    with pytest.raises(bb.BackbeamError, match=message):
        Problem.parse(f"beam: {BEAM}\nlattice: {lattice}\n", folder=folder)


def test_a_lattice_is_run_with_a_beam_of_its_own_energy(folder):
    shown = call_json("run", "ring.madx", "--line", "ring", "--beam", "beam.yaml")
    assert shown["particles"] == 200 and shown["final"]["s"] == pytest.approx(6.0)
    other = call_json("run", "ring.madx", "--line", "other", "--set", f"beam={BEAM}")
    assert other["final"]["s"] == pytest.approx(0.4)
    assert "missing; allowed" in refused("run", "ring.madx", "--line", "ring", "--set", "beam={distribution: gaussian}")
    assert "line is None" in refused("run", "ring.madx", "--beam", "beam.yaml")
    slope = call_json(
        "gradient", "ring.madx", "--line", "ring", "--beam", "beam.yaml", "--objective", "sigma_x", "--wrt", "kqf"
    )  # fmt: skip
    assert set(slope["gradient"]) == {"kqf"}


def test_the_table_of_a_lattice(folder):
    shown = call("lattice", "ring.madx", "--line", "ring").stdout
    for text in ("ring", "6 m", "proton", "quadrupole", "2: kqf, kqd"):
        assert text in shown
    facts = call_json("lattice", "ring.madx", "--line", "ring")
    assert facts["kinds"]["quadrupole"] == 3 and facts["lengths"]["quadrupole"] == pytest.approx(1.2)
    (folder / "bad.madx").write_text("x: wire, l=1, current=3; y: elseparator, l=1, ex=2;\nring: line=(x, y, x);")
    facts = call_json("lattice", "bad.madx", code=1)
    assert [text.partition(":")[0] for text in facts["refused"]] == ["bad.madx"] * 2 and facts["length"] is None
    replaced = call_json("lattice", "bad.madx", "--replace", "wire=drift", "--replace", "y=drift")
    assert replaced["length"] == 3.0
    assert "wire x" in refused("convert", "bad.madx", "--to", "yaml")


# -- written and read again -------------------------------------------------------------------------------------------


def everything():
    """A line with every trick: shared elements, lines in lines, repeats, no names, formulas, settings, a matrix."""
    cell = bb.Line(
        [bb.Drift(0.2), bb.Quadrupole(0.1, k1=3.0, name="q", slices=3), bb.Drift(0.1, model="linear")], name="cell"
    )
    shared = bb.Sextupole(0.2, k2=0.0)
    tail = [bb.LinearMap(np.eye(6) * 2.0, name="m"), bb.SectorBend(1.0, angle=0.1, e1=0.0, tilt=0.2, pivot="middle")]
    rest = Problem.parse(OURS).line()
    return bb.Line(
        [shared, cell * 3, cell, bb.Marker(), shared, *tail, rest, bb.Screen(half_x=1e-3, half_y=2e-3)], name="all"
    )


@pytest.mark.parametrize("format", ["yaml", "json"])
def test_our_own_format_loses_nothing(tmp_path, format):
    line, reference = everything(), bb.Beam.from_arrays(
        np.zeros((6, 1)), species="proton", kinetic_energy=1e9, charge=0.0
    ).reference  # fmt: skip
    path = tmp_path / f"all.{format}"
    path.write_text(write(format, line, reference))
    loaded = bb.load(path)
    again = loaded.line
    assert again.sequence == line.sequence and again.length == line.length
    assert lattice_tree(again) == lattice_tree(line)
    assert {n: text_of(v) for n, v in again.formulas().items()} == {n: text_of(v) for n, v in line.formulas().items()}
    for one, other in zip(line.elements, again.elements, strict=True):
        assert type(one) is type(other) and one.static() | {"name": ""} == other.static() | {"name": ""}
        for name, value in one.parameters().items():
            np.testing.assert_array_equal(getattr(other, name), value)
    assert float(loaded.reference.beta_gamma) == float(reference.beta_gamma)
    assert again.replace({"kq": 2.0})["qd"].k1 == -2.0


def test_a_batch_of_settings_is_not_written():
    with pytest.raises(InputError, match=r"q.k1 is .*; allowed: one number"):
        write("yaml", bb.Line([bb.Quadrupole(0.1, k1=np.ones(3), name="q")]))


def test_convert(folder):
    said = call("convert", "ring.madx", "--line", "ring", "--to", "yaml", "-o", "ring.yaml")
    assert said.stdout == "ring.yaml: <Line 'ring': 8 elements, 6 m>\n"
    printed = call("convert", "ring.yaml", "--to", "json").stdout
    assert json.loads(printed)["lattice"]["knobs"] == {"kqf": 0.9, "kqd": "-kqf"}
    assert bb.load("ring.yaml").line.length == pytest.approx(6.0)
    assert "--to is 'tape'" in refused("convert", "ring.madx", "--to", "tape")
    itself = refused("convert", "ring.madx", "--line", "ring", "--to", "madx", "-o", "./ring.madx")
    assert "another file than those that are read" in itself
    assert "none.seq: no such file" in refused("convert", "none.seq", "--to", "yaml")
    assert "qd: quadrupole, l = 1.0, k1 = -1.0;" in call("convert", "fodo", "--to", "madx").stdout
    assert call_json("lattice", "fodo")["kinds"] == {"drift": 3, "quadrupole": 2}
