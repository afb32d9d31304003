"""The command line: what it prints for a machine and for a person, and what it writes."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from backbeam.cli.app import COMMANDS, app
from backbeam.problem import Problem, example_names
from backbeam.problem.examples import program_module, program_names

FEW = ["--set", "beam.n=400", "--set", "space_charge.grid=[8,8,8]"]
KEYS = ["backend", "device", "dtype", "particles", "kicks", "seconds", "lost", "losses", "initial", "final", "warnings"]
MOMENTS = ["s", "alive", "charge", "mean", "sigma", "emittance", "normalized_emittance"]
COORDINATES = ["x", "px", "y", "py", "tau", "pt"]


def call(*arguments, code=0):
    """Run the command in this process; returns its result."""
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == code, result.output + repr(result.exception)
    return result


def call_json(*arguments):
    result = call("run", *arguments, "--json")
    assert result.stdout.count("\n") == 1
    assert result.stderr == ""

    def refuse(word):
        raise AssertionError(f"{word} in JSON")

    return json.loads(result.stdout, parse_constant=refuse)


def process(*arguments, **environment):
    """Run the command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", "from backbeam.cli import main; main()", *arguments],
        capture_output=True, text=True, env={**os.environ, **environment}, check=False,
    )  # fmt: skip


def test_json_has_what_is_promised():
    found = call_json("expanding-beam", *FEW)
    assert list(found) == KEYS
    assert (found["backend"], found["device"], found["dtype"]) == ("numpy", "cpu", "float64")
    assert (found["particles"], found["kicks"], found["lost"]) == (400, 12, 0)
    assert found["seconds"] > 0.0
    for end, s in (("initial", 0.0), ("final", 6.0005)):
        assert list(found[end]) == MOMENTS
        assert found[end]["s"] == pytest.approx(s)
        assert found[end]["alive"] == 400
        assert found[end]["charge"] == pytest.approx(-1e-9)
        assert list(found[end]["mean"]) == list(found[end]["sigma"]) == COORDINATES
        assert list(found[end]["emittance"]) == list(found[end]["normalized_emittance"]) == ["x", "y", "z"]
    assert found["initial"]["sigma"]["px"] == 0.0
    assert found["final"]["sigma"]["px"] > 1e-5


def test_json_agrees_with_the_python_face():
    found = call_json("fodo", "--set", "beam.n=500", "--seed", 7)
    final = Problem.load("fodo", ["beam.n=500", "beam.seed=7"]).run().final
    assert list(found["final"]["sigma"].values()) == pytest.approx([float(v) for v in final.sigma()], rel=1e-12)
    assert found["final"]["emittance"]["z"] == pytest.approx(float(final.emittance("z")), rel=1e-12)
    other = call_json("fodo", "--set", "beam.n=500", "--seed", 8)
    assert other["final"]["sigma"] != found["final"]["sigma"]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_backends_give_the_same_numbers(backend, dtype):
    found = call_json("expanding-beam", *FEW, "--backend", backend.name, "--dtype", dtype)
    plain = call_json("expanding-beam", *FEW)
    assert (found["backend"], found["dtype"]) == (backend.name, dtype)
    tolerance = 1e-9 if dtype == "float64" else 1e-4
    assert found["final"]["sigma"] == pytest.approx(plain["final"]["sigma"], rel=tolerance)


def test_losses_are_counted_and_no_moment_is_nan(tmp_path):
    drift = "{drift: {length: 0.1}}"
    line = f"[{drift}, {{aperture: {{half_x: 75e-6, half_y: 1}}}}, {drift}, {{monitor: {{name: m}}}}]"
    some = call_json("fodo", "--set", "beam.n=500", "--set", f"lattice={line}")
    assert 0 < some["lost"] < 500
    assert some["final"]["alive"] == 500 - some["lost"]
    assert abs(some["final"]["charge"]) == pytest.approx(1e-9 * some["final"]["alive"] / 500)
    every = call_json("fodo", "--set", "beam.n=500", "--set", "beam.mean_x=1", "--set", f"lattice={line}")
    assert (every["lost"], every["final"]["alive"], every["final"]["charge"]) == (500, 0, 0.0)
    picture = tmp_path / "lost.png"
    changes = ["beam.n=500", "beam.mean_x=1", f"lattice={line}"]
    table = call("run", "fodo", *(a for c in changes for a in ("--set", c)), "--plot", picture).stdout
    assert "500 of 500 particles lost" in table
    assert picture.stat().st_size > 10_000


def test_table_says_it_all():
    out = call("run", "fodo-space-charge", *FEW).stdout
    assert Problem.load("fodo-space-charge").title in out
    for words in (
        "400 macroparticles", "electron", "-1 nC", "100 MeV", "5 elements", "8 × 8 × 8 nodes, 20 kicks",
        "σ x", "ε z normalised", "⟨pt⟩", "µm", "no particle lost", "numpy, cpu, float64",
    ):  # fmt: skip
        assert words in out
    (row,) = (line.split() for line in out.splitlines() if line.strip().startswith("σ x"))
    sigma = call_json("fodo-space-charge", *FEW)
    assert float(row[3]) == pytest.approx(sigma["initial"]["sigma"]["x"] * 1e6, rel=1e-3)
    assert float(row[4]) == pytest.approx(sigma["final"]["sigma"]["x"] * 1e6, rel=1e-3)
    assert float(row[5]) == pytest.approx(sigma["final"]["sigma"]["x"] / sigma["initial"]["sigma"]["x"], abs=1e-4)


def test_table_shows_what_monitors_and_screens_saw():
    line = "[{monitor: {name: bpm}}, {drift: {length: 0.1}}, {screen: {name: yag, half_x: 1e-3, half_y: 1e-3}}]"
    out = call("run", "fodo", "--set", "beam.n=500", "--set", "beam.mean_x=1e-3", "--set", f"lattice={line}").stdout
    assert "centroid x 1.0" in out or "centroid x 99" in out
    assert "image 64 × 64" in out


def test_output_folder_can_be_run_again(tmp_path):
    folder = tmp_path / "new" / "out"
    found = json.loads(call("run", "fodo-space-charge", *FEW, "--json", "--output", folder).stdout)
    assert sorted(p.name for p in folder.iterdir()) == [
        ".backbeam.json",
        "final_beam.npz",
        "moments.csv",
        "problem.yaml",
        "summary.json",
    ]
    summary = json.loads((folder / "summary.json").read_text())
    assert {k: summary[k] for k in KEYS} == found
    again = call_json(folder / "problem.yaml")
    assert again["final"] == found["final"]
    with np.load(folder / "final_beam.npz") as beam:
        assert beam["coordinates"].shape == (6, 400)
        assert beam["coordinates"][0].std() == pytest.approx(found["final"]["sigma"]["x"], rel=1e-6)
        assert str(beam["species"]) == "electron"
    with (folder / "moments.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 21
    assert float(rows[-1]["sigma_x"]) == pytest.approx(found["final"]["sigma"]["x"], rel=1e-6)
    assert float(rows[-1]["normalized_emittance_z"]) == pytest.approx(
        found["final"]["normalized_emittance"]["z"], rel=1e-6
    )


def test_plot_formats(tmp_path):
    for suffix, start in ((".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml")):
        path = tmp_path / f"picture{suffix}"
        call("run", "fodo", "--set", "beam.n=300", "--plot", path)
        assert path.read_bytes().startswith(start)
    assert len(list(tmp_path.iterdir())) == 3, "nothing else is left"


def test_a_file_of_ones_own(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(call("examples", "--show", "fodo").stdout)
    assert call_json(path, "--set", "beam.n=300")["final"] == call_json("fodo", "--set", "beam.n=300")["final"]


def test_examples_lists_all_with_titles():
    out = call("examples").stdout
    titles = json.loads(call("examples", "--json").stdout)
    assert tuple(titles) == (*example_names(), *program_names())
    for name in titles:
        assert name in out
    for name in example_names():
        assert titles[name] == Problem.load(name).title
    for name in program_names():
        assert program_module(name) in call("examples", "--show", name).stdout


def test_backends_lists_all():
    found = {r["name"]: r for r in json.loads(call("backends", "--json").stdout)}
    assert {"numpy", "torch", "jax", "cupy", "array_api_strict"} <= set(found)
    assert found["numpy"] == {
        "name": "numpy", "version": np.__version__, "devices": ["cpu"], "problem": "", "setback": "", "usable": True,
    }  # fmt: skip
    for r in found.values():
        assert r["usable"] == (r["problem"] == "") == bool(r["version"])
    out = " ".join(call("backends").stdout.split())
    assert f"numpy {np.__version__} cpu" in out
    assert "for tests" in out


def test_help_lists_all_commands():
    out = call("--help").stdout
    for name in COMMANDS:
        assert name in out
        assert "--help" in call(name, "--help").stdout
    assert call().stdout == out, "no argument is a question, not a mistake"


HEAVY = {"torch", "jax", "cupy", "matplotlib", "pydantic", "yaml", "rich"}
OTHER_QUESTIONS = {
    "scipy.optimize", "numpy.f2py", "array_api_compat.numpy", "lark", *(f"backbeam.{name}" for name in (
        "gradient", "jacobians", "lattice_functions", "lattices", "matching", "memory", "observables", "naff", "floor",
        "problem.differentiation", "problem.optimizing", "problem.comparison", "problem.written", "plotting",
    ))}  # fmt: skip
"""What to track a beam takes no part of: each would make every run wait."""


def modules_after(*arguments, of=HEAVY):
    """Exit code and which modules of some a command loads, in a process of its own."""
    script = (
        "import sys; from backbeam.cli.app import app\n"
        f"try: app({list(arguments)!r})\n"
        f"except SystemExit as e: print(e.code, *sorted({of!r} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return result.stdout.splitlines()


def test_version_loads_nothing_heavy():
    first, last = modules_after("--version")
    assert first.startswith("backbeam ")
    assert last == "0"


def test_entry_point_in_a_process_of_its_own():
    result = process("run", "fodo", "--set", "beam.n=200", "--json")
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert json.loads(result.stdout)["particles"] == 200


def test_numpy_run_imports_no_other_library():
    assert modules_after("run", "fodo", "--set", "beam.n=200", "--json")[-1] == "0 pydantic yaml"


def test_a_run_imports_nothing_that_answers_other_questions():
    assert modules_after("run", "fodo-space-charge", *FEW, of=OTHER_QUESTIONS)[-1] == "0"
    of = {"click", "pydantic", "email", *OTHER_QUESTIONS}
    script = f"import sys, backbeam; print(*sorted({of} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""


def test_only_sections_that_are_there_get_what_checks_them():
    script = (
        "from backbeam.problem import Problem, sections; Problem.load('fodo-space-charge')\n"
        "print(*[s.__name__ for s in sections.Section.__subclasses__() if s.__pydantic_complete__])"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["TrackSection", "GradientSection"]  # none for run and optimize


def test_what_is_imported_when_it_is_asked_for_is_there():
    names = "differentiate jacobian load match optics tunes_of END observables Problem Twiss function".split()
    script = f"import backbeam as bb; [getattr(bb, name) for name in {names}]; from backbeam import *; match, optics"
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)


def test_another_backend_drops_the_device_of_the_first():
    """``run.device`` of a file is meant for its own backend."""
    options = ["--set", "beam.n=100", "--set", "run={backend: torch, device: cpu}"]
    assert call_json("fodo", *options)["backend"] == "torch"
    found = call_json("fodo", *options[:2], "--set", "run={backend: torch, device: mps}", "--backend", "numpy")
    assert (found["backend"], found["device"]) == ("numpy", "cpu")
