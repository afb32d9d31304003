"""A line passed turn after turn: what a ring is. Its size does not grow with the number of turns.

Under a trace the turns are one loop; otherwise what all turns share (which steps go together, their matrices) is made
once. Nothing is kept between turns, forward or back, but the readings.

A particle is lost at a step, and in a turn. Before every turn the numbers of those who are lost grow by the number of
places where particles can be lost: ``lost_at`` is the place plus so many times the turns since. On the way back they
shrink again, and those lost in a turn are known by the place alone when it is undone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from backbeam import backends
from backbeam.arrays import Array, namespace
from backbeam.errors import InputError
from backbeam.plan.running import Plan, advance, replay, retreat, unroll
from backbeam.plan.state import Bars, Parameters, Setting, State
from backbeam.plan.step import Step
from backbeam.plan.stretch import stretches

MOST_PLACES = 2**30
"""Turns times places at which particles can be lost: ``lost_at`` is a number of 32 bits."""


@dataclass(frozen=True)
class Circulate(Step):
    """All steps of a line, so many times."""

    steps: Plan
    turns: int

    def __post_init__(self) -> None:
        most = MOST_PLACES // self.places
        if self.turns > most:
            raise InputError("track.turns", self.turns, f"at most {most} where particles can be lost at so many places")

    @property
    def rounds(self) -> int:
        """The turns."""
        return self.turns

    @property
    def calls_library(self) -> bool:
        """Whether a step does."""
        return any(step.calls_library for step in self.steps)

    @cached_property
    def kicks(self) -> int:
        """Of all turns."""
        return self.turns * sum(step.kicks for step in self.steps)

    @cached_property
    def readers(self) -> tuple[str, ...]:
        """Of all turns, turn after turn."""
        return self.turns * tuple(name for step in self.steps for name in step.readers)

    @property
    def reads(self) -> int:
        """Of all turns."""
        return len(self.readers)

    @cached_property
    def width(self) -> int:
        """Of all turns."""
        return self.turns * sum(step.width for step in self.steps)

    @property
    def moves(self) -> bool:
        """Whether a step does."""
        return any(step.moves for step in self.steps)

    @cached_property
    def loses(self) -> bool:
        """Whether a step does."""
        return any(step.loses for step in self.steps)

    @property
    def undoes(self) -> bool:
        """Whether all steps have an inverse."""
        return all(step.undoes for step in self.steps)

    @cached_property
    def losing(self) -> dict[int, tuple[str, str]]:
        """Places of one turn."""
        return {index: place for step in self.steps for index, place in step.losing.items()}

    @cached_property
    def places(self) -> int:
        """By how much ``lost_at`` grows in a turn."""
        return 1 + max(self.losing, default=0)

    @property
    def turn_places(self) -> int:
        """Its places."""
        return self.places

    @cached_property
    def owners(self) -> tuple[str, ...]:
        """Owners of its steps."""
        return tuple(dict.fromkeys(owner for step in self.steps for owner in step.owners))

    def renamed(self, names: Mapping[str, str]) -> Circulate:
        """The turns with their owners called otherwise."""
        return replace(self, steps=tuple(step.renamed(names) for step in self.steps))

    def inside(self, change: Callable[[Plan], Plan]) -> Circulate:
        """The turns with other steps."""
        return replace(self, steps=change(self.steps))

    def unrolled(self) -> tuple[Step, ...]:
        """Turns stay turns; within each the steps are one by one."""
        return (self.inside(unroll),)

    def inner(self) -> tuple[tuple[Step, int], ...]:
        """Those of a turn."""
        return tuple((step, self.turns * count) for outer in self.steps for step, count in outer.inner())

    def turn_by_turn(self) -> tuple[Step, ...]:
        """Each turn by itself."""
        return self.turns * (replace(self, turns=1),)

    def split(self, kicks: int) -> tuple[Step, ...]:
        """Turns with at most so many kicks, or maps where there is no kick; at least one."""
        first = max(1, kicks // max(1, (self.kicks or self.width) // self.turns))
        if first >= self.turns:
            return (self,)
        return replace(self, turns=first), replace(self, turns=self.turns - first)

    # -- running -----------------------------------------------------------------------------------------------------

    def advance(self, setting: Setting, state: State, P: Parameters, readings: list[Array]) -> State:
        """All turns."""
        backend = backends.of(state.X)
        if not backend.traced([state.X]):
            parts = [part.shared_by_turns(self.turns) for part in stretches(self.steps)]
            for _ in range(self.turns):
                state = self._aged(state, setting, 1)
                for part in parts:
                    state = part.advance(setting, state, P, readings)
            return state

        def body(inner: State, _: None) -> tuple[State, tuple[Array, ...]]:
            return advance(self.steps, setting, self._aged(inner, setting, 1), P)

        state, found = backend.scan(body, state, None, self.turns)
        for one in backend.one_by_one(found, self.turns):
            readings += one
        return state

    def retreat(
        self, setting: Setting, state: State, P: Parameters, bars: Bars, unread: list[Array]
    ) -> tuple[State, Bars]:
        """All turns undone, the last first."""
        backend = backends.of(state.X)
        if not backend.traced([state.X]):
            parts = [part.shared_by_turns(self.turns) for part in reversed(stretches(self.steps))]
            for _ in range(self.turns):
                for part in parts:
                    state, bars = part.retreat(setting, state, P, bars, unread)
                state = self._aged(state, setting, -1)
            return state, bars

        def body(carry: tuple[State, Bars], mine: Any) -> tuple[tuple[State, Bars], None]:
            state, bars = retreat(self.steps, setting, carry[0], P, carry[1], tuple(mine or ()))
            return (self._aged(state, setting, -1), bars), None

        dealt = self._dealt(unread)
        xs = backend.together(dealt) if self.reads else None
        (state, bars), _ = backend.scan(body, (state, bars), xs, self.turns, backwards=True)
        return state, bars

    def replay(self, setting: Setting, state: State, P: Parameters, bars: Bars, unread: list[Array]) -> Bars:
        """From the state before the first turn: those before each are kept meanwhile."""
        _, _, kept = self.advance_and_keep(setting, state, P)
        return self.replay_kept(setting, state, P, bars, kept, tuple(self._taken(unread)))

    # -- with states that are kept between turns ---------------------------------------------------------------------

    def advance_and_keep(self, setting: Setting, state: State, P: Parameters) -> tuple[State, tuple[Array, ...], Any]:
        """All turns forward; the readings, and what changes of the state before each turn."""

        def body(inner: State, _: None) -> tuple[State, tuple[Any, ...]]:
            before = setting.keep(inner)
            inner, found = advance(self.steps, setting, self._aged(inner, setting, 1), P)
            return inner, (before, found)

        backend = backends.of(state.X)
        state, found = backend.scan(body, state, None, self.turns)
        each = backend.one_by_one(found, self.turns)
        return state, tuple(a for _, mine in each for a in mine), backend.together([before for before, _ in each])

    def replay_kept(
        self, setting: Setting, first: State, P: Parameters, bars: Bars, kept: Any, readings_bar: tuple[Array, ...]
    ) -> Bars:
        """Cotangents back through all turns, from the states before them."""

        def body(inner: Bars, one: tuple[Any, Any]) -> tuple[Bars, None]:
            before, mine = one
            state = self._aged(setting.restore(before, first), setting, 1)
            return replay(unroll(self.steps), setting, state, P, inner, tuple(mine)), None

        backend = backends.of(first.X)
        each = backend.one_by_one(kept, self.turns)
        xs = backend.together(list(zip(each, self._dealt(list(readings_bar)), strict=True)))
        del each
        return backend.scan(body, bars, xs, self.turns, backwards=True)[0]

    # -- parts -------------------------------------------------------------------------------------------------------

    def _taken(self, unread: list[Array]) -> list[Array]:
        """Cotangents of its readings, taken from the end of the list."""
        mine = unread[len(unread) - self.reads :]
        del unread[len(unread) - self.reads :]
        return mine

    def _dealt(self, unread: list[Array]) -> list[tuple[Array, ...]]:
        """The same by turn."""
        mine, each = self._taken(unread), self.reads // self.turns
        return [tuple(mine[k * each : (k + 1) * each]) for k in range(self.turns)]

    def _aged(self, state: State, setting: Setting, by: int) -> State:
        """Those who are lost, so many turns later."""
        if not (setting.masked and self.loses):
            return state
        lost_at, xp = state.lost_at, namespace(state.X)
        return state._replace(lost_at=xp.where(lost_at >= 0, lost_at + by * self.places, lost_at))
