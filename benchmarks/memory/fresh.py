"""Measure cases in fresh processes; run as a program it is such a process.

A case is plain data: ``what`` is to be seen, the ``problem`` as data, the ``adjoint`` with its settings. The answers
come a line each, so that what is slow or dies loses only itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from statistics import median
from time import perf_counter, process_time, sleep
from typing import Any

from backbeam.memory.resident import STEADY_HEAP, status, watch

LONG_ENOUGH, ROUNDS = 0.02, 9
"""Seconds of tracking that are timed together, and how often."""

PROGRAM = "import sys; sys.path.insert(0, {!r}); from memory.fresh import serve; serve({})"


def case(problem: dict[str, Any], adjoint: str = "reversible", what: str = "peak", **settings: Any) -> dict[str, Any]:
    """A case for `run`."""
    return {"what": what, "problem": problem, "adjoint": {"name": adjoint, **settings}}


def run(cases: Iterable[dict[str, Any]], one_core: bool = False) -> Iterator[Any]:
    """Answers of a fresh process to cases of one library and data type, in order; a string is what went wrong.

    Each tape has a process of its own: what it leaves behind there would be seen in the next. On one core nothing is
    done at the same time as anything else, so that peaks are the same each time.
    """
    for taped, some in groupby(cases, lambda one: one["what"] == "peak" and one["adjoint"]["name"] == "tape"):
        for together in ([one] for one in some) if taped else [list(some)]:
            yield from ask(together, one_core)


def ask(cases: list[dict[str, Any]], one_core: bool) -> Iterator[Any]:
    """Answers of one process."""
    environment = {**os.environ, **STEADY_HEAP, "JAX_ENABLE_X64": "1"}
    program = PROGRAM.format(str(Path(__file__).resolve().parents[1]), one_core)
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        for one in cases:
            if process.poll() is None:
                process.stdin.write(json.dumps(one) + "\n")
                process.stdin.flush()
                line = process.stdout.readline()
            else:
                line = ""
            yield json.loads(line) if line else "the process died"
        process.stdin.close()


def serve(one_core: bool) -> None:
    """Answer cases from standard input."""
    if one_core:  # before a library starts its threads
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    for line in sys.stdin:
        job = json.loads(line)
        try:
            found: Any = KINDS[job["what"]](job)
        except Exception as error:
            found = f"{type(error).__name__}: {error}".splitlines()[0]
            traceback.print_exc()
        print(json.dumps(found), flush=True)


def prepared(job: dict[str, Any]) -> tuple[Callable[[], None], Callable[[], None], Any]:
    """The gradient of a case, its tracking alone, and the beam."""
    import backbeam as bb
    from backbeam.problem import Problem
    from backbeam.problem.measuring import adjoint_of
    from backbeam.problem.outcome import quiet

    problem, adjoint = Problem(job["problem"]), adjoint_of(job["adjoint"])
    beam, line = problem.beam(), problem.line()
    arguments = {"space_charge": problem.space_charge(), **problem.track_options()}

    def gradient() -> None:
        with quiet():
            value, found = bb.value_and_grad(
                bb.observables.sigma("x"), line, beam, ["beam.charge"], adjoint=adjoint, **arguments
            )
        beam.backend.synchronize([value, *found.values()])

    def tracking() -> None:
        with quiet():
            beam.backend.synchronize(bb.track(line, beam, **arguments).coordinates)

    return gradient, tracking, beam


def peak(job: dict[str, Any]) -> dict[str, Any]:
    """What the gradient takes."""
    from backbeam.problem.measuring import observed

    gradient, _, beam = prepared(job)
    return asdict(observed(gradient, beam.backend, beam.coordinates, job.get("books", False)))


def once(job: dict[str, Any]) -> dict[str, Any]:
    """What the first gradient of the process takes, with all that is compiled for it."""
    gradient, _, _ = prepared(job)
    start = perf_counter()
    seen = watch(gradient)
    return {"peak_bytes": seen.own, "process_bytes": seen.peak, "seconds": perf_counter() - start}


def tape(job: dict[str, Any]) -> dict[str, int]:
    """Bytes that the library keeps for the way back."""
    from backbeam.memory.taping import tape_of
    from backbeam.problem import Problem

    problem = Problem(job["problem"])
    kept = tape_of(problem.course(), problem.beam())
    return {"tape_bytes": kept}


def steps(job: dict[str, Any]) -> dict[str, int]:
    """Bytes that the library keeps for one more step of each kind."""
    from backbeam.memory.taping import tape_of_steps
    from backbeam.problem import Problem

    problem = Problem(job["problem"])
    return tape_of_steps(problem.course(), problem.beam())


def timing(job: dict[str, Any]) -> dict[str, float]:
    """Processor time of gradients by some adjoints over that of the tracking alone: medians of interleaved calls."""
    adjoints = job["adjoints"]
    gradients = [prepared({**job, "adjoint": {"name": name}})[0] for name in adjoints]
    functions = [prepared(job)[1], *gradients]
    for function in (*functions, *functions):  # compiled, and once more as it will be
        function()
    start = process_time()
    functions[0]()
    several = 1 + int(LONG_ENOUGH / max(process_time() - start, 1e-4))
    rounds = [[_seconds(function, several) for function in functions] for _ in range(ROUNDS)]
    return {name: median(row[k] / row[0] for row in rounds) for k, name in enumerate(adjoints, 1)}


def _seconds(function: Callable[[], None], times: int) -> float:
    start = process_time()
    for _ in range(times):
        function()
    return process_time() - start


def timeline(job: dict[str, Any]) -> dict[str, list[float]]:
    """Resident memory beyond that before, looked at every half millisecond or so while the gradient runs."""
    gradient, _, beam = prepared(job)
    gradient()
    beam.backend.meter.release()
    times: list[float] = []
    sizes: list[int] = []
    before, start, done = status("VmRSS"), perf_counter(), threading.Event()

    def look() -> None:
        while not done.is_set():
            times.append(perf_counter() - start)
            sizes.append(status("VmRSS") - before)
            sleep(5e-4)

    watcher = threading.Thread(target=look)
    watcher.start()
    gradient()
    done.set()
    watcher.join()
    return {"seconds": times, "bytes": sizes}


KINDS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "peak": peak,
    "once": once,
    "tape": tape,
    "steps": steps,
    "timing": timing,
    "timeline": timeline,
}
