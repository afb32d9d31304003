"""A sweep of a gradient, there or back, that can be left between two parts of the way and taken up there.

An adjoint that resumes looks at its `Sweep`. At every place where it can be left it calls `Sweep.passed`, with a
function that gives all it needs to go on: tuples, lists and dicts of arrays, numbers and None. A sweep that goes on
finds the same in `Sweep.start`. The parts are those of a sweep in one go, so its bits are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from backbeam.plan import State, as_run, stretches

if TYPE_CHECKING:
    from backbeam.arrays import Array
    from backbeam.plan import Parameters, Plan, Setting


class Sweep:
    """One way of a gradient: where it begins, and who is told how far it has come."""

    def __init__(self, start: Any = None, kicks: int = 0, tell: Callable[[int, Callable[[], Any]], None] | None = None):
        self.start, self.kicks, self.tell = start, kicks, tell

    def passed(self, kicks: int, memory: Callable[[], Any]) -> None:
        """So many kicks more are behind it, and this is how to go on from here."""
        self.kicks += kicks
        if self.tell is not None:
            self.tell(self.kicks, memory)


def run_and_keep(
    pieces: Sequence[Plan], wanted: Collection[int], setting: Setting, state: State, P: Parameters, sweep: Sweep
) -> tuple[State, tuple[Array, ...], list[Any]]:
    """Take pieces forward and keep the states before those wanted. Returns the last state, the readings, the states."""
    first, done, kept, readings = 0, 0, [], []
    if sweep.start is not None:
        first, done, now, readings, kept = sweep.start
        state, readings, kept = State(*now), list(readings), [tuple(one) for one in kept]

    def memory(piece: int, parts: int) -> Any:
        """How to go on with so many parts of a piece behind."""
        return piece, parts, tuple(state), readings, kept

    for k in range(first, len(pieces)):
        if k in wanted and not done:
            kept.append(setting.keep(state))
        parts = stretches(as_run(pieces[k], state))
        for j, part in enumerate(parts[done:], done + 1):
            state = part.advance(setting, state, P, readings)
            sweep.passed(part.kicks, partial(memory, *((k, j) if j < len(parts) else (k + 1, 0))))
        done = 0
    return state, tuple(readings), kept
