"""Time several codes side by side: a process each, all of them once in every round: what slows one slows all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

WORKERS = Path(__file__).parent / "workers"
PEERS = {"cheetah": "Cheetah", "xsuite": "Xsuite", "impactx": "ImpactX"}
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(frozen=True)
class Entry:
    """A code in a race."""

    label: str
    code: str
    """"backbeam", or one of `PEERS`."""
    task: Mapping[str, Any]
    tolerance: float
    """How far the outcome may be from that of the first entry."""
    runs: tuple[str, ...] | None = None
    """What is timed of what the worker offers; None: all."""
    threads: int | None = None
    """Threads of its own; None: those of the race."""


@dataclass
class Racer:
    """What is known of an entry after the race."""

    label: str
    deviation: float | None = None
    """Of the outcome from that of the first entry."""
    seconds: dict[str, list[float]] = field(default_factory=dict)
    """Of every run, one for each round."""
    errors: dict[str, float] = field(default_factory=dict)
    """Next to a closed form, by what was done; where there is one."""
    problem: str = ""
    """Why it was not timed."""
    versions: Mapping[str, str] = field(default_factory=dict)

    def median(self, run: str) -> float | None:
        """Median over the rounds [s]."""
        return float(np.median(self.seconds[run])) if self.seconds.get(run) else None

    def ratio(self, run: str, other: Racer, other_run: str) -> float | None:
        """Median over the rounds of the time over another's in the same round."""
        if not self.seconds.get(run) or not other.seconds.get(other_run):
            return None
        return float(np.median(np.array(self.seconds[run]) / np.array(other.seconds[other_run])))


class WorkerError(Exception):
    """A worker could not do its task."""


class Worker:
    """A process in the virtual environment of a code, in a folder of its own: some compile where they stand."""

    def __init__(self, python: str, code: str, task: Mapping[str, Any], threads: int) -> None:
        self._folder = TemporaryDirectory()
        environment = {**os.environ, **dict.fromkeys(THREADS, str(threads))}
        environment |= {"JAX_ENABLE_X64": "1", "JAX_PLATFORMS": "cpu"}
        command = [python, str(WORKERS / f"{code}_worker.py")]
        with on_cores(threads):
            self._process = subprocess.Popen(
                command,
                env=environment,
                cwd=self._folder.name,
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        self._ask(json.dumps({**task, "threads": threads}))

    def ready(self) -> Mapping[str, Any]:
        """Wait until everything is set up and has been run once."""
        return self._answer()

    def seconds(self, run: str) -> float:
        """Do a run once."""
        self._ask(f"time {run}")
        return self._answer()["seconds"]

    def outcome(self) -> np.ndarray:
        """What comes out of the first run."""
        path = Path(self._folder.name) / "outcome.npy"
        self._ask(f"outcome {path}")
        self._answer()
        return np.load(path)

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._folder.cleanup()

    def _ask(self, line: str) -> None:
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise WorkerError("it has ended") from None

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline()
        if not line:
            raise WorkerError(f"it has ended ({self._process.wait()})")
        found = json.loads(line)
        if "error" in found:
            raise WorkerError(found["error"])
        return found


@contextmanager
def on_cores(count: int) -> Iterator[None]:
    """What is started within may run on that many cores only: the last ones of those that this process may run on."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[-count:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def interpreters(given: Mapping[str, str | None]) -> dict[str, str]:
    """Which Python runs which code: this one backbeam; a peer's is an option, or BACKBEAM_<PEER> in the environment."""
    found = {"backbeam": sys.executable}
    for code, name in PEERS.items():
        python = given.get(code) or os.environ.get(f"BACKBEAM_{code.upper()}")
        if python:
            found[code] = os.path.abspath(python)
        else:
            note(f"no {name}: give --{code} PYTHON, the interpreter of its virtual environment")
    return found


def race(
    entries: Sequence[Entry],
    pythons: Mapping[str, str],
    threads: int,
    rounds: int,
    deviation: Callable[[np.ndarray, np.ndarray], float] | None,
) -> list[Racer]:
    """Check every entry against the first, then time all of them in turn, ``rounds`` times.

    An entry that fails or whose outcome is too far off is not timed: a wrong call is no benchmark.
    """
    found: list[Racer] = []
    running: list[tuple[Entry, Racer, Worker]] = []
    expected: np.ndarray | None = None
    with ExitStack() as stack:
        for entry in entries:
            if entry.code not in pythons:
                continue
            racer = Racer(entry.label)
            found.append(racer)
            try:
                worker = Worker(pythons[entry.code], entry.code, entry.task, entry.threads or threads)
                stack.callback(worker.close)
                ready = worker.ready()
                racer.versions = ready["versions"]
                runs = entry.runs or tuple(ready["runs"])
                if deviation is not None:
                    outcome = worker.outcome()
                    if expected is None and entry.code != "backbeam":
                        raise WorkerError("nothing of backbeam's to compare with")
                    expected = outcome if expected is None else expected
                    racer.deviation = deviation(outcome, expected)
                    if not racer.deviation <= entry.tolerance:
                        raise WorkerError(f"differs by {racer.deviation:.1e}, more than {entry.tolerance:.0e}")
                racer.seconds = {run: [] for run in runs}
                running.append((entry, racer, worker))
            except WorkerError as error:
                racer.problem = str(error)
                note(f"{entry.label}: {error}")
        for _ in range(rounds):
            for _, racer, worker in running:
                for run, seconds in racer.seconds.items():
                    seconds.append(worker.seconds(run))
    return found


def note(line: str) -> None:
    """Say something beside the table."""
    print(line, file=sys.stderr, flush=True)
