"""What a library's own automatic differentiation keeps for a gradient by `Tape`, counted by the library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backbeam import backends
from backbeam.arrays import Array
from backbeam.observables import sigma
from backbeam.plan import advance as run_plan
from backbeam.plan import unroll
from backbeam.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable

    from backbeam.beam import Beam
    from backbeam.course import Course
    from backbeam.plan import Plan, Step


def tape_of(course: Course, beam: Beam, objective: Any = None) -> int:
    """Bytes that are kept between the forward and the backward run of a gradient of the final beam.

    ``objective`` is a function of a beam, else sigma of x. Each piece of memory counts once, the beam itself does not
    count.
    """
    function, inputs = forward_run(course, beam, objective)
    return backends.of(*inputs).meter.tape_bytes(function, inputs)


def tape_of_steps(course: Course, beam: Beam) -> dict[str, int]:
    """Bytes that one more step of each kind keeps, whatever line has it: three of them less one, over two."""
    first: dict[str, Step] = {}
    for step in unroll(course.plan):
        first.setdefault(step.kind, step)
    found = {}
    for kind, step in first.items():
        one, three = (
            backends.of(beam.coordinates).meter.tape_bytes(*forward_run(course, beam, plan=(step,) * times))
            for times in (1, 3)
        )
        found[kind] = (three - one) // 2
    return found


def forward_run(
    course: Course, beam: Beam, objective: Any = None, plan: Plan | None = None
) -> tuple[Callable[..., Array], list[Array]]:
    """The objective as a function of coordinates, charges and beta gamma, through plain forward code; and these.

    ``plan`` stands for that of the course.
    """
    run = Run(course, beam)
    plan = run.course.plan if plan is None else plan
    setting, first = run.setting(plan), run.state()
    wanted = objective or sigma("x")

    def function(X: Array, q: Array, beta_gamma: Array) -> Array:
        state, readings = run_plan(plan, setting, first._replace(X=X, q=q, beta_gamma=beta_gamma), run.parameters)
        return wanted(run.result(state, plan, readings))

    return function, [first.X, first.q, first.beta_gamma]
