"""The kinds of steps that a plan is made of: each goes forward, and goes back with a cotangent.

The state of a beam under way is four arrays. Steps hold no arrays and compare by value, so a library that compiles can
keep what it compiled for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from backbeam.arrays import Array, namespace
from backbeam.effects.base import Bunch
from backbeam.elements.aperture import Opening
from backbeam.maps.base import Map
from backbeam.observation import Observation
from backbeam.reference import Reference

if TYPE_CHECKING:
    from backbeam.effects.base import Effect, EffectBars, Term
    from backbeam.species import Species

ALIVE, LOST_BEFORE = -1, -2
"""Values of ``lost_at`` under way: alive, or lost before this plan began. From 0 on: the step of the plan."""


class State(NamedTuple):
    """A beam under way. All arrays have the full batch shape ``(...)`` in front."""

    X: Array
    """Coordinates ``(..., 6, n)``."""
    q: Array
    """Charges ``(..., n)`` [C]."""
    beta_gamma: Array
    """P0/(m c) of the reference ``(...)``."""
    lost_at: Array
    """``(..., n)``: `ALIVE`, `LOST_BEFORE`, or the number of the step at which the particle was lost."""


class Bars(NamedTuple):
    """Cotangents of a state, and of every parameter of the line (full batch shape in front)."""

    X: Array
    q: Array
    beta_gamma: Array
    parameters: dict[str, dict[str, Array]]


Parameters = Mapping[str, Mapping[str, Array]]
"""Values of the line's parameters: element name -> parameter name -> array."""


@dataclass(frozen=True)
class Setting:
    """What all steps of a run share and no gradient is asked of."""

    species: Species
    masked: bool = False
    """Whether any particle may be lost: then steps leave the lost ones where they are."""

    def reference(self, state: State) -> Reference:
        """Reference of a state."""
        return Reference(state.beta_gamma, self.species)

    def alive(self, state: State) -> Array:
        """Boolean ``(..., n)``."""
        return state.lost_at == ALIVE


class Step:
    """One step: `forward`, and `reverse`, which undoes it and pulls a cotangent back on the way."""

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


def _add(
    parameters: dict[str, dict[str, Array]], element: str, bars: Mapping[str, Array]
) -> dict[str, dict[str, Array]]:
    """Add cotangents of one element's parameters to the running sums."""
    if not bars:
        return parameters
    mine = dict(parameters[element])
    for name, bar in bars.items():
        mine[name] = mine[name] + bar
    return {**parameters, element: mine}


@dataclass(frozen=True)
class Apply(Step):
    """A map of one element."""

    map: Map
    element: str
    names: tuple[tuple[str, str], ...]

    def _given(self, P: Parameters) -> dict[str, Array]:
        return {mine: P[self.element][field] for mine, field in self.names}

    def _bound(self, bars: Mapping[str, Array]) -> dict[str, Array]:
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
        reference, p = setting.reference(state), self._given(P)
        X = self._thaw(state, setting, self.map.forward(self._guard(state, setting), reference, p), state.X)
        return state._replace(X=X, beta_gamma=self._after(reference, p))

    def _after(self, reference: Reference, p: Mapping[str, Array]) -> Array:
        return self.map.reference_after(reference, p).beta_gamma if self.map.accelerates else reference.beta_gamma

    def _before(self, state: State, setting: Setting, p: Mapping[str, Array]) -> Reference:
        reference = setting.reference(state)
        return self.map.reference_before(reference, p) if self.map.accelerates else reference

    def inverse(self, state: State, P: Parameters, setting: Setting) -> State:
        """Undo the map."""
        p = self._given(P)
        reference = self._before(state, setting, p)
        X = self._thaw(state, setting, self.map.inverse(self._guard(state, setting), reference, p), state.X)
        return state._replace(X=X, beta_gamma=reference.beta_gamma)

    def pullback(self, state: State, P: Parameters, setting: Setting, bars: Bars) -> Bars:
        """Pull back through the map and through what it does to the reference."""
        p, reference = self._given(P), setting.reference(state)
        X_bar = self._silence(state, setting, bars.X)
        X_bar, beta_gamma_bar, own = self.map.pullback(self._guard(state, setting), reference, p, X_bar)
        return self._collect(state, setting, reference, p, bars, X_bar, beta_gamma_bar, own)

    def reverse(self, state: State, P: Parameters, setting: Setting, bars: Bars) -> tuple[State, Bars]:
        """Undo and pull back in one."""
        p = self._given(P)
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
        parameters = _add(bars.parameters, self.element, self._bound(own))
        if self.map.accelerates:
            total, more = self.map.reference_pullback(reference, p, total)
            parameters = _add(parameters, self.element, self._bound(more))
        return Bars(X_bar, bars.q, total + beta_gamma_bar, parameters)


@dataclass(frozen=True)
class Kick(Step):
    """A kick of an effect over a part of an element, or at a point."""

    effect: Effect
    """Bare: see `Effect.bare`."""
    element: str
    needs: tuple[tuple[str, tuple[Term, ...]], ...]
    """Name that the effect has for a value -> terms (owner, parameter, factor) of which it is the sum."""

    def given(self, P: Parameters) -> dict[str, Array]:
        """What the effect is given by name."""
        found: dict[str, Array] = {}
        for name, terms in self.needs:
            for owner, field, factor in terms:
                term = P[owner][field] if factor == 1.0 else factor * P[owner][field]
                found[name] = found[name] + term if name in found else term
        return found

    def _bunch(self, state: State, setting: Setting) -> Bunch:
        return Bunch(state.X, state.q, setting.alive(state) if setting.masked else None, setting.reference(state))

    def forward(self, state: State, P: Parameters, setting: Setting) -> State:
        """Kick."""
        return state._replace(X=self.effect.forward(self._bunch(state, setting), self.given(P)))

    def inverse(self, state: State, P: Parameters, setting: Setting) -> State:
        """Kick back."""
        return state._replace(X=self.effect.inverse(self._bunch(state, setting), self.given(P)))

    def pullback(self, state: State, P: Parameters, setting: Setting, bars: Bars) -> Bars:
        """Pull back through the kick."""
        return self._collect(bars, self.effect.pullback(self._bunch(state, setting), self.given(P), bars.X))

    def reverse(self, state: State, P: Parameters, setting: Setting, bars: Bars) -> tuple[State, Bars]:
        """Undo and pull back with one field."""
        X, found = self.effect.reverse(self._bunch(state, setting), self.given(P), bars.X)
        return state._replace(X=X), self._collect(bars, found)

    def _collect(self, bars: Bars, found: EffectBars) -> Bars:
        parameters = self.shared(bars.parameters, found.p)
        return Bars(found.X, bars.q + found.q, bars.beta_gamma + found.beta_gamma, parameters)

    def shared(
        self, parameters: dict[str, dict[str, Array]], found: Mapping[str, Array]
    ) -> dict[str, dict[str, Array]]:
        """The sums with the cotangents of what the effect was given."""
        for name, terms in self.needs:
            if name in found:
                for owner, field, factor in terms:
                    parameters = _add(parameters, owner, {field: factor * found[name]})
        return parameters


@dataclass(frozen=True)
class Lose(Step):
    """An aperture: particles that do not pass are lost at this step, and stay where they are."""

    opening: Opening
    index: int
    element: str = ""
    into: Map | None = None
    """The way into the frame of a displaced aperture. Only the test is made there: the lost stay where the beam is."""

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


@dataclass(frozen=True)
class Observe:
    """A reading taken here; the beam passes as it is."""

    observation: Observation
    element: str

    def read(self, state: State, setting: Setting) -> Array:
        """Take the reading."""
        return self.observation.read(state.X, state.q, setting.alive(state))

    def pullback(self, state: State, setting: Setting, bars: Bars, reading_bar: Array) -> Bars:
        """Add what the reading's cotangent gives."""
        X_bar, q_bar = self.observation.pullback(state.X, state.q, setting.alive(state), reading_bar)
        return bars._replace(X=bars.X + X_bar, q=bars.q + q_bar)


@dataclass(frozen=True)
class Repeat:
    """The same steps, so many times."""

    steps: tuple[Step, ...]
    count: int


@dataclass(frozen=True)
class Merged:
    """Linear maps of which none loses particles or looks at them: one matrix, see `backbeam.plan.merging`."""

    steps: tuple[Apply, ...]


Plan = tuple[Step | Observe | Repeat | Merged, ...]
