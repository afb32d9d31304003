"""Keep a few states and recompute the rest: binomial checkpointing."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import TYPE_CHECKING, Any

from backbeam.adjoint.base import Adjoint, Report, cut, deal
from backbeam.errors import InputError
from backbeam.plan import Bars, State, advance, replay, unroll

if TYPE_CHECKING:
    from backbeam.arrays import Array
    from backbeam.plan import Parameters, Plan, Setting
    from backbeam_backends import Backend


@dataclass(frozen=True)
class Checkpoint(Adjoint):
    """Keep at most ``slots`` states besides the first, and recompute what lies between them.

    The schedule is the binomial one, which recomputes least: s slots and t sweeps are enough for C(s + 1 + t, t) kicks.
    Nothing is undone, so it serves maps that cannot be. Source: Griewank & Walther, ACM TOMS 26 (2000) 19.

    Under a JAX trace the schedule is unrolled, so compile time grows with the number of kicks.
    """

    slots: int = 10

    def __post_init__(self) -> None:
        if type(self.slots) is not int or self.slots < 1:
            raise InputError("adjoint.slots", self.slots, "a whole number, at least 1")

    def forward(
        self, backend: Backend, plan: Plan, setting: Setting, state: State, P: Parameters
    ) -> tuple[State, tuple[Array, ...], Any]:
        """Run, and keep the states from which the way back begins."""
        pieces = cut(unroll(plan), 1)
        wanted = set(spine(len(pieces), self.slots))
        kept, readings = [], ()
        for k, piece in enumerate(pieces):
            if k in wanted:
                kept.append(setting.keep(state))
            state, found = advance(piece, setting, state, P)
            readings = (*readings, *found)
        return state, readings, kept

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
        """From the last stretch to the first, each by the schedule."""
        pieces = cut(unroll(plan), 1)
        mine = deal(readings_bar, pieces)

        def ahead(start: int, stop: int, state: State) -> State:
            for piece in pieces[start:stop]:
                state, _ = advance(piece, setting, state, P)
            return state

        # Where a state is known, and the slots that are free beyond it. No other name for any of them, nor for the
        # cotangents, here or in a frame of its own: what has been used up is let go, and its slot serves again.
        starts = spine(len(pieces), self.slots)
        known = [(0, first, self.slots)]
        known += [
            (k, setting.restore(state, first), self.slots - i - 1)
            for i, (k, state) in enumerate(zip(starts, kept, strict=True))
        ]
        report, stop = Report(anchors=len(kept)), len(pieces)
        kept.clear()
        held = [bars]
        del bars
        while known:
            start, state, free = known[-1]
            if stop - start > 1:
                middle = start + split(stop - start, free)
                known.append((middle, ahead(start, middle, state), max(free - 1, 0)))
            else:
                known.pop()
                held.append(replay(pieces[start], setting, state, P, held.pop(), mine[start]))
                stop = start
            del state
        return held.pop(), report


def split(length: int, slots: int) -> int:
    """Where to keep the next state in a stretch of ``length`` pieces: the number of pieces before it.

    With s = slots + 1, for the state at the beginning counts too, and t the fewest sweeps with C(s + t, s) >= length:
    the part before it may take t - 1 more sweeps with all slots, which are enough for C(s + t - 1, s) pieces, and the
    part behind must not be so short that it would do with t - 2 sweeps and a slot fewer.
    """
    s, sweeps = slots + 1, 1
    while comb(s + sweeps, s) < length:
        sweeps += 1
    return max(1, min(comb(s + sweeps - 1, s), length - comb(s + sweeps - 2, s - 1)))


def spine(length: int, slots: int) -> list[int]:
    """Places at which the first run keeps states."""
    places, start = [], 0
    while slots and length - start > 1:
        start += split(length - start, slots)
        slots -= 1
        places.append(start)
    return places
