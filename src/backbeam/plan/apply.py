"""A map of one element."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from backbeam.arrays import Array, namespace
from backbeam.maps.base import Map
from backbeam.plan.state import Bars, Parameters, Setting, State, added
from backbeam.plan.step import Local
from backbeam.reference import Reference


@dataclass(frozen=True)
class Apply(Local):
    """A map of one element."""

    map: Map
    element: str
    names: tuple[tuple[str, str], ...]
    """Pairs (map's parameter, element's parameter)."""

    @property
    def is_local(self) -> bool:
        """Unless the reference changes in it."""
        return not self.map.accelerates

    @property
    def kind(self) -> str:
        """That of its map."""
        return self.map.kind

    @property
    def may_turn(self) -> bool:
        """In a map that is not affine: one matrix and one shift give a number for every number."""
        return not self.map.affine

    @property
    def alike(self) -> Map:
        """Its map."""
        return self.map

    def sizes(self, n: int, batch: int, grids: int) -> dict[str, float]:
        """Particles times substeps."""
        return {"substep": float(batch * n * self.map.substeps)}

    @property
    def is_affine(self) -> bool:
        """Whether it is one matrix and one shift for all particles, and the reference stays."""
        return self.map.affine and not self.map.accelerates

    def values(self, P: Parameters) -> dict[str, Array]:
        """Parameters of its map."""
        return {mine: P[self.element][field] for mine, field in self.names}

    def bound(self, bars: Mapping[str, Array]) -> dict[str, Array]:
        """Cotangents of the element's parameters from those of the map's."""
        total: dict[str, Array] = {}
        for mine, field in self.names:
            if mine in bars:
                total[field] = total[field] + bars[mine] if field in total else bars[mine]
        return total

    def _guard(self, state: State, setting: Setting) -> Array:
        """Coordinates with the lost particles put on the reference, where every map is defined."""
        if not setting.masked:
            return state.X
        xp = namespace(state.X)
        return xp.where(setting.alive(state)[..., None, :], state.X, xp.zeros_like(state.X))

    def _thaw(self, state: State, setting: Setting, X: Array, frozen: Array) -> Array:
        """``X`` for those alive, ``frozen`` for the lost."""
        if not setting.masked:
            return X
        return namespace(X).where(setting.alive(state)[..., None, :], X, frozen)

    def forward(self, state: State, P: Parameters, setting: Setting) -> State:
        """Apply the map."""
        reference, p = setting.reference(state), self.values(P)
        X = self._thaw(state, setting, self.map.forward(self._guard(state, setting), reference, p), state.X)
        return state._replace(X=X, beta_gamma=self._after(reference, p))

    def _after(self, reference: Reference, p: Mapping[str, Array]) -> Array:
        return self.map.reference_after(reference, p).beta_gamma if self.map.accelerates else reference.beta_gamma

    def _before(self, state: State, setting: Setting, p: Mapping[str, Array]) -> Reference:
        reference = setting.reference(state)
        return self.map.reference_before(reference, p) if self.map.accelerates else reference

    def inverse(self, state: State, P: Parameters, setting: Setting) -> State:
        """Undo the map."""
        p = self.values(P)
        reference = self._before(state, setting, p)
        X = self._thaw(state, setting, self.map.inverse(self._guard(state, setting), reference, p), state.X)
        return state._replace(X=X, beta_gamma=reference.beta_gamma)

    def pullback(self, state: State, P: Parameters, setting: Setting, bars: Bars) -> Bars:
        """Pull back through the map and through what it does to the reference."""
        p, reference = self.values(P), setting.reference(state)
        X_bar = self._silence(state, setting, bars.X)
        X_bar, beta_gamma_bar, own = self.map.pullback(self._guard(state, setting), reference, p, X_bar)
        return self._collect(state, setting, reference, p, bars, X_bar, beta_gamma_bar, own)

    def reverse(self, state: State, P: Parameters, setting: Setting, bars: Bars) -> tuple[State, Bars]:
        """Undo and pull back in one."""
        p = self.values(P)
        reference = self._before(state, setting, p)
        X_bar = self._silence(state, setting, bars.X)
        X, X_bar, beta_gamma_bar, own = self.map.reverse(self._guard(state, setting), reference, p, X_bar)
        before = state._replace(X=self._thaw(state, setting, X, state.X), beta_gamma=reference.beta_gamma)
        return before, self._collect(state, setting, reference, p, bars, X_bar, beta_gamma_bar, own)

    def _silence(self, state: State, setting: Setting, X_bar: Array) -> Array:
        """No cotangent for the lost: the map did not move them."""
        return self._thaw(state, setting, X_bar, namespace(X_bar).zeros_like(X_bar)) if setting.masked else X_bar

    def _collect(
        self,
        state: State,
        setting: Setting,
        reference: Reference,
        p: Mapping[str, Array],
        bars: Bars,
        X_bar: Array,
        beta_gamma_bar: Array | float,
        own: Mapping[str, Array],
    ) -> Bars:
        X_bar = self._thaw(state, setting, X_bar, bars.X)
        total = bars.beta_gamma
        parameters = added(bars.parameters, self.element, self.bound(own))
        if self.map.accelerates:
            total, more = self.map.reference_pullback(reference, p, total)
            parameters = added(parameters, self.element, self.bound(more))
        return Bars(X_bar, bars.q, total + beta_gamma_bar, parameters)
