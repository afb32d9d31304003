"""What an objective is: a number of a beam, and the way a cotangent of it comes back; and weighted sums of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backbeam.arrays import Array, namespace
from backbeam.beam import Beam, BeamCotangent


@dataclass(frozen=True)
class Objective:
    """Base of every objective."""

    @property
    def name(self) -> str:
        """What tables call it."""
        raise NotImplementedError

    def __call__(self, beam: Beam) -> Array:
        """Value ``(...)``."""
        raise NotImplementedError

    def pullback(self, beam: Beam, bar: Array) -> BeamCotangent:
        """Cotangents of the beam from that of the value ``(...)``."""
        raise NotImplementedError

    def __add__(self, other: Objective) -> WeightedSum:
        """Sum of two objectives."""
        if not isinstance(other, Objective):
            return NotImplemented
        return WeightedSum((*_terms(self), *_terms(other)))

    def __mul__(self, factor: float) -> WeightedSum:
        """An objective times a number."""
        if isinstance(factor, bool) or not isinstance(factor, int | float):
            return NotImplemented
        return WeightedSum(tuple((factor * weight, term) for weight, term in _terms(self)))

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> WeightedSum:
        """An objective over a number."""
        return self * (1.0 / divisor)

    def __neg__(self) -> WeightedSum:
        """An objective with the other sign."""
        return self * -1.0

    def __sub__(self, other: Objective) -> WeightedSum:
        """Difference of two objectives."""
        if not isinstance(other, Objective):
            return NotImplemented
        return self + -other


@dataclass(frozen=True)
class WeightedSum(Objective):
    """Sum of weights times objectives."""

    terms: tuple[tuple[float, Objective], ...]

    @property
    def name(self) -> str:
        """``2 sigma_x + sigma_y``."""
        return " + ".join(term.name if weight == 1.0 else f"{weight:g} {term.name}" for weight, term in self.terms)

    def __call__(self, beam: Beam) -> Array:
        """Weighted sum of the values."""
        first, *others = (weight * term(beam) for weight, term in self.terms)
        return sum(others, first)

    def pullback(self, beam: Beam, bar: Array) -> BeamCotangent:
        """Weighted sum of the cotangents."""
        first, *others = (term.pullback(beam, weight * bar) for weight, term in self.terms)
        for other in others:
            X, q, beta_gamma = (a + b for a, b in zip(first[:3], other[:3], strict=True))
            first = BeamCotangent(X, q, beta_gamma, _added(first.readings, other.readings))
        return first


def _added(some: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """Sum of cotangents of readings; what only one of them has stays."""
    total = dict(some)
    for name, bar in others.items():
        if name not in total:
            total[name] = bar
        elif isinstance(bar, list):
            total[name] = [a + b for a, b in zip(total[name], bar, strict=True)]
        else:
            total[name] = total[name] + bar
    return total


def _terms(objective: Objective) -> tuple[tuple[float, Objective], ...]:
    return objective.terms if isinstance(objective, WeightedSum) else ((1.0, objective),)


def among_six(first: int, rows_bar: Array, q_bar: Array) -> BeamCotangent:
    """Cotangent of a few neighbouring rows ``(..., k, n)`` as one of the beam."""
    xp = namespace(rows_bar)
    zero = xp.zeros_like(rows_bar[..., :1, :])
    k = rows_bar.shape[-2]
    X_bar = xp.concat([*([zero] * first), rows_bar, *([zero] * (6 - first - k))], axis=-2)
    return BeamCotangent(X_bar, q_bar, xp.zeros_like(rows_bar[..., 0, 0]))
