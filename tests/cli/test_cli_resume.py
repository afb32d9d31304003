"""Runs that are killed go on from their checkpoint, and end with the same bits."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from command_line import call, refused

RUN = ["run", "fodo-space-charge", "--set", "beam.n=400", "--set", "space_charge.grid=[8,8,8]", "--set",
       "track.slices=40", "--set", "lattice=[{drift: {length: 0.2}}, {monitor: {name: m}}, {aperture: {half_x: 1e-4, "
       "half_y: 1e-4}}, {quadrupole: {length: 0.3, k1: 5.0}}, {monitor: {name: m2}}, "
       "{drift: {length: 0.5}}]"]  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "out"
    call(*RUN, "--output", out)
    beam, moments = results(out)
    assert 0 < np.count_nonzero(np.frombuffer(beam["lost_at"], np.int32) >= 0) < 400
    return beam, moments


def results(out):
    with np.load(out / "final_beam.npz") as found:
        return {name: found[name].tobytes() for name in found.files}, (out / "moments.csv").read_bytes()


def test_killed_again_and_again_it_ends_with_the_same_bits(tmp_path, whole):
    """SIGKILL at random moments: nothing half-written is there, and each time the run goes on where it was."""
    out, kept = tmp_path / "out", tmp_path / "out.checkpoint.npz"
    pause = random.Random(1)
    for _ in range(4):
        begin = ["--resume"] if kept.exists() else ["--output"]
        process = subprocess.Popen([sys.executable, "-c", SLOW, *RUN, *begin, str(out), "--checkpoint-every", "3"])
        deadline, before = time.monotonic() + 60.0, kept.stat().st_mtime_ns if kept.exists() else 0
        while time.monotonic() < deadline and not (kept.exists() and kept.stat().st_mtime_ns > before):
            time.sleep(0.01)
        time.sleep(pause.uniform(0.0, 0.1))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert kept.exists() and not out.exists()
    call(*RUN, "--resume", out, "--checkpoint-every", "3")
    assert results(out) == whole
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_is_no_checkpoint_of_this_run_is_refused(tmp_path):
    out, kept = tmp_path / "out", tmp_path / "out.checkpoint.npz"
    assert refused(*RUN, "--resume", out).endswith("a checkpoint, as --checkpoint-every writes it")
    kept.write_bytes(b"mine")
    assert "a checkpoint" in refused(*RUN, "--output", out, "--checkpoint-every", "5")
    assert kept.read_bytes() == b"mine"
    assert "--output too" in refused(*RUN, "--checkpoint-every", "5")
    assert "at least 1" in refused(*RUN, "--output", out, "--checkpoint-every", "0")


SLOW = """
import time
from backbeam.cli import main
from backbeam.plan import Kick

forward = Kick.forward
Kick.forward = lambda *arguments: time.sleep(0.03) or forward(*arguments)
main()
"""
