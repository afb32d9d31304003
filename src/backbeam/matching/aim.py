"""What a match aims at: targets to be met, an objective to be small, or both; and how far a point is from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from backbeam.errors import InputError
from backbeam.matching.goals import Goals
from backbeam.observables import Target

CLOSE = 1e-6
"""A target without a tolerance is met within so much of its size."""
FEASIBLE = 1e-6
"""Of a constraint's scale: by so much it may be violated."""


class Score(NamedTuple):
    """How good a point is: first that constraints hold, then that the value is small."""

    violation: float
    value: float


@dataclass(frozen=True, eq=False)
class Aim:
    """Targets, and perhaps an objective that is to be small; then targets are constraints.

    Rows of residuals are those of ``goals``: of targets alone theirs; else the objective's, then the constraints'.
    """

    goals: Goals
    objective: Any
    targets: tuple[Target, ...]
    equal: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))
    """Which of the constraints are to be 0; the others at most that."""

    @classmethod
    def of(cls, what: Any) -> Aim:
        """What is aimed at.

        Raises
        ------
        InputError
            For two objectives that are no targets: a sum of them is one.
        """
        goals = Goals.of(what)
        targets = tuple(one for one in goals.objectives if isinstance(one, Target))
        others = [one for one in goals.objectives if not isinstance(one, Target)]
        if len(others) > 1:
            shown = ", ".join(getattr(one, "name", str(one)) for one in others)
            raise InputError("match", shown, "targets, and at most one objective to make small: add or weigh several")
        if not others:
            return cls(goals, None, targets)
        (objective,) = others
        if not targets:
            return cls(Goals((objective,), True), objective, ())
        constraints = [constraint for target in targets for constraint in _constraints(target)]
        goals = Goals((objective, *(row for row, _ in constraints)), False)
        return cls(goals, objective, targets, np.asarray([is_equal for _, is_equal in constraints]))

    @property
    def constrained(self) -> bool:
        """Whether there are both."""
        return self.objective is not None and bool(self.targets)

    def score(self, residuals: np.ndarray) -> Score:
        """How good a point is."""
        rows = residuals.reshape((len(self.goals.objectives), -1))
        if not self.constrained:
            return Score(0.0, float(rows.mean() if self.goals.single else (rows * rows).sum()))
        over = np.where(self.equal[:, None], np.abs(rows[1:]), np.maximum(rows[1:], 0.0))
        return Score(max(0.0, float(over.max()) - FEASIBLE), float(rows[0].mean()))

    def reached(self, residuals: np.ndarray) -> bool:
        """Whether all is met that there is, and a search can end."""
        if self.objective is not None:
            return False
        rows = np.abs(residuals.reshape((len(self.targets), -1))).max(axis=1)
        return all(row <= _within(target, 1e-4 * CLOSE) for row, target in zip(rows, self.targets, strict=True))

    def is_met(self, target: Target, found: np.ndarray) -> bool:
        """Whether a value is what a target wants, in every setting."""
        if target.wanted is not None:
            return bool((np.abs(found - np.asarray(target.wanted)) <= (target.tol or CLOSE * target.size)).all())
        slack = target.tol or 0.0
        low = target.above is None or found.min() >= target.above - (slack or CLOSE * (abs(target.above) or 1.0))
        high = target.below is None or found.max() <= target.below + (slack or CLOSE * (abs(target.below) or 1.0))
        return bool(low and high)


def _within(target: Target, usual: float) -> float:
    """Residual of a target at the edge of its tolerance."""
    return target.weight * (1.0 if target.tol is not None else usual)


def _constraints(target: Target) -> list[tuple[Any, bool]]:
    """A target as constraints, each with whether it is to be 0; one of a bound is over it, and negative within."""
    if target.wanted is not None:
        return [(target, True)]
    found = []
    for bound, sign in ((target.below, 1.0), (target.above, -1.0)):
        if bound is not None:
            found.append((sign * (target.objective - bound) / (target.tol or abs(bound) or 1.0), False))
    return found
