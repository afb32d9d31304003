"""``backbeam check``: agreement is found where it is, and every kind of disagreement is told."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from command_line import call, call_json, refused

from backbeam import backends
from backbeam.problem import Problem, comparison, question
from backbeam.problem.agreement import Comparison, Row
from backbeam.problem.differences import differences, scale_of_parameter

FODO = ("fodo", "--set", "beam.n=100", "--backends", "numpy")
BALL = ("expanding-beam", "--set", "beam.n=200", "--set", "space_charge.grid=[8,8,8]", "--set", "track.slices=2")
DRIFT = (*FODO[:3], "--set", "lattice=[{drift: {length: 1, name: d}}]", "--wrt", "d.length,beam.beta_x")
KEYS = [
    "rows", "worst_deviation", "finite_difference_deviation", "ok", "objective", "dtype", "particles", "kicks",
    "tolerance", "difference_tolerance", "reference", "finite_difference", "skipped", "warnings",
]  # fmt: skip
ROW = ["backend", "adjoint", "value", "gradient", "deviation", "value_deviation", "mismatch"]
EVERY = ["reversible", "store", "checkpoint", "tape"]


@pytest.mark.parametrize("problem", [DRIFT, pytest.param(BALL, marks=pytest.mark.long)])
def test_all_that_is_installed_agrees(problem):
    found = call_json("check", *problem)
    assert list(found) == KEYS
    assert all(list(row) == ROW for row in found["rows"])
    ran = {(row["backend"], row["adjoint"]) for row in found["rows"]}
    expected = {(name, adjoint) for name in ("numpy", "torch", "jax") for adjoint in EVERY} - {("numpy", "tape")}
    assert expected <= ran
    assert {name for name, _ in ran} | set(found["skipped"]) == {"numpy", "torch", "jax", "cupy"}
    assert found["reference"] == {"backend": "numpy", "adjoint": "reversible"}
    assert found["ok"] is True
    assert found["worst_deviation"] <= 1e-9 == found["tolerance"]
    assert 0.0 < found["finite_difference_deviation"] <= 1e-5 == found["difference_tolerance"]
    plain = call_json("gradient", *problem)
    for row in found["rows"]:
        assert row["gradient"] == pytest.approx(plain["gradient"], rel=1e-9)
        assert row["value"] == pytest.approx(plain["value"], rel=1e-12)
    deviations = [row[key] for row in found["rows"] for key in ("deviation", "value_deviation")]
    assert found["worst_deviation"] == max(deviations)
    assert found["finite_difference"] == pytest.approx(plain["gradient"], rel=1e-5)


def test_strict_backend_and_chosen_adjoints():
    found = call_json("check", *BALL, "--backends", "numpy,array_api_strict", "--adjoints", "store")
    assert [row["backend"] for row in found["rows"]] == ["numpy", "array_api_strict"]
    assert [row["adjoint"] for row in found["rows"]] == ["store", "store"]
    assert found["skipped"] == {}
    assert found["rows"][1]["deviation"] <= 1e-12


def test_backend_is_short_for_one():
    found = call_json("check", *FODO[:3], "--backend", "torch", "--adjoints", "tape")
    assert [row["backend"] for row in found["rows"]] == ["torch"]


def test_float32_has_its_own_tolerance():
    found = call_json("check", *FODO, "--dtype", "float32", "--backends", "numpy,torch")
    assert (found["dtype"], found["tolerance"], found["difference_tolerance"]) == ("float32", 1e-3, 1e-3)
    assert found["ok"] is True
    assert 1e-9 < found["finite_difference_deviation"] < 1e-3, "differences are of float64"


def test_tolerances_can_be_chosen_and_say_1():
    found = call_json("check", *FODO, "--tolerance", 1e-30, code=1)
    assert found["ok"] is False
    assert found["tolerance"] == 1e-30 < found["worst_deviation"]
    found = call_json("check", *FODO, "--difference-tolerance", 1e-30, code=1)
    assert found["worst_deviation"] <= 1e-9
    assert found["ok"] is False


@pytest.mark.parametrize("factor", [1.0 + 1e-6, math.nan])
def test_a_wrong_gradient_is_found_and_named(monkeypatch, factor):
    """Of one parameter, of one adjoint."""
    right = comparison.differentiate_course

    def wrong(objective, course, beam, names, *, adjoint):
        found = right(objective, course, beam, names, adjoint=adjoint)
        if adjoint.name == "checkpoint":
            found = found._replace(gradient={**found.gradient, "qd.k1": found.gradient["qd.k1"] * factor})
        return found

    monkeypatch.setattr(comparison, "differentiate_course", wrong)
    found = call_json("check", *FODO, code=1)
    assert found["ok"] is False
    assert found["finite_difference_deviation"] < 1e-5
    store, checkpoint = found["rows"][1:]
    assert store["deviation"] < 1e-12
    if math.isnan(factor):
        assert checkpoint["deviation"] is None
        assert checkpoint["gradient"]["qd.k1"] is None
        assert found["worst_deviation"] is None
    else:  # relative to the larger one of qf.k1 and qd.k1
        slopes = checkpoint["gradient"]
        assert checkpoint["deviation"] == pytest.approx(1e-6 * abs(slopes["qd.k1"] / slopes["qf.k1"]), rel=1e-5)
        assert found["worst_deviation"] == checkpoint["deviation"]
    out = " ".join(call("check", *FODO, code=1).stdout.split())
    assert "they do not agree" in out
    assert "qd.k1" in out.partition("checkpoint")[2].partition("differences")[0]


def test_a_wrong_pullback_differs_from_differences(monkeypatch):
    """All adjoints share it; the differences do not."""
    from backbeam.maps.drift import DriftMap

    right = DriftMap.pullback

    def wrong(self, X, reference, p, X1_bar):
        X_bar, beta_gamma_bar, bars = right(self, X, reference, p, X1_bar)
        return X_bar, beta_gamma_bar, {name: 1.01 * bar for name, bar in bars.items()}

    monkeypatch.setattr(DriftMap, "pullback", wrong)
    found = call_json("check", *FODO, "--wrt", "d2.length", code=1)
    assert found["worst_deviation"] < 1e-9
    assert found["finite_difference_deviation"] == pytest.approx(0.01 / 1.01, rel=1e-4)


def test_an_adjoint_that_refuses_is_a_row_with_its_reason():
    matrix = np.diag([1e-16, 1.0, 1.0, 1.0, 1.0, 1.0]) + np.eye(6, k=1) * [[1.0], [0], [0], [0], [0], [0]]
    line = f"[{{linear_map: {{name: m, matrix: {matrix.tolist()}}}}}, {{drift: {{length: 1, name: d}}}}]"
    arguments = ("check", *FODO, "--set", f"lattice={line}", "--wrt", "d.length")
    found = call_json(*arguments, code=1)
    reversible, store, checkpoint = found["rows"]
    assert "use Store() or Checkpoint()" in reversible["problem"]
    assert [reversible[key] for key in ROW[2:]] == [None] * 5
    assert "problem" not in store
    assert found["reference"] == {"backend": "numpy", "adjoint": "store"}
    assert checkpoint["deviation"] <= 1e-12
    assert "not all could run" in call(*arguments, code=1).stdout
    assert call_json(*arguments, "--adjoints", "store,checkpoint")["ok"] is True


def test_jax_without_x64_is_a_row_with_its_reason():
    """In a process of its own: the flag is read when JAX is imported."""
    arguments = ["check", *FODO[:3], "--backends", "numpy,jax", "--adjoints", "store", "--json"]
    script = "from backbeam.cli import main; main()"
    environment = {**os.environ, "JAX_ENABLE_X64": "0"}
    result = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, env=environment, check=False
    )
    assert (result.returncode, result.stderr) == (1, "")
    found = json.loads(result.stdout)
    numpy_row, jax_row = found["rows"]
    assert found["ok"] is False
    assert numpy_row["deviation"] == 0.0
    assert (jax_row["backend"], jax_row["adjoint"], jax_row["gradient"]) == ("jax", None, None)
    assert "JAX_ENABLE_X64=1" in jax_row["problem"]


def test_a_tape_that_memory_does_not_hold_is_left_out(monkeypatch):
    model = SimpleNamespace(needs=lambda adjoint: SimpleNamespace(predicted_peak_bytes=9_000))
    monkeypatch.setattr(comparison, "model_of", lambda *course_and_beam: model)
    monkeypatch.setattr(type(backends.get("torch").meter), "free_memory", lambda self, array: 10_000)
    found = call_json("check", *FODO[:3], "--backends", "torch")
    assert [row["adjoint"] for row in found["rows"]] == EVERY[:3]
    assert list(found["skipped"]) == ["torch tape"]
    assert "fewer particles" in found["skipped"]["torch tape"]
    assert found["ok"] is True
    found = call_json("check", *FODO[:3], "--backends", "torch", "--adjoints", "tape")
    assert [row["adjoint"] for row in found["rows"]] == ["tape"]


def test_table_says_it_all():
    out = call("check", *FODO).stdout
    for words in ("sigma_x", "qf.k1, qd.k1, d2.length", "100 macroparticles, float64", "reversible", "reference",
                  "differences", "all agree", "tolerance 1e-09"):  # fmt: skip
        assert words in " ".join(out.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--objective", "size"], "objective is 'size'"),
        (["--objective", "reading:bpm.x"], "this line has none"),
        (["--wrt", "qf.k9"], "'qf.k9'; allowed: qf with one of"),
        (["--wrt", "beam.colour"], "wrt is 'beam.colour'"),
        (["--backends", "abacus"], "backends is 'abacus'; allowed: some of"),
        (["--backends", ","], "backends is []"),
        (["--adjoints", "magic"], "adjoint is 'magic'"),
        (["--adjoints", ","], "adjoints is []"),
        (["--adjoints", "tape"], "numpy cannot differentiate alone"),
        (["--tolerance", 0], "tolerance is 0.0; allowed: a number greater than 0"),
        (["--difference-tolerance", "nan"], "difference_tolerance is nan"),
        (["--dtype", "float16"], "run.dtype is 'float16'"),
    ],
)
def test_bad_input_is_one_line(arguments, said):
    given = FODO[:3] if "--backends" in arguments else FODO
    assert said in refused("check", *given, *arguments)


# -- the parts -----------------------------------------------------------------------------------------------


def made(rows, difference=None, dtype="float64"):
    problem = Problem.load("fodo", ["beam.n=10"])
    return Comparison(
        question(problem), dtype, 10, 0, 1e-9, 1e-5, problem.course(), {"qf.k1": 1.0, "qd.k1": -1.0, "d2.length": 0.5},
        tuple(rows), difference or rows[0].gradient, {},
    )  # fmt: skip


def test_deviations_are_relative_to_the_largest_of_their_kind():
    slopes = {"qf.k1": 4.0, "qd.k1": 1e-3, "d2.length": 0.2}
    other = {"qf.k1": 4.0 + 4e-8, "qd.k1": 1e-3 + 8e-8, "d2.length": 0.2 - 2e-9}
    found = made([Row("a", "store", 1.0, slopes), Row("b", "store", 1.0, other)])
    assert found.deviations(other) == pytest.approx({"qf.k1": 1e-8, "qd.k1": 2e-8, "d2.length": 1e-8}, rel=1e-6)
    assert found.where(other) == "qd.k1"
    assert found.worst_deviation == pytest.approx(2e-8, rel=1e-6)


def test_a_kind_without_any_slope_is_measured_by_what_would_be_one():
    """Rounding of nothing is nothing; a slope of f/p where there is none is everything."""
    slopes = {"qf.k1": 3e-17, "qd.k1": 0.0, "d2.length": 1.0}
    found = made([Row("a", "store", 1.0, slopes)])
    assert found.deviations({**slopes, "qf.k1": -2e-17})["qf.k1"] < 1e-9
    assert found.deviations({**slopes, "qf.k1": 1e-3})["qf.k1"] == pytest.approx(1e3)
    assert made([Row("a", "store", 0.0, dict.fromkeys(slopes, 0.0))]).ok


def test_values_are_measured_by_what_the_parameters_make_of_them():
    """A mean of 0 that a kick would move by 2."""
    slopes = {"qf.k1": 2.0, "qd.k1": 1.0, "d2.length": 0.0}
    found = made([Row("a", "store", 1e-20, slopes), Row("b", "store", -1e-10, slopes)])
    assert found.value_deviation(found.rows[1]) == pytest.approx(5e-11)
    assert made([Row("a", "store", 1.0, slopes), Row("b", "store", 1.1, slopes)]).ok is False


def test_differences_of_closed_forms():
    """sigma^2 = sigma_x^2 + (L sigma_px)^2 after a linear drift; sizes at 0 have one-sided slopes."""
    problem = Problem.parse(
        "beam: {distribution: waterbag, species: proton, n: 4000, kinetic_energy: 1e9, charge: 1e-9, sigma_x: 1e-3, "
        "sigma_px: 2e-3}\nlattice: [{drift: {length: 0.7, name: d, model: linear}}]\n"
        "gradient: {objective: sigma_x, wrt: [d.length]}"
    )
    asked, course, beam = question(problem), problem.course(), problem.beam()
    names = ["beam.sigma_x", "beam.sigma_px", "d.length"]
    idle = {"beam.sigma_y": 1e-3, "beam.sigma_py": 1e-3, "beam.charge": 1e-9, "d.dx": 1e-3, "beam.beta_gamma": 1.0}
    course = course.with_present(["d.dx"])
    told = []
    found = differences(asked.objective, course, beam, [*names, *idle], told.append)
    u = beam.coordinates[:2] / np.asarray([[1e-3], [2e-3]])
    C = np.cov(u, bias=True)
    sigma = math.sqrt(C[0, 0] * 1e-6 + 2 * C[0, 1] * 1.4e-6 + C[1, 1] * 1.96e-6)
    assert found["beam.sigma_x"] == pytest.approx((C[0, 0] * 1e-3 + C[0, 1] * 1.4e-3) / sigma, rel=1e-8)
    assert found["beam.sigma_px"] == pytest.approx(0.7 * (C[0, 1] * 1e-3 + C[1, 1] * 1.4e-3) / sigma, rel=1e-8)
    assert found["d.length"] == pytest.approx(2e-3 * (C[0, 1] * 1e-3 + C[1, 1] * 1.4e-3) / sigma, rel=1e-8)
    for name, scale in idle.items():
        assert abs(found[name]) * scale < 1e-9 * sigma, name
    assert told[0] == "central differences: beam.sigma_x (1 of 8)"


def test_scales():
    assert scale_of_parameter(-3.0, "m") == 3.0
    kicks = [scale_of_parameter(0.0, unit) for unit in ("1/m", "1/m^2", "1/m^3")]
    assert kicks == pytest.approx([1e-3, 1.0, 1e3])
    assert scale_of_parameter(0.0, "C") == 1e-9
