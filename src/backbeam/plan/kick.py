"""A kick of an effect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from backbeam.arrays import Array
from backbeam.effects.base import Bunch
from backbeam.plan.state import Bars, Parameters, Setting, State, added
from backbeam.plan.step import Owned, Step, zero

if TYPE_CHECKING:
    from backbeam.effects.base import Effect, EffectBars, Term


@dataclass(frozen=True)
class Kick(Step):
    """A kick of an effect over a part of an element, or at a point."""

    effect: Effect
    """Bare: see `Effect.bare`."""
    element: str
    needs: tuple[tuple[str, tuple[Term, ...]], ...]
    """Name that the effect has for a value -> terms (owner, parameter, factor) of which it is the sum."""

    kicks: ClassVar[int] = 1

    @property
    def kind(self) -> str:
        """That of its effect."""
        return type(self.effect).__name__

    @property
    def alike(self) -> Effect:
        """Its effect."""
        return self.effect

    def sizes(self, n: int, batch: int, grids: int) -> dict[str, float]:
        """Those of its effect."""
        return self.effect.sizes(n, batch, grids)

    def block(self, batch: int) -> int | None:
        """That of its effect."""
        return self.effect.block(batch)

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

    def shared(self, parameters: Owned, found: Mapping[str, Array]) -> Owned:
        """The sums with the cotangents of what the effect was given."""
        for name, terms in self.needs:
            if name in found:
                for owner, field, factor in terms:
                    parameters = added(parameters, owner, {field: factor * found[name]})
        return parameters

    # -- what is compiled for it: each sum of terms is one value, so that kicks of any length share it -----------------

    @cached_property
    def owners(self) -> tuple[str, ...]:
        """An effect, and the elements that it looks at."""
        return tuple(dict.fromkeys(owner for _, terms in self.needs for owner, _, _ in terms))

    def renamed(self, names: Mapping[str, str]) -> Kick:
        """The kick with its owners called otherwise."""
        needs = ((name, tuple((names[o], f, factor) for o, f, factor in terms)) for name, terms in self.needs)
        return replace(self, element="", needs=tuple(needs))

    def anonymous(self) -> Kick:
        """The kick that takes its values as they are."""
        return replace(self, element="", needs=tuple((name, (("", name, 1.0),)) for name, _ in self.needs))

    def own(self, P: Parameters) -> Owned:
        """The values."""
        return {"": self.given(P)}

    def zeros(self, own: Owned, sums: Owned) -> Owned:
        """Cotangents of zero for the values."""
        first = {name: terms[0] for name, terms in self.needs}
        return {"": {name: zero(sums[owner][field]) for name, (owner, field, _) in first.items() if owner in sums}}

    def add(self, sums: Owned, found: Owned) -> Owned:
        """The sums with the cotangents of the values."""
        return self.shared(sums, found[""])
