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


def pull_tables(tables: Tables, bars: Mapping[OfOptics, Array], wrt: Sequence[str]) -> dict[str, Array]:
    """Gradient by parameters of the line, the reference and the start, from cotangents of leaves."""
    gradient: dict[str, Array] = {}
    some_begin = any(not table.periodic for table in tables.values())
    for asked, table in tables.items():
        mine: dict[str, Array] = {}
        for leaf, bar in bars.items():
            if leaf.asked == asked:
                for name, own in leaf.optics_bars(table)[1].items():
                    scaled = own * (bar if own.ndim == bar.ndim else bar[..., None])
                    mine[name] = mine[name] + scaled if name in mine else scaled
        # Beside a table with a start, one that is periodic has no part in it.
        known = [name for name in wrt if not (some_begin and table.periodic and name.startswith("start."))]
        if mine and known:
            for name, part in pullback(table, mine, known).items():
                gradient[name] = gradient[name] + part if name in gradient else part
    return gradient


def differentiate_optics(
    objective: Objective, line: Line, reference: Reference | Beam, wrt: Sequence[str]
) -> tuple[Array, dict[str, Array]]:
    """Value and gradient of an objective all leaves of which are of optics."""
    leaves = of_optics(objective)
    tables = tables_of(leaves, line, reference, wrt)
    value, bars = pulled(objective, {leaf: leaf(tables[leaf.asked]) for leaf in leaves})
    return value, pull_tables(tables, bars, wrt)


def pulled(objective: Objective, known: Mapping[Any, Array]) -> tuple[Array, dict[Any, Array]]:
    """Value from those of the leaves, and their cotangents for one of 1."""
    value = objective.from_leaves(known)
    bars: dict[Any, Array] = {}
    objective.to_leaves(known, namespace(value).ones_like(value), bars)
    return value, bars
