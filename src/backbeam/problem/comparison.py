"""The same gradient by every array library and every adjoint, and by central differences."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from backbeam import backends
from backbeam.adjoint import Adjoint, Auto, Store, adjoint_named, planned
from backbeam.beam import Beam
from backbeam.course import Course
from backbeam.errors import BackbeamError, BackendError, InputError
from backbeam.gradient import differentiate_course
from backbeam.memory.amounts import show_bytes
from backbeam.memory.forecast import model_of
from backbeam.memory.planner import ROOM
from backbeam.observables import Objective
from backbeam.parameter_names import expand, value_of
from backbeam.paths import of_line
from backbeam.problem.agreement import Comparison, Row
from backbeam.problem.differences import differences
from backbeam.problem.differentiation import Question
from backbeam.problem.outcome import quiet

if TYPE_CHECKING:
    from backbeam.problem.problem import Problem

ONLY_IF_ASKED = ("array_api_strict",)
"""Backends for tests: slow, and the same as NumPy."""
FEW = 100
"""Particles with which a question is tried out."""
TOLERANCE = {"float64": 1e-9, "float32": 1e-3}
DIFFERENCE_TOLERANCE = 1e-5
"""What central differences can do; where the tolerance of the data type is larger, it is that."""


def compare(
    problem: Problem,
    asked: Question,
    *,
    chosen_backends: Sequence[str] | None = None,
    chosen_adjoints: Sequence[str] | None = None,
    device: str | None = None,
    tolerance: float | None = None,
    difference_tolerance: float | None = None,
    tell: Callable[[str], None],
) -> Comparison:
    """Differentiate a problem in every way, with the same particles, in the data type of the problem.

    Parameters
    ----------
    problem:
        The problem.
    asked:
        Objective and parameters; its adjoint keeps its settings in the row of that name.
    chosen_backends:
        Names; None: all that are installed, but for those for tests.
    chosen_adjoints:
        Names; None: all, but for a tape that memory would not hold. Where nothing differentiates by itself, there is
        no tape.
    device:
        Where, for every backend; None: the default one of each.
    tolerance, difference_tolerance:
        None: `TOLERANCE` of the data type, `DIFFERENCE_TOLERANCE`.
    tell:
        Is told each stage.

    Raises
    ------
    InputError
        For what is wrong with the problem or the question, whatever the backend. What one backend or adjoint cannot do
        is said in its row.
    """
    dtype = problem.settings.dtype
    if dtype not in TOLERANCE:
        raise InputError("run.dtype", dtype, " or ".join(TOLERANCE))
    tolerance = _tolerance("tolerance", tolerance, TOLERANCE[dtype])
    least = max(DIFFERENCE_TOLERANCE, tolerance)
    difference_tolerance = _tolerance("difference_tolerance", difference_tolerance, least)
    names_of_backends, skipped = _backends(chosen_backends)
    adjoints = _adjoints(chosen_adjoints, asked.adjoint)

    tell("drawing particles")
    witness = problem.beam("numpy", dtype="float64")
    course = problem.course()
    names = expand(asked.wrt, course, witness)
    course = course.with_present(of_line(names, course.line))
    few = problem.replace({"beam.n": min(witness.n, FEW)}).beam("numpy", dtype="float64")
    with quiet():  # what is wrong with the question is found here, before anything takes long
        differentiate_course(asked.objective, course, few, names, adjoint=Store())

    rows: list[Row] = []
    for name in names_of_backends:
        beam, problem_with_it = _beam(problem, name, device)
        if beam is None:
            rows.append(Row(name, None, problem=problem_with_it))
            continue
        for adjoint in adjoints:
            if adjoint.taped and not beam.backend.has_autodiff:
                continue
            reason = "" if chosen_adjoints else _refusal(adjoint, course, beam)
            if reason:
                skipped[f"{name} {adjoint.name}"] = reason
                continue
            tell(f"{name}, {adjoint.name}")
            rows.append(_row(asked.objective, course, beam, names, adjoint))
    if not rows:
        raise InputError("adjoints", "tape", f"others too: {', '.join(names_of_backends)} cannot differentiate alone")
    return Comparison(
        question=asked,
        dtype=dtype,
        particles=witness.n,
        kicks=course.kicks,
        tolerance=tolerance,
        difference_tolerance=difference_tolerance,
        course=course,
        parameters={name: value_of(name, course, witness) for name in names},
        rows=tuple(rows),
        difference=differences(asked.objective, course, witness, names, tell),
        skipped=skipped,
    )


def _tolerance(field: str, given: float | None, default: float) -> float:
    if given is not None and not 0.0 < given < math.inf:
        raise InputError(field, given, "a number greater than 0")
    return default if given is None else given


def _backends(chosen: Sequence[str] | None) -> tuple[list[str], dict[str, str]]:
    """Backends to run; and those that are passed over, with the reason."""
    reports = {report.name: report for report in backends.report()}
    if chosen is None:
        names = sorted((name for name in reports if name not in ONLY_IF_ASKED), key=lambda name: name != "numpy")
        unusable = {name: reports[name].problem for name in names if reports[name].problem}
        return [name for name in names if name not in unusable], unusable
    if not chosen:
        raise InputError("backends", list(chosen), f"some of {', '.join(reports)}")
    for name in chosen:
        if name not in reports:
            raise InputError("backends", name, f"some of {', '.join(reports)}")
    return list(dict.fromkeys(chosen)), {}


def _adjoints(chosen: Sequence[str] | None, asked: Adjoint) -> list[Adjoint]:
    """Adjoints to run; the one that the problem asks for keeps its settings."""
    if chosen is None:
        found: list[Adjoint] = list(planned())
    elif not chosen:
        raise InputError("adjoints", list(chosen), "some of reversible, store, checkpoint, tape")
    else:
        found = [adjoint_named(name) for name in dict.fromkeys(chosen)]
        if any(isinstance(adjoint, Auto) for adjoint in found):
            raise InputError("adjoints", "auto", "adjoints to compare: reversible, store, checkpoint, tape")
    return [asked if adjoint.name == asked.name else adjoint for adjoint in found]


def _beam(problem: Problem, backend: str, device: str | None) -> tuple[Beam | None, str]:
    """The beam in a library; or None, and why it cannot be there."""
    try:
        return problem.beam(backend, device), ""
    except BackbeamError as error:
        return None, str(error)


def _row(objective: Objective, course: Course, beam: Beam, names: Sequence[str], adjoint: Adjoint) -> Row:
    """Value and gradient by one backend and adjoint; or what it says that it cannot do."""
    backend = beam.backend
    try:
        with quiet():
            found = differentiate_course(objective, course, beam, names, adjoint=adjoint)
    except BackbeamError as error:
        return Row(backend.name, adjoint.name, problem=str(error))
    host, mismatch = backend.to_numpy, found.report.mismatch
    gradient = {name: float(host(slope)) for name, slope in found.gradient.items()}
    worst = None if mismatch is None else float(host(mismatch).max())
    return Row(backend.name, adjoint.name, float(host(found.value)), gradient, worst)


def _refusal(adjoint: Adjoint, course: Course, beam: Beam) -> str:
    """Why an adjoint is better left out, empty if it is not: a tape may take all memory, and the process with it."""
    if not adjoint.taped:
        return ""
    free = beam.backend.meter.free_memory(beam.coordinates)
    try:
        needed = model_of(course, beam).needs(adjoint).predicted_peak_bytes
    except BackendError:  # of this library nothing is known, so nothing speaks against it
        return ""
    if free is None or needed < ROOM * free:
        return ""
    return f"needs about {show_bytes(needed)}, {show_bytes(free)} are free; fewer particles (beam.n) would fit"
