"""Many random cases, one after the other: what became of them is counted, and what must not be is a `Fault`.

A case is made by a `random.Random` that is seeded with the name of its campaign and its number, so that each can be
run again alone. It returns one or two words on how it ended, "refused" or "accepted, run", and raises for a fault.
Whatever else it raises is one, too: a traceback that a user would have seen.
"""

from __future__ import annotations

import json
import signal
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from random import Random
from types import ModuleType

SECONDS = 20.0
"""A case that takes longer hangs."""
EVERY = 5.0
"""Seconds between two records."""

Case = Callable[[int], str]


class Fault(Exception):  # noqa: N818 (a word of these tests)
    """What must not be."""


class Hang(BaseException):
    """Past everything that catches errors."""


@contextmanager
def limited(seconds: float):
    """Raise `Hang` after so many seconds of the processor, or ten times as many in all."""

    def stop(*_):
        raise Hang

    before = {one: signal.signal(one, stop) for one in (signal.SIGALRM, signal.SIGPROF)}
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, 10 * seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        for one, handler in before.items():
            signal.signal(one, handler)


def outcome(name: str, case: Case, number: int, seconds: float = SECONDS) -> tuple[str, str | None]:
    """Verdict of a case, and what is wrong, if anything is."""
    try:
        with limited(seconds), warnings.catch_warnings():
            warnings.simplefilter("error")
            return case(number), None
    except Hang:
        return "fault", f"more than {seconds:g} s"
    except Fault as fault:
        return "fault", str(fault)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        where = [f for f in traceback.extract_tb(error.__traceback__) if "backbeam" in f.filename]
        place = f"{Path(where[-1].filename).name}:{where[-1].lineno}" if where else "?"
        return "fault", f"{type(error).__name__} at {place}: {str(error)[:200]}"


def case_of(module: ModuleType) -> Case:
    """Its case by number: ``numbered(number, random)``, or ``case(random)``."""
    name = module.__name__

    def case(number: int) -> str:
        random = Random(f"{name} {number}")
        return module.numbered(number, random) if hasattr(module, "numbered") else module.case(random)

    return case


def run(name: str, case: Case, numbers: range, record: Path | None = None, seconds: float = SECONDS) -> dict:
    """Run the cases of these numbers; counts by verdict, and faults by number."""
    counts: Counter[str] = Counter()
    faults: dict[int, str] = {}
    begun, written = time.monotonic(), 0.0
    slowest = (0.0, -1)
    for number in numbers:
        start = time.monotonic()
        verdict, wrong = outcome(name, case, number, seconds)
        slowest = max(slowest, (time.monotonic() - start, number))
        counts[verdict] += 1
        if wrong is not None:
            faults[number] = wrong
        if record is not None and (time.monotonic() > written + EVERY or number == numbers[-1]):
            written = time.monotonic()
            found = {
                "campaign": name, "from": numbers[0], "cases": sum(counts.values()), "counts": dict(counts),
                "seconds": round(written - begun), "slowest": slowest, "faults": faults,
            }  # fmt: skip
            part = record.with_suffix(".part")
            part.write_text(json.dumps(found, indent=1))
            part.replace(record)
    return {"counts": dict(counts), "faults": faults}


def row(found: dict) -> str:
    """A record as a row of RESULTS.md."""
    counts = "; ".join(
        f"{verdict}: {count}" for verdict, count in sorted(found["counts"].items()) if verdict != "fault"
    )
    return f"| {found['campaign']} | {found['cases']} | {len(found['faults'])} | {counts} |"
