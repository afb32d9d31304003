"""Keep one state a kick; undo nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeGuard

from backbeam.adjoint.base import Adjoint, Diagnosis, bytes_between, deal
from backbeam.adjoint.sweep import Sweep, run_and_keep
from backbeam.plan import Bars, State, advance, as_run, count_kicks, replay, unroll

if TYPE_CHECKING:
    from backbeam.arrays import Array
    from backbeam.plan import Parameters, Plan, Repeat, Setting, Step
    from backbeam_backends import Backend

LONGEST_GROUP = 4
"""Number of maps without a kick that share one stored state; they are recomputed together."""


@dataclass(frozen=True)
class Store(Adjoint):
    """Keep the state before every kick (with the maps that lead to it): 48 B/particle a kick in float64, 0 B/cell.

    Use it where steps cannot be undone well, or where memory is plenty. Maps between kicks are recomputed.

    Examples
    --------
    >>> bb.Store().name
    'store'
    """

    resumes: ClassVar[bool] = True
    place: ClassVar[int | None] = 2

    def kept_bytes(self, plan: Plan, dtype: str, masked: bool) -> int:
        """One state a group, and one a turn."""
        turns = [turn for step in plan for turn in step.turn_by_turn()]
        return bytes_between(groups(tuple(turns)), dtype, masked)

    def forward(
        self,
        backend: Backend,
        plan: Plan,
        setting: Setting,
        state: State,
        P: Parameters,
        sweep: Sweep | None = None,
    ) -> tuple[State, tuple[Array, ...], Any]:
        """Run and keep."""
        run = as_run(plan, state)
        found = groups(run)
        if not any(is_loop(group) for group in found):
            state, readings, kept = run_and_keep(found, range(len(found)), setting, state, P, sweep or Sweep())
        else:
            state, readings, kept = _looped(found, setting, state, P)
        # Its name says how the plan was run: whether it is traced may look otherwise on the way back.
        return state, readings, {"looped" if run is plan else "unrolled": kept}

    def backward(
        self,
        backend: Backend,
        plan: Plan,
        setting: Setting,
        first: State,
        last: State,
        kept: Any,
        P: Parameters,
        bars: Bars,
        readings_bar: tuple[Array, ...],
        sweep: Sweep | None = None,
    ) -> tuple[Bars, Diagnosis]:
        """Pull back at each kept state."""
        sweep = sweep or Sweep()
        if sweep.start is not None:
            now, states = sweep.start
            bars, kept = Bars(*now), {"unrolled": [tuple(one) for one in states]}
        ((how, remaining),) = kept.items()
        found = groups(plan if how == "looped" else unroll(plan))
        readings = deal(readings_bar, tuple(found))
        held = [bars]  # handed on, for what has been used up is let go
        del bars
        while remaining:
            group, mine = found[len(remaining) - 1], readings[len(remaining) - 1]
            if is_loop(group):
                held.append(group[0].replay_kept(setting, first, P, held.pop(), remaining.pop(), mine))
            else:
                held.append(replay(group, setting, setting.restore(remaining.pop(), first), P, held.pop(), mine))
            sweep.passed(count_kicks(group), lambda: (tuple(held[0]), remaining))
        return held.pop(), Diagnosis(anchors=sum(g[0].rounds for g in found) - 1)


def _looped(
    found: list[Plan], setting: Setting, state: State, P: Parameters
) -> tuple[State, tuple[Array, ...], list[Any]]:
    """Groups of which some are loops, one after the other."""
    kept: list[Any] = []
    readings: tuple[Array, ...] = ()
    for group in found:
        if is_loop(group):
            state, seen, states = group[0].advance_and_keep(setting, state, P)
            kept.append(states)
        else:
            kept.append(setting.keep(state))
            state, seen = advance(group, setting, state, P)
        readings = (*readings, *seen)
    return state, readings, kept


def groups(plan: Plan) -> list[Plan]:
    """Cut a plan into its loops, and into groups of steps that end with a kick."""
    found: list[Plan] = []
    group: list[Step] = []

    def close() -> None:
        if group:
            found.append(tuple(group))
            group.clear()

    for step in plan:
        if step.rounds > 1:
            close()
        group.append(step)
        if step.kicks or step.rounds > 1 or sum(s.moves for s in group) >= LONGEST_GROUP:
            close()
    close()
    return found


def is_loop(group: Plan) -> TypeGuard[tuple[Repeat, ...]]:
    """Whether a group is a loop, which keeps a state for each round by itself."""
    return group[0].rounds > 1
