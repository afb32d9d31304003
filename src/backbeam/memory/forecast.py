"""The memory model of a problem file, before its beam is drawn: its library needs no device here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbeam import backends
from backbeam.errors import BackendError
from backbeam.memory.model import Model
from backbeam.memory.table import coefficients
from backbeam.plan import Setting, may_lose, unroll
from backbeam.run import Run

if TYPE_CHECKING:
    from backbeam.beam import Beam
    from backbeam.course import Course
    from backbeam.problem import Problem
    from backbeam_backends.meters import Meter

FEW = 100
"""Particles with which a problem is tried out."""
DEFAULT_DEVICE = {"cupy": "cuda:0"}


def forecast(problem: Problem) -> Model:
    """Return the model of a problem, for the library, device and data type that it says.

    Raises
    ------
    InputError
        For what is wrong with the problem.
    BackendError
        If nothing is known of its library.
    """
    n, run = problem.tree["beam"].get("n"), problem.settings
    few = problem.replace({"beam.n": min(n, FEW)}) if type(n) is int else problem
    beam = few.beam("numpy", dtype="float64")  # what is wrong with it is said here
    n = beam.n if few is problem else n
    known = coefficients(run.backend, run.device or default_device(run.backend), run.dtype)
    plan = problem.course().plan
    return Model(
        coefficients=known,
        plan=unroll(plan),
        setting=Setting(beam.species, may_lose(plan)),
        n=n,
        batch=1,
        dtype=run.dtype,
        records=bool(known.tape),
        host=_meter(run.backend) if known.wanted.split()[1] == "cpu" else None,
    )


def model_of(course: Course, beam: Beam) -> Model:
    """Return the model of a beam on its device, sent through a course."""
    run = Run(course, beam)
    return Model.of(run, run.course.plan)


def _meter(name: str) -> Meter | None:
    try:
        return backends.get(name).meter
    except BackendError:
        return None


def default_device(backend: str) -> str:
    """Where a library's arrays are unless told otherwise; of one that cannot be used here, where they would be."""
    try:
        return backends.get(backend).devices()[0]
    except (BackendError, RuntimeError):
        return DEFAULT_DEVICE.get(backend, "cpu")
