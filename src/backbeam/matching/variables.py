"""What is varied: free variables with bounds and scales, and ties, by which other parameters follow them.

A variable is asked for by its name, by a pattern (``*.k1``), or by a name with bounds. A tie is a formula, ``qf.k1 =
-qd.k1``: the parameter on the left has no freedom of its own. All in the units of the parameters themselves.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from backbeam.errors import InputError
from backbeam.formulas import Formula, evaluate, in_order, slopes, text_of
from backbeam.lattices.expressions import Dialect
from backbeam.matching.incoming import beside
from backbeam.parameter_names import scale_of_parameter
from backbeam.scalars import plain

if TYPE_CHECKING:
    from backbeam.arrays import Array
    from backbeam.matching.stage import Stage

_PART = re.compile(r"\d+(?:\.\d*)?\s*%")
"""``50 %``: bounds of half the start to either side of it."""
Vary = str | Iterable[str] | Mapping[str, Any]
"""Names, patterns and ties; or by name (low, high), ``"50 %"``, None for no bounds, or the text of a formula."""


@dataclass(frozen=True)
class Variable:
    """A free variable.

    Its scale is the width of its bounds, else the size of its start, else what is usual for its unit.
    """

    name: str
    start: float
    low: float
    high: float
    unit: str

    @property
    def scale(self) -> float:
        """Change that counts as 1."""
        width = self.high - self.low
        return width if math.isfinite(width) else scale_of_parameter(self.start, self.unit)


@dataclass(frozen=True, eq=False)
class Variables:
    """The free variables in order, and the ties."""

    free: tuple[Variable, ...]
    ties: Mapping[str, Formula]
    constants: Mapping[str, Any]
    """What the formulas of the ties mention and nobody varies: numbers, or arrays of one for each setting."""

    @classmethod
    def of(cls, vary: Vary, stage: Stage) -> Variables:
        """Variables and ties as they were asked for.

        Raises
        ------
        InputError
            For a name that is not known or comes twice, bounds that the start is not within, and a tie that leads back
            to itself or follows nothing that varies.
        """
        free: dict[str, Variable] = {}
        ties: dict[str, Formula] = {}
        for asked, given in _pairs(vary, stage):
            if isinstance(given, str) and not _PART.fullmatch(given):
                _new(asked, free, ties)
                ties[asked] = _formula(asked, given)
                continue
            for name in stage.named(asked):
                if name in free and asked != name:
                    continue  # a pattern takes what is left
                _new(name, free, ties)
                free[name] = _variable(name, given, stage)
        if not free:
            raise InputError("vary", vary, "at least one name, such as qf.k1")
        mentioned = frozenset().union(*(formula.names for formula in ties.values()))
        constants = {name: stage.get(name) for name in mentioned if name not in free and name not in ties}
        found = cls(tuple(free.values()), ties, constants)
        for name, formula in ties.items():
            stage.get(name)
            if not any(other in free or other in ties for other in formula.names):
                allowed = f"a formula of something that is varied: {', '.join(free)}"
                raise InputError(f"vary.{name}", text_of(formula), allowed)
        found._order  # noqa: B018  (raises for a tie to itself)
        return found

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the free variables."""
        return tuple(variable.name for variable in self.free)

    @cached_property
    def _order(self) -> list[str]:
        """Names of the ties, each behind those that it is made of."""
        return [name for name in in_order(self.ties, tuple(self.ties)) if name in self.ties]

    @property
    def all_names(self) -> tuple[str, ...]:
        """Names of all parameters that change."""
        return (*self.names, *self._order)

    def values(self, free: Sequence[Any]) -> dict[str, Any]:
        """Value of every parameter that changes, from those of the free ones in order."""
        found = dict(zip(self.names, free, strict=True))
        known = {n: beside(c, free[0]) if hasattr(c, "shape") else c for n, c in self.constants.items()}
        for name in self._order:
            found[name] = evaluate(self.ties[name], {**known, **found}.__getitem__)
        return found

    def pull_back(self, values: Mapping[str, Any], bars: Mapping[str, Array]) -> list[Array]:
        """Cotangents of the free variables from those of all parameters that change: the chain rule."""
        known, found = {**self.constants, **values}, dict(bars)
        for name in reversed(self._order):
            for other, share in slopes(self.ties[name], known.__getitem__, found[name]):
                if other in found:
                    found[other] = found[other] + share
        return [found[name] for name in self.names]


def _pairs(vary: Vary, stage: Stage) -> Iterable[tuple[str, Any]]:
    """What was asked for, as pairs of a name or pattern and what is said of it."""
    if isinstance(vary, Mapping):
        pairs = list(vary.items())
    elif isinstance(vary, str):
        pairs = [(vary, None)]
    elif isinstance(vary, Iterable):
        pairs = [(name, None) for name in vary]
    else:
        raise InputError("vary", vary, "names, or a mapping such as {'qf.k1': (-5.0, 5.0)}")
    for name, given in pairs:
        if not isinstance(name, str):
            raise InputError("vary", name, "a name such as qf.k1")
        left, equals, right = name.partition("=")
        if equals and not stage.has(name):
            if given is not None:
                raise InputError(f"vary.{name}", given, "no bounds: it follows what it is tied to")
            yield left.strip(), right.strip()
        else:
            yield name.strip(), given.strip() if isinstance(given, str) else given


def _new(name: str, free: Mapping[str, Any], ties: Mapping[str, Any]) -> None:
    if name in free or name in ties:
        raise InputError("vary", name, "each parameter once, free or tied")


def _formula(name: str, text: str) -> Formula:
    try:
        formula = Dialect(lower=False).parse(text)
    except InputError as error:
        raise InputError(f"vary.{name}", text, error.allowed) from None
    if not isinstance(formula, Formula):
        raise InputError(f"vary.{name}", text, "bounds (low, high), or a formula of what is varied")
    return formula


def _variable(name: str, bounds: Any, stage: Stage) -> Variable:
    allowed = "bounds (low, high) with low < high, one of them None where there is none; or None"
    low, high = -math.inf, math.inf
    start = plain(stage.get(name))
    if np.shape(start):
        raise InputError(f"vary.{name}", f"an array of shape {np.shape(start)}", "a parameter that is one number")
    if isinstance(bounds, str):
        width = 0.01 * float(bounds.rstrip(" %")) * abs(start)
        if not width:
            raise InputError(f"vary.{name}", bounds, f"bounds (low, high): it starts at {start:g}")
        bounds = (start - width, start + width)
    if bounds is not None:
        try:
            low, high = (open_ if end is None else float(end) for end, open_ in zip(bounds, (low, high), strict=True))
        except (TypeError, ValueError):
            raise InputError(f"vary.{name}", bounds, allowed) from None
        if not low < high:  # and so no NaN
            raise InputError(f"vary.{name}", bounds, allowed)
    if not low <= start <= high:
        raise InputError(f"vary.{name}", bounds, f"bounds about {start:.6g}, where it starts")
    return Variable(name, float(start), low, high, stage.unit(name))
