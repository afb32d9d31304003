"""``backbeam optimize``: what it prints, writes and goes on from, and what it refuses."""

from __future__ import annotations

import csv
import json

import pytest
import yaml
from click.testing import CliRunner

import backbeam as bb
from backbeam.cli.app import app
from backbeam.errors import InputError
from backbeam.matching import Merit
from backbeam.problem import best_problem, optimization
from backbeam.problem.optimizing import read_target

TEXT = """
title: two lenses
beam: {distribution: gaussian, species: electron, n: 200, kinetic_energy: 50e6, charge: 1e-9, sigma_x: 1e-3,
       sigma_px: 1e-4, sigma_y: 1e-3, sigma_py: 1e-4, seed: 3}
lattice:
  knobs: {kq: 2.0}
  line:
    - quadrupole: {length: 0.2, k1: kq, name: q1}
    - drift: {length: 1.0, name: d1}
    - quadrupole: {length: 0.2, k1: -2.0, name: q2}
    - drift: {length: 2.0, name: d2}
optimize:
  targets: [sigma_x = 0.8e-3 +- 1e-7, {sigma_y: 0.7e-3, tol: 1e-7}]
  vary: {kq: [0, 5], q2.k1: [-5, 0]}
"""


def invoke(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def problem(tmp_path):
    path = tmp_path / "lenses.yaml"
    path.write_text(TEXT)
    return path


@pytest.fixture
def no_pictures(monkeypatch):
    """As where there is no Matplotlib."""
    monkeypatch.setattr("backbeam.cli.optimize_folder.find_spec", lambda name: None)


def sizes(path):
    found = bb.Problem.load(path).run().final
    return float(found.sigma("x")), float(found.sigma("y"))


def test_it_finds_what_the_problem_asks_for(problem):
    result = invoke("optimize", problem)
    assert result.exit_code == 0 and "2 of 2 targets met" in result.output
    found = json.loads(invoke("optimize", problem, "--json").stdout)
    assert found["success"] and found["method"] == "trf" and found["warnings"] == []
    assert found["varied"]["kq"]["found"] != 2.0 and [one["met"] for one in found["wanted"]] == [True, True]


def test_what_is_said_on_the_command_line_counts(problem):
    said = ["--minimize", "mean_square_size", "--target", "sigma_x < 0.9e-3", "--vary", "kq=[0, 4]"]
    said += ["--vary", "q2.k1 = -kq"]
    found = json.loads(invoke("optimize", problem, "--json", *said).stdout)
    assert found["method"] == "SLSQP" and found["success"]
    assert found["varied"]["q2.k1"]["found"] == -found["varied"]["kq"]["found"] and found["varied"]["q2.k1"]["tied"]
    assert found["varied"]["kq"]["high"] == 4.0 and found["wanted"][1]["found"] < 0.9e-3 * (1.0 + 1e-6)


def test_the_folder_holds_a_problem_that_runs(problem, tmp_path):
    folder = tmp_path / "found"
    result = invoke("optimize", problem, "--output", folder)
    assert result.exit_code == 0, result.output
    names = {path.name for path in folder.iterdir()} - {".backbeam.json"}
    assert names == {"problem.yaml", "summary.json", "history.csv", "search.png", "sizes.png"}
    x, y = sizes(folder / "problem.yaml")
    assert abs(x - 0.8e-3) < 1e-7 and abs(y - 0.7e-3) < 1e-7
    rows = list(csv.DictReader((folder / "history.csv").read_text().splitlines()))
    assert list(rows[0]) == ["trial", "violation", "value", "kq", "q2.k1"] and float(rows[0]["kq"]) == 2.0
    assert not (tmp_path / "found.history.csv").exists()
    assert json.loads((folder / "summary.json").read_text())["command"].startswith("backbeam optimize")
    kept = yaml.safe_load((folder / "problem.yaml").read_text())
    assert kept["lattice"]["line"][0]["quadrupole"]["k1"] == "kq", "a formula stays one"
    (folder / "notes.txt").write_text("mine")
    assert invoke("optimize", problem, "--output", folder).exit_code == 2
    assert (folder / "notes.txt").read_text() == "mine"


def test_a_search_goes_on(problem, tmp_path, no_pictures):
    folder = tmp_path / "found"
    first = invoke("optimize", problem, "--output", folder, "--passes", "2")
    assert first.exit_code == 1 and "2 passes were made" in first.output
    assert invoke("optimize", problem, "--resume", folder).exit_code == 0
    assert len((folder / "history.csv").read_text().splitlines()) > 4
    assert abs(sizes(folder / "problem.yaml")[0] - 0.8e-3) < 1e-7
    (tmp_path / "other.history.csv").write_text("mine")
    assert "other.history.csv" in invoke("optimize", problem, "--output", tmp_path / "other").stderr
    assert (tmp_path / "other.history.csv").read_text() == "mine"
    assert invoke("optimize", problem, "--resume", tmp_path / "nowhere").exit_code == 2


def test_ctrl_c_leaves_what_was_found(problem, tmp_path, monkeypatch, no_pictures):
    passed, pass_ = [], Merit._pass

    def interrupted(self, x):
        passed.append(x)
        if len(passed) > 3:
            raise KeyboardInterrupt
        return pass_(self, x)

    monkeypatch.setattr(Merit, "_pass", interrupted)
    folder = tmp_path / "found"
    result = invoke("optimize", problem, "--minimize", "mean_square_size", "--output", folder)
    assert result.exit_code == 130 and "mean_square_size" in result.stdout
    assert result.stderr == "backbeam: interrupted\n"
    assert json.loads((folder / "summary.json").read_text())["interrupted"]
    assert sizes(folder / "problem.yaml") != sizes(problem)


# -- words -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("sigma_x = 1e-3", bb.Target("sigma_x", 1e-3)),
        ("sigma_x@m1=1e-3+-1e-5", bb.Target("sigma_x", 1e-3, at="m1", tol=1e-5)),
        ("2 sigma_x + sigma_y < 1e-3", bb.Target("2 sigma_x + sigma_y", below=1e-3)),
        ("log(charge) > -3 ± .5", bb.Target("log(charge)", above=-3.0, tol=0.5)),
        ("1e-4 < sigma_x < 1e-3", bb.Target("sigma_x", above=1e-4, below=1e-3)),
        ({"beta_x": 12, "at": "m1", "weight": 2}, bb.Target("beta_x", 12.0, at="m1", weight=2.0)),
        ({"sigma_x": {"below": 1e-3}, "at": "m1"}, bb.Target("sigma_x", below=1e-3, at="m1")),
        ({"sigma_x": None, "above": 1e-3}, bb.Target("sigma_x", above=1e-3)),
    ],
)
def test_targets_as_they_are_written(given, expected):
    assert repr(read_target(given, "targets[0]")) == repr(expected)


@pytest.mark.parametrize(
    "given",
    ["sigma_x", "sigma_x = ", "sigma_x = 1 = 2", "1 < sigma_x > 2", "sigma_q = 1", "= 3", 7, {}, {"at": "m1"}, None,
     {"sigma_x": "a"}, {"sigma_x": 1, "sigma_y": 2}, {"sigma_x": {"beyond": 1}}, {"sigma_x": 1, "tol": -1}],
)  # fmt: skip
def test_what_is_no_target_is_refused(given):
    with pytest.raises(InputError, match=r"^optimize.targets\[0\]"):
        read_target(given, "optimize.targets[0]")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--vary", "q2.k9"], "q2 with one of"),
        (["--vary", "q2.k1=1:2"], "about -2"),
        (["--vary", "q2.k1=5:-5"], "low < high"),
        (["--vary", "q2.k1", "--vary", "q2.k1"], "once"),
        (["--minimize", "sigma_q"], "optimize.minimize is 'sigma_q'"),
        (["--target", "sigma_x"], "optimize.targets"),
        (["--method", "newton"], "trf"),
        (["--passes", "0"], "at least 1"),
        (["--output", "a", "--resume", "b"], "not both"),
        (["--set", "optimize.start=nowhere"], "optimize.start"),
        (["--set", "optimize.start={beta_z: 1}"], "beta_x"),
        (["--set", "optimize.vary=null"], "optimize.vary"),
        (["--set", "optimize.targets=null"], "--minimize or --target"),
        (["--set", "optimize.speed=1"], "optimize.speed"),
        (["--set", "optimize.passes=many"], "whole number"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_one_line(problem, words, said):
    result = invoke("optimize", problem, *words)
    assert result.exit_code == 2 and said in result.stderr and result.stderr.count("\n") == 1


def test_what_is_found_stands_in_the_problem_wherever_it_is():
    wake = {"resonator_wake": {"at": ["d1"], "R": 3e3, "Q": 1.0, "frequency": 20e9}}
    problem = bb.Problem.parse(TEXT, overrides={"beam.sigma_tau": 1e-3, "effects": [wake]})
    vary = ["beam.sigma_px", "beam.charge", "reference.kinetic_energy", "d2.length", "resonator_wake_1.Q"]
    asked = optimization(problem, "sigma_x + 0.01 sigma_pt", vary=vary, passes=3)
    found = asked.search(problem, problem.beam())
    best = best_problem(problem, found)
    here = float(asked.what[0](bb.track(best.line(), best.beam(), effects=best.effects())))
    assert here == pytest.approx(found.wanted[0].found, rel=1e-9) and here < 0.99 * found.wanted[0].start
    assert best.tree["effects"][0]["resonator_wake"]["Q"] == found.values["resonator_wake_1.Q"]


def test_a_shipped_problem_is_solved_by_its_name():
    found = json.loads(invoke("optimize", "fodo", "--set", "beam.n=100", "--json").stdout)
    assert found["success"] and found["varied"]["qf.k1"]["found"] == pytest.approx(1.270451, rel=1e-6)
