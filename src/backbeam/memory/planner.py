"""The fastest adjoint that fits in memory, with anchors or slots chosen: what ``adjoint="auto"`` takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backbeam.adjoint import Adjoint, Auto, Reversible, adjoint_named
from backbeam.errors import BackbeamError, InputError
from backbeam.memory.amounts import show_bytes
from backbeam.memory.model import Model, Needs

if TYPE_CHECKING:
    from backbeam.plan import Plan
    from backbeam.run import Run

EQUAL = 0.1
"""Times and peaks that differ by less than this part are taken as the same: nobody knows them better."""

ROOM = 0.8
"""Part of the free memory that a gradient may take: the model is good to a tenth, and others live there, too."""


@dataclass(frozen=True)
class Choice:
    """What the planner found for a budget."""

    budget_bytes: int
    recommended: Needs | None
    """The fastest that fits; None: none does."""
    smallest: Needs
    """The one that needs least."""

    @property
    def short_by(self) -> int:
        """Bytes by which the smallest exceeds the budget; 0 if it fits."""
        return max(0, self.smallest.predicted_peak_bytes - self.budget_bytes)


def choose(model: Model, budget: int) -> Choice:
    """The fastest adjoint whose predicted peak is within a budget [bytes]; one as fast if it takes clearly less."""
    candidates = [model.needs(adjoint) for adjoint in _candidates(model, budget)]
    fitting = [needs for needs in candidates if needs.predicted_peak_bytes <= budget]
    fastest = min(fitting, key=lambda needs: needs.relative_time, default=None)
    if fastest is not None:
        limit = (1.0 + EQUAL) * fastest.relative_time
        fast = [needs for needs in fitting if needs.relative_time <= limit]
        smallest = min(fast, key=lambda needs: needs.predicted_peak_bytes)
        if smallest.predicted_peak_bytes < (1.0 - EQUAL) * fastest.predicted_peak_bytes:
            fastest = smallest
    return Choice(budget, fastest, min(candidates, key=lambda needs: needs.predicted_peak_bytes))


def _candidates(model: Model, budget: int) -> list[Adjoint]:
    """All adjoints, those that can keep less as large as the budget lets them be."""

    def fits(adjoint: Adjoint) -> bool:
        return model.needs(adjoint).predicted_peak_bytes <= budget

    return [one for adjoint in model.adjoints() for one in adjoint.variants(model.dtype, model.plan, fits)]


def is_taped(adjoint: Adjoint | str | None) -> bool:
    """Whether the tape of the beam's library was asked for."""
    return adjoint is not None and _of_its_name(adjoint).taped


def _of_its_name(adjoint: Any) -> Adjoint:
    """An adjoint, which a name may stand for."""
    chosen = adjoint_named(adjoint) if isinstance(adjoint, str) else adjoint
    if not isinstance(chosen, Adjoint):
        raise InputError("adjoint", chosen, "an adjoint, such as Store(), or its name")
    return chosen


def resolve(adjoint: Adjoint | str | None, run: Run, plan: Plan, rows: int = 1) -> Adjoint:
    """The adjoint that was asked for: None is `Reversible`, a name its default, `Auto` what fits.

    ``rows`` is for how many cotangents at once; each is one of coordinates and charges.

    Raises
    ------
    BackbeamError
        If nothing fits; it says by how much.
    """
    if adjoint is None:
        return Reversible()
    chosen = _of_its_name(adjoint)
    if not isinstance(chosen, Auto):
        return chosen
    budget = chosen.budget
    if budget is None:
        free = run.backend.meter.free_memory(run.beam.coordinates)
        if free is None:
            raise BackbeamError("this system does not say how much memory is free: give Auto(budget=...), in bytes")
        budget = int(ROOM * free)
    model = Model.of(run, plan)
    budget = max(0, budget - (rows - 1) * model.state_bytes * 7 // 6)
    found = choose(model, budget)
    if found.recommended is None:
        least = found.smallest
        raise BackbeamError(
            f"no adjoint fits in {show_bytes(budget)}: {least.adjoint.describe()} needs least, "
            f"{show_bytes(least.predicted_peak_bytes)}, {show_bytes(found.short_by)} more"
        )
    return found.recommended.adjoint
