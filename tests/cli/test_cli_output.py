"""Folders of ``--output``: of one run and whole, or not there; what is not ours is never touched."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from command_line import call, refused

import backbeam as bb
from backbeam.cli.folder import LIST, write_folder
from backbeam.cli.interruption import Interrupted, stopping
from backbeam.errors import BackbeamError
from backbeam.problem import Problem

FEW = ["--set", "beam.n=400", "--set", "space_charge.grid=[8,8,8]"]
FILES = [LIST, "final_beam.npz", "moments.csv", "problem.yaml", "summary.json"]


def run(folder, *more, code=0):
    return call("run", "fodo-space-charge", *FEW, *more, "--output", folder, code=code)


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


# -- one pass ------------------------------------------------------------------------------------------------


def test_result_and_moments_are_of_one_tracking(tmp_path, monkeypatch):
    """As many kicks are made as a run has, and the one of the warm-up; the last row is the result to the bit."""
    from backbeam.plan import Kick

    made = []
    forward = Kick.forward
    monkeypatch.setattr(Kick, "forward", lambda self, *a: made.append(a[0].X.shape[-1]) or forward(self, *a))
    run(tmp_path / "out")
    plain = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert made == [400] * 21
    with (tmp_path / "out" / "moments.csv").open() as file:
        last = list(csv.DictReader(file))[-1]
    for name in ("x", "px", "y", "py", "tau", "pt"):
        assert float(last[f"sigma_{name}"]) == plain["final"]["sigma"][name]
    tracked = Problem.load("fodo-space-charge", ["beam.n=400", "space_charge.grid=[8,8,8]"]).run().final
    with np.load(tmp_path / "out" / "final_beam.npz") as found:
        np.testing.assert_array_equal(found["coordinates"], tracked.coordinates)


def test_a_pass_sees_what_monitors_saw_and_who_turned_round():
    strong = bb.Quadrupole(0.01, k1=150.0, model="linear", name="q")
    line = bb.Line([strong, bb.Monitor(name="m"), bb.Drift(0.5, name="e"), bb.Monitor(name="m2")])
    X = np.zeros((6, 3))
    X[0] = (0.0, 1.0, 0.1)  # the second has |px| = 1.5 behind the quadrupole
    beam = bb.Beam.from_arrays(X, species="electron", kinetic_energy=1e6, charges=np.full(3, -1e-12))
    from backbeam.course import Course
    from backbeam.problem.outcome import run_problem

    for points in (None, 10):
        outcome = run_problem(Course.of(line), beam, lambda stage: None, points)
        tracked = bb.track(line, beam)
        np.testing.assert_array_equal(outcome.final.coordinates, tracked.coordinates)
        np.testing.assert_array_equal(outcome.final.readings["m"], tracked.readings["m"])
        assert outcome.lost == 1
    assert [row["alive"] for name, row in outcome.rows if name in ("", "q", "m")] == [3] * 3
    assert [row["alive"] for name, row in outcome.rows if name in ("e", "m2")] == [2] * (len(outcome.rows) - 3)
    assert all(row["sigma"]["x"] is not None for _, row in outcome.rows)


# -- folders -------------------------------------------------------------------------------------------------


def test_a_folder_says_where_it_comes_from(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text(Problem.load("fodo-space-charge").dump())
    call("run", mine, *FEW, "--seed", "7", "--output", tmp_path / "out")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["command"].split()[1:3] == ["run", str(mine)] and "--seed 7" in summary["command"]
    assert summary["seed"] == 7
    assert {"python", "backbeam", "numpy"} <= set(summary["versions"])
    assert (summary["backend"], summary["device"], summary["dtype"]) == ("numpy", "cpu", "float64")
    assert summary["threads"] >= 1
    assert summary["file"]["path"] == str(mine) and len(summary["file"]["sha256"]) == 64
    assert summary["units"]["tau"] == "m" and summary["units"]["charge"] == "C"


def test_a_folder_of_ours_is_replaced_as_a_whole(tmp_path):
    out = tmp_path / "out"
    out.mkdir()  # an empty one will do
    run(out)
    assert sorted(contents(out)) == FILES
    arguments = ["--objective", "sigma_x", "--wrt", "qf.k1", "--output", out]
    call("gradient", "fodo-space-charge", *FEW, *arguments)
    assert sorted(contents(out)) == [LIST, "gradient.json", "problem.yaml"]
    run(out)
    assert sorted(contents(out)) == FILES
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("change", [
    lambda out: (out / "notes.txt").write_text("mine"),
    lambda out: (out / "problem.yaml").write_text("mine: too"),
    lambda out: (out / LIST).unlink(),
    lambda out: (out / LIST).write_text("[" * 2000),
    lambda out: (out / "more").mkdir(),
    lambda out: (out / "link").symlink_to(out / "summary.json"),
], ids=["more", "changed", "unlisted", "garbled", "folder", "link"])  # fmt: skip
def test_what_is_not_ours_is_never_touched(tmp_path, change):
    out = tmp_path / "out"
    run(out)
    change(out)
    before = sorted(p.name for p in out.iterdir())
    said = refused("run", "fodo-space-charge", *FEW, "--output", out)
    assert said.startswith("--output is") and "is not" in said
    assert sorted(p.name for p in out.iterdir()) == before


def test_names_that_are_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    for name in (tmp_path / "file", tmp_path / "file" / "out", tmp_path / ("n" * 300)):
        assert refused("run", "fodo-space-charge", *FEW, "--output", name).startswith("--output")


def test_a_full_disk_leaves_the_old_folder_whole(tmp_path, monkeypatch):
    out = tmp_path / "out"
    write_folder(out, {"a": "1", "b": "2"})
    before = contents(out)
    sync, done = os.fsync, []

    def full(descriptor):
        done.append(descriptor)
        if len(done) == 2:
            raise OSError(28, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BackbeamError, match="no space left"):
        write_folder(out, {"a": "3", "b": "4"})
    assert contents(out) == before
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


# -- signals -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_a_finalizer_is_not_lost(number, request):
    """Python drops what is raised there, as where arrays of a kernel are given back."""

    class Loan:
        def __del__(self):
            os.kill(os.getpid(), number)

    before = signal.signal(number, signal.SIG_DFL)  # in the background SIGINT is ignored
    request.addfinalizer(lambda: signal.signal(number, before))
    with pytest.raises(Interrupted) as raised, stopping():
        Loan()
        time.sleep(10.0)
    assert raised.value.code == 128 + number
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
    with stopping():  # over before the alarm comes
        Loan()
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0.0


@pytest.mark.parametrize(("number", "code", "word"), [
    (signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated"),
])  # fmt: skip
def test_a_signal_ends_a_run_in_one_line(tmp_path, number, code, word):
    """In the middle of a long run, whose output is piped: nothing else is said, and nothing is left."""
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-c", LONG, "run", "fodo-space-charge", "--set", "beam.n=2000", "--set", "track.slices=4000",
         "--set", "space_charge.grid=[8,8,8]", "--output", str(out)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "under way\n"
    time.sleep(0.2)
    process.send_signal(number)
    rest, said = process.communicate(timeout=60)
    assert (process.returncode, rest, said) == (code, "", f"backbeam: {word}\n")
    assert list(tmp_path.iterdir()) == []


LONG = """
import signal

from backbeam.cli import main
from backbeam.problem import outcome

signal.signal(signal.SIGINT, signal.default_int_handler)  # which a test run in the background would have ignored
send = outcome.send
def saying(*arguments):
    print("under way", flush=True)
    return send(*arguments)
outcome.send = saying
main()
"""


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1"])
def test_a_terminal_that_is_not_utf_8(encoding):
    """What it cannot show is a question mark, not an end."""
    command = [sys.executable, "-m", "backbeam", "run", "fodo", "--set", "beam.n=50"]
    done = subprocess.run(command, env={**os.environ, "PYTHONIOENCODING": encoding}, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert b"FODO" in done.stdout and b"?" in done.stdout
