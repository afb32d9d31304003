"""A beam sent through a course in one pass: moments on the way, readings and the beam at the end are of one tracking.

The pass can be left at any halt and taken up there. What comes out has the same bits, or not:

======================================================= ============================================================
the particles of a seed, in any library                 the same bits
a run again, or looked at, or killed and taken up       the same bits, with one library, version, machine and data type
NumPy, another number of threads                        the same bits: what is added up is parted by its size alone
another library, version, processor; a GPU              to rounding
======================================================= ============================================================

`tests/tracking/test_same_bits.py` holds the first three to it on one machine, and PyTorch beside NumPy. The number
of threads is OMP_NUM_THREADS or the cores that the process may use, and is written down in summary.json.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from backbeam.beam import Beam
from backbeam.course import Course
from backbeam.plan import Plan, Setting, watched
from backbeam.run import Run
from backbeam.tracking import check, followed, seen_beam
from backbeam.walking import NOWHERE, Looks, Seen, Waypoint, looks_of, looks_of_turns, walk

Row = tuple[str, Any]
"""An element, and what was noted of the beam behind it or in it."""


@dataclass(frozen=True)
class Halt:
    """All that a pass needs to go on."""

    place: Waypoint
    rows: list[Row]
    """Those so far; the pass adds to them."""
    watched: bool
    """Whether particles have turned round, and each step is watched for more: `backbeam.plan.watched`."""


def nothing(_: Any) -> None:
    """Note nothing."""


@dataclass(frozen=True)
class Pass:
    """What is done on the way."""

    points: int | None = None
    """Looks along a line that no effect cuts into slices; else after every slice. None: no looks."""
    note: Callable[[Beam], Any] = nothing
    """What is to be known of the beam at each look."""
    halt: Callable[[Halt], None] = nothing
    """Called at the end of every part of the way."""


def send(course: Course, beam: Beam, by: Pass, start: Halt | None = None) -> tuple[Beam, list[Row]]:
    """Send a beam through a course, from its start or from a halt. Returns the beam at the end, and all rows.

    Raises
    ------
    TrackingError
        As `backbeam.track` does.
    """
    run = Run(course, beam)
    looks = NOWHERE if by.points is None else _looks(run.course, by.points)

    def go(plan: Plan, setting: Setting) -> tuple[Any, Any, list[Row]]:
        watching = plan is not run.course.plan
        if start is not None and start.watched == watching:
            place, rows = start.place, list(start.rows)
        else:
            place = Waypoint(0, 0, run.state(), ())
            first = run.seen(place.state, (), (), beam.s, 0)
            rows = [] if by.points is None else [("", by.note(first))]
        shown, done = (looks.watched() if watching else looks), max(0, len(rows) - 1)
        for event in walk(plan, setting, place, run.parameters, shown, done):
            if isinstance(event, Seen):
                rows.append((event.element, by.note(seen_beam(run, event))))
            else:
                place = event
                by.halt(Halt(place, rows, watching))
        return place.state, place.readings, rows

    if start is not None and start.watched:
        plan = watched(run.course.plan)
        state, readings, rows = go(plan, replace(run.setting(plan), masked=True))
        check(run, state)
    else:
        plan, _, (state, readings, rows) = followed(run, go)
    return run.result(state, plan, readings), rows


def _looks(course: Course, points: int) -> Looks:
    """Looks after every slice; without effects slices are only where to look, and so many make up the line.

    Of several turns, after each.
    """
    length = float(course.line.length)
    if course.turns > 1:
        return looks_of_turns(course)
    if course.effects or not length > 0.0:
        return looks_of(course)
    return looks_of(Course.of(course.line, step=length / points))
