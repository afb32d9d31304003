"""``backbeam optics``: what it prints, writes, draws and refuses."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

import backbeam as bb
from backbeam.cli.app import app

RING = """
beam, particle=proton, energy=1.5;
qf: quadrupole, l=0.4, k1=0.6; qd: quadrupole, l=0.4, k1=-0.6; b: sbend, l=1.2, angle=twopi/16;
cell: line=(qf, b, qd, b); ring: line=(8*cell); use, sequence=ring;
"""


@pytest.fixture
def ring(tmp_path):
    path = tmp_path / "ring.madx"
    path.write_text(RING)
    return path


def run(*arguments):
    found = CliRunner().invoke(app, ["optics", *map(str, arguments)])
    return found.exit_code, found.output


def test_a_table_as_text_json_csv_and_picture(ring, tmp_path):
    loaded = bb.load(ring)
    o = bb.optics(loaded.line, loaded.reference)
    code, text = run(ring, "--plot", tmp_path / "ring.png")
    assert code == 0 and "tune x" in text and f"{float(o.tune_x):.9g}" in text and "beta_x [m]" in text
    assert (tmp_path / "ring.png").stat().st_size > 20000
    code, text = run(ring, "--json", "--per", "delta")
    found = json.loads(text)
    assert code == 0 and found["summary"]["tune_y"] == float(o.tune_y)
    by_delta = bb.optics(loaded.line, loaded.reference, per="delta")
    assert found["summary"]["chromaticity_x"] == pytest.approx(float(by_delta.chromaticity_x))
    assert found["columns"]["beta_x"] == o.beta_x.tolist() and found["columns"]["name"][1] == "qf"
    code, text = run(ring, "--csv", "--start", "beta_x=10,beta_y=3,alpha_x=-1", "--at", "qd")
    assert code == 0 and len(text.splitlines()) == 9 and text.startswith("name,s,x")


def test_a_problem_and_its_beam():
    code, text = run("fodo", "--start", "beam", "--json")
    assert code == 0 and json.loads(text)["summary"]["length"] == 3.0


def test_fields_parameters_and_knobs_can_be_set(ring):
    ring.write_text(RING.replace("k1=-0.6", "k1:=-kd").replace("qf:", "kd = 0.6; qf:"))
    loaded = bb.load(ring)
    expected = bb.optics(loaded.line.replace({"qf.k1": 0.7, "kd": 0.65}), loaded.reference)
    code, text = run(ring, "--set", "lattice.qf.k1=0.7", "--set", "kd=0.65", "--json")
    assert code == 0 and json.loads(text)["summary"]["tune_x"] == float(expected.tune_x)
    code, text = run("fodo", "--set", "lattice.qf.k1=1.2", "--set", "lattice.qd.k1=-1.2", "--json")
    found = json.loads(text)["summary"]
    assert code == 0 and found["tune_x"] == pytest.approx(found["tune_y"], rel=1e-12) and found["tune_x"] > 0.2
    code, text = run(ring, "--set", "qf.k5=1")
    assert code == 2 and "qf.k5" in text


REFUSED = (
    (("--start", "beta_x=10"), "beta_y too"),
    (("--start", "bet=1"), "beta_x"),
    (("--start", "beta_x=a,beta_y=1"), "a number"),
    (("--start", "beam"), "has no beam"),
    (("--periodic", "--start", "beta_x=1,beta_y=1"), "not both"),
    (("--json", "--csv"), "not both"),
    (("--plot", "x.bmp"), "png"),
    (("--at", "q9"), "names of elements"),
    (("--kinetic-energy", "-1"), "greater than 0"),
)


@pytest.mark.parametrize("arguments, words", REFUSED, ids=lambda v: "")
def test_what_is_refused_in_one_line(ring, arguments, words):
    code, text = run(ring, *arguments)
    assert code == 2 and words in text and len(text.strip().splitlines()) == 1


def test_a_file_without_a_reference_says_what_is_missing(tmp_path):
    path = tmp_path / "cell.madx"
    path.write_text(RING.replace("beam, particle=proton, energy=1.5;", ""))
    code, text = run(path, "--kinetic-energy", "1e9")
    assert code == 0 or "--species" in text
    code, _ = run(path, "--kinetic-energy", "1e9", "--species", "proton")
    assert code == 0
