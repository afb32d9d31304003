"""The worker's side of the protocol: a line comes in on stdin, a line of JSON goes out on stdout.

This file and what it serves run in the virtual environment of the code that is timed; beside that code they need
NumPy alone.

The first line is the task, in JSON: ``kind``, and what the table and the worker agreed upon; ``clock``, "wall" unless
it says "cpu", the time of this process's threads; ``calls``, how many make one run, 1 unless it says otherwise. The
answer has ``runs``, the names of what can be timed, and ``versions``. From then on

``time NAME``     does the run and answers with its ``seconds`` by the call
``outcome PATH``  does the first run and writes the array that came out to PATH (.npy), before anything is timed

until stdin ends. An exception is answered with ``error`` and ends the worker.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter, process_time
from typing import Any

import numpy as np


@dataclass
class Work:
    """What a worker has made of its task."""

    runs: Mapping[str, Callable[[], Any]]
    """Each does its work once and waits for the result; one that times itself returns the seconds, a float."""
    outcome: Callable[[], np.ndarray] | None = None
    """What comes out of the first run, in backbeam's convention."""
    versions: Mapping[str, str] | None = None
    close: Callable[[], None] | None = None
    """Before the next work begins in the same process, for a code that asks for it."""


def kicks(kick: Callable[[Mapping[str, Any]], Work], versions: Mapping[str, str]) -> Callable[..., Work]:
    """Turn the work of a kick into that of one for each of several beams and grids, in one process.

    What comes out has shape (beams, grids, 1 + 2 m): the seconds of a kick, the least of ``rounds``, for the first beam
    and NaN for others; then px and py of the first m = ``compared`` particles.
    """

    def work(task: Mapping[str, Any]) -> Work:
        def outcome() -> np.ndarray:
            found = []
            for path in task["beams"]:
                for grid in task["grids"]:
                    one = kick({**task, "beam": path, "grid": grid})
                    after = one.outcome()[[1, 3], : task["compared"]]
                    rounds = task["rounds"] if path == task["beams"][0] else 0
                    seconds = min((timed(one.runs["forward"]) for _ in range(rounds)), default=np.nan)
                    found.append(np.append(seconds, after))
                    if one.close:
                        one.close()
                    del one
            return np.reshape(found, (len(task["beams"]), len(task["grids"]), -1))

        return Work({}, outcome, versions)

    return work


def timed(run: Callable[[], Any], clock: Callable[[], float] = perf_counter, calls: int = 1) -> float:
    """Seconds of a run, its own if it says them; of many, those of one."""
    start = clock()
    for _ in range(calls):
        own = run()
    seconds = (clock() - start) / calls
    return own if isinstance(own, float) else seconds


def serve(kinds: Mapping[str, Callable[[Mapping[str, Any]], Work]]) -> None:
    """Answer until stdin ends. Whatever the libraries print goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(**found: Any) -> None:
        print(json.dumps(found), file=answers, flush=True)

    try:
        task = json.loads(sys.stdin.readline())
        work = kinds[task["kind"]](task)
        clock = {"wall": perf_counter, "cpu": process_time}[task.get("clock", "wall")]
        calls = task.get("calls", 1)
        answer(runs=list(work.runs), versions=dict(work.versions or {}))
        for line in sys.stdin:
            verb, _, what = line.strip().partition(" ")
            if verb == "time":
                answer(seconds=timed(work.runs[what], clock, calls))
            elif verb == "outcome":
                np.save(what, work.outcome())
                answer()
            else:
                raise ValueError(f"no such verb: {verb}")
    except Exception as error:
        answer(error=f"{type(error).__name__}: {' '.join(str(error).split())}"[:300])
        raise


def beam_of(path: str) -> dict[str, Any]:
    """The beam that was drawn: coordinates (6, n) of backbeam, species, charge [C], kinetic_energy [eV]."""
    with np.load(path) as found:
        return {name: found[name] if found[name].ndim else found[name].item() for name in found.files}
