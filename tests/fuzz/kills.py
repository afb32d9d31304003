"""Jobs with ``--checkpoint-every`` that are killed five times each, at random moments from their first instruction on.

After each kill the folder is not there, or whole, and the checkpoint is not there, or can be read. At last the job is
let finish: its results have the bits of one that was never killed, and nothing else is left behind.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from campaign import Fault

from backbeam.cli.folder import foreign_file

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
SLOW = """
import time
from backbeam.cli import main
from backbeam.plan import Kick

def slow(method):
    return lambda *arguments: time.sleep(0.05) or method(*arguments)

for name in ("forward", "reverse", "pullback"):
    setattr(Kick, name, slow(getattr(Kick, name)))
main()
"""


def started(words: list[str]) -> subprocess.Popen:
    """The job, which takes its time."""
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-c", SLOW, *words], env=env, stdout=subprocess.DEVNULL)


@cache
def undisturbed(name: str) -> tuple[Any, float]:
    """Results of a job that nobody kills, and how long it takes."""
    folder = Path(tempfile.mkdtemp(prefix="backbeam-kills-"))
    begun = time.monotonic()
    if started([*JOBS[name], "--output", str(folder / "out"), "--checkpoint-every", "1"]).wait():
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
        process = started([*words, "--resume" if kept.exists() else "--output", str(out)])
        time.sleep(random.uniform(0.0, 1.2 * seconds))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        elif process.returncode:
            raise Fault(f"{name}: exit {process.returncode} after {killed} kills")
        process.wait()
        if out.exists() and (foreign_file(out) is not None or results(out) != wanted):
            raise Fault(f"{name}: a folder that is not whole after {killed} kills")
        if kept.exists():
            np.load(kept, allow_pickle=False)["words"]
    if not out.exists() and started([*words, "--resume" if kept.exists() else "--output", str(out)]).wait():
        raise Fault(f"{name} does not go on after {killed} kills")
    if results(out) != wanted:
        raise Fault(f"{name}: other bits after {killed} kills")
    left = sorted(path.name for path in folder.iterdir() if path.name not in ("out", "out.checkpoint.npz"))
    shutil.rmtree(folder)
    if left and killed == 0:
        raise Fault(f"{name}: {left} left behind")
    return f"{name}, killed {killed} times, same bits"
