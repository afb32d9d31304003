"""``backbeam gradient``: its numbers against differences of ``backbeam run``, and how it says them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest
from command_line import call, call_json, refused

from backbeam import Auto, Beam, Checkpoint, Reversible, observables, value_and_grad
from backbeam.parameter_names import expand
from backbeam.problem import Problem, question

BALL = ("expanding-beam", "--set", "beam.n=300", "--set", "space_charge.grid=[8,8,8]", "--set", "track.slices=6")
FODO = ("fodo", "--set", "beam.n=200")
CELL = ("fodo-space-charge", "--set", "beam.n=300", "--set", "space_charge.grid=[8,8,8]")
KEYS = [
    "value", "gradient", "adjoint", "seconds", "memory", "anchors", "backend", "device", "dtype", "particles", "kicks",
    "objective", "mismatch", "warnings",
]  # fmt: skip


def test_json_has_what_is_promised():
    found = call_json("gradient", *BALL)
    assert list(found) == KEYS
    assert list(found["gradient"]) == Problem.load("expanding-beam").gradient.wrt
    assert found["objective"] == "sigma_x"
    assert (found["backend"], found["device"], found["dtype"]) == ("numpy", "cpu", "float64")
    assert (found["adjoint"], found["anchors"], found["kicks"], found["particles"]) == ("reversible", 0, 6, 300)
    assert 0.0 <= found["mismatch"] < 1e-9
    assert list(found["seconds"]) == ["primal", "gradient"]
    assert min(found["seconds"].values()) > 0.0
    assert found["memory"]["beam_bytes"] == 300 * 7 * 8
    assert found["memory"]["peak_bytes"] > 10e6, "that of the whole process"


def test_slopes_are_those_between_runs():
    """Differences of what ``backbeam run`` prints; the ball is scaled, so the grid goes with it."""
    found = call_json("gradient", *BALL, "--objective", "sigma_x + 0.5 sigma_pt", "--wrt", "beam.*,drift.length")
    problem = Problem.load("expanding-beam")
    fields = {"beam.charge": "beam.charge", "beam.radius": "beam.radius", "beam.kinetic_energy": "beam.kinetic_energy",
              "drift.length": "lattice.drift.length"}  # fmt: skip
    for name, path in fields.items():
        at = problem.tree["lattice"][0]["drift"]["length"] if name == "drift.length" else problem.tree["beam"][path[5:]]
        h = 2e-6 * at
        ends = []
        for value in (at - h, at + h):
            final = call_json("run", *BALL, "--set", f"{path}={value!r}")["final"]["sigma"]
            ends.append(final["x"] + 0.5 * final["pt"])
        assert found["gradient"][name] == pytest.approx((ends[1] - ends[0]) / (2 * h), rel=1e-5), name


def test_value_is_that_of_the_run_and_python():
    asked = ("--objective", "normalized_emittance_y", "--wrt", "qf.k1", "--wrt", "d2.length")
    found = call_json("gradient", *FODO, "--seed", 5, *asked)
    run = call_json("run", *FODO, "--seed", 5)
    assert found["value"] == pytest.approx(run["final"]["normalized_emittance"]["y"], rel=1e-13)
    problem = Problem.load("fodo", ["beam.n=200", "beam.seed=5"])
    value, slopes = value_and_grad(
        observables.normalized_emittance("y"), problem.line(), problem.beam(), ["qf.k1", "d2.length"], slices=4
    )
    assert found["value"] == float(value)
    assert found["gradient"] == {name: float(slope) for name, slope in slopes.items()}


@pytest.mark.parametrize(
    ("options", "anchors"),
    [
        (["--adjoint", "reversible", "--anchor-every", 2], 2),
        (["--adjoint", "store"], 6),
        (["--adjoint", "checkpoint", "--slots", 2], 2),
        (["--set", "gradient.slots=3", "--adjoint", "checkpoint"], 3),
        (["--adjoint", "reversible", "--backend", "torch"], 0),
        (["--adjoint", "tape", "--backend", "torch"], 0),
    ],
)
def test_adjoints_and_backends_give_the_same(options, anchors):
    plain, found = call_json("gradient", *BALL), call_json("gradient", *BALL, *options)
    name = options[options.index("--adjoint") + 1]
    assert (found["adjoint"], found["anchors"]) == (name, anchors)
    assert (found["mismatch"] is None) == (name != "reversible")
    assert found["value"] == pytest.approx(plain["value"], rel=1e-12)
    assert found["gradient"] == pytest.approx(plain["gradient"], rel=1e-9)


def test_jax_is_compiled_before_it_is_timed():
    start = perf_counter()
    found = call_json("gradient", *FODO, "--backend", "jax", "--wrt", "d2.length")
    whole = perf_counter() - start
    assert found["gradient"] == pytest.approx(call_json("gradient", *FODO, "--wrt", "d2.length")["gradient"], rel=1e-9)
    assert found["device"].startswith("cpu")
    assert found["seconds"]["gradient"] < 0.5 * whole


def test_float32_is_anchored_and_near():
    found = call_json("gradient", *CELL, "--dtype", "float32")
    assert (found["dtype"], found["anchors"], found["kicks"]) == ("float32", 1, 20)
    assert found["memory"]["beam_bytes"] == 300 * 7 * 4
    assert found["gradient"] == pytest.approx(call_json("gradient", *CELL)["gradient"], rel=1e-3)


def test_weights_in_a_file_are_the_sum_in_words():
    weights = ["--set", "gradient.objective={sigma_x: 1.0, sigma_y: -2.0}"]
    file = call_json("gradient", *FODO, *weights)
    words = call_json("gradient", *FODO, "--objective", "sigma_x - 2 sigma_y")
    assert file == {**words, "seconds": file["seconds"], "memory": file["memory"]}
    assert file["objective"] == "sigma_x - 2 sigma_y"
    alone = {c: call_json("gradient", *FODO, "--objective", f"sigma_{c}")["gradient"] for c in "xy"}
    for name, slope in file["gradient"].items():
        assert slope == pytest.approx(alone["x"][name] - 2 * alone["y"][name], rel=1e-12)


def test_a_formula_at_a_place():
    """In words, as from Python."""
    text = "(sigma_x @ qf - 1e-4)**2 / sigma_y"
    found = call_json("gradient", *FODO, "--objective", text, "--wrt", "qf.k1")
    assert found["objective"] == "(sigma_x @ qf - 0.0001)**2 / sigma_y"
    problem = Problem.load("fodo", {"beam.n": 200})
    value, slope = value_and_grad(text, problem.line(), problem.beam(), ["qf.k1"], slices=4)
    assert found["value"] == pytest.approx(float(value), rel=1e-12)
    assert found["gradient"]["qf.k1"] == pytest.approx(float(slope["qf.k1"]), rel=1e-9)


def test_reading_of_a_monitor():
    """A linear drift carries the mean of px to x."""
    line = "[{drift: {length: 0.3, model: linear}}, {monitor: {name: bpm}}, {drift: {length: 1}}]"
    asked = ("--objective", "reading:bpm.x", "--wrt", "beam.mean_px")
    found = call_json("gradient", *FODO, "--set", f"lattice={line}", *asked)
    assert found["gradient"]["beam.mean_px"] == pytest.approx(0.3, rel=1e-12)


def test_awake_has_58_parameters():
    found = call_json("gradient", "awake", "--set", "beam.n=20")
    fields = [name.rpartition(".")[2] for name in found["gradient"]]
    assert {f: fields.count(f) for f in fields} == {"length": 39, "k1": 8, "k2": 6, "k3": 3, "angle": 2}
    assert found["objective"] == "mean_square_size"
    assert all(slope for slope in found["gradient"].values())


def test_patterns_and_names():
    problem = Problem.load("fodo", ["beam.n=10"])
    line, beam = problem.course(), problem.beam()
    assert expand(["q?.k1"], line, beam) == ("qf.k1", "qd.k1")
    assert expand(["qd.k1", "*.k1"], line, beam) == ("qd.k1", "qf.k1"), "each once, in order of mention"
    assert expand(["*.length"], line, beam) == tuple(f"{name}.length" for name in ("d1", "qf", "d2", "qd"))
    assert expand(["beam.sigma_*"], line, beam) == ("beam.sigma_tau", "beam.sigma_pt")
    assert not any(name.startswith("beam.") for name in expand(["*"], line, beam))
    assert expand(["qf.dx"], line, beam) == ("qf.dx",), "absent, counts as 0"


def test_options_go_before_the_file():
    section = "{objective: sigma_y, wrt: [qf.k1], adjoint: reversible, anchor_every: 3, slots: 4}"
    problem = Problem.load("fodo", [f"gradient={section}"])
    asked = question(problem)
    assert (asked.objective.name, asked.wrt, asked.adjoint.anchor_every) == ("sigma_y", ("qf.k1",), 3)
    assert question(problem, anchor_every=5).adjoint.anchor_every == 5
    assert question(problem, adjoint="checkpoint").adjoint.slots == 4
    assert question(problem, adjoint="store").adjoint.name == "store", "what the file says of others is left out"
    assert question(problem, "mean_x", ["qd.*"]).objective.name == "mean_x"
    free = Problem.load("fodo", ["gradient.adjoint=null"])
    assert [question(free, **one).adjoint for one in ({}, {"anchor_every": 5}, {"slots": 4})] == [
        Auto(), Reversible(5), Checkpoint(4)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--objective", "size"], "objective is 'size'; allowed: one of sigma_x,"),
        (["--objective", "reading:bpm.x"], "this line has none"),
        (["--wrt", "qf.k9"], "'qf.k9'; allowed: qf with one of"),
        (["--wrt", "qqf.k1"], "element is 'qqf'; allowed: qf"),
        (["--wrt", "beam.colour"], "wrt is 'beam.colour'; allowed: beam with one of"),
        (["--wrt", "*.k9"], "those here end in length, k1"),
        (["--wrt", ","], "gradient.wrt is missing"),
        (["--set", "gradient.wrt=null"], "gradient.wrt is missing"),
        (["--set", "gradient.objective=null"], "gradient.objective is missing"),
        (["--set", "gradient.objective={size: 1}"], "'size'"),
        (["--set", "gradient.objective={sigma_x: big}"], "gradient.objective"),
        (["--wrt", "beam.coordinates"], "one number"),
        (["--adjoint", "tape"], "adjoint is 'tape'; allowed: reversible, store or checkpoint"),
        (["--adjoint", "magic"], "adjoint is 'magic'; allowed: one of reversible"),
        (["--adjoint", "checkpoint", "--slots", 0], "adjoint.slots is 0; allowed: a whole number, at least 1"),
        (["--anchor-every", 0], "adjoint.anchor_every is 0"),
        (["--slots", 3], "slots belong to checkpoint"),
        (["--adjoint", "store", "--anchor-every", 3], "anchors belong to reversible"),
        (["--set", "gradient.slots=many"], "gradient.slots is 'many'"),
        (["--plot", "a.gif"], "--plot is 'a.gif'; allowed:"),
    ],
)
def test_bad_input_is_one_line(arguments, said):
    assert said in refused("gradient", *FODO, *arguments)


def test_array_parameters_are_for_python():
    line = f"[{{linear_map: {{name: m, matrix: {np.eye(6).tolist()}}}}}, {{drift: {{length: 1, name: d}}}}]"
    assert "one number" in refused("gradient", *FODO, "--set", f"lattice={line}", "--wrt", "m.matrix")
    assert list(call_json("gradient", *FODO, "--set", f"lattice={line}", "--wrt", "*")["gradient"]) == ["d.length"]


def test_what_cannot_be_reversed_is_refused_with_advice():
    """A scaling by 1e-16 loses every digit."""
    matrix = np.diag([1e-16, 1.0, 1.0, 1.0, 1.0, 1.0]) + np.eye(6, k=1) * [[1.0], [0], [0], [0], [0], [0]]
    line = f"[{{linear_map: {{name: m, matrix: {matrix.tolist()}}}}}, {{drift: {{length: 1, name: d}}}}]"
    arguments = ("gradient", *FODO, "--set", f"lattice={line}", "--wrt", "d.length")
    assert "use Store() or Checkpoint()" in refused(*arguments)
    assert call_json(*arguments, "--adjoint", "store")["gradient"]["d.length"] > 0.0


def test_table_says_it_all():
    found = call_json("gradient", *CELL)
    out = call("gradient", *CELL).stdout
    for words in (
        Problem.load("fodo-space-charge").title, f"sigma_x = {found['value']:.12g}", "300 macroparticles", "20 kicks",
        "reversible, 0 anchors, states reconstructed to", "times the tracking alone", "16.8 kB",
    ):  # fmt: skip
        assert words in " ".join(out.split())
    values = {"qf.k1": 1.0, "qd.k1": -1.0, "d2.length": 0.5, "beam.charge": 1e-9}
    cells = [line.split() for line in out.splitlines() if line.strip()]
    rows = {name: row for name, *row in cells if name in values}
    assert {name: row[0] for name, row in rows.items()} == {
        "qf.k1": "1/m^2", "qd.k1": "1/m^2", "d2.length": "m", "beam.charge": "C",
    }  # fmt: skip
    for name, (_, value, slope, relative) in rows.items():
        assert float(value) == pytest.approx(values[name], rel=1e-12)
        assert float(slope) == pytest.approx(found["gradient"][name], rel=1e-9)
        assert float(relative) == pytest.approx(values[name] * found["gradient"][name] / found["value"], abs=1e-6)


def test_plot_and_folder(tmp_path):
    picture, folder = tmp_path / "slopes.png", tmp_path / "out"
    found = call_json("gradient", *FODO, "--plot", picture, "--output", folder)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert json.loads((folder / "gradient.json").read_text()) == found
    assert call_json("gradient", folder / "problem.yaml")["gradient"] == found["gradient"]


def test_bars_are_the_relative_sensitivities():
    from matplotlib.figure import Figure

    from backbeam.sensitivity_plot import draw_sensitivities

    found = Problem.load("fodo", ["beam.n=100"]).differentiate()
    axes = Figure().add_subplot()
    draw_sensitivities(axes, found)
    assert [label.get_text() for label in axes.get_yticklabels()] == list(found.gradient)
    for bar, (name, slope) in zip(axes.patches, found.gradient.items(), strict=True):
        assert bar.get_width() == pytest.approx(found.parameters[name] * slope / found.value, rel=1e-12)


def test_numpy_gradient_imports_no_other_library():
    script = (
        "import sys; from backbeam.cli.app import app\n"
        f"try: app({['gradient', *FODO, '--json']!r})\n"
        "except SystemExit as e: print(e.code, *sorted({'torch', 'jax', 'matplotlib', 'rich'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "0"


@pytest.mark.parametrize("origin", ["centre", "corner"])
def test_jutrack_fodo_as_shipped(origin):
    """The seven derivatives of both emittances, of the particles that the reference names; see the data file."""
    data = json.loads((Path(__file__).parents[1] / "data" / "jutrack_fodo.json").read_text())
    target, d, rng = data["results"][origin], data["distribution"], np.random.default_rng(0)
    problem = Problem.load("jutrack-fodo", {"space_charge.origin": origin})
    rows = []
    for plane in "xy":
        u1, u2 = rng.random((12, 2, 5000)).sum(0) - 6
        mu, along = d[f"mu{plane}"], u1 / np.sqrt(1 - d[f"mu{plane}"] ** 2)
        rows += [d[f"sig{plane}"] * along, d[f"sigp{plane}"] * (u2 - mu * along)]
    rows += [np.zeros(5000), np.zeros(5000)]
    given = {key: problem.tree["beam"][key] for key in ("species", "kinetic_energy", "charge")}
    beam = Beam.from_arrays(np.stack(rows), **given)
    drawn = problem.beam()
    for name in ("x", "px", "y", "py"):  # 1/sqrt(2 n) is 1 % of a size; 4 sigma
        assert float(drawn.sigma(name)) == pytest.approx(float(beam.sigma(name)), rel=0.057)
    for k, plane in enumerate("xy"):
        objective = observables.emittance(plane)
        options = {"space_charge": problem.space_charge(), **problem.track_options()}
        after, slopes = value_and_grad(objective, problem.line(), beam, problem.gradient.wrt, **options)
        before = objective(beam)
        assert after / before == pytest.approx(target["ratio"][k], rel=1e-9)
        wanted = [target["grad"][name][k] for name in data["parameters_order"]]
        got = [slopes[name] / before for name in problem.gradient.wrt]
        assert [n.replace(".length", "L").replace(".k1", "k") for n in problem.gradient.wrt] == data["parameters_order"]
        np.testing.assert_allclose(got, wanted, rtol=1e-8)
