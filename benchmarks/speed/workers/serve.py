"""The worker's side of the protocol: a line comes in on stdin, a line of JSON goes out on stdout.

This file and what it serves run in the virtual environment of the code that is timed; beside that code they need
NumPy alone.

The first line is the task, in JSON: ``kind``, and what the table and the worker agreed upon. The answer has ``runs``,
the names of what can be timed, and ``versions``. From then on

``time NAME``     does the run once and answers with its ``seconds``
``outcome PATH``  does the first run and writes the array that came out to PATH (.npy), before anything is timed

until stdin ends. An exception is answered with ``error`` and ends the worker.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
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


def serve(kinds: Mapping[str, Callable[[Mapping[str, Any]], Work]]) -> None:
    """Answer until stdin ends. Whatever the libraries print goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(**found: Any) -> None:
        print(json.dumps(found), file=answers, flush=True)

    try:
        task = json.loads(sys.stdin.readline())
        work = kinds[task["kind"]](task)
        answer(runs=list(work.runs), versions=dict(work.versions or {}))
        for line in sys.stdin:
            verb, _, what = line.strip().partition(" ")
            if verb == "time":
                start = perf_counter()
                own = work.runs[what]()
                seconds = perf_counter() - start
                answer(seconds=own if isinstance(own, float) else seconds)
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
