"""Runs and gradients that are killed go on from their checkpoint, and end with the same bits."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from command_line import call, refused

from backbeam.cli.checkpoint import SavedGradient, SavedRun
from backbeam.problem import Problem, question

PROBLEM = ["fodo-space-charge", "--set", "beam.n=400", "--set", "space_charge.grid=[8,8,8]", "--set", "track.slices=40",
           "--set", "lattice=[{drift: {length: 0.2}}, {monitor: {name: m}}, {aperture: {half_x: 1e-4, half_y: 1e-4}}, "
           "{quadrupole: {length: 0.3, k1: 5.0, name: q}}, {monitor: {name: m2}}, {drift: {length: 0.5}}]"]  # fmt: skip
ASKED = ["--objective", "sigma_x + reading:m.x", "--wrt", "q.k1,beam.charge"]
COMMANDS = {
    "run": ["run", *PROBLEM],
    "reversible": ["gradient", *PROBLEM, *ASKED],
    "checkpoint": ["gradient", *PROBLEM, *ASKED, "--adjoint", "checkpoint", "--slots", "2"],
}
KILLS = {"run": 2, "reversible": 3, "checkpoint": 1}


def results(out):
    """What must be the same to the bit."""
    if (out / "gradient.json").exists():
        found = json.loads((out / "gradient.json").read_text())
        return found["value"], found["gradient"], found["mismatch"], found["anchors"]
    with np.load(out / "final_beam.npz") as found:
        return {name: found[name].tobytes() for name in found.files}, (out / "moments.csv").read_bytes()


@pytest.mark.parametrize("name", COMMANDS)
def test_killed_again_and_again_it_ends_with_the_same_bits(tmp_path, name):
    """SIGKILL at random moments: nothing half-written is there, and each time it goes on where it was."""
    whole, out, kept = tmp_path / "whole", tmp_path / "out", tmp_path / "out.checkpoint.npz"
    call(*COMMANDS[name], "--output", whole)
    pause = random.Random(name)
    for _ in range(KILLS[name]):
        begin = ["--resume"] if kept.exists() else ["--output"]
        words = [*COMMANDS[name], *begin, str(out), "--checkpoint-every", "3"]
        process = subprocess.Popen([sys.executable, "-c", SLOW, *words])
        deadline, before = time.monotonic() + 60.0, kept.stat().st_mtime_ns if kept.exists() else 0
        while time.monotonic() < deadline and not (kept.exists() and kept.stat().st_mtime_ns > before):
            time.sleep(0.01)
        time.sleep(pause.uniform(0.0, 1.0))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert kept.exists() and not out.exists()
    call(*COMMANDS[name], "--resume", out, "--checkpoint-every", "3")
    assert results(out) == results(whole)
    if name == "run":
        assert 0 < np.count_nonzero(np.frombuffer(results(out)[0]["lost_at"], np.int32) >= 0) < 400
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "whole"]


class Left(Exception):  # noqa: N818 (it is no error)
    """The gradient was left."""


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("library", "adjoint", "options"),
    [
        ("numpy", "reversible", {"anchor_every": 5}),
        ("numpy", "store", {}),
        ("torch", "auto", {}),
        ("jax", "reversible", {}),
    ],
)
def test_a_gradient_left_anywhere_on_either_way(tmp_path, library, adjoint, options, dtype):
    """Each time after a few parts of the way, monitors, openings and lost particles on it."""
    lattice = [{"drift": {"length": 0.2}}, {"monitor": {"name": "m"}}, {"aperture": {"half_x": 1e-4, "half_y": 1e-4}},
               {"quadrupole": {"length": 0.3, "k1": 5.0, "name": "q"}}, {"drift": {"length": 0.5}}]  # fmt: skip
    changes = {"beam.n": 200, "space_charge.grid": [6, 6, 6], "track.slices": 4, "lattice": lattice}
    problem = Problem.load("fodo-space-charge", changes | {"run.backend": library, "run.dtype": dtype})
    asked = question(problem, "sigma_x + 0.3 reading:m.x", ["q.k1", "q.length"], adjoint, **options)
    whole, pause, ways = problem.differentiate(asked), random.Random(1), set()
    while True:
        kept, parts = SavedGradient(tmp_path / "out", problem, asked, 1), iter(range(pause.randint(2, 9), 0, -1))

        def halt(beam, back, kicks, mark, kept=kept, parts=parts):
            kept.save(beam, back, kicks, mark)
            if next(parts) == 1:
                ways.add(back)
                raise Left

        try:
            resume = {"resume": kept.load} if kept.path.exists() else {}
            found = problem.differentiate(asked, halt=halt, **resume)
            break
        except Left:
            continue
    assert ways == {False, True}
    assert (found.value, found.gradient, found.mismatch) == (whole.value, whole.gradient, whole.mismatch)
    assert (found.anchors, found.question.adjoint) == (whole.anchors, whole.question.adjoint)


def test_what_is_no_checkpoint_of_this_run_is_refused(tmp_path):
    out, kept = tmp_path / "out", tmp_path / "out.checkpoint.npz"
    run, gradient = COMMANDS["run"], COMMANDS["reversible"]
    assert refused(*run, "--resume", out).endswith("a checkpoint, as --checkpoint-every writes it")
    kept.write_bytes(b"mine")
    assert "a checkpoint" in refused(*run, "--output", out, "--checkpoint-every", "5")
    assert "a checkpoint" in refused(*gradient, "--output", out, "--checkpoint-every", "5")
    assert kept.read_bytes() == b"mine"
    assert "--output too" in refused(*run, "--checkpoint-every", "5")
    assert "at least 1" in refused(*gradient, "--output", out, "--checkpoint-every", "0")
    torch = [*gradient, "--backend", "torch", "--output", tmp_path / "other", "--checkpoint-every", "1"]
    assert "left and taken up" in refused(*torch, "--adjoint", "tape")


def test_other_particles_in_the_file_of_the_beam_are_another_job(tmp_path):
    """The file's name is the same, its content is not."""
    saved, out = tmp_path / "beam.npz", tmp_path / "out"
    problems = []
    for seed in (1, 2):
        Problem.load("fodo-space-charge", {"beam.n": 50, "beam.seed": seed}).beam().save(saved)
        problems.append(Problem.load("fodo-space-charge", {"beam": {"file": str(saved)}}))
    asked = [SavedRun(out, problem, 1).asked for problem in problems]
    assert asked[0] == asked[1]  # both read what is there now
    Problem.load("fodo-space-charge", {"beam.n": 50, "beam.seed": 1}).beam().save(saved)
    assert SavedRun(out, problems[0], 1).asked != asked[0]


SLOW = """
import time
from backbeam.cli import main
from backbeam.plan import Kick

def slow(method):
    return lambda *arguments: time.sleep(0.03) or method(*arguments)

for name in ("forward", "reverse", "pullback"):
    setattr(Kick, name, slow(getattr(Kick, name)))
main()
"""
