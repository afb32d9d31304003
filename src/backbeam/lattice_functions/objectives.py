"""What a line is judged by, of its optics: a function at a place, a tune, a chromaticity; and formulas of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from backbeam.arrays import Array, namespace
from backbeam.course import Course
from backbeam.errors import InputError
from backbeam.knob_gradient import Wanted
from backbeam.lattice_functions.finding import optics
from backbeam.lattice_functions.gradient import pullback
from backbeam.lattice_functions.spreading import spread
from backbeam.lattice_functions.start import Twiss
from backbeam.lattice_functions.table import OF_A_RING, Optics
from backbeam.observables import Objective
from backbeam.observables.places import END, quoted
from backbeam.observables.text import OF_OPTICS

if TYPE_CHECKING:
    from backbeam.beam import Beam
    from backbeam.line import Line
    from backbeam.reference import Reference


@dataclass(frozen=True, eq=False)
class OfOptics(Objective):
    """A column of the table of optics at a place, or a number of a ring.

    Parameters
    ----------
    what:
        ``beta_x``, ``dispersion_x``, ``x``, ...; or ``tune_x``, ``chromaticity_x``, ``momentum_compaction``, ...
    where:
        Element at whose end it is asked for, or "start" or "end"; None for the end, and for a number.
    start, pt, per:
        As in `backbeam.optics`.
    """

    what: str
    where: str | None = None
    start: str | Twiss = "periodic"
    pt: float | None = None
    per: str = "pt"

    def __post_init__(self) -> None:
        """A number has no place."""
        if self.what in OF_A_RING and self.where is not None:
            raise InputError(f"optics {self.what}: at", self.where, "left out: it is of the whole ring")

    @property
    def name(self) -> str:
        """``optics.beta_x @ m1``, ``tune_x``."""
        return self.what if self.what in OF_A_RING else f"{OF_OPTICS}{self.what} @ {quoted(self.place)}"

    @property
    def place(self) -> str:
        """Where it is asked for."""
        return END if self.where is None else self.where

    def at_place(self, place: str | None) -> OfOptics:
        """The same elsewhere."""
        return replace(self, where=place)

    @property
    def asked(self) -> Any:
        """The same for leaves that are read from one table."""
        return repr(self.start), self.pt, self.per

    def of(self, line: Line, reference: Reference | Beam) -> Optics:
        """The table that it is read from."""
        return optics(line, reference, self.start, pt=self.pt, per=self.per)

    def __call__(self, table: Optics) -> Array:  # type: ignore[override]
        """Value ``(...)`` in a table."""
        if not isinstance(table, Optics):
            raise InputError("objective", self.name, "asked of a line: value_and_grad(objective, line, beam, ...)")
        if self.what in OF_A_RING:
            return getattr(table, self.what)
        if self.what not in table.everywhere:
            raise InputError("objective: optics", self.what, f"one of {', '.join((*table.everywhere, *OF_A_RING))}")
        return table.everywhere[self.what][..., table.place(self.place)]

    def optics_bars(self, table: Optics) -> tuple[Array, dict[str, Array]]:
        """Value, and the cotangents of a table for a cotangent of 1."""
        value = self(table)
        xp = namespace(value)
        one = xp.ones_like(value)
        if self.what in OF_A_RING:
            return value, {self.what: one}
        place = xp.arange(len(table.solution.passages.names)) == table.place(self.place)
        return value, {self.what: xp.astype(place, value.dtype) * one[..., None]}


Tables = dict[Any, Optics]
"""By what is asked of a line besides the place."""


def of_optics(objective: Any) -> tuple[OfOptics, ...]:
    """The leaves of an objective that are of optics."""
    return tuple(leaf for leaf in getattr(objective, "leaves", ()) if isinstance(leaf, OfOptics))


def is_of_optics(objective: Any) -> bool:
    """Whether all leaves of an objective are of optics."""
    return isinstance(objective, Objective) and len(of_optics(objective)) == len(objective.leaves)


def tables_of(leaves: Iterable[OfOptics], line: Line, reference: Reference | Beam, wrt: Sequence[str] = ()) -> Tables:
    """A table for all leaves that ask the same of a line, in which the parameters that are named are present."""
    mine = [n for n in Wanted.of(line, wrt).parameters if n.rpartition(".")[0] not in ("reference", "start")]
    line = Course.of(line).with_present(mine).line
    found: Tables = {}
    for leaf in leaves:
        if leaf.asked not in found:
            found[leaf.asked] = leaf.of(line, reference)
    return found


MOST_ROWS = 64
"""Cotangents that are pulled back at once."""


def pull_rows(tables: Tables, rows: Sequence[Mapping[OfOptics, Array]], wrt: Sequence[str]) -> list[dict[str, Array]]:
    """Gradients by parameters of the line, the reference and the start, from rows of cotangents of leaves."""
    gradients: list[dict[str, Array]] = [{} for _ in rows]
    some_begin = any(not table.periodic for table in tables.values())
    for asked, table in tables.items():
        # Beside a table with a start, one that is periodic has no part in it.
        known = [name for name in wrt if not (some_begin and table.periodic and name.startswith("start."))]
        mine = [k for k, bars in enumerate(rows) if any(leaf.asked == asked for leaf in bars)] if known else []
        for first in range(0, len(mine), MOST_ROWS):
            some = mine[first : first + MOST_ROWS]
            found = _pulled_together(table, [table_bars(table, rows[k], asked) for k in some], known)
            for k, gradient in zip(some, found, strict=True):
                own = gradients[k]
                gradients[k] = {**own, **{n: own[n] + bar if n in own else bar for n, bar in gradient.items()}}
    return gradients


def table_bars(table: Optics, bars: Mapping[OfOptics, Array], asked: Any) -> dict[str, Array]:
    """Cotangents of columns and numbers of a table from those of its leaves."""
    found: dict[str, Array] = {}
    for leaf, bar in bars.items():
        if leaf.asked == asked:
            for name, own in leaf.optics_bars(table)[1].items():
                scaled = own * (bar if own.ndim == bar.ndim else bar[..., None])
                found[name] = found[name] + scaled if name in found else scaled
    return found


def _pulled_together(table: Optics, rows: list[dict[str, Array]], wrt: Sequence[str]) -> list[dict[str, Array]]:
    """`pullback` of several rows of cotangents as a batch."""
    if len(rows) == 1:
        return [pullback(table, rows[0], wrt)]
    xp = namespace(table.solution.z)
    bars = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        nothing = xp.zeros_like(next(row[name] for row in rows if name in row))
        bars[name] = xp.stack([row.get(name, nothing) for row in rows], axis=0)
    found = pullback(spread(table, len(rows)), bars, wrt)
    return [{name: bar[k, ...] for name, bar in found.items()} for k in range(len(rows))]


def differentiate_optics(
    objective: Objective, line: Line, reference: Reference | Beam, wrt: Sequence[str]
) -> tuple[Array, dict[str, Array]]:
    """Value and gradient of an objective all leaves of which are of optics."""
    leaves = of_optics(objective)
    tables = tables_of(leaves, line, reference, wrt)
    value, bars = pulled(objective, {leaf: leaf(tables[leaf.asked]) for leaf in leaves})
    return value, pull_rows(tables, [bars], wrt)[0]


def pulled(objective: Objective, known: Mapping[Any, Array]) -> tuple[Array, dict[Any, Array]]:
    """Value from those of the leaves, and their cotangents for one of 1."""
    value = objective.from_leaves(known)
    bars: dict[Any, Array] = {}
    objective.to_leaves(known, namespace(value).ones_like(value), bars)
    return value, bars
