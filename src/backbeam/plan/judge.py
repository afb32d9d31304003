"""An objective of the beam in mid-line, read as a monitor is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING, ClassVar, Self

from backbeam.arrays import Array, namespace
from backbeam.beam import Beam
from backbeam.plan.state import Bars, Parameters, Setting, State
from backbeam.plan.step import Step

if TYPE_CHECKING:
    from backbeam.observables.base import Objective


@dataclass(frozen=True)
class Judge(Step):
    """The value of an objective is read here; the beam passes as it is, and on the way back takes its cotangents up."""

    objective: Objective
    label: str
    """By which its value stands among the readings."""

    moves: ClassVar[bool] = False
    width: ClassVar[int] = 0
    """It is no map: places of loss are counted as without it."""
    owners: ClassVar[tuple[str, ...]] = ()
    kind: ClassVar[str] = "Centroid"
    """It takes the memory of one."""

    @property
    def readers(self) -> tuple[str, ...]:
        """Its label."""
        return (self.label,)

    @property
    def calls_library(self) -> bool:
        """Whether the objective is somebody else's."""
        return self.objective.is_foreign

    def renamed(self, names: Mapping[str, str]) -> Self:
        """It has no owner."""
        return self

    def _beam(self, state: State, setting: Setting) -> Beam:
        xp = namespace(state.X)
        nobody = xp.full_like(state.lost_at, -1)
        lost_at = xp.where(setting.alive(state), nobody, xp.zeros_like(nobody)) if setting.masked else nobody
        return Beam(state.X, state.q, setting.reference(state), lost_at, s=nan)

    def advance(self, setting: Setting, state: State, P: Parameters, readings: list[Array]) -> State:
        """Put the value on the list."""
        readings.append(self.objective(self._beam(state, setting)))
        return state

    def retreat(
        self, setting: Setting, state: State, P: Parameters, bars: Bars, unread: list[Array]
    ) -> tuple[State, Bars]:
        """Add what the value's cotangent gives; the state is the same before and after."""
        return state, self.replay(setting, state, P, bars, unread)

    def replay(self, setting: Setting, state: State, P: Parameters, bars: Bars, unread: list[Array]) -> Bars:
        """Add what the value's cotangent gives."""
        found = self.objective.pullback(self._beam(state, setting), unread.pop())
        return Bars(
            bars.X + found.coordinates, bars.q + found.charges, bars.beta_gamma + found.beta_gamma, bars.parameters
        )
