"""A watch on particles that turn round: where one has no longitudinal momentum left, it is lost.

A map gives NaN for such a particle. Most beams have none, so a plan is run without a watch first; where what comes out
is no number, it is run again with one on every map that is not linear. Under a trace nobody can see what comes out,
and the watch is always there. The particle is lost in that step and keeps the coordinates with which it entered it. Its
gradient is that of a particle lost at an aperture.

The number of a loss is the place of the step in the plan, each map by itself, behind the numbers of the openings. In a
loop, which is compiled once for all of its rounds, numbers count from `LOOP`, and what is lost there ages by a round's
steps with every round; outside it has the number that it would have without the loop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from backbeam import backends
from backbeam.arrays import Array, namespace
from backbeam.plan.repeat import Repeat
from backbeam.plan.state import ALIVE, Bars, Parameters, Setting, State
from backbeam.plan.step import Step

LOOP = 2**30
"""Numbers from here on are those within a loop."""


@dataclass(frozen=True)
class Watched(Step):
    """A step in which particles may turn round."""

    step: Step
    index: int

    loses: ClassVar[bool] = True

    @property
    def losing(self) -> dict[int, tuple[str, str]]:
        """Itself."""
        return {self.index: (self.step.owners[0], "turned round")}

    @property
    def kind(self) -> str:
        """That of the step."""
        return self.step.kind

    @property
    def owners(self) -> tuple[str, ...]:
        """Those of the step."""
        return self.step.owners

    def renamed(self, names: Mapping[str, str]) -> Self:
        """With the step's owners called otherwise."""
        return replace(self, step=self.step.renamed(names))

    # -- called by itself: the step is compiled without its number -----------------------------------------------------

    def advance(self, setting: Setting, state: State, P: Parameters, readings: list[Array]) -> State:
        """Forward; those who turn round stay at the entrance."""
        return self._parted(state, self.step.advance(setting, state, P, readings), setting)

    def retreat(
        self, setting: Setting, state: State, P: Parameters, bars: Bars, unread: list[Array]
    ) -> tuple[State, Bars]:
        """Undo; those who turned round here come back to life where they entered."""
        before, bars = self.step.retreat(setting, state, P, bars, unread)
        return self._revived(before), bars

    def replay(self, setting: Setting, state: State, P: Parameters, bars: Bars, unread: list[Array]) -> Bars:
        """From the state before it: who turns round is found again."""
        after = self.step.advance(setting, state, P, [])
        return self.step.replay(setting, self._marked(state, after, setting), P, bars, unread)

    def undone(self, setting: Setting, state: State, P: Parameters) -> State:
        """As `retreat`."""
        return self._revived(self.step.undone(setting, state, P))

    # -- in a loop -----------------------------------------------------------------------------------------------------

    def forward(self, state: State, P: Parameters, setting: Setting) -> State:
        """As `advance`."""
        return self._parted(state, self.step.forward(state, P, setting), setting)

    def inverse(self, state: State, P: Parameters, setting: Setting) -> State:
        """Undo."""
        return self._revived(self.step.inverse(state, P, setting))

    def reverse(self, state: State, P: Parameters, setting: Setting, bars: Bars) -> tuple[State, Bars]:
        """As `retreat`."""
        before, bars = self.step.reverse(state, P, setting, bars)
        return self._revived(before), bars

    def pullback(self, state: State, P: Parameters, setting: Setting, bars: Bars) -> Bars:
        """As `replay`."""
        after = self.step.forward(state, P, setting)
        return self.step.pullback(self._marked(state, after, setting), P, setting, bars)

    # -- who turns round -----------------------------------------------------------------------------------------------

    def _turned(self, before: State, after: State, setting: Setting) -> Array:
        xp = namespace(before.X)
        return setting.alive(before) & ~xp.all(xp.isfinite(after.X), axis=-2)

    def _parted(self, before: State, after: State, setting: Setting) -> State:
        """The state after the step, in which those who turned round are lost where they entered it."""
        xp, turned = namespace(before.X), self._turned(before, after, setting)
        X = xp.where(turned[..., None, :], before.X, after.X)
        return after._replace(X=X, lost_at=_numbered(turned, self.index, before.lost_at))

    def _marked(self, before: State, after: State, setting: Setting) -> State:
        """The state before the step, in which those who turn round in it are lost."""
        turned = self._turned(before, after, setting)
        return before._replace(lost_at=_numbered(turned, self.index, before.lost_at))

    def _revived(self, before: State) -> State:
        return before._replace(lost_at=_numbered(before.lost_at == self.index, ALIVE, before.lost_at))


@dataclass(frozen=True)
class TapedWatch(Watched):
    """For a library's own tape: taken again without those who turn round, as what it records must be numbers."""

    def advance(self, setting: Setting, state: State, P: Parameters, readings: list[Array]) -> State:
        """Twice."""
        return self.step.advance(setting, self._marked(state, self.step.advance(setting, state, P, []), setting), P, [])

    def forward(self, state: State, P: Parameters, setting: Setting) -> State:
        """Twice."""
        marked = self._marked(state, self.step.forward(state, P, setting), setting)
        return self.step.forward(marked, P, setting)


@dataclass(frozen=True)
class RoundEnds(Step):
    """The end of a round of a loop: who was lost in it is a round older."""

    steps: int
    """Of a round."""

    width: ClassVar[int] = 0
    moves: ClassVar[bool] = False
    owners: ClassVar[tuple[str, ...]] = ()

    def renamed(self, names: Mapping[str, str]) -> Self:
        """It has no owner."""
        return self

    def _aged(self, state: State, steps: int) -> State:
        lost_at = state.lost_at
        return state._replace(lost_at=namespace(lost_at).where(lost_at >= LOOP, lost_at + steps, lost_at))

    def forward(self, state: State, P: Parameters, setting: Setting) -> State:
        """Older."""
        return self._aged(state, self.steps)

    def inverse(self, state: State, P: Parameters, setting: Setting) -> State:
        """Younger."""
        return self._aged(state, -self.steps)

    def pullback(self, state: State, P: Parameters, setting: Setting, bars: Bars) -> Bars:
        """Nothing moves."""
        return bars


@dataclass(frozen=True)
class WatchedLoop(Repeat):
    """A loop of watched steps, whose losses have the numbers that they would have without it."""

    index: int = 0
    """Of its first step."""

    loses: ClassVar[bool] = True

    @property
    def losing(self) -> dict[int, tuple[str, str]]:
        """Places of its last round."""
        last = self.index + (self.count - 1) * self._round - LOOP
        return {last + index: place for step in self.steps for index, place in step.losing.items()}

    @property
    def _round(self) -> int:
        return sum(step.width for step in self.steps)

    def anonymous(self) -> Repeat:  # type: ignore[override]
        """The loop alone, for those that are alike to share what is compiled."""
        return Repeat(self.steps, self.count).anonymous()

    def unrolled(self) -> tuple[Step, ...]:
        """Its steps one by one."""
        found: list[Step] = []
        for k in range(self.count):
            first = self.index + k * self._round - LOOP
            for step in self.steps:
                if isinstance(step, Watched):
                    found.append(replace(step, index=step.index + first))
                elif step.width:
                    found.append(step)
        return tuple(found)

    def split(self, kicks: int) -> tuple[Step, ...]:
        """Rounds, and those left."""
        parts = super().split(kicks)
        if len(parts) == 1:
            return parts
        done = parts[0].width
        return parts[0], WatchedLoop(self.steps, self.count - done // self._round, self.index + done)

    def _outside(self, state: State) -> State:
        """Numbers after the loop: those of the last round are a round old."""
        lost_at = state.lost_at
        age = (lost_at - LOOP) // self._round  # rounds that have ended since, its own with them
        number = self.index + (lost_at - LOOP) - age * self._round + (self.count - age) * self._round
        return state._replace(lost_at=namespace(lost_at).where(lost_at >= LOOP, number, lost_at))

    def _inside(self, state: State) -> State:
        """`_outside` undone."""
        lost_at, width = state.lost_at, self._round
        k = (lost_at - self.index) // width
        number = LOOP + (lost_at - self.index) - k * width + (self.count - k) * width
        here = (lost_at >= self.index) & (lost_at < self.index + self.count * width)
        return state._replace(lost_at=namespace(lost_at).where(here, number, lost_at))

    def advance(self, setting: Setting, state: State, P: Parameters, readings: list[Array]) -> State:
        """Forward."""
        return self._outside(super().advance(setting, state, P, readings))

    def retreat(
        self, setting: Setting, state: State, P: Parameters, bars: Bars, unread: list[Array]
    ) -> tuple[State, Bars]:
        """Back."""
        return super().retreat(setting, self._inside(state), P, bars, unread)

    def advance_and_keep(self, setting: Setting, state: State, P: Parameters) -> tuple[State, tuple[Array, ...], Any]:
        """Forward; the states that are kept have the loop's own numbers."""
        state, readings, kept = super().advance_and_keep(setting, state, P)
        return self._outside(state), readings, kept


def _numbered(where: Array, number: int, lost_at: Array) -> Array:
    xp = namespace(lost_at)
    return xp.where(where, xp.full_like(lost_at, number), lost_at)


def watched(plan: Sequence[Step], first: int | None = None, width: int = 0, by: type[Watched] = Watched) -> Any:
    """The plan with a watch on each step in which a particle could turn round.

    ``first`` is the number behind those of the openings, that of the plan where it is not given; ``width`` the number
    of steps before the plan, where it is a part of one.
    """
    if first is None:
        first = 1 + max((index for step in plan for index in step.losing), default=-1)
    found: list[Step] = []
    for step in plan:
        number, width = first + width, width + step.width
        if isinstance(step, Repeat):
            found.append(_looped(step, number, by))
        else:
            inner = step.inside(lambda steps: watched(steps, by=by))
            found.append(by(inner, number) if step.may_turn else inner)
    return tuple(found)


def _looped(loop: Repeat, number: int, by: type[Watched]) -> Step:
    if not any(step.may_turn for step in loop.steps):
        return loop
    inner = watched(loop.steps, LOOP, by=by)
    return WatchedLoop((*inner, RoundEnds(sum(step.width for step in loop.steps))), loop.count, number)


BEYOND_MEASURE = 1e15
"""Coordinates of which the sum is larger than this, a tenth of a light year, are of no beam: a series or an exponential
of fields was followed to where it means nothing. Their squares are numbers in float32, too."""


def is_sound(state: State) -> bool:
    """Whether all coordinates and the reference are numbers, and none is beyond all measure."""
    with backends.of(state.X).quiet():
        return bool(_is_sound(state.X, state.beta_gamma))


@backends.as_one
def _is_sound(X: Array, beta_gamma: Array) -> Array:
    xp = namespace(X)
    total = xp.abs(xp.sum(X))  # no number if any is none, and large if any is
    return (total <= BEYOND_MEASURE) & xp.all(xp.isfinite(beta_gamma))
