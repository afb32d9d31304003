"""What is asked of a line: one objective, which is to be small, or several goals, whose residuals are to be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from backbeam import backends
from backbeam.errors import InputError
from backbeam.gradient import differentiate_course, value_and_grad
from backbeam.lattice_functions.objectives import differentiate_optics, is_of_optics
from backbeam.moment_beam import MomentBeam
from backbeam.observables import WeightedSum, expression
from backbeam.reference import Reference
from backbeam.tracking import track_course

if TYPE_CHECKING:
    from backbeam.arrays import Array
    from backbeam.matching.stage import Stage


@dataclass(frozen=True, eq=False)
class Goals:
    """Objectives, and whether their number is one: then its value counts, and else the sum of squares."""

    objectives: tuple[Any, ...]
    single: bool

    @classmethod
    def of(cls, what: Any) -> Goals:
        """Goals as they were asked for: an objective, its name, or a list of them."""
        single = isinstance(what, str) or not isinstance(what, Iterable)
        given = (what,) if single else tuple(what)
        if not given:
            raise InputError("what", what, "an objective such as sigma_x, or a list of them")
        return cls(tuple(expression(one) if isinstance(one, str) else one for one in given), single)

    def values(self, stage: Stage, adjoint: Any = None) -> list[Array]:
        """Value of every objective, each ``(...)``, by tracking once."""
        course = stage.course
        beam: Any = stage.start.given
        final: Any = None
        found = []
        for objective in self.objectives:
            if is_of_optics(objective):
                terms: Any = objective.terms if isinstance(objective, WeightedSum) else ((1.0, objective),)
                found.append(sum(w * term(term.of(course.line, stage.start.reference)) for w, term in terms))
                continue
            if isinstance(beam, Reference):
                raise _of_optics_only(objective)
            if final is None:
                if isinstance(beam, MomentBeam):
                    final = beam.track(course.line, **moment_options(stage))
                else:
                    final = track_course(course, beam, adjoint)
            value = objective(final)
            found.append(value[0] if isinstance(value, tuple) else value)
        return found

    def derivatives(self, stage: Stage, names: Sequence[str], adjoint: Any) -> list[tuple[Array, dict[str, Array]]]:
        """Value and derivatives by name of every objective."""
        found = []
        for objective in self.objectives:
            optics = is_of_optics(objective)
            wrt = {name: stage.wrt(name, optics) for name in names}
            asked = tuple(dict.fromkeys(wrt.values()))
            course = stage.course
            beam: Any = stage.start.given
            if optics:
                value, bars = differentiate_optics(objective, course.line, stage.start.reference, asked)
            elif isinstance(beam, Reference):
                raise _of_optics_only(objective)
            elif isinstance(stage.start.given, MomentBeam):
                value, bars = value_and_grad(objective, course.line, beam, asked, **moment_options(stage))
            else:
                found_ = differentiate_course(objective, course, beam, asked, adjoint=adjoint)
                value, bars = found_.value, found_.gradient
            found.append((value, {name: stage.picked(name, bars[wrt[name]], optics) for name in names}))
        return found


def _of_optics_only(objective: Any) -> InputError:
    return InputError("what", getattr(objective, "name", objective), "an objective of optics, where there is no beam")


def moment_options(stage: Stage) -> dict[str, Any]:
    """What a beam of moments is told of a course."""
    course = stage.course
    return {
        "effects": list(course.effects.values()),
        "slices": course.slicing.slices,
        "step": course.slicing.step,
        "on_turn": course.on_turn,
        "turns": course.turns,
    }


def host(value: Any) -> np.ndarray:
    """A value or derivative as an array of NumPy in float64."""
    if hasattr(value, "shape"):
        value = backends.of(value).to_numpy(value)
    return np.asarray(value, dtype=np.float64)
