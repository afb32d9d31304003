"""Central differences of a whole problem, in NumPy and float64: a witness that knows of no pullback.

The stencil is of fourth order, on steps of two millionths of each parameter: its own error is then far below
that of the rounding, which is about 1e-10 of the objective over the parameter. Space charge on a grid is only
piecewise smooth, with a kink where a particle enters another cell, and small steps meet few of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from backbeam.beam import Beam
from backbeam.course import Course
from backbeam.errors import InputError
from backbeam.jacobians import values_course
from backbeam.observables import Objective
from backbeam.parameter_names import scale_of_parameter, unit_of, value_of
from backbeam.paths import is_of_beam
from backbeam.problem.outcome import quiet

STEP = 2e-6
"""Step in units of a parameter's scale."""
CENTRAL = ((-2, 1.0 / 12.0), (-1, -8.0 / 12.0), (1, 8.0 / 12.0), (2, -1.0 / 12.0))
FORWARD = ((0, -25.0 / 12.0), (1, 48.0 / 12.0), (2, -36.0 / 12.0), (3, 16.0 / 12.0), (4, -3.0 / 12.0))
"""(place, weight) of the stencils of fourth order; one-sided at the end of what is allowed, such as a size of 0."""


def differences(
    objective: Objective,
    course: Course,
    beam: Beam,
    names: Sequence[str],
    tell: Callable[[str], None],
) -> dict[str, float]:
    """Derivative with respect to each name, from four or five runs each.

    Parameters
    ----------
    objective:
        What is differentiated.
    course, beam:
        As tracked: the parameters that are named are present.
    names:
        ``qf.k1``, ``beam.charge``, ...; the particles of another beam come of the same variates.
    tell:
        Is told how far it is.
    """
    found = {}
    for k, name in enumerate(names):
        tell(f"central differences: {name} ({k + 1} of {len(names)})")
        value = value_of(name, course, beam)
        step = STEP * scale_of_parameter(value, unit_of(name, course))

        def at(place: int, name: str = name, value: float = value, step: float = step) -> float:
            return _value(objective, course, beam, name, value + place * step)

        with quiet():
            found[name] = _slope(at, step)
    return found


def _slope(at: Callable[[int], float], step: float) -> float:
    """Slope by the first stencil all of whose places are allowed."""
    backward = tuple((-place, -weight) for place, weight in FORWARD)
    for stencil in (CENTRAL, FORWARD):
        try:
            return sum(weight * at(place) for place, weight in stencil) / step
        except InputError:
            continue
    return sum(weight * at(place) for place, weight in backward) / step


def _value(objective: Objective, course: Course, beam: Beam, name: str, value: float) -> float:
    """The objective with another value of a parameter."""
    field = name.rpartition(".")[2]
    if not is_of_beam(name, course.line):
        course = course.replace({name: value})
    elif field == "beta_gamma":
        reference = beam.reference.with_beta_gamma(beam.as_mine(value))
        beam = beam.with_parameters(kinetic_energy=reference.kinetic_energy)
    else:
        beam = beam.with_parameters(**{field: value})
    return float(values_course([objective], course, beam)[0])
