"""A watch on particles that turn round: where one has no longitudinal momentum left, it is lost.

A map gives NaN for such a particle. Most beams have none, so a plan is run without a watch first; where what comes out
is no number, it is run again with one on every map that is not linear. The particle is lost in that step and keeps the
coordinates with which it entered it. Its gradient is that of a particle lost at an aperture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from backbeam import backends
from backbeam.arrays import Array, namespace
from backbeam.plan.state import ALIVE, Bars, Parameters, Setting, State
from backbeam.plan.step import Step


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

    def advance(self, setting: Setting, state: State, P: Parameters, readings: list[Array]) -> State:
        """Forward, and once more without those who turn round."""
        after = self.step.advance(setting, state, P, readings)
        marked = self._marked(state, after, setting)
        return after if marked is state else self.step.advance(setting, marked, P, readings)

    def retreat(
        self, setting: Setting, state: State, P: Parameters, bars: Bars, unread: list[Array]
    ) -> tuple[State, Bars]:
        """Undo; those who turned round here come back to life where they entered."""
        before, bars = self.step.retreat(setting, state, P, bars, unread)
        xp = namespace(state.X)
        here = before.lost_at == self.index
        return before._replace(lost_at=xp.where(here, xp.full_like(before.lost_at, ALIVE), before.lost_at)), bars

    def replay(self, setting: Setting, state: State, P: Parameters, bars: Bars, unread: list[Array]) -> Bars:
        """From the state before it: who turns round is found again."""
        after = self.step.advance(setting, state, P, [])
        return self.step.replay(setting, self._marked(state, after, setting), P, bars, unread)

    def _marked(self, before: State, after: State, setting: Setting) -> State:
        """The state before the step, in which those who turn round in it are lost."""
        xp = namespace(before.X)
        turned = setting.alive(before) & ~xp.all(xp.isfinite(after.X), axis=-2)
        if not bool(xp.any(turned)):
            return before
        return before._replace(lost_at=xp.where(turned, xp.full_like(before.lost_at, self.index), before.lost_at))


def watched(plan: Sequence[Step]) -> tuple[Step, ...]:
    """The plan, without loops but for turns, with a watch on each step in which a particle could turn round."""
    steps = [inner.inside(watched) for step in plan for inner in step.unrolled()]
    first = 1 + max((index for step in steps for index in step.losing), default=-1)
    return tuple(Watched(step, first + k) if step.may_turn else step for k, step in enumerate(steps))


def is_sound(state: State) -> bool:
    """Whether all coordinates and the reference are numbers, and none so large that its square is none."""
    xp = namespace(state.X)
    with backends.of(state.X).quiet():
        largest = 1e-3 * float(xp.finfo(state.X.dtype).max) ** 0.5
        total = xp.abs(xp.sum(state.X))  # no number if any is none, and large if any is
        return bool(total <= largest) and bool(xp.all(xp.isfinite(state.beta_gamma)))
