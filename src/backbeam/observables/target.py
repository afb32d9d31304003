"""What an objective should be: a value, or bounds; and by how much it is not."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import device

from backbeam import backends
from backbeam.arrays import Array, namespace
from backbeam.errors import InputError, Said
from backbeam.observables.algebra import Applied
from backbeam.observables.base import Objective
from backbeam.observables.own import own
from backbeam.observables.text import expression
from backbeam.scalars import plain

Nested = tuple[Any, ...]
"""Numbers in tuples, as an array is nested: what can be compared."""


@dataclass(frozen=True, init=False)
class Target(Applied):
    """An objective, and the value or the bounds that it should have. It is itself an objective: its residual.

    With a value the residual is ``weight * (objective - value) / scale``. With bounds it is 0 within them, and beyond
    ``weight * (objective - bound) / scale``. Squares of residuals add up to what a match makes small; the residual of
    each is a row of `backbeam.jacobian`.

    Parameters
    ----------
    what:
        An objective; an optics function; or its name or formula, ``"sigma_x"``, ``"optics.beta_x"``, ``"log(charge)"``;
        or a function of a beam, see `own`.
    value:
        What it should be, in its own unit: a number, or an array of one for each setting of a batch.
    at:
        Element behind which it is meant, ``"m1"`` or ``"m1[2]"`` for its third passage; None: the end, or where the
        objective already is.
    tol:
        The scale: a deviation of so much counts as 1. None: the size of the value (of several, of the largest; of a
        bound, its own), or 1 for 0.
    weight:
        By which the residual is multiplied.
    below, above:
        Bounds in the place of a value: it should be at most ``below``, at least ``above``.

    Raises
    ------
    InputError
        For neither a value nor a bound, for both, for bounds that exclude all, and for numbers that are none.

    Examples
    --------
    >>> target = bb.Target("sigma_x", 1e-3, at="m1", tol=1e-5)
    >>> target
    Target(sigma_x @ m1 = 0.001, tol=1e-05)
    >>> line = bb.Line([bb.Quadrupole(0.2, k1=3.0, name="q"), bb.Drift(1.0, name="m1"), bb.Drift(1.0)])
    >>> beam = bb.Beam.gaussian(n=1000, species="electron", kinetic_energy=50e6, charge=1e-9, sigma_x=1e-3)
    >>> residual, slope = bb.value_and_grad(target, line, beam, ["q.k1"])
    >>> f"{float(residual):.1f}"
    '-65.6'
    """

    wanted: float | Nested | None
    below: float | None
    above: float | None
    tol: float | None
    weight: float

    def __init__(
        self,
        what: Objective | str,
        value: Any = None,
        *,
        at: str | None = None,
        tol: float | None = None,
        weight: float = 1.0,
        below: float | None = None,
        above: float | None = None,
    ) -> None:
        """Check what is given."""
        objective = expression(what) if isinstance(what, str) else what
        if callable(what) and not isinstance(what, Objective):
            objective = own(what)
        if not isinstance(objective, Objective):
            raise InputError("target", what, "an objective, such as sigma('x'), its name, or a function of a beam")
        if isinstance(objective, Target):
            raise InputError("target", objective, "an objective, not a Target")
        if at is not None:
            objective = objective.at(at)
        several = _several(value)
        if several is not None:
            object.__setattr__(self, "wanted", several)
        numbers = {"wanted": value, "below": below, "above": above, "tol": tol, "weight": weight}
        for field, given in numbers.items():
            if field == "wanted" and several is not None:
                continue
            number = plain(given)
            is_number = isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number)
            if given is not None and not is_number:
                label = "value" if field == "wanted" else field
                raise InputError(f"target {objective.name}: {label}", given, "a finite number")
            object.__setattr__(self, field, None if given is None else float(number))
        object.__setattr__(self, "base", objective)
        self._check()

    def _check(self) -> None:
        label = f"target {self.base.name}"
        if self.wanted is None and self.below is None and self.above is None:
            raise InputError(f"{label}: value", None, "a value, or a bound: below= or above=")
        if self.wanted is not None and (self.below is not None or self.above is not None):
            raise InputError(f"{label}: value", self.wanted, "a value or bounds, not both")
        if self.below is not None and self.above is not None and self.below < self.above:
            raise InputError(f"{label}: below", self.below, f"at least above, which is {self.above:g}")
        if self.tol is not None and self.tol <= 0.0:
            raise InputError(f"{label}: tol", self.tol, "a number greater than 0")
        if self.weight is None or self.weight < 0.0:
            raise InputError(f"{label}: weight", self.weight, "a number that is not negative")

    @property
    def objective(self) -> Objective:
        """What is to have the value, at its place."""
        return self.base

    @property
    def name(self) -> str:
        """``sigma_x @ m1 = 0.001``, ``0.001 < sigma_x < 0.002``."""
        if self.wanted is not None:
            return f"{self.base.name} = {self.said}"
        low = "" if self.above is None else f"{self.above:g} < "
        return f"{low}{self.base.name}" + ("" if self.below is None else f" < {self.below:g}")

    def __repr__(self) -> str:
        """Name and what is not as by default."""
        more = ("" if self.tol is None else f", tol={self.tol:g}") + f", weight={self.weight:g}" * (self.weight != 1.0)
        return f"Target({self.name}{more})"

    @property
    def said(self) -> str:
        """The value, or from where to where the values of the settings are."""
        if isinstance(self.wanted, tuple):
            return f"{np.min(self.wanted):g} ... {np.max(self.wanted):g} in {np.size(self.wanted)} settings"
        return f"{self.wanted:g}"

    @property
    def size(self) -> float:
        """Of the value, of several the largest; 1 for 0."""
        return float(np.max(np.abs(self.wanted or 0.0))) or 1.0

    # -- as an objective ---------------------------------------------------------------------------------------------

    def _factor(self, size: float) -> float:
        """By what a deviation is multiplied."""
        return self.weight / (self.tol or size)

    def _less_wanted(self, value: Array) -> Array:
        """Deviation ``(...)`` from the value, which is one for each setting or for all."""
        if not isinstance(self.wanted, tuple):
            return value - self.wanted
        xp, shape = namespace(value), np.shape(self.wanted)
        if tuple(value.shape[max(0, value.ndim - len(shape)) :]) != shape:
            shown = Said(f"an array of shape {shape}")
            allowed = f"a number, or one for each setting, shape {tuple(value.shape)}"
            raise InputError(f"target {self.base.name}: value", shown, allowed)
        return value - xp.asarray(self.wanted, dtype=value.dtype, device=device(value))

    def _bounds(self) -> Iterable[tuple[float, Callable[[Array], Array]]]:
        """Each bound, and where it is overstepped."""
        if self.below is not None:
            below = self.below
            yield below, lambda value: value > below
        if self.above is not None:
            above = self.above
            yield above, lambda value: value < above

    def combine(self, *values: Array) -> Array:
        """The residual."""
        (value,) = values
        if self.wanted is not None:
            return self._factor(self.size) * self._less_wanted(value)
        xp = namespace(value)
        total = 0.0 * value  # of what is no number, none
        for bound, is_beyond in self._bounds():
            total = xp.where(is_beyond(value), self._factor(abs(bound) or 1.0) * (value - bound), total)
        return total

    def slope(self, value: Array) -> Array:
        """Its derivative; 0 within the bounds and at them."""
        xp = namespace(value)
        if self.wanted is not None:
            return xp.full_like(value, self._factor(self.size))
        total = xp.zeros_like(value)
        for bound, is_beyond in self._bounds():
            total = xp.where(is_beyond(value), xp.full_like(value, self._factor(abs(bound) or 1.0)), total)
        return total

    def of(self, parts: tuple[Objective, ...]) -> Objective:
        """The same of another objective."""
        found = object.__new__(Target)
        for field in ("wanted", "below", "above", "tol", "weight"):
            object.__setattr__(found, field, getattr(self, field))
        object.__setattr__(found, "base", parts[0])
        return found


def _several(value: Any) -> Nested | None:
    """Values of settings, an array or a list, as nested tuples; None for what is a number, or neither."""
    if not isinstance(value, list | tuple) and not getattr(value, "shape", ()):
        return None
    host = backends.of(value).to_numpy(value) if hasattr(value, "shape") else value
    try:
        found = np.asarray(host, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    if not found.size or not np.isfinite(found).all():
        raise InputError(
            "target: value", Said(f"an array of shape {found.shape}"), "finite numbers, one for each setting"
        )

    def nested(a: Any) -> Any:
        return tuple(nested(row) for row in a) if isinstance(a, list) else a

    return nested(found.tolist())
