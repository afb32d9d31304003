"""Keep a few states and recompute the rest: binomial checkpointing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from math import comb
from typing import TYPE_CHECKING, Any, ClassVar

from backbeam.adjoint.base import Adjoint, Diagnosis, Working, bytes_between, cut, deal
from backbeam.adjoint.sweep import Sweep, run_and_keep
from backbeam.errors import InputError
from backbeam.plan import Bars, State, advance, count_kicks, replay, unroll
from backbeam.scalars import make_plain

if TYPE_CHECKING:
    from backbeam.arrays import Array
    from backbeam.plan import Parameters, Plan, Setting, Step
    from backbeam_backends import Backend


@dataclass(frozen=True)
class Checkpoint(Adjoint):
    """Keep at most ``slots`` states besides the first, and recompute what lies between them.

    The schedule is the binomial one, which recomputes least: s slots and t sweeps are enough for C(s + 1 + t, t) kicks.
    Nothing is undone, so it serves maps that cannot be. Source: Griewank & Walther, ACM TOMS 26 (2000) 19.

    Under a JAX trace the schedule is unrolled, so compile time grows with the number of kicks.

    Examples
    --------
    >>> bb.Checkpoint(slots=4)
    Checkpoint(slots=4)
    """

    slots: int = field(default=10, metadata={"option": "slots"})

    resumes: ClassVar[bool] = True
    place: ClassVar[int | None] = 3

    def __post_init__(self) -> None:
        make_plain(self)
        if type(self.slots) is not int or self.slots < 1:
            raise InputError("adjoint.slots", self.slots, "a whole number, at least 1")

    def kept_bytes(self, plan: Plan, dtype: str, masked: bool) -> int:
        """Its slots, as far as the schedule fills them."""
        pieces = cut(plan, 1)
        edges = [0, *spine(len(pieces), self.slots), len(pieces)]
        return bytes_between([sum(pieces[a:b], ()) for a, b in pairwise(edges)], dtype, masked)

    def working(self, plan: Plan) -> Working:
        """The maps of a piece together, and in a long stretch one more state under way."""
        pieces = len(cut(plan, 1))
        long = longest_stretch(pieces, self.slots) > CALIBRATED_STRETCH
        # Where nothing is made anew, no state on its way forward is there besides.
        name = "store" if recomputed(pieces, self.slots) == 0 else "checkpoint"
        return Working(name, maps=longest_piece(plan) - 1, states=int(long))

    def relative_time(self, plan: Plan, measured: Mapping[str, float]) -> float:
        """That of `Store`, and of the pieces that are run forward again."""
        pieces = len(cut(plan, 1))
        return measured.get("store", math.inf) + recomputed(pieces, self.slots) / pieces

    def variants(self, dtype: str, plan: Plan, fits: Callable[[Adjoint], bool]) -> tuple[Adjoint, ...]:
        """With as many slots as fit."""
        low, high = 1, max(1, len(cut(plan, 1)) - 1)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if fits(Checkpoint(middle)) else (low, middle - 1)
        return (Checkpoint(low),)

    def forward(
        self,
        backend: Backend,
        plan: Plan,
        setting: Setting,
        state: State,
        P: Parameters,
        sweep: Sweep | None = None,
    ) -> tuple[State, tuple[Array, ...], Any]:
        """Run, and keep the states from which the way back begins."""
        pieces = cut(unroll(plan), 1)
        return run_and_keep(pieces, spine(len(pieces), self.slots), setting, state, P, sweep or Sweep())

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
        """From the last stretch to the first, each by the schedule."""
        pieces = cut(unroll(plan), 1)
        mine = deal(readings_bar, pieces)

        def ahead(start: int, stop: int, state: State) -> State:
            for piece in pieces[start:stop]:
                state, _ = advance(piece, setting, state, P)
            return state

        starts, sweep = spine(len(pieces), self.slots), sweep or Sweep()
        # Where a state is known, and the slots that are free beyond it. No other name for any of them, nor for the
        # cotangents, here or in a frame of its own: what has been used up is let go, and its slot serves again.
        stop, known = len(pieces), [(0, first, self.slots)]
        if sweep.start is not None:
            now, stop, states = sweep.start
            bars, known = Bars(*now), [(k, setting.restore(tuple(state), first), free) for k, state, free in states]
        else:
            known += [
                (k, setting.restore(state, first), self.slots - i - 1)
                for i, (k, state) in enumerate(zip(starts, kept, strict=True))
            ]
        kept.clear()
        held = [bars]
        del bars

        def memory() -> Any:
            return tuple(held[0]), stop, [(k, setting.keep(state), free) for k, state, free in known]

        while known:
            start, state, free = known[-1]
            if stop - start > 1:
                middle = start + split(stop - start, free)
                known.append((middle, ahead(start, middle, state), max(free - 1, 0)))
            else:
                known.pop()
                held.append(replay(pieces[start], setting, state, P, held.pop(), mine[start]))
                stop = start
                sweep.passed(count_kicks(pieces[start]), memory)
            del state
        return held.pop(), Diagnosis(anchors=len(starts))


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


CALIBRATED_STRETCH = 2
"""Pieces between kept states in the measurements. In a longer stretch one more state is under way, but for beams of a
single block, where it was there already."""


def longest_piece(plan: Plan) -> int:
    """The most maps of a piece between two kicks, which `Checkpoint` makes anew together."""
    pieces = cut(unroll(plan), 1)
    if count_kicks(plan) == 0 and not any(turn_of(step) for step in plan):
        return 1
    return max(sum(turn_of(s) or (s.moves and not s.kicks) for s in piece) for piece in pieces)


def turn_of(step: Step) -> int:
    """Maps of a turn of a step that takes turns, which are made anew together; 0 for any other."""
    return sum(inner.moves and not inner.kicks for inner, _ in step.inner()) if len(step.inner()) > 1 else 0


def longest_stretch(pieces: int, slots: int) -> int:
    """The most pieces between two states that `Checkpoint` keeps."""
    return max(b - a for a, b in pairwise([0, *spine(pieces, slots), pieces]))


def recomputed(pieces: int, slots: int) -> int:
    """Number of pieces that `Checkpoint` runs forward again on the way back."""

    def stretch(length: int, slots: int) -> int:
        """As in `Checkpoint.backward`: so many pieces from the state before the first of them."""
        total = 0
        while length > 1:
            middle = split(length, slots)
            total += middle + known(length - middle, max(slots - 1, 0))
            length = middle
        return total

    memory: dict[tuple[int, int], int] = {}

    def known(length: int, slots: int) -> int:
        if slots == 0 or length < 2:
            return length * (length - 1) // 2
        if (length, slots) not in memory:
            memory[length, slots] = stretch(length, slots)
        return memory[length, slots]

    places = [0, *spine(pieces, slots)]
    total, stop = 0, pieces
    for used, start in reversed(list(enumerate(places))):
        total += known(stop - start, slots - used)
        stop = start
    return total
