"""Names as real files have them: in Python, in ``--set`` and ``--wrt``, in readings and in files."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

import backbeam as bb
from backbeam.cli.app import app
from backbeam.problem import Problem

NAMES = (
    "MQ.12R5.B1", "CLA-S02-01", "Q:1", "Q/1", "cq#1", "B[1]", "Q*", "Q?", "a,b", "a=b", "a,b=c,d.e", "四極", "beam",
    "beam.q", "1e5", "null", "true", "file", "define", "line", "order", "repeat", "knobs", "kicks", "reading:m",
)  # fmt: skip


def problem(name):
    return Problem({
        "beam": {
            "distribution": "gaussian", "species": "electron", "n": 50, "kinetic_energy": 1e8, "charge": 1e-12,
            "sigma_x": 1e-3,
        },
        "lattice": {
            "define": {name: {"quadrupole": {"length": 0.2, "k1": 1.0}}},
            "line": [name, {"drift": {"length": 1.0}}, {"monitor": {"name": f"{name}m"}}],
        },
    })  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_everywhere(name, tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text(problem(name).dump(), encoding="utf-8")
    changed = Problem.load(path, [f"lattice.{name}.k1=2.5"])
    assert changed.line()[name].k1 == 2.5 and len(changed.line()) == 3
    asked = f"{name}.k1,{name}.dx, beam.charge,drift_1.length"
    found = CliRunner().invoke(
        app, ["gradient", str(path), "--objective", f"reading:{name}m.x", "--wrt", asked, "--json"]
    )
    assert found.exit_code == 0, found.output
    gradient = json.loads(found.output)["gradient"]
    assert set(gradient) == {f"{name}.k1", f"{name}.dx", "beam.charge", "drift_1.length"}
    line, beam = problem(name).line(), problem(name).beam()
    _, by_python = bb.value_and_grad(bb.observables.named(f"reading:{name}m.x"), line, beam, [f"{name}.k1"])
    derivative = gradient[f"{name}.k1"]
    derivative = derivative["derivative"] if isinstance(derivative, dict) else derivative
    assert derivative == pytest.approx(float(by_python[f"{name}.k1"]), rel=1e-12)
    assert line.replace({f"{name}.k1": 3.0})[name].k1 == 3.0


def test_knobs_and_elements_of_one_name():
    given = problem("knobs").tree
    given["lattice"]["knobs"] = {"k1": 1.0}
    both = Problem(given)
    assert both.replace(["lattice.knobs.k1=2.5"]).line()["knobs"].k1 == 2.5


def test_a_reading_by_passage_and_one_in_brackets():
    line = bb.Line([bb.Drift(1.0), bb.Monitor(name="b")]) * 2 + bb.Line([bb.Monitor(name="b[1]")])
    beam = bb.Beam.gaussian(n=20, species="electron", kinetic_energy=1e8, charge=1e-12, sigma_px=1e-3)
    out = bb.track(line, beam)
    for passage in (0, 1):
        assert bb.observables.named(f"reading:b[{passage}].x")(out) == out.readings["b"][passage][0]


@pytest.mark.parametrize("name", ["a b", "a\tb", "a\rb", "a\x00b", "a\u00a0b", ""])
def test_spaces_and_control_characters_are_refused(name):
    with pytest.raises(bb.InputError, match=r"name is .* text without spaces and control characters"):
        bb.Drift(1.0, name=name)


def test_in_a_lattice_of_another_code(tmp_path):
    (tmp_path / "r.madx").write_text("""beam, particle=electron, pc=1;
r: sequence, l=2;
"q=1": quadrupole, l=0.2, k1=1, at=1;
endsequence;
""")
    beam = "beam={distribution: gaussian, n: 20, charge: 0, sigma_x: 1e-3}"
    problem = Problem.load(tmp_path / "r.madx", ["lattice.line=r", beam, "lattice.q=1.k1=2.5"])
    assert problem.line()["q=1"].k1 == 2.5
