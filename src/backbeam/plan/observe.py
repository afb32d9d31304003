"""A reading in mid-line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from backbeam.arrays import Array
from backbeam.observation import Observation
from backbeam.plan.state import Bars, Parameters, Setting, State
from backbeam.plan.step import Step


@dataclass(frozen=True)
class Observe(Step):
    """A reading taken here; the beam passes as it is."""

    observation: Observation
    element: str

    moves: ClassVar[bool] = False

    @property
    def readers(self) -> tuple[str, ...]:
        """Its element."""
        return (self.element,)

    @property
    def kind(self) -> str:
        """That of its observation."""
        return type(self.observation).__name__

    @property
    def alike(self) -> Observation:
        """Its observation."""
        return self.observation

    def read(self, state: State, setting: Setting) -> Array:
        """Take the reading."""
        return self.observation.read(state.X, state.q, setting.alive(state))

    def advance(self, setting: Setting, state: State, P: Parameters, readings: list[Array]) -> State:
        """Put the reading on the list."""
        readings.append(self.read(state, setting))
        return state

    def retreat(
        self, setting: Setting, state: State, P: Parameters, bars: Bars, unread: list[Array]
    ) -> tuple[State, Bars]:
        """Add what the reading's cotangent gives; the state is the same before and after."""
        return state, self.replay(setting, state, P, bars, unread)

    def replay(self, setting: Setting, state: State, P: Parameters, bars: Bars, unread: list[Array]) -> Bars:
        """Add what the reading's cotangent gives."""
        X_bar, q_bar = self.observation.pullback(state.X, state.q, setting.alive(state), unread.pop())
        return bars._replace(X=bars.X + X_bar, q=bars.q + q_bar)
