"""A plan taken part by part: what is seen on the way, how far the beam has come, and going on from there.

Looking changes nothing: the beam goes on as it does in `backbeam.plan.advance`, to the same bits, and what is seen
within an element is a side branch of its way. A place between two parts is all that a run needs to go on from: four
arrays, the readings so far, and the number of parts behind it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from backbeam.arrays import Array
from backbeam.course import Course
from backbeam.plan import Look, Parameters, Plan, Setting, State, advance, as_run, stretches, watched
from backbeam.run import turn_places


class Waypoint(NamedTuple):
    """Where a run stands between two parts of its plan."""

    parts: int
    """Parts behind it."""
    kicks: int
    """Kicks behind it."""
    state: State
    readings: tuple[Array, ...]
    """All those so far, in order."""


class Seen(NamedTuple):
    """A look at the beam."""

    s: Any
    """Way from the start of the line [m]."""
    element: str
    state: State
    readers: Plan
    """Steps that have taken a reading since the look before."""
    readings: tuple[Array, ...]
    """What they read."""
    passed: int
    """Elements behind it, or begun."""
    places: int
    """See `backbeam.run.turn_places`."""


class Looks(NamedTuple):
    """Where a way is looked at: see `Course.looks`."""

    steps: Plan
    """The way one by one, which side branches take."""
    places: Sequence[tuple[Any, Look]]
    """(way from the start [m], look), in order."""

    def watched(self) -> Looks:
        """The same with a watch on particles that turn round, as `backbeam.plan.watched` has it."""
        first = 1 + max((index for step in self.steps for index in step.losing), default=-1)
        places = [(s, look._replace(beyond=watched(look.beyond, first, look.steps))) for s, look in self.places]
        return Looks(watched(self.steps, first), places)


def looks_of(course: Course) -> Looks:
    """Looks after every slice of a course."""
    steps, looks = course.looks()
    s, places = 0.0, []
    for look in looks:
        element = course.line[look.element]
        if element.is_thick:
            s = s + look.fraction * element.length
        places.append((s, look))
    return Looks(steps, places)


def looks_of_turns(course: Course) -> Looks:
    """Looks after every turn of a course."""
    each = sum(step.width for step in course.once().plan)
    length = course.line.length
    places = [
        (k * length, Look(f"turn {k}", k * len(course.line), 1.0, k * each, ())) for k in range(1, course.turns + 1)
    ]
    return Looks((), places)


NOWHERE = Looks((), ())
"""No looks."""


def walk(
    plan: Plan, setting: Setting, start: Waypoint, P: Parameters, looks: Looks = NOWHERE, looked: int = 0
) -> Iterator[Waypoint | Seen]:
    """Take the parts of a plan, or its turns, from a place on: each look as it comes, and the place after each part.

    ``looked`` is the number of looks that were taken before the start.
    """
    state, readings, kicks = start.state, list(start.readings), start.kicks
    parts = stretches([part for step in as_run(plan, state) for part in step.turn_by_turn()])
    done = sum(part.width for part in parts[: start.parts])
    places = turn_places(plan)
    waiting = iter(looks.places[looked:])
    s, look = next(waiting, (None, None))
    readers: tuple[Any, ...] = ()
    read = len(readings)
    for number, part in enumerate(parts[start.parts :], start.parts + 1):
        side, at, done = state, done, done + part.width
        state = part.advance(setting, state, P, readings)
        readers = (*readers, part) if part.reads else readers
        while look is not None and (look.steps < done or (look.steps == done and not look.beyond)):
            if look.steps == done:
                shown = state
            else:  # from where the beam was before
                side, _ = advance(looks.steps[at : look.steps], setting, side, P)
                shown, _ = advance(look.beyond, setting, side, P)
                at = look.steps
            yield Seen(s, look.element, shown, readers, tuple(readings[read:]), look.passed, places)
            readers, read = (), len(readings)
            s, look = next(waiting, (None, None))
        kicks += part.kicks
        yield Waypoint(number, kicks, state, tuple(readings))
    while look is not None:  # elements without steps, at the end
        shown, _ = advance(look.beyond, setting, state, P)
        yield Seen(s, look.element, shown, readers, tuple(readings[read:]), look.passed, places)
        readers, read = (), len(readings)
        s, look = next(waiting, (None, None))
