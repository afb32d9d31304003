"""Jobs with ``--checkpoint-every`` that are killed five times each, at random moments from their first instruction on.

After each kill the folder is not there, or whole, and the checkpoint is not there, or can be read. At last the job is
let finish: its results have the bits of one that was never killed.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
import time
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from campaign import Fault

from backbeam.cli.app import app
from backbeam.cli.folder import foreign_file
from backbeam.plan import Kick

SECONDS = 1800.0
KILLS = 5
PROBLEM = ["fodo-space-charge", "--set", "beam.n=200", "--set", "space_charge.grid=[6,6,6]", "--set", "track.slices=8",
           "--set", "lattice=[{drift: {length: 0.2}}, {monitor: {name: m}}, {aperture: {half_x: 1e-4, half_y: 1e-4}}, "
           "{quadrupole: {length: 0.3, k1: 5.0, name: q}}, {monitor: {name: m2}}, {drift: {length: 0.5}}]"]  # fmt: skip
ASKED = ["--objective", "sigma_x + reading:m.x", "--wrt", "q.k1,beam.charge"]
JOBS = {
    "run": ["run", *PROBLEM],
    "gradient, reversible": ["gradient", *PROBLEM, *ASKED],
    "run, float32": ["run", *PROBLEM, "--dtype", "float32"],
    "gradient, checkpoint": ["gradient", *PROBLEM, *ASKED, "--adjoint", "checkpoint", "--slots", "2"],
}
PAUSE = 0.01
"""Seconds that a kick takes longer, so that a moment can be hit."""


class Job:
    """A command in a process of its own, which has all modules already: what counts is what it does."""

    def __init__(self, words: list[str]) -> None:
        self.code: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            self._work(words)

    def _work(self, words: list[str]) -> None:
        """As a command does it, and never back."""
        code = 1
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            for name in ("forward", "reverse", "pullback"):
                method = getattr(Kick, name)
                setattr(Kick, name, lambda *given, method=method: time.sleep(PAUSE) or method(*given))
            app(words, "backbeam")
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            os._exit(code)

    def wait(self) -> int:
        """Its exit code; a signal's number is negative."""
        if self.code is None:
            self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.code

    def kill(self) -> None:
        """SIGKILL, wherever it is."""
        os.kill(self.pid, signal.SIGKILL)


@cache
def undisturbed(name: str) -> tuple[Any, float]:
    """Results of a job that nobody kills, and how long it takes."""
    folder = Path(tempfile.mkdtemp(prefix="backbeam-kills-"))
    begun = time.monotonic()
    if Job([*JOBS[name], "--output", str(folder / "out"), "--checkpoint-every", "1"]).wait():
        raise Fault(f"{name} does not run")
    return results(folder / "out"), time.monotonic() - begun


def results(out: Path) -> Any:
    """What must be the same to the bit."""
    if (out / "gradient.json").exists():
        found = json.loads((out / "gradient.json").read_text())
        return found["value"], found["gradient"], found["mismatch"]
    with np.load(out / "final_beam.npz") as found:
        return {name: found[name].tobytes() for name in found.files}, (out / "moments.csv").read_bytes()


def numbered(number: int, random: Random) -> str:
    """Case so many: the jobs take turns."""
    name = list(JOBS)[number % len(JOBS)]
    wanted, seconds = undisturbed(name)
    folder = Path(tempfile.mkdtemp(prefix="backbeam-kills-"))
    out, kept = folder / "out", folder / "out.checkpoint.npz"
    killed, words = 0, [*JOBS[name], "--checkpoint-every", "1"]
    while killed < KILLS and not out.exists():
        job = Job([*words, "--resume" if kept.exists() else "--output", str(out)])
        time.sleep(random.uniform(0.0, 0.7 * seconds))
        job.kill()  # which one that has ended is deaf to
        code = job.wait()
        killed += code == -signal.SIGKILL
        if code not in (0, -signal.SIGKILL):
            raise Fault(f"{name}: exit {code} after {killed} kills")
        if out.exists() and (foreign_file(out) is not None or results(out) != wanted):
            raise Fault(f"{name}: a folder that is not whole after {killed} kills")
        if kept.exists():
            np.load(kept, allow_pickle=False)["words"]
    if not out.exists() and Job([*words, "--resume" if kept.exists() else "--output", str(out)]).wait():
        raise Fault(f"{name} does not go on after {killed} kills")
    if results(out) != wanted:
        raise Fault(f"{name}: other bits after {killed} kills")
    shutil.rmtree(folder)
    return f"{name}, killed {killed} times, same bits"
