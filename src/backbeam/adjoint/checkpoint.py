"""Keep a few states and recompute the rest: binomial checkpointing."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import TYPE_CHECKING, Any

from backbeam.adjoint.base import Adjoint, Report, cut, deal, keep, restore
from backbeam.errors import InputError
from backbeam.plan import Bars, State, advance, replay, unroll

if TYPE_CHECKING:
    from backbeam.arrays import Array
    from backbeam.plan import Parameters, Plan, Setting
    from backbeam_backends import Backend


@dataclass(frozen=True)
class Checkpoint(Adjoint):
    """Keep at most ``slots`` states besides the first, and recompute what lies between them.

    The schedule is the binomial one, which recomputes least: with s slots and t sweeps it reaches C(s + t, s) kicks.
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
                kept.append(keep(state, setting))
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

        def stretch(start: int, stop: int, state: State, slots: int, bars: Bars) -> Bars:
            """Pull back through pieces start ... stop - 1, from the state before the first of them."""
            while stop - start > 1:
                middle = start + split(stop - start, slots) if slots else stop - 1
                there = state
                for piece in pieces[start:middle]:
                    there, _ = advance(piece, setting, there, P)
                bars = stretch(middle, stop, there, max(slots - 1, 0), bars)
                stop = middle
            return replay(pieces[start], setting, state, P, bars, mine[start])

        starts = [0, *spine(len(pieces), self.slots)]
        states = [first, *(restore(k, first) for k in kept)]
        stop = len(pieces)
        while starts:
            start, state = starts.pop(), states.pop()
            bars = stretch(start, stop, state, self.slots - len(starts), bars)
            stop = start
        return bars, Report(anchors=len(kept))


def split(length: int, slots: int) -> int:
    """Where to keep the next state in a stretch of ``length`` pieces: the number of pieces before it.

    With t the fewest sweeps for which C(slots + t, slots) >= length, the part before may be as long as
    C(slots + t - 1, slots), and the part behind must need no less than t - 1 sweeps with one slot fewer.
    """
    sweeps = 0
    while comb(slots + sweeps, slots) < length:
        sweeps += 1
    before = comb(slots + sweeps - 1, slots) if sweeps else 1
    behind = comb(slots + sweeps - 2, slots - 1) if sweeps > 1 else 1
    return max(1, min(before, length - behind))


def spine(length: int, slots: int) -> list[int]:
    """Places at which the first run keeps states."""
    places, start = [], 0
    while slots and length - start > 1:
        start += split(length - start, slots)
        slots -= 1
        places.append(start)
    return places
