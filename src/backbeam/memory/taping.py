"""What a library's own automatic differentiation keeps for a gradient by `Tape`, counted by the library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backbeam import backends
from backbeam.arrays import Array
from backbeam.observables import sigma
from backbeam.plan import advance as run_plan
from backbeam.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable

    from backbeam.beam import Beam
    from backbeam.course import Course


def tape_of(course: Course, beam: Beam, objective: Any = None) -> int:
    """Bytes that are kept between the forward and the backward run of a gradient of the final beam.

    ``objective`` is a function of a beam, else sigma of x. Each piece of memory counts once, the beam itself does not
    count.
    """
    function, inputs = forward_run(course, beam, objective)
    return backends.of(*inputs).meter.tape_bytes(function, inputs)


def forward_run(course: Course, beam: Beam, objective: Any = None) -> tuple[Callable[..., Array], list[Array]]:
    """The objective as a function of coordinates, charges and beta gamma, through plain forward code; and these."""
    run = Run(course, beam)
    plan = run.course.plan
    setting, first = run.setting(plan), run.state()
    wanted = objective or sigma("x")

    def function(X: Array, q: Array, beta_gamma: Array) -> Array:
        state, readings = run_plan(plan, setting, first._replace(X=X, q=q, beta_gamma=beta_gamma), run.parameters)
        return wanted(run.result(state, plan, readings))

    return function, [first.X, first.q, first.beta_gamma]
