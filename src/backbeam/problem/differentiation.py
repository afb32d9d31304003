"""The gradient that a problem asks for: what its words mean, and what it takes to get it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

from backbeam.adjoint import Adjoint, Auto, adjoint_named
from backbeam.adjoint.journal import Journal, Mark
from backbeam.beam import Beam
from backbeam.course import Course
from backbeam.errors import BackbeamError, InputError
from backbeam.gradient import Gradient, differentiate_course
from backbeam.observables import Objective, expression, sigma, weighted
from backbeam.parameter_names import expand, value_of
from backbeam.paths import of_line
from backbeam.problem.journey import nothing
from backbeam.problem.keys import missing
from backbeam.problem.outcome import compiles, finite, quiet, rehearsal
from backbeam.problem.progress import SweepProgress
from backbeam.tracking import track_course

if TYPE_CHECKING:
    from backbeam.problem.problem import Problem


@dataclass(frozen=True)
class Question:
    """What is to be differentiated, with respect to what, and how the way is remembered."""

    objective: Objective
    wrt: tuple[str, ...]
    """Names, and patterns such as ``*.k1``, as they were given."""
    adjoint: Adjoint


def question(
    problem: Problem,
    objective: str | Mapping[str, float] | None = None,
    wrt: Sequence[str] | None = None,
    adjoint: str | None = None,
    anchor_every: int | None = None,
    slots: int | None = None,
) -> Question:
    """What a problem's section ``gradient`` asks, but for what is given here.

    Parameters
    ----------
    problem:
        The problem.
    objective:
        ``sigma_x``, a sum ``sigma_x + 2 sigma_y``, or weights by name.
    wrt:
        Names and patterns, see `expand`.
    adjoint:
        ``reversible``, ``store``, ``checkpoint``, ``tape``, or ``auto``, see `Auto`. None: the one that a setting named
        here belongs to, else ``auto``.
    anchor_every, slots:
        Kicks between anchors of the first, number of kept states of the third.

    Raises
    ------
    InputError
        For what is missing or not known, with what is allowed.
    """
    section = problem.gradient
    objective = section.objective if objective is None else objective
    if objective is None:
        raise missing("gradient.objective", "an objective such as sigma_x, here or as --objective")
    wrt = section.wrt if wrt is None else wrt
    if not wrt:
        raise missing("gradient.wrt", "parameters such as qf.k1 or beam.charge, here or as --wrt")
    chosen = adjoint_of_problem(problem, adjoint, anchor_every, slots)
    found = weighted(objective) if isinstance(objective, Mapping) else expression(objective)
    return Question(found, tuple(wrt), chosen)


def adjoint_of_problem(
    problem: Problem, adjoint: str | None = None, anchor_every: int | None = None, slots: int | None = None
) -> Adjoint:
    """The adjoint that a problem's section ``gradient`` names, but for what is given here; raises as `question`."""
    section = problem.gradient
    given = {"anchor_every": anchor_every, "slots": slots}
    settings = [name for name, value in given.items() if value is not None or getattr(section, name) is not None]
    chosen = adjoint_named(adjoint or section.adjoint or (_option(settings[0])[1] if settings else Auto().name))
    mine = chosen.options()
    said: dict[str, Any] = {}
    for name, value in given.items():
        if value is not None and name not in mine:
            words, owner = _option(name)
            raise InputError(name, value, f"left out with {chosen.name}: {words} belong to {owner}")
        said[name] = getattr(section, name) if value is None else value
    return replace(chosen, **{name: value for name, value in said.items() if name in mine and value is not None})


def _option(name: str) -> tuple[str, str]:
    """What an option of an adjoint is called, and the adjoint."""
    for owner, cls in Adjoint.known.items():
        for field in fields(cls):
            if field.name == name and "option" in field.metadata:
                return field.metadata["option"], owner
    raise InputError("adjoint", name, "an option that an adjoint has")


@dataclass(frozen=True, eq=False)
class Derivative:
    """Value and gradient of an objective, and what they took."""

    question: Question
    course: Course
    initial: Beam
    final: Beam
    value: float
    gradient: dict[str, float]
    """Derivative by name."""
    parameters: dict[str, float]
    """Value of each parameter, by the same names."""
    seconds_primal: float
    """Tracking alone: no import, no compilation, no drawing of particles."""
    seconds_gradient: float
    """Value and gradient."""
    peak_bytes: int
    """High-water mark of the whole process, or of the device where there is one."""
    kicks: int
    anchors: int
    """States that were kept on the way."""
    mismatch: float | None
    """Largest relative deviation of a state that was reconstructed from the true one; None: none was."""

    @property
    def beam_bytes(self) -> int:
        """Bytes of coordinates and charges."""
        return 7 * self.initial.n * {"float64": 8, "float32": 4}[self.initial.dtype]

    def relative(self, name: str) -> float | None:
        """Relative sensitivity (p/f) df/dp: per cent of the objective by per cent of the parameter."""
        p, f = self.parameters[name], self.value
        return finite(p * self.gradient[name] / f) if p and f else None

    def summary(self) -> dict[str, Any]:
        """What ``backbeam gradient --json`` prints: plain numbers, with None where there is none."""
        beam = self.initial
        return {
            "value": finite(self.value),
            "gradient": {name: finite(slope) for name, slope in self.gradient.items()},
            "adjoint": self.question.adjoint.name,
            "seconds": {"primal": self.seconds_primal, "gradient": self.seconds_gradient},
            "memory": {"peak_bytes": self.peak_bytes, "beam_bytes": self.beam_bytes},
            "anchors": self.anchors,
            "backend": beam.backend.name,
            "device": beam.device,
            "dtype": beam.dtype,
            "particles": beam.n,
            "kicks": self.kicks,
            "objective": self.question.objective.name,
            "mismatch": self.mismatch,
        }


Marker = Callable[[Beam, bool, int, Callable[[], Mark]], None]
"""Told each place at which a gradient can be left: the beam, whether it is on its way back, the kicks, the mark."""


def differentiate_problem(
    course: Course,
    beam: Beam,
    asked: Question,
    tell: Callable[[str], None],
    halt: Marker | None = None,
    resume: Callable[[Beam], Mark | None] = nothing,
) -> Derivative:
    """Value and gradient, warmed up before, and timed beside the tracking alone.

    ``halt`` is told each place at which it can be left, and ``resume`` gives the one from which to go on, if any.
    """
    backend = beam.backend
    names = expand(asked.wrt, course, beam)
    course = course.with_present(of_line(names, course.line))

    title = f"differentiating {asked.objective.name} with respect to {len(names)} parameters"
    told = SweepProgress(title, course.kicks, tell)
    start = resume(beam)
    is_kept = halt is not None or start is not None

    def passed(back: bool, kicks: int, mark: Callable[[], Mark]) -> None:
        told.passed(back, kicks)
        if halt is not None:
            halt(beam, back, kicks, mark)

    def run() -> Gradient:
        journal = Journal(passed, start, must=is_kept)
        found = differentiate_course(asked.objective, course, beam, names, adjoint=asked.adjoint, journal=journal)
        backend.synchronize([found.value, *found.gradient.values()])
        return found

    def track_alone() -> None:
        backend.synchronize(track_course(course, beam).coordinates)

    with quiet():
        if is_kept:
            pass  # what goes on after a kill has no time to lose
        elif compiles(beam):
            tell("compiling")
            run()
            track_alone()
        else:
            _warm_up(course, beam, asked.adjoint)
        tell(title)
        seconds_gradient, found = _timed(run)
        tell("tracking alone")
        seconds_primal, _ = _timed(track_alone)

    host = backend.to_numpy
    mismatch = found.report.mismatch
    return Derivative(
        question=replace(asked, adjoint=found.adjoint),
        course=course,
        initial=beam,
        final=found.beam,
        value=float(host(found.value)),
        gradient={name: float(host(slope)) for name, slope in found.gradient.items()},
        parameters={name: value_of(name, course, beam) for name in names},
        seconds_primal=seconds_primal,
        seconds_gradient=seconds_gradient,
        peak_bytes=backend.meter.peak_memory(),
        kicks=course.kicks,
        anchors=found.report.anchors,
        mismatch=None if mismatch is None else finite(host(mismatch).max()),
    )


def _timed(function: Callable[[], Any]) -> tuple[float, Any]:
    start = perf_counter()
    found = function()
    return perf_counter() - start, found


def _warm_up(course: Course, beam: Beam, adjoint: Adjoint) -> None:
    """Differentiate for a few particles, so that what is loaded or compiled when first used is there."""
    course, few = rehearsal(course, beam)
    with suppress(BackbeamError):  # the run itself will say it
        differentiate_course(sigma("x"), course, few, ["beam.charges"], adjoint=adjoint)
