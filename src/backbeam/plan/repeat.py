"""The slices of an element as a loop: under a trace it is compiled as one, and its size does not grow with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from backbeam import backends
from backbeam.arrays import Array
from backbeam.plan.state import Bars, Parameters, Setting, State
from backbeam.plan.step import Step, compiled, with_own_bars


@dataclass(frozen=True)
class Repeat(Step):
    """The same steps, so many times. None of them takes a reading."""

    steps: tuple[Step, ...]
    count: int

    @property
    def rounds(self) -> int:
        """Its count."""
        return self.count

    @property
    def kicks(self) -> int:
        """Number of kicks in it."""
        return self.count * sum(step.kicks for step in self.steps)

    @property
    def width(self) -> int:
        """Steps of all rounds."""
        return self.count * sum(step.width for step in self.steps)

    @property
    def loses(self) -> bool:
        """Whether particles may be lost in it."""
        return any(step.loses for step in self.steps)

    @property
    def losing(self) -> dict[int, tuple[str, str]]:
        """Places in its steps."""
        return {index: place for step in self.steps for index, place in step.losing.items()}

    @property
    def moves(self) -> bool:
        """Whether it changes coordinates."""
        return any(step.moves for step in self.steps)

    @cached_property
    def owners(self) -> tuple[str, ...]:
        """Owners of its steps."""
        return tuple(dict.fromkeys(owner for step in self.steps for owner in step.owners))

    def renamed(self, names: Mapping[str, str]) -> Repeat:
        """The loop with its owners called otherwise."""
        return replace(self, steps=tuple(step.renamed(names) for step in self.steps))

    def unrolled(self) -> tuple[Step, ...]:
        """Its steps one by one."""
        return self.steps * self.count

    def split(self, kicks: int) -> tuple[Step, ...]:
        """Rounds with at most so many kicks, at least one; and those left."""
        rounds = max(1, kicks // max(1, self.kicks // self.count))
        if rounds >= self.count:
            return (self,)
        return replace(self, count=rounds), replace(self, count=self.count - rounds)

    def forward(self, state: State, P: Parameters, setting: Setting) -> State:
        """All rounds."""

        def body(inner: State, _: None) -> tuple[State, None]:
            for step in self.steps:
                inner = step.forward(inner, P, setting)
            return inner, None

        return backends.of(state.X).scan(body, state, None, self.count)[0]

    def reverse(self, state: State, P: Parameters, setting: Setting, bars: Bars) -> tuple[State, Bars]:
        """All rounds undone, the last first."""

        def body(carry: tuple[State, Bars], _: None) -> tuple[tuple[State, Bars], None]:
            for step in reversed(self.steps):
                carry = step.reverse(carry[0], P, setting, carry[1])
            return carry, None

        return backends.of(state.X).scan(body, (state, bars), None, self.count)[0]

    def pullback(self, state: State, P: Parameters, setting: Setting, bars: Bars) -> Bars:
        """From the state before the first round: those in between are kept meanwhile."""
        _, kept = _forward_and_keep(self, setting, state, P)
        return _pull_back_kept(self, setting, state, P, bars, kept)

    # -- with states that are kept between its rounds ----------------------------------------------------------------

    def advance_and_keep(self, setting: Setting, state: State, P: Parameters) -> tuple[State, tuple[Array, ...], Any]:
        """All rounds forward; no readings, and what changes of the state before each round."""
        state, kept = compiled(_forward_and_keep, self, setting, state, P)
        return state, (), kept

    def replay_kept(
        self, setting: Setting, first: State, P: Parameters, bars: Bars, kept: Any, readings_bar: tuple[Array, ...]
    ) -> Bars:
        """Cotangents back through all rounds, from the states before them."""
        return with_own_bars(_pull_back_kept, self, setting, first, P, bars, kept)


def _forward_and_keep(loop: Repeat, setting: Setting, state: State, P: Parameters) -> tuple[State, Any]:
    def body(inner: State, _: None) -> tuple[State, tuple[Array, ...]]:
        before = setting.keep(inner)
        for step in loop.steps:
            inner = step.forward(inner, P, setting)
        return inner, before

    return backends.of(state.X).scan(body, state, None, loop.count)


def _pull_back_kept(loop: Repeat, setting: Setting, first: State, P: Parameters, bars: Bars, kept: Any) -> Bars:
    def body(inner: Bars, one: tuple[Array, ...]) -> tuple[Bars, None]:
        before = [setting.restore(one, first)]
        for step in loop.steps[:-1]:
            before.append(step.forward(before[-1], P, setting))
        for step in reversed(loop.steps):
            inner = step.pullback(before.pop(), P, setting, inner)
        return inner, None

    return backends.of(first.X).scan(body, bars, kept, loop.count, backwards=True)[0]
