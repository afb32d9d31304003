"""An opening that loses what does not pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from backbeam.arrays import namespace
from backbeam.elements.aperture import Opening
from backbeam.maps.base import Map
from backbeam.plan.state import ALIVE, Bars, Parameters, Setting, State
from backbeam.plan.step import Local


@dataclass(frozen=True)
class Lose(Local):
    """An aperture: particles that do not pass are lost at this step, and stay where they are."""

    opening: Opening
    index: int
    element: str = ""
    into: Map | None = None
    """The way into the frame of a displaced aperture. Only the test is made there: the lost stay where the beam is."""

    moves: ClassVar[bool] = False
    loses: ClassVar[bool] = True

    @property
    def losing(self) -> dict[int, tuple[str, str]]:
        """Itself."""
        return {self.index: (self.element, "aperture")}

    def forward(self, state: State, P: Parameters, setting: Setting) -> State:
        """Mark who is lost."""
        xp, X = namespace(state.X), state.X
        if self.into is not None:
            X = self.into.forward(X, setting.reference(state), P[self.element])
        hit = setting.alive(state) & ~self.opening.passes(X[..., 0, :], X[..., 2, :])
        return state._replace(lost_at=xp.where(hit, xp.full_like(state.lost_at, self.index), state.lost_at))

    def inverse(self, state: State, P: Parameters, setting: Setting) -> State:
        """Bring back who was lost here."""
        xp = namespace(state.X)
        here = state.lost_at == self.index
        return state._replace(lost_at=xp.where(here, xp.full_like(state.lost_at, ALIVE), state.lost_at))

    def pullback(self, state: State, P: Parameters, setting: Setting, bars: Bars) -> Bars:
        """Coordinates and charges pass as they are."""
        return bars
