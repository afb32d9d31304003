"""Objectives at places of a line become steps of the plan, and readings of the beam that comes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from backbeam.course import Course
from backbeam.observables import Objective
from backbeam.observables.places import Placed, Read, passage_of
from backbeam.observables.text import expression
from backbeam.plan import Judge, Plan


def objective_of(what: Any) -> Any:
    """An objective, for which its name may stand; any other function of a beam as it is."""
    return expression(what) if isinstance(what, str) else what


def judged(what: Sequence[Any], course: Course) -> tuple[list[Any], Course]:
    """Objectives as functions of the beam that comes out of a course, and the course on which they are read.

    Raises
    ------
    InputError
        For a place that is not in the line, or is passed several times.
    """
    found: dict[Objective, Objective] = {}
    behind: dict[int, Plan] = {}

    def read(leaf: Objective) -> Objective:
        if not isinstance(leaf, Placed):
            return leaf
        if leaf not in found:
            passed, turn = passage_of(leaf.place, course.line.sequence, course.turns)
            taken = sum(other.name == leaf.name for other in found)
            label = f"{leaf.name} ({taken + 1})" if taken else leaf.name
            behind[passed] = (*behind.get(passed, ()), Judge(leaf.objective, label))
            found[leaf] = Read(leaf, label, turn)
        return found[leaf]

    bound = [one.over(read) if isinstance(one, Objective) else one for one in map(objective_of, what)]
    return bound, replace(course, judged=behind) if behind else course
