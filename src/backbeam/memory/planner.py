"""The fastest adjoint that fits in memory, with anchors or slots chosen: what ``adjoint=None`` takes.

What `Reversible` undoes costs little beside a kick, whose pullback shares the potential with it. So nothing is faster
by more than a tenth, but where the line is one matrix, as the beam before it is at hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from backbeam.adjoint import Adjoint, Auto, Reversible, adjoint_named
from backbeam.adjoint.base import state_bytes
from backbeam.errors import BackbeamError, BackendError, InputError
from backbeam.memory.amounts import show_bytes
from backbeam.memory.model import Model, Needs
from backbeam.memory.table import coefficients
from backbeam.plan import unroll

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backbeam.plan import Plan
    from backbeam.run import Run

EQUAL = 0.1
"""Times and peaks that differ by less than this part are taken as the same: nobody knows them better."""

TENTH = 0.1
"""Part of the free memory within which an adjoint may be chosen for its speed, unless a budget is given."""

LITTLE = 1 << 24
"""Bytes of kept states that are worth no question of how much memory is free."""

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
    """The adjoint that was asked for: None is `Auto`, a name its default, `Auto` the fastest that fits.

    ``rows`` is for how many cotangents at once; each is one of coordinates and charges.

    Raises
    ------
    BackbeamError
        If nothing fits; it says by how much.
    """
    chosen = Auto() if adjoint is None else _of_its_name(adjoint)
    if not isinstance(chosen, Auto):
        return chosen
    if chosen.budget is not None:
        return _within(chosen.budget, Model.of(run, plan), rows)
    try:
        return unbidden(run, plan, rows)
    except BackendError:  # nothing is known of the times and the memory of this library
        return Reversible()


def unbidden(run: Run, plan: Plan, rows: int = 1) -> Adjoint:
    """The fastest within a tenth of the free memory, `Reversible` beyond; of two as fast `Reversible`.

    Small beams are not worth the question: not even the free memory is asked for. Under a trace it is `Reversible`: a
    ``vmap`` around it may make many beams of one, unseen.
    """
    if run.backend.traced([run.beam.coordinates, *run.inputs]):
        return Reversible()
    beam, particles = run.beam, prod(run.batch) * run.beam.n * rows
    known = coefficients(run.backend.name, beam.device, beam.dtype)
    fastest = quickest(known.times(plan))
    kept = 0 if fastest == Reversible() else fastest.kept_bytes(unroll(plan), beam.dtype, masked=True)
    if particles * (state_bytes(beam.dtype) + kept) <= LITTLE:
        return fastest
    free = run.backend.meter.free_memory(beam.coordinates)
    if free is None:
        return Reversible()
    return of_free(Model.of(run, plan), free, rows)


def quickest(times: Mapping[str, float]) -> Adjoint:
    """The fastest of all, but `Reversible` if that is as fast."""
    fastest = min(times, key=times.__getitem__)
    return Reversible() if times["reversible"] <= (1.0 + EQUAL) * times[fastest] else adjoint_named(fastest)


def of_free(model: Model, free: int, rows: int = 1) -> Adjoint:
    """The fastest within a tenth of the free bytes; beyond `Reversible`, and what fits at all where that does not."""
    if quickest(model.times) != Reversible():
        found = choose(model, _for_one(int(TENTH * free), model, rows)).recommended
        if found is not None:
            return found.adjoint
    room = int(ROOM * free)
    if model.coefficients.borrowed or model.needs(Reversible()).predicted_peak_bytes <= _for_one(room, model, rows):
        return Reversible()
    return _within(room, model, rows)


def _within(budget: int, model: Model, rows: int) -> Adjoint:
    """The fastest within a budget; `BackbeamError` if nothing is."""
    found = choose(model, _for_one(budget, model, rows))
    if found.recommended is None:
        least = found.smallest
        raise BackbeamError(
            f"no adjoint fits in {show_bytes(found.budget_bytes)}: {least.adjoint.describe()} needs least, "
            f"{show_bytes(least.predicted_peak_bytes)}, {show_bytes(found.short_by)} more"
        )
    return found.recommended.adjoint


def _for_one(budget: int, model: Model, rows: int) -> int:
    """What a budget leaves to one cotangent where there are several."""
    return max(0, budget - (rows - 1) * model.state_bytes * 7 // 6)
