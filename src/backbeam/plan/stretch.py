"""Stretches without space charge: a block of particles goes through all of their maps before the next block starts.

Between two kicks every particle goes its own way. So the beam is cut into blocks that stay in the processor's cache
(`Backend.blockwise`), where a map at a time would carry the whole beam to memory and back; on the way back the states
in between exist for one block only. The reference energy does not change within a stretch: a map that accelerates
ends it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import Any, ClassVar, cast

from backbeam import backends
from backbeam.arrays import Array, namespace
from backbeam.plan.state import Bars, Parameters, Setting, State
from backbeam.plan.step import Local, Step


@dataclass(frozen=True)
class Stretch:
    """Local steps, taken together. It runs as a step does."""

    steps: tuple[Local, ...]

    passes: ClassVar[int] = 1
    """How often it is run, as far as that is known."""

    @property
    def loses(self) -> bool:
        """Whether particles may be lost in it."""
        return any(step.loses for step in self.steps)

    @property
    def width(self) -> int:
        """Number of maps."""
        return sum(step.width for step in self.steps)

    @property
    def reads(self) -> int:
        """None."""
        return 0

    @property
    def kicks(self) -> int:
        """None."""
        return 0

    @property
    def alike_compiled(self) -> Any:
        """The same for stretches that share what is compiled."""
        return _bare(self.steps)

    def shared_by_turns(self, turns: int) -> SharedStretch:
        """The stretch for so many turns, with what its steps are given kept from one to the next."""
        return SharedStretch(self.steps, turns)

    def advance(self, setting: Setting, state: State, P: Parameters, readings: list[Array]) -> State:
        """Forward."""
        loses = self.loses

        def block(particles: tuple[Array, ...], shared: Any) -> tuple[Any, None]:
            inner, given = _state(particles, shared[0]), shared[1]
            backend = backends.of(inner.X)
            run = backend.compile(chunk_forward, static=(0, 1), calls=self.passes)
            with backend.quiet():
                for part in self._chunks(backend.steps_together):
                    inner = run(_bare(self.steps[part]), setting, inner, given[part])
            return (inner.X, inner.lost_at) if loses else (inner.X,), None

        particles = (state.X, state.q, state.lost_at)
        given = self._given(setting, state, P, inverse=False)
        found, _ = backends.of(state.X).blockwise(block, particles, (state.beta_gamma, given))
        return state._replace(X=found[0], lost_at=found[1] if loses else state.lost_at)

    def retreat(
        self, setting: Setting, state: State, P: Parameters, bars: Bars, unread: list[Array]
    ) -> tuple[State, Bars]:
        """Undo from the state after it, and pull the cotangents back on the way."""
        loses = self.loses

        def block(particles: tuple[Array, ...], shared: Any) -> tuple[Any, Any]:
            *now, X_bar, q_bar = particles
            inner, (_, given, nothing) = _state(tuple(now), shared[0]), shared
            backend = backends.of(inner.X)
            run = backend.compile(chunk_reverse, static=(0, 1), calls=self.passes)
            sums: list[Any] = []
            with backend.quiet():
                for part in reversed(self._chunks(backend.steps_together)):
                    bare = _bare(self.steps[part])
                    inner, X_bar, found = run(bare, setting, inner, given[part], X_bar, q_bar, nothing[part])
                    sums = [*found, *sums]
            return ((inner.X, X_bar, inner.lost_at) if loses else (inner.X, X_bar)), sums

        particles = (state.X, state.q, state.lost_at, bars.X, bars.q)
        given = self._given(setting, state, P, inverse=True)
        shared = (state.beta_gamma, given, self._nothing(given, bars))
        found, sums = backends.of(state.X).blockwise(block, particles, shared)
        before = state._replace(X=found[0], lost_at=found[2] if loses else state.lost_at)
        return before, self._collected(setting, before, P, bars._replace(X=found[1]), sums)

    def replay(self, setting: Setting, state: State, P: Parameters, bars: Bars, unread: list[Array]) -> Bars:
        """Pull the cotangents back from the state before it; those in between are made again, block by block."""

        def block(particles: tuple[Array, ...], shared: Any) -> tuple[Any, Any]:
            *now, X_bar, q_bar = particles
            inner, (_, given, nothing) = _state(tuple(now), shared[0]), shared
            backend = backends.of(inner.X)
            run, pull = (backend.compile(f, static=(0, 1)) for f in (chunk_forward, chunk_pullback))
            before: list[State] = [inner]
            sums: list[Any] = []
            parts = self._chunks(backend.steps_together)
            with backend.quiet():
                for part in parts[:-1]:
                    before.append(run(_bare(self.steps[part]), setting, before[-1], given[part]))
                for part in reversed(parts):
                    bare = _bare(self.steps[part])
                    X_bar, found = pull(bare, setting, before.pop(), given[part], X_bar, q_bar, nothing[part])
                    sums = [*found, *sums]
            return (X_bar,), sums

        particles = (state.X, state.q, state.lost_at, bars.X, bars.q)
        given = self._given(setting, state, P, inverse=False)
        shared = (state.beta_gamma, given, self._nothing(given, bars))
        found, sums = backends.of(state.X).blockwise(block, particles, shared)
        return self._collected(setting, state, P, bars._replace(X=found[0]), sums)

    # -- what all blocks share ---------------------------------------------------------------------------------------

    def _given(self, setting: Setting, state: State, P: Parameters, inverse: bool) -> list[Any]:
        return [step.given(setting, state, P, inverse) for step in self.steps]

    def _nothing(self, given: list[Any], bars: Bars) -> list[Any]:
        return [step.nothing(own, bars) for step, own in zip(self.steps, given, strict=True)]

    def _collected(self, setting: Setting, state: State, P: Parameters, bars: Bars, sums: Any) -> Bars:
        for step, found in zip(self.steps, sums, strict=True):
            bars = step.collect(setting, state, P, bars, found)
        return bars

    def _chunks(self, longest: int) -> list[slice]:
        """Parts that are compiled as one."""
        return [slice(k, k + longest) for k in range(0, len(self.steps), longest)]


def stretches(plan: Sequence[Step]) -> list[Step | Stretch]:
    """The plan with its local steps taken together, in their places between all other steps."""
    found: list[Step | Stretch] = []
    for local, steps in groupby(plan, key=lambda step: step.is_local):
        some = tuple(steps)
        found += (Stretch(cast("tuple[Local, ...]", some)),) if local else some
    return found


class SharedStretch(Stretch):
    """A stretch that is run again and again with the same parameters.

    Matrices and whatever else all particles share are made anew only where the reference has another momentum.
    """

    def __init__(self, steps: tuple[Local, ...], turns: int) -> None:
        super().__init__(steps)
        object.__setattr__(self, "_made", {})
        object.__setattr__(self, "passes", turns)

    def _given(self, setting: Setting, state: State, P: Parameters, inverse: bool) -> list[Any]:
        made: Any = self._made  # type: ignore[attr-defined]
        if inverse not in made or not _same(made[inverse][0], state.beta_gamma):
            made[inverse] = (state.beta_gamma, super()._given(setting, state, P, inverse))
        return made[inverse][1]


def _same(a: Array, b: Array) -> bool:
    return a is b or bool(namespace(a).all(a == b))


# -- what is compiled: a few steps at a time ---------------------------------------------------------------------------


def chunk_forward(steps: tuple[Local, ...], setting: Setting, state: State, given: list[Any]) -> State:
    """Some steps forward."""
    for step, own in zip(steps, given, strict=True):
        state = step.block_forward(setting, state, own)
    return state


def chunk_reverse(
    steps: tuple[Local, ...],
    setting: Setting,
    state: State,
    given: list[Any],
    X_bar: Array,
    q_bar: Array,
    nothing: list[Any],
) -> tuple[State, Array, list[Any]]:
    """Some steps back from the state after them; the sums of each step."""
    sums: list[Any] = []
    for step, own, none in reversed(list(zip(steps, given, nothing, strict=True))):
        state, X_bar, found = step.block_reverse(setting, state, own, X_bar, q_bar, none)
        sums = [found, *sums]
    return state, X_bar, sums


def chunk_pullback(
    steps: tuple[Local, ...],
    setting: Setting,
    state: State,
    given: list[Any],
    X_bar: Array,
    q_bar: Array,
    nothing: list[Any],
) -> tuple[Array, list[Any]]:
    """Cotangents some steps back, from the state before them; the sums of each step."""
    before = [state]
    for step, own in list(zip(steps, given, strict=True))[:-1]:
        before.append(step.block_forward(setting, before[-1], own))
    sums: list[Any] = []
    for step, own, none in reversed(list(zip(steps, given, nothing, strict=True))):
        X_bar, found = step.block_pullback(setting, before.pop(), own, X_bar, q_bar, none)
        sums = [found, *sums]
    return X_bar, sums


@cache
def _bare(steps: tuple[Local, ...]) -> tuple[Local, ...]:
    """The steps without the names of their elements, so that like ones share what is compiled."""
    return tuple(step.bare for step in steps)


def _state(particles: tuple[Array, ...], beta_gamma: Array) -> State:
    X, q, lost_at = particles
    return State(X, q, beta_gamma, lost_at)
