"""Keep one state a kick; undo nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backbeam import backends
from backbeam.adjoint.base import Adjoint, Report, deal, keep, restore
from backbeam.plan import (
    Apply,
    Bars,
    Kick,
    Merged,
    Repeat,
    State,
    advance,
    as_run,
    compiled,
    replay,
    unroll,
    with_own_bars,
)

if TYPE_CHECKING:
    from backbeam.arrays import Array
    from backbeam.plan import Parameters, Plan, Setting
    from backbeam_backends import Backend

LONGEST_GROUP = 4
"""Number of maps without a kick that share one stored state; they are recomputed together."""


@dataclass(frozen=True)
class Store(Adjoint):
    """Keep the state before every kick (with the maps that lead to it): 48 B/particle a kick in float64, 0 B/cell.

    Use it where steps cannot be undone well, or where memory is plenty. Maps between kicks are recomputed.
    """

    def forward(
        self, backend: Backend, plan: Plan, setting: Setting, state: State, P: Parameters
    ) -> tuple[State, tuple[Array, ...], Any]:
        """Run and keep."""
        kept, readings = [], ()
        run = as_run(plan, state)
        for group in groups(run):
            if isinstance(group, Repeat):
                state, states = compiled(_take_and_keep, group, setting, state, P)
                kept.append(states)
            else:
                kept.append(keep(state, setting))
                state, found = advance(group, setting, state, P)
                readings = (*readings, *found)
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
    ) -> tuple[Bars, Report]:
        """Pull back at each kept state."""
        ((how, remaining),) = kept.items()
        found = groups(plan if how == "looped" else unroll(plan))
        readings = deal(readings_bar, tuple(() if isinstance(g, Repeat) else g for g in found))
        held = [bars]  # handed on, for what has been used up is let go
        del bars
        for group, mine in zip(reversed(found), reversed(readings), strict=True):
            if isinstance(group, Repeat):
                held.append(with_own_bars(_pull_back_kept, group, setting, first, P, held.pop(), remaining.pop()))
            else:
                held.append(replay(group, setting, restore(remaining.pop(), first), P, held.pop(), mine))
        return held.pop(), Report(anchors=sum(g.count if isinstance(g, Repeat) else 1 for g in found) - 1)


def groups(plan: Plan) -> list[Plan | Repeat]:
    """Cut a plan into its loops, and into groups of steps that end with a kick."""
    found: list[Plan | Repeat] = []
    group: list[Any] = []

    def close() -> None:
        if group:
            found.append(tuple(group))
            group.clear()

    for step in plan:
        if isinstance(step, Repeat):
            close()
            found.append(step)
            continue
        group.append(step)
        if isinstance(step, Kick) or sum(isinstance(s, Apply | Merged) for s in group) >= LONGEST_GROUP:
            close()
    close()
    return found


def _take_and_keep(loop: Repeat, setting: Setting, state: State, P: Parameters) -> tuple[State, Any]:
    """A loop forward, and the state before each of its rounds."""

    def body(inner: State, _: None) -> tuple[State, tuple[Array, ...]]:
        before = keep(inner, setting)
        for part in loop.steps:
            inner = part.forward(inner, P, setting)
        return inner, before

    return backends.of(state.X).scan(body, state, None, loop.count)


def _pull_back_kept(loop: Repeat, setting: Setting, first: State, P: Parameters, bars: Bars, states: Any) -> Bars:
    """Cotangents back through a loop, from the states before its rounds."""

    def body(inner: Bars, one: tuple[Array, ...]) -> tuple[Bars, None]:
        return replay(loop.steps, setting, restore(one, first), P, inner, ()), None

    return backends.of(first.X).scan(body, bars, states, loop.count, backwards=True)[0]
