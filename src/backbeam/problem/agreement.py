"""How far gradients that should be equal are apart, and whether that is near enough.

A deviation is relative to the largest derivative of the same kind: parameters of one name, all ``k1``, all ``length``.
A kind whose derivatives are all next to nothing is measured against a small part of objective over parameter,
`NEGLIGIBLE`, because what is left of them is rounding.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from backbeam.course import Course
from backbeam.parameter_names import scale_of_parameter, unit_of
from backbeam.problem.differentiation import Question
from backbeam.problem.outcome import finite

NEGLIGIBLE = {"float64": 1e-6, "float32": 1e-2}
"""By data type: so far above its rounding that what is left is nothing beside the tolerance."""


@dataclass(frozen=True)
class Row:
    """One backend with one adjoint."""

    backend: str
    adjoint: str | None
    """None: the backend could do nothing."""
    value: Any = None
    """A float, where there is a gradient."""
    gradient: Any = None
    """Parameter -> derivative; None: there is none."""
    mismatch: float | None = None
    problem: str = ""
    """Why there is no gradient; empty if there is one."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """What `compare` found."""

    question: Question
    dtype: str
    particles: int
    kicks: int
    tolerance: float
    difference_tolerance: float
    course: Course
    parameters: Mapping[str, float]
    """Value of each parameter."""
    rows: tuple[Row, ...]
    difference: Mapping[str, float]
    """Derivatives by central differences, of NumPy in float64."""
    skipped: Mapping[str, str]
    """Backends, and adjoints of a backend, that were not asked for by name and cannot be used here, and why."""

    @property
    def reference(self) -> Row | None:
        """The row that all others are compared with: the first that has a gradient."""
        return next((row for row in self.rows if row.gradient is not None), None)

    def scale(self, name: str) -> float:
        """What a deviation of a derivative is divided by."""
        kind, reference = _kind(name), self.reference
        if reference is None:
            return math.nan
        alike = [abs(slope) for other, slope in reference.gradient.items() if _kind(other) == kind]
        natural = abs(reference.value) / scale_of_parameter(self.parameters[name], unit_of(name, self.course))
        return max(*alike, NEGLIGIBLE[self.dtype] * natural)

    def deviations(self, gradient: Mapping[str, float]) -> dict[str, float]:
        """Deviation of each derivative from that of the reference."""
        if self.reference is None:
            return {}
        return {
            name: _ratio(abs(gradient[name] - slope), self.scale(name))
            for name, slope in self.reference.gradient.items()
        }

    def deviation(self, row: Row) -> float | None:
        """Worst deviation of a row; None for one without a gradient."""
        return None if row.gradient is None else _worst(self.deviations(row.gradient).values())

    def where(self, gradient: Mapping[str, float]) -> str:
        """The parameter whose derivative deviates most."""
        found = self.deviations(gradient)
        return max(found, key=lambda name: math.inf if math.isnan(found[name]) else found[name])

    def value_deviation(self, row: Row) -> float | None:
        """Deviation of a row's value, relative to the value or to what the parameters make of it, if that is more."""
        reference = self.reference
        if row.value is None or reference is None:
            return None
        moved = [slope * self.parameters[name] for name, slope in reference.gradient.items()]
        return _ratio(abs(row.value - reference.value), max(abs(v) for v in (reference.value, *moved)))

    @property
    def worst_deviation(self) -> float | None:
        """Of all rows, values included."""
        found = [d for row in self.rows for d in (self.deviation(row), self.value_deviation(row)) if d is not None]
        return _worst(found) if found else None

    @property
    def difference_deviation(self) -> float | None:
        """Worst deviation of the central differences."""
        return None if self.reference is None else _worst(self.deviations(self.difference).values())

    @property
    def ok(self) -> bool:
        """Whether all that was asked for has a gradient, and all agree."""
        return (
            self.reference is not None
            and not any(row.problem for row in self.rows)
            and within(self.worst_deviation, self.tolerance)
            and within(self.difference_deviation, self.difference_tolerance)
        )

    def summary(self) -> dict[str, Any]:
        """What ``backbeam check --json`` prints: plain numbers, with None where there is none."""
        reference = self.reference
        return {
            "rows": [self._row(row) for row in self.rows],
            "worst_deviation": finite_or_none(self.worst_deviation),
            "finite_difference_deviation": finite_or_none(self.difference_deviation),
            "ok": self.ok,
            "objective": self.question.objective.name,
            "dtype": self.dtype,
            "particles": self.particles,
            "kicks": self.kicks,
            "tolerance": self.tolerance,
            "difference_tolerance": self.difference_tolerance,
            "reference": None if reference is None else {"backend": reference.backend, "adjoint": reference.adjoint},
            "finite_difference": {name: finite(slope) for name, slope in self.difference.items()},
            "skipped": dict(self.skipped),
        }

    def _row(self, row: Row) -> dict[str, Any]:
        found = {
            "backend": row.backend,
            "adjoint": row.adjoint,
            "value": finite_or_none(row.value),
            "gradient": None if row.gradient is None else {name: finite(g) for name, g in row.gradient.items()},
            "deviation": finite_or_none(self.deviation(row)),
            "value_deviation": finite_or_none(self.value_deviation(row)),
            "mismatch": finite_or_none(row.mismatch),
        }
        return {**found, "problem": row.problem} if row.problem else found


def within(deviation: float | None, tolerance: float) -> bool:
    """Whether there is a deviation that a tolerance allows."""
    return deviation is not None and deviation <= tolerance


def finite_or_none(value: float | None) -> float | None:
    """None stays None, and what is no finite number becomes it."""
    return None if value is None else finite(value)


def _kind(name: str) -> str:
    return name.rpartition(".")[2]


def _ratio(difference: float, scale: float) -> float:
    if difference == 0.0:
        return 0.0
    return difference / scale if scale else math.inf


def _worst(found: Iterable[float]) -> float:
    """The largest; NaN, which compares with nothing, before all."""
    found = list(found)
    return math.nan if any(math.isnan(d) for d in found) else max(found)
