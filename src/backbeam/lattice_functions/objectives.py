"""What a line is judged by, of its optics: a function at a place, a tune, a chromaticity; and weighted sums of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backbeam.arrays import Array, namespace
from backbeam.course import Course
from backbeam.errors import InputError
from backbeam.knob_gradient import Wanted
from backbeam.lattice_functions.finding import optics
from backbeam.lattice_functions.gradient import pullback
from backbeam.lattice_functions.start import Twiss
from backbeam.lattice_functions.table import OF_A_RING, Optics
from backbeam.observables import Objective, WeightedSum

if TYPE_CHECKING:
    from backbeam.beam import Beam
    from backbeam.line import Line
    from backbeam.reference import Reference


@dataclass(frozen=True)
class OfOptics(Objective):
    """A column of the table of optics at a place, or a number of a ring.

    Parameters
    ----------
    what:
        ``beta_x``, ``dispersion_x``, ``x``, ...; or ``tune_x``, ``chromaticity_x``, ``momentum_compaction``, ...
    at:
        Element at whose end it is asked for, or "start" or "end"; None for a number.
    start, pt, per:
        As in `backbeam.optics`.
    """

    what: str
    at: str | None = None
    start: str | Twiss = "periodic"
    pt: float | None = None
    per: str = "pt"

    def __post_init__(self) -> None:
        """A column needs a place, a number has none."""
        if (self.what in OF_A_RING) != (self.at is None):
            allowed = "left out" if self.what in OF_A_RING else "the name of an element, start or end"
            raise InputError(f"optics {self.what}: at", self.at, allowed)

    @property
    def name(self) -> str:
        """``beta_x@m1``, ``tune_x``."""
        return self.what if self.at is None else f"{self.what}@{self.at}"

    def of(self, line: Line, reference: Reference | Beam) -> Optics:
        """The table that it is read from."""
        return optics(line, reference, self.start, pt=self.pt, per=self.per)

    def __call__(self, table: Optics) -> Array:  # type: ignore[override]
        """Value ``(...)`` in a table."""
        if self.at is not None:
            return getattr(table[self.at], self.what)
        return getattr(table, self.what)

    def optics_bars(self, table: Optics) -> tuple[Array, dict[str, Array]]:
        """Value, and the cotangents of a table for a cotangent of 1."""
        value = self(table)
        xp = namespace(value)
        one = xp.ones_like(value)
        if self.at is None:
            return value, {self.what: one}
        place = xp.arange(len(table.solution.passages.names)) == table.place(self.at)
        return value, {self.what: xp.astype(place, value.dtype) * one[..., None]}


def is_of_optics(objective: Any) -> bool:
    """Whether an objective is one of optics, or a sum of such.

    Raises
    ------
    InputError
        For a sum of such and of others: the beam and the optics have gradients of their own.
    """
    terms = objective.terms if isinstance(objective, WeightedSum) else ((1.0, objective),)
    mine = [isinstance(term, OfOptics) for _, term in terms]
    if any(mine) and not all(mine):
        raise InputError("objective", objective.name, "objectives of the beam, or of optics, not both in one sum")
    return all(mine)


def differentiate_optics(
    objective: Any, line: Line, reference: Reference | Beam, wrt: Sequence[str]
) -> tuple[Array, dict[str, Array]]:
    """Value and gradient; terms that ask the same of the line share one table."""
    terms: Any = objective.terms if isinstance(objective, WeightedSum) else ((1.0, objective),)
    present = [n for n in Wanted.of(line, wrt).parameters if n.rpartition(".")[0] not in ("reference", "start")]
    line = Course.of(line).with_present(present).line
    groups: dict[Any, list[tuple[float, OfOptics]]] = {}
    for weight, term in terms:
        groups.setdefault((repr(term.start), term.pt, term.per), []).append((weight, term))
    value: Any = 0.0
    gradient: dict[str, Any] = {}
    for group in groups.values():
        table = group[0][1].of(line, reference)
        bars: dict[str, Array] = {}
        for weight, term in group:
            found, own = term.optics_bars(table)
            value = value + weight * found
            for name, bar in own.items():
                bars[name] = bars[name] + weight * bar if name in bars else weight * bar
        for name, part in pullback(table, bars, wrt).items():
            gradient[name] = gradient[name] + part if name in gradient else part
    return value, gradient
