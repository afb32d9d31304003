"""Running a problem: the tracking and its time, and moments of the beam as plain numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from backbeam.arrays import COORDINATES, Array
from backbeam.beam import PLANES, Beam
from backbeam.course import Course
from backbeam.errors import TrackingError
from backbeam.line import Line
from backbeam.plan import stretches, unroll
from backbeam.problem.journey import Halt, Pass, Row, nothing, send
from backbeam.problem.progress import Progress
from backbeam.run import Run

WARM_UP_PARTICLES = 1000


@dataclass(frozen=True, eq=False)
class Outcome:
    """A beam before and after a line, and what it took."""

    course: Course
    initial: Beam
    final: Beam
    seconds: float
    """Tracking, and looking where that was asked for: no import, no compilation, no drawing of particles."""
    rows: tuple[Row, ...] = ()
    """(element, moments) at the start and after every slice, of the same pass; none if they were not asked for."""

    @property
    def line(self) -> Line:
        """The line."""
        return self.course.line

    @property
    def kicks(self) -> int:
        """Number of kicks of all effects."""
        return self.course.kicks

    @property
    def lost(self) -> int:
        """Number of particles lost."""
        return _count(self.final, ~self.final.alive)

    def summary(self) -> dict[str, Any]:
        """What ``backbeam run --json`` prints: plain numbers, with None where there is none."""
        beam = self.final
        return {
            "backend": beam.backend.name,
            "device": beam.backend.device_name(beam.coordinates),
            "dtype": beam.dtype,
            "particles": beam.n,
            "kicks": self.kicks,
            "seconds": self.seconds,
            "lost": self.lost,
            "losses": [place._asdict() for place in self.final.losses().places()],
            "initial": moments_of(self.initial),
            "final": moments_of(self.final),
        }


def run_problem(
    course: Course,
    beam: Beam,
    tell: Callable[[str], None],
    points: int | None = None,
    halt: Callable[[Halt], None] = nothing,
    resume: Callable[[Beam], Halt | None] = nothing,
) -> Outcome:
    """Track a beam through a course, warmed up before, and time it.

    With ``points`` the moments on the way are noted in the same pass; ``halt`` is called after every part of the
    way, and ``resume`` gives the one from which to go on, if any.
    """
    backend, start = beam.backend, resume(beam)
    if start is not None or halt is not nothing:
        pass  # what goes on after a kill has no time to lose
    elif compiles(beam):
        tell("compiling")
        backend.synchronize(send(course, beam, Pass(points, moments_of), start)[0].coordinates)
    else:
        _warm_up(course, beam)
    told = Progress(course.kicks, beam, tell, start.place.kicks if start else 0)

    def stop(at: Halt) -> None:
        told.passed(at.place)
        halt(at)

    told.begin()
    backend.synchronize(beam.coordinates)
    begun = perf_counter()
    with quiet():
        final, rows = send(course, beam, Pass(points, moments_of, stop), start)
        backend.synchronize(final.coordinates)
    return Outcome(course, beam, final, perf_counter() - begun, tuple(rows))


def quiet() -> Any:
    """Keep NumPy's warnings of NaN off the screen: particles that turn round end in `TrackingError`."""
    return np.errstate(divide="ignore", over="ignore", invalid="ignore")


def compiles(beam: Beam) -> bool:
    """Whether the beam's library compiles what it runs anew for each number of particles."""
    return beam.backend.recompiles


def _warm_up(course: Course, beam: Beam) -> None:
    """Send a few particles through each kind of part of the way, so that what is loaded or compiled when first used is
    there.
    """
    run = Run(*rehearsal(course, beam))
    plan, state = run.course.plan, run.state()
    parts: dict[Any, Any] = {}
    for part in stretches(unroll(plan)):
        parts.setdefault(part.alike_compiled, part)
    with quiet(), suppress(TrackingError):  # the run itself will say it
        for part in parts.values():
            state = part.advance(run.setting(plan), state, run.parameters, [])


def rehearsal(course: Course, beam: Beam) -> tuple[Course, Beam]:
    """What to run before a run that is timed: few particles, and the whole line only where its loops are compiled."""
    backend = beam.backend
    if backend.fuses and beam.n >= backend.fuse_from:
        return course.once(), few_of(beam, backend.fuse_from)
    return short(course), few_of(beam, WARM_UP_PARTICLES)


def few_of(beam: Beam, n: int) -> Beam:
    """The first n particles of a beam."""
    n = min(beam.n, n)
    return beam.replace(
        coordinates=beam.coordinates[..., :n], charges=beam.charges[..., :n], lost_at=beam.lost_at[..., :n], ledger=None
    )


def short(course: Course) -> Course:
    """One slice of the first element of a line that has a length, with the effects that act along elements."""
    line = course.line
    first = next((e for e in line.elements if e.is_thick), line.elements[0])
    along = [e.replace(slices=None, step=None, every=None) for e in course.effects.values() if e.at is None]
    return Course.of(Line([first.replace(slices=1)]), effects=along)


# -- moments as plain numbers --------------------------------------------------------------------------------


def moments_of(beam: Beam) -> dict[str, Any]:
    """Place, number alive, charge, mean, rms sizes and emittances of a beam."""
    numbers = beam.backend.to_numpy
    mean, sigma = numbers(beam.mean()), numbers(beam.sigma())
    emittance = {plane: beam.emittance(plane) for plane in PLANES}
    momentum = beam.reference.beta_gamma
    return {
        "s": _plain(beam, beam.s),
        "alive": _count(beam, beam.alive),
        "charge": _plain(beam, beam.charge),
        "mean": {name: finite(mean[k]) for k, name in enumerate(COORDINATES)},
        "sigma": {name: finite(sigma[k]) for k, name in enumerate(COORDINATES)},
        "emittance": {plane: _plain(beam, value) for plane, value in emittance.items()},
        "normalized_emittance": {plane: _plain(beam, momentum * value) for plane, value in emittance.items()},
    }


def _plain(beam: Beam, value: Array | float) -> float | None:
    return finite(beam.backend.to_numpy(value) if hasattr(value, "shape") else value)


def finite(value: Any) -> float | None:
    """Plain float; None for what is no finite number, which JSON has no word for."""
    number = float(value)
    return number if math.isfinite(number) else None


def _count(beam: Beam, where: Array) -> int:
    return int(beam.backend.to_numpy(where).sum())
