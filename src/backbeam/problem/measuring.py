"""The memory of a gradient, measured: in a fresh process, run by ``python -m backbeam.problem.measuring``.

What is counted:

============  ======================================================================================================
peak_bytes    the peak of the gradient beyond what was there before: on the processor resident pages (`resident`), on
              an accelerator what the library's allocator handed out
process_bytes the most resident memory of the whole process, libraries and beam included; on the host always
library_bytes the library's own books, where it keeps any (`Meter.peak_of`): NumPy's by tracemalloc; None elsewhere
============  ======================================================================================================

The gradient is made once before, so that compilers and caches do not count. Then it is watched; a short one by JAX,
whose threads let go of memory at their own time, so that its peaks vary, several times, of which the median counts. And
it is made once more for the library's books.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

from backbeam.adjoint import Adjoint, adjoint_named
from backbeam.errors import BackbeamError
from backbeam.memory.resident import STEADY_HEAP, watch

if TYPE_CHECKING:
    from backbeam.problem import Problem


REPEATS, PATIENCE = 5, 2.0
"""As often as this a compiled gradient is watched, but not again after so many seconds."""


@dataclass(frozen=True)
class Measurement:
    """What was seen; bytes."""

    peak_bytes: int
    process_bytes: int
    before_bytes: int
    """Resident before the gradient: Python, the libraries, the beam."""
    library_bytes: int | None
    seconds: float
    """Time of the gradient while it was watched."""


def measure(
    problem: Problem,
    adjoint: Adjoint,
    *,
    objective: str | dict[str, float] = "sigma_x",
    wrt: tuple[str, ...] = ("beam.charge",),
    books: bool = False,
) -> Measurement:
    """Measure the gradient of a problem in a fresh process.

    Parameters
    ----------
    problem:
        Also says the backend, the device and the data type.
    adjoint:
        Any but `Auto`.
    objective, wrt:
        As `backbeam.problem.question` takes them.
    books:
        Whether to make the gradient a third time, for ``library_bytes``.

    Raises
    ------
    BackbeamError
        If the process fails: with the last line that it said.
    """
    job = {
        "problem": problem.dump(),
        "adjoint": _plain(adjoint),
        "objective": objective,
        "wrt": list(wrt),
        "books": books,
    }
    return Measurement(**in_fresh_process([sys.executable, "-m", __name__], job, problem.settings.dtype))


def in_fresh_process(command: list[str], job: dict[str, Any], dtype: str) -> Any:
    """Send a job to a process that has done nothing else; what it answers."""
    environment = {**os.environ, **STEADY_HEAP}
    if dtype == "float64":
        environment["JAX_ENABLE_X64"] = "1"
    done = subprocess.run(command, input=json.dumps(job), capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise BackbeamError(f"the measuring process failed: {said[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def _plain(adjoint: Adjoint) -> dict[str, Any]:
    return {"name": adjoint.name, **adjoint.options()}


def adjoint_of(plain: dict[str, Any]) -> Adjoint:
    """Adjoint of its name and settings as plain data."""
    return replace(adjoint_named(plain["name"]), **{k: v for k, v in plain.items() if k != "name"})


def answer(job: dict[str, Any]) -> dict[str, Any]:
    """Do a job of `measure` in this process."""
    from backbeam.gradient import differentiate_course
    from backbeam.parameter_names import expand
    from backbeam.problem import Problem, question
    from backbeam.problem.outcome import quiet

    problem = Problem.parse(job["problem"])
    asked, beam, adjoint = question(problem, job["objective"], job["wrt"]), problem.beam(), adjoint_of(job["adjoint"])
    course = problem.course()
    names = expand(asked.wrt, course, beam)

    def gradient() -> None:
        with quiet():
            found = differentiate_course(asked.objective, course, beam, names, adjoint=adjoint)
        beam.backend.synchronize([found.value, *found.gradient.values()])

    return asdict(observed(gradient, beam.backend, beam.coordinates, job["books"]))


def observed(function: Callable[[], None], backend: Any, array: Any, books: bool) -> Measurement:
    """Call a function several times in this process and see what it takes, on the device of the array."""
    backend.synchronize(array)
    function()
    gc.collect()  # what is in cycles would come back to the adapter only later
    seen: list[Measurement] = []
    times = REPEATS if backend.recompiles else 1
    while not seen or (len(seen) < times and sum(one.seconds for one in seen) < PATIENCE):
        seen.append(_watched(function, backend, array))
    found = sorted(seen, key=lambda one: one.peak_bytes)[len(seen) // 2]
    if books and found.library_bytes is None:
        backend.meter.release()
        found = replace(found, library_bytes=backend.meter.peak_of(function, array))
    return found


def _watched(function: Callable[[], None], backend: Any, array: Any) -> Measurement:
    """One call."""
    backend.meter.release()  # so that what waits for use again counts, as it does the first time
    on_host = backend.device_name(array).startswith("cpu")
    on_device: list[int | None] = []
    start = perf_counter()
    seen = watch(function if on_host else lambda: on_device.append(backend.meter.peak_of(function, array)))
    seconds = perf_counter() - start
    if on_host:
        return Measurement(seen.own, seen.peak, seen.before, None, seconds)
    if on_device[0] is None:
        raise BackbeamError(f"{backend.name} does not tell the memory of {backend.device_name(array)}")
    return Measurement(on_device[0], seen.peak, seen.before, on_device[0], seconds)


if __name__ == "__main__":
    print(json.dumps(answer(json.load(sys.stdin))))
