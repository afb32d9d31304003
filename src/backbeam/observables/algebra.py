"""Objectives made of objectives: weighted sums, products, powers, logarithms, magnitudes, each with its slopes.

A tree is evaluated from the values of its leaves, so a leaf looks at the beam once however often it is written; on the
way back each leaf is given the sum of its cotangents. Where a slope does not exist (a root or a magnitude at 0) it is
0. Where there is no value (the logarithm of 0, a ratio to 0) it is an error in one line, under a trace no number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Any

from backbeam import backends
from backbeam.arrays import Array, namespace
from backbeam.beam import Beam, BeamCotangent
from backbeam.errors import InputError, Said
from backbeam.observables.base import Known, Objective, added


@dataclass(frozen=True, eq=False)
class Composite(Objective):
    """Base of objectives that are made of others."""

    @property
    def parts(self) -> tuple[Objective, ...]:
        """What it is made of."""
        raise NotImplementedError

    def combine(self, *values: Array) -> Array:
        """Value from those of the parts."""
        raise NotImplementedError

    def split(self, values: tuple[Array, ...], bar: Array) -> Iterable[Array]:
        """Cotangents of the parts."""
        raise NotImplementedError

    def of(self, parts: tuple[Objective, ...]) -> Objective:
        """The same of other parts."""
        raise NotImplementedError

    @property
    def leaves(self) -> tuple[Objective, ...]:
        """Those of its parts."""
        return tuple(dict.fromkeys(leaf for part in self.parts for leaf in part.leaves))

    def from_leaves(self, known: Known) -> Array:
        """Value from those of the leaves."""
        return self.combine(*(part.from_leaves(known) for part in self.parts))

    def to_leaves(self, known: Known, bar: Array, bars: dict[Objective, Array]) -> None:
        """Share a cotangent out among the parts, and they theirs."""
        values = tuple(part.from_leaves(known) for part in self.parts)
        for part, own in zip(self.parts, self.split(values, bar), strict=True):
            part.to_leaves(known, own, bars)

    def over(self, change: Callable[[Objective], Objective]) -> Objective:
        """The same of other leaves."""
        return self.of(tuple(part.over(change) for part in self.parts))

    def __call__(self, beam: Beam) -> Array:
        """Value ``(...)``."""
        return self.from_leaves({leaf: leaf(beam) for leaf in self.leaves})

    def pullback(self, beam: Beam, bar: Array) -> BeamCotangent:
        """Sum of what the leaves give for their shares."""
        known: dict[Objective, Array] = {leaf: leaf(beam) for leaf in self.leaves}
        bars: dict[Objective, Array] = {}
        self.to_leaves(known, bar, bars)
        return reduce(added, (leaf.pullback(beam, own) for leaf, own in bars.items()))


@dataclass(frozen=True)
class WeightedSum(Composite):
    """Sum of weights times objectives, and a constant."""

    terms: tuple[tuple[float, Objective], ...]
    constant: float = 0.0

    @property
    def name(self) -> str:
        """``2 sigma_x + sigma_y - 0.001``."""
        found = ""
        for weight, term in self.terms:
            size = abs(weight)
            inner = _bracketed(term, WeightedSum)
            found += _signed(weight < 0.0, inner if size == 1.0 else f"{_number(size)} {inner}", not found)
        return found + _signed(self.constant < 0.0, _number(abs(self.constant)), False) if self.constant else found

    @property
    def parts(self) -> tuple[Objective, ...]:
        """The objectives."""
        return tuple(term for _, term in self.terms)

    def combine(self, *values: Array) -> Array:
        """Weighted sum of the values."""
        first, *others = (weight * value for (weight, _), value in zip(self.terms, values, strict=True))
        total = sum(others, first)
        return total + self.constant if self.constant else total

    def split(self, values: tuple[Array, ...], bar: Array) -> Iterable[Array]:
        """The weights."""
        return (weight * bar for weight, _ in self.terms)

    def of(self, parts: tuple[Objective, ...]) -> Objective:
        """The same weights of others."""
        weights = (weight for weight, _ in self.terms)
        return WeightedSum(tuple(zip(weights, parts, strict=True)), self.constant)


@dataclass(frozen=True)
class Product(Composite):
    """Product of objectives."""

    factors: tuple[Objective, ...]

    @property
    def name(self) -> str:
        """``sigma_x * sigma_y / emittance_x``."""
        found = ""
        for factor in self.factors:
            if found and isinstance(factor, Power) and factor.exponent == -1.0:
                found += f" / {_bracketed(factor.base, WeightedSum, Product)}"
            else:
                found += f"{' * ' if found else ''}{_bracketed(factor, WeightedSum)}"
        return found

    @property
    def parts(self) -> tuple[Objective, ...]:
        """The factors."""
        return self.factors

    def combine(self, *values: Array) -> Array:
        """Product of the values."""
        return math.prod(values[1:], start=values[0])

    def split(self, values: tuple[Array, ...], bar: Array) -> Iterable[Array]:
        """Of each factor the product of the others: a factor of 0 divides nothing."""
        return (math.prod(values[:k] + values[k + 1 :], start=bar) for k in range(len(values)))

    def of(self, parts: tuple[Objective, ...]) -> Objective:
        """The product of others."""
        return Product(parts)


@dataclass(frozen=True)
class Applied(Composite):
    """Base of functions of one objective."""

    base: Objective

    @property
    def parts(self) -> tuple[Objective, ...]:
        """What it is applied to."""
        return (self.base,)

    def slope(self, value: Array) -> Array:
        """Its derivative."""
        raise NotImplementedError

    def split(self, values: tuple[Array, ...], bar: Array) -> Iterable[Array]:
        """Its slope times the cotangent."""
        return (self.slope(values[0]) * bar,)

    def _wants(self, good: Array, value: Array, allowed: str) -> None:
        """Raise `InputError` where values can be looked at and are not all good."""
        if not backends.of(value).traced([value]) and not bool(namespace(value).all(good)):
            raise InputError(f"objective {self.name}: {self.base.name}", Said(_shown(value)), allowed)


@dataclass(frozen=True)
class Power(Applied):
    """A power; an exponent of 1/2 is the square root."""

    exponent: float

    @property
    def name(self) -> str:
        """``sigma_x**2``, ``sqrt(sigma_x)``, ``1 / sigma_x``."""
        if self.exponent == 0.5:
            return f"sqrt({self.base.name})"
        return f"{_bracketed(self.base, Composite)}**{_number(self.exponent)}"

    def _checked(self, value: Array) -> None:
        if self.exponent % 1.0:
            self._wants(value >= 0.0, value, "a number that is not negative")
        if self.exponent < 0.0:
            self._wants(value != 0.0, value, "a number that is not 0")

    def combine(self, *values: Array) -> Array:
        """The power."""
        (value,) = values
        self._checked(value)
        if self.exponent == 2.0:
            return value * value
        if self.exponent == -1.0:
            return 1.0 / value
        if self.exponent == 0.5:
            return namespace(value).sqrt(value)
        return value**self.exponent

    def slope(self, value: Array) -> Array:
        """p v^(p - 1); 0 for a root of 0."""
        p = self.exponent
        if p >= 1.0 or p <= 0.0:
            return p * value ** (p - 1.0) if p != 2.0 else 2.0 * value
        xp = namespace(value)
        positive = value > 0.0
        return xp.where(positive, p * xp.where(positive, value, xp.ones_like(value)) ** (p - 1.0), xp.zeros_like(value))

    def of(self, parts: tuple[Objective, ...]) -> Objective:
        """The same power of another."""
        return Power(parts[0], self.exponent)


@dataclass(frozen=True)
class Logarithm(Applied):
    """Natural logarithm."""

    @property
    def name(self) -> str:
        """``log(sigma_x)``."""
        return f"log({self.base.name})"

    def combine(self, *values: Array) -> Array:
        """The logarithm."""
        self._wants(values[0] > 0.0, values[0], "a number greater than 0")
        return namespace(values[0]).log(values[0])

    def slope(self, value: Array) -> Array:
        """1/v."""
        return 1.0 / value

    def of(self, parts: tuple[Objective, ...]) -> Objective:
        """The logarithm of another."""
        return Logarithm(parts[0])


@dataclass(frozen=True)
class Magnitude(Applied):
    """Absolute value."""

    @property
    def name(self) -> str:
        """``abs(mean_x)``."""
        return f"abs({self.base.name})"

    def combine(self, *values: Array) -> Array:
        """The magnitude."""
        return namespace(values[0]).abs(values[0])

    def slope(self, value: Array) -> Array:
        """The sign; 0 at 0."""
        return namespace(value).sign(value)

    def of(self, parts: tuple[Objective, ...]) -> Objective:
        """The magnitude of another."""
        return Magnitude(parts[0])


# -- what operators make -----------------------------------------------------------------------------------------------


def total(a: Any, b: Any) -> Objective:
    """a + b."""
    some, other = _as_sum(a), _as_sum(b)
    return WeightedSum(some.terms + other.terms, some.constant + other.constant)


def difference(a: Any, b: Any) -> Objective:
    """a - b."""
    return total(a, product(b, -1.0))


def product(a: Any, b: Any) -> Any:
    """a b; a number goes into the weights of a sum."""
    if isinstance(a, Objective) and isinstance(b, Objective):
        return Product((*_factors(a), *_factors(b)))
    if isinstance(a, Objective):
        a, b = b, a
    if not isinstance(b, Objective):
        return a * b
    terms = _as_sum(b)
    return WeightedSum(tuple((a * weight, term) for weight, term in terms.terms), a * terms.constant)


def ratio(a: Any, b: Any) -> Objective:
    """a/b."""
    return product(a, power(b, -1.0) if isinstance(b, Objective) else 1.0 / b)


def power(a: Objective, exponent: float) -> Objective:
    """a to the power of a number."""
    if not math.isfinite(exponent):
        raise InputError("objective: exponent", exponent, "a finite number")
    if exponent == 0:
        return total(product(a, 0.0), 1.0)
    return a if exponent == 1 else Power(a, float(exponent))


def magnitude(a: Objective) -> Objective:
    """|a|."""
    return Magnitude(a)


def log(objective: Objective) -> Objective:
    """Natural logarithm of an objective."""
    return Logarithm(_checked(objective))


def sqrt(objective: Objective) -> Objective:
    """Square root of an objective; its slope at 0 is 0."""
    return Power(_checked(objective), 0.5)


def _checked(objective: Any) -> Objective:
    if not isinstance(objective, Objective):
        raise InputError("objective", objective, "an objective, such as sigma('x')")
    return objective


def _as_sum(value: Any) -> WeightedSum:
    if isinstance(value, WeightedSum):
        return value
    return WeightedSum(((1.0, value),)) if isinstance(value, Objective) else WeightedSum((), float(value))


def _factors(objective: Objective) -> tuple[Objective, ...]:
    return objective.factors if isinstance(objective, Product) else (objective,)


# -- how they are written ----------------------------------------------------------------------------------------------


def _signed(is_negative: bool, text: str, is_first: bool) -> str:
    if is_first:
        return f"-{text}" if is_negative else text
    return f" - {text}" if is_negative else f" + {text}"


def _number(value: float) -> str:
    return f"{value:.12g}"


def _bracketed(objective: Objective, *kinds: type[Objective]) -> str:
    named_so = objective.name
    return f"({named_so})" if isinstance(objective, kinds) else named_so


def _shown(value: Array) -> str:
    host = backends.of(value).to_numpy(value)
    return f"{float(host):.6g}" if not host.ndim else f"{float(host.min()):.6g} at least"
