"""What an objective is: a number of a beam, and the way a cotangent of it comes back.

Objectives are written as numbers are: ``(sigma("x") - 1e-3)**2 + 0.1 * emittance("y") / emittance("x")``. What is
written so is a tree (`backbeam.observables.algebra`), whose leaves each look at the beam once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from backbeam import backends
from backbeam.arrays import Array, namespace
from backbeam.beam import Beam, BeamCotangent
from backbeam.scalars import plain

Known = Mapping["Objective", Array]
"""Values of leaves."""


@dataclass(frozen=True, eq=False)
class Objective:
    """Base of every objective. By itself it is a leaf: it looks at a beam, and knows no other objective.

    Leaves are keys: two that are equal are looked at once.
    """

    __array_ufunc__ = None  # a number of NumPy's on the left leaves the operator to the objective

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

    # -- as a tree ---------------------------------------------------------------------------------------------------

    @property
    def is_foreign(self) -> bool:
        """Whether a leaf is somebody else's, written for arrays of one library."""
        return not type(self).__module__.startswith("backbeam.")

    @property
    def leaves(self) -> tuple[Objective, ...]:
        """The different objectives that look at something themselves, in order."""
        return (self,)

    def from_leaves(self, known: Known) -> Array:
        """Value from those of the leaves."""
        return known[self]

    def to_leaves(self, known: Known, bar: Array, bars: dict[Objective, Array]) -> None:
        """Add to the cotangents of the leaves what they have of the cotangent of the value."""
        bars[self] = bars[self] + bar if self in bars else bar

    def over(self, change: Callable[[Objective], Objective]) -> Objective:
        """The same of other leaves."""
        return change(self)

    # -- on the way --------------------------------------------------------------------------------------------------

    def at(self, place: str | None) -> Objective:
        """The same of the beam behind an element of the line, ``m1``, or ``m1[2]`` for its third passage.

        ``start`` and ``end`` are those of the line, and None the end; so is `backbeam.END`.
        """
        from backbeam.observables.places import placed

        return self.over(lambda leaf: placed(leaf, place))

    # -- as a number -------------------------------------------------------------------------------------------------

    def __add__(self, other: Any) -> Objective:
        """Sum with an objective or a number."""
        return _written("total", self, other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Objective:
        """Difference from an objective or a number."""
        return _written("difference", self, other)

    def __rsub__(self, other: Any) -> Objective:
        """A number less an objective."""
        return _written("difference", other, self)

    def __mul__(self, other: Any) -> Objective:
        """Product with an objective or a number."""
        return _written("product", self, other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Objective:
        """Ratio to an objective or a number."""
        return _written("ratio", self, other)

    def __rtruediv__(self, other: Any) -> Objective:
        """A number over an objective."""
        return _written("ratio", other, self)

    def __pow__(self, exponent: Any) -> Objective:
        """A power; the exponent is a number."""
        return _written("power", self, exponent) if _is_number(exponent) else NotImplemented

    def __neg__(self) -> Objective:
        """The other sign."""
        return self * -1.0

    def __pos__(self) -> Objective:
        """Itself."""
        return self

    def __abs__(self) -> Objective:
        """The magnitude; its slope at 0 is 0."""
        return _written("magnitude", self)


def _written(name: str, *operands: Any) -> Any:
    """What the operator of that name makes of objectives and numbers."""
    from backbeam.observables import algebra

    if not all(isinstance(one, Objective) or _is_number(one) for one in operands):
        return NotImplemented
    return getattr(algebra, name)(*(plain(one) for one in operands))


def _is_number(value: Any) -> bool:
    value = plain(value)
    return isinstance(value, int | float) and not isinstance(value, bool)


def added(some: BeamCotangent, other: BeamCotangent) -> BeamCotangent:
    """Sum of two cotangents of a beam."""
    X, q, beta_gamma = (a + b for a, b in zip(some[:3], other[:3], strict=True))
    readings = dict(some.readings)
    for name, bar in other.readings.items():
        if name not in readings:
            readings[name] = bar
        elif isinstance(bar, list):
            readings[name] = [a + b for a, b in zip(readings[name], bar, strict=True)]
        else:
            readings[name] = readings[name] + bar
    return BeamCotangent(X, q, beta_gamma, readings, some.s + other.s)


def among_six(first: int, rows_bar: Array, q_bar: Array) -> BeamCotangent:
    """Cotangent of a few neighbouring rows ``(..., k, n)`` as one of the beam."""
    X_bar, beta_gamma_bar = backends.of(rows_bar).as_one(_among_six, static=(0,))(first, rows_bar)
    return BeamCotangent(X_bar, q_bar, beta_gamma_bar)


def _among_six(first: int, rows_bar: Array) -> tuple[Array, Array]:
    """Rows with others of zero above and below ``(..., 6, n)``, and a zero of the batch shape."""
    xp = namespace(rows_bar)
    zero = xp.zeros_like(rows_bar[..., :1, :])
    k = rows_bar.shape[-2]
    X_bar = xp.concat([*([zero] * first), rows_bar, *([zero] * (6 - first - k))], axis=-2)
    return X_bar, xp.zeros_like(rows_bar[..., 0, 0])
