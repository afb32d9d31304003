"""What a step of a plan is: the protocol of everything that a line is compiled into.

A step is static and compares by value: a library that compiles keeps what it compiled for it. It is written once, as
physics on a state (`forward`, `inverse`, `pullback`, `reverse`), and it is run in three ways:

``advance``  forward; readings are put on a list
``retreat``  back from the state after it, with cotangents; nothing was kept
``replay``   cotangents back from the state *before* it, which was kept

Each step is compiled by itself and without the names of its owners: those that are alike share what was compiled for
them, and compile time does not grow with their number. A step that treats each particle by itself is `Local`: a
`backbeam.plan.stretch.Stretch` sends one block of particles after another through several of them.

To add a kind of step: a file with one class; who runs plans, cuts them or foretells their memory asks the step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Self

from backbeam import backends
from backbeam.arrays import Array, namespace
from backbeam.plan.state import Bars, Parameters, Setting, State

Owned = dict[str, dict[str, Array]]
"""Owner -> parameter -> array."""


@dataclass(frozen=True)
class Step:
    """Base of every step."""

    @property
    def kicks(self) -> int:
        """Number of kicks in it."""
        return 0

    @property
    def readers(self) -> tuple[str, ...]:
        """Element of every reading in it, in order."""
        return ()

    @property
    def reads(self) -> int:
        """Number of readings in it."""
        return len(self.readers)

    @property
    def rounds(self) -> int:
        """How often it does the same: more than once in a loop, which can keep a state for each round by itself."""
        return 1

    @property
    def moves(self) -> bool:
        """Whether it changes coordinates."""
        return True

    @property
    def loses(self) -> bool:
        """Whether particles may be lost in it."""
        return False

    @property
    def undoes(self) -> bool:
        """Whether it has an inverse; else a gradient keeps the state before it."""
        return True

    @property
    def calls_library(self) -> bool:
        """Whether it calls what belongs to the library of the beam, and to no other."""
        return False

    @property
    def is_local(self) -> bool:
        """Whether each particle goes its own way, and the reference stays."""
        return False

    @property
    def width(self) -> int:
        """Number of steps that it stands for, each map by itself and without loops."""
        return 1

    @property
    def losing(self) -> dict[int, tuple[str, str]]:
        """Places where particles may be lost in it: number -> (element, reason)."""
        return {}

    @property
    def may_turn(self) -> bool:
        """Whether a particle with too much transverse momentum turns round in it."""
        return False

    def inside(self, change: Callable[[Any], Any]) -> Step:
        """The step with what is changed of the steps that it has inside; most have none."""
        return self

    @property
    def turn_places(self) -> int:
        """By how much the numbers of the lost grow in each of its turns; 0: it has none."""
        return 0

    # -- physics -----------------------------------------------------------------------------------------------------

    def forward(self, state: State, P: Parameters, setting: Setting) -> State:
        """State after the step."""
        raise NotImplementedError

    def inverse(self, state: State, P: Parameters, setting: Setting) -> State:
        """State before the step, from the one after it."""
        raise NotImplementedError

    def pullback(self, state: State, P: Parameters, setting: Setting, bars: Bars) -> Bars:
        """Cotangents before the step, from the state before it and the cotangents after it."""
        raise NotImplementedError

    def reverse(self, state: State, P: Parameters, setting: Setting, bars: Bars) -> tuple[State, Bars]:
        """State and cotangents before the step, from those after it."""
        before = self.inverse(state, P, setting)
        return before, self.pullback(before, P, setting, bars)

    # -- running -----------------------------------------------------------------------------------------------------

    def advance(self, setting: Setting, state: State, P: Parameters, readings: list[Array]) -> State:
        """Forward."""
        return compiled(take, self, setting, state, P)

    def retreat(
        self, setting: Setting, state: State, P: Parameters, bars: Bars, unread: list[Array]
    ) -> tuple[State, Bars]:
        """Back from the state after it; cotangents of readings are taken from the end of the list."""
        return with_own_bars(take_back, self, setting, state, P, bars)

    def replay(self, setting: Setting, state: State, P: Parameters, bars: Bars, unread: list[Array]) -> Bars:
        """Cotangents back, from the state before it."""
        return with_own_bars(pull_back, self, setting, state, P, bars)

    def undone(self, setting: Setting, state: State, P: Parameters) -> State:
        """State before it, from the one after it."""
        return compiled(undo, self, setting, state, P) if self.moves or self.loses else state

    def unrolled(self) -> tuple[Step, ...]:
        """Its steps one by one."""
        return (self,)

    def inner(self) -> tuple[tuple[Step, int], ...]:
        """The steps that it is made of, each with how often it is taken."""
        return ((self, 1),)

    def turn_by_turn(self) -> tuple[Step, ...]:
        """Its turns one by one, where it has such."""
        return (self,)

    def shared_by_turns(self, turns: int) -> Any:
        """What runs as it does for so many turns, and keeps from one to the next what is the same in each."""
        return self

    def split(self, kicks: int) -> tuple[Step, ...]:
        """In two, of which the first has at most so many kicks, or maps where it has none, if that can be."""
        return (self,)

    # -- what is compiled for it -------------------------------------------------------------------------------------

    @property
    def kind(self) -> str:
        """What the memory model calls it."""
        return type(self).__name__

    @property
    def alike(self) -> Any:
        """The same for steps that take the same memory."""
        return self.kind

    def sizes(self, n: int, batch: int, grids: int) -> dict[str, float]:
        """What its memory is linear in besides particles: see `backbeam.memory.features`."""
        return {}

    def block(self, batch: int) -> int | None:
        """Particles of a block that a thread has in hand; None: as many as the library takes."""
        return None

    @property
    def owners(self) -> tuple[str, ...]:
        """Whose parameters it takes: its element, an effect, elements that the effect looks at."""
        step: Any = self  # of one owner, by the name of `element`
        return (step.element,)

    def renamed(self, names: Mapping[str, str]) -> Self:
        """The step with its owners called otherwise."""
        step: Any = self
        return replace(step, element=names[step.element])

    @property
    def bare(self) -> Self:
        """The step as it is compiled."""
        return _bare(self)

    @property
    def alike_compiled(self) -> Any:
        """The same for steps that share what is compiled."""
        return self.bare

    def anonymous(self) -> Self:
        """The step with numbers in the place of its owners."""
        return self.renamed({owner: str(k) for k, owner in enumerate(self.owners)})

    def own(self, P: Parameters) -> Owned:
        """What the bare step finds its parameters in."""
        given: Mapping[str, Any] = P
        return {str(k): given.get(owner, {}) for k, owner in enumerate(self.owners)}

    def zeros(self, own: Owned, sums: Owned) -> Owned:
        """Cotangents of zero for its `own` parameters, of the shapes that the sums for their owners have."""
        return {
            str(k): {name: zero(bar) for name, bar in sums.get(owner, {}).items() if name in own[str(k)]}
            for k, owner in enumerate(self.owners)
        }

    def add(self, sums: Owned, found: Owned) -> Owned:
        """The sums with what was found for its `own` parameters."""
        for k, owner in enumerate(self.owners):
            if owner in sums:
                mine = sums[owner]
                sums = {**sums, owner: {**mine, **{name: mine[name] + bar for name, bar in found[str(k)].items()}}}
        return sums


@dataclass(frozen=True)
class Local(Step):
    """A step in which each particle goes its own way: what a block of particles needs of it in a stretch."""

    @property
    def is_local(self) -> bool:
        """It does, unless its file says otherwise."""
        return True

    def given(self, setting: Setting, state: State, P: Parameters, inverse: bool) -> Any:
        """What all blocks see of it: its parameters; ``inverse`` says whether it will be undone."""
        return self.own(P)

    def nothing(self, given: Any, bars: Bars) -> Any:
        """Cotangents of the reference and of its parameters from which the sums of a block begin."""
        return zero(bars.beta_gamma), self.zeros(given, bars.parameters)

    def block_forward(self, setting: Setting, state: State, given: Any) -> State:
        """A block forward."""
        return self.forward(state, given, setting)

    def block_reverse(
        self, setting: Setting, state: State, given: Any, X_bar: Array, q_bar: Array, nothing: Any
    ) -> tuple[State, Array, Any]:
        """A block back from the state after it; the sums over the block."""
        state, bars = self.reverse(state, given, setting, Bars(X_bar, q_bar, *nothing))
        return state, bars.X, (bars.beta_gamma, bars.parameters)

    def block_pullback(
        self, setting: Setting, state: State, given: Any, X_bar: Array, q_bar: Array, nothing: Any
    ) -> tuple[Array, Any]:
        """Cotangents of a block, from the state before it; the sums over the block."""
        bars = self.pullback(state, given, setting, Bars(X_bar, q_bar, *nothing))
        return bars.X, (bars.beta_gamma, bars.parameters)

    def collect(self, setting: Setting, state: State, P: Parameters, bars: Bars, sums: Any) -> Bars:
        """The cotangents with the sums over all blocks; ``state`` is one of the stretch, for its reference."""
        beta_gamma_bar, own = sums
        return bars._replace(beta_gamma=bars.beta_gamma + beta_gamma_bar, parameters=self.add(bars.parameters, own))


# -- what is compiled: a method of a bare step -------------------------------------------------------------------------


def take(step: Step, setting: Setting, state: State, P: Parameters) -> State:
    """One step forward."""
    return step.forward(state, P, setting)


def undo(step: Step, setting: Setting, state: State, P: Parameters) -> State:
    """One step undone."""
    return step.inverse(state, P, setting)


def take_back(step: Step, setting: Setting, state: State, P: Parameters, bars: Bars) -> tuple[State, Bars]:
    """One step back, from the state after it."""
    return step.reverse(state, P, setting, bars)


def pull_back(step: Step, setting: Setting, state: State, P: Parameters, bars: Bars) -> Bars:
    """Cotangents one step back, from the state before it."""
    return step.pullback(state, P, setting, bars)


@cache
def _bare(step: Step) -> Any:
    """By value, for plans are made anew: `Step.bare`."""
    return step.anonymous()


def compiled(function: Any, step: Step, setting: Setting, state: State, P: Parameters) -> Any:
    """Call a function of a bare step, compiled where the library compiles."""
    backend = backends.of(state.X)
    with backend.quiet():
        return backend.compile(function, static=(0, 1))(step.bare, setting, state, step.own(P))


def with_own_bars(
    function: Any, step: Step, setting: Setting, state: State, P: Parameters, bars: Bars, *more: Any
) -> Any:
    """`compiled` for functions that take and give cotangents: (..., bars) or bars alone."""
    own = step.own(P)
    mine = bars._replace(parameters=step.zeros(own, bars.parameters))
    backend = backends.of(state.X)
    with backend.quiet():
        found = backend.compile(function, static=(0, 1))(step.bare, setting, state, own, mine, *more)
    inner = found if isinstance(found, Bars) else found[-1]
    merged = inner._replace(parameters=step.add(bars.parameters, inner.parameters))
    return merged if isinstance(found, Bars) else (*found[:-1], merged)


def zero(array: Array) -> Array:
    """Zeros like an array."""
    return namespace(array).zeros_like(array)
