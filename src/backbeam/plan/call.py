"""A function of the beam, as `backbeam.elements.function.Function` puts it into a line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from backbeam import backends
from backbeam.arrays import Array, namespace
from backbeam.beam import Beam
from backbeam.elements.called import Called
from backbeam.errors import InputError
from backbeam.plan.state import Bars, Parameters, Setting, State, added
from backbeam.plan.step import Step


@dataclass(frozen=True)
class Call(Step):
    """A function is called as it is: nothing of it is compiled here, and it is differentiated by its library."""

    called: Called
    element: str

    @property
    def undoes(self) -> bool:
        """Whether it has an inverse."""
        return self.called.inverse is not None

    @property
    def alike_compiled(self) -> str:
        """Nothing is compiled for it."""
        return self.element

    @property
    def calls_library(self) -> bool:
        """The function is the user's."""
        return True

    @property
    def kind(self) -> str:
        """One for all functions."""
        return "Call"

    def advance(self, setting: Setting, state: State, P: Parameters, readings: list[Array]) -> State:
        """Call it."""
        return self.forward(state, P, setting)

    def retreat(
        self, setting: Setting, state: State, P: Parameters, bars: Bars, unread: list[Array]
    ) -> tuple[State, Bars]:
        """Call its inverse, and pull back there."""
        return self.reverse(state, P, setting, bars)

    def replay(self, setting: Setting, state: State, P: Parameters, bars: Bars, unread: list[Array]) -> Bars:
        """Pull back from the state before it."""
        return self.pullback(state, P, setting, bars)

    def undone(self, setting: Setting, state: State, P: Parameters) -> State:
        """Call its inverse."""
        return self.inverse(state, P, setting)

    # -- physics -----------------------------------------------------------------------------------------------------

    def forward(self, state: State, P: Parameters, setting: Setting) -> State:
        """Call it."""
        return state._replace(X=self._of(self.called.function, state, setting)(*self._inputs(state, P)))

    def inverse(self, state: State, P: Parameters, setting: Setting) -> State:
        """Call its inverse."""
        if self.called.inverse is None:
            raise InputError(self.element, "a function without inverse", "an adjoint that keeps the state before it")
        return state._replace(X=self._of(self.called.inverse, state, setting)(*self._inputs(state, P)))

    def pullback(self, state: State, P: Parameters, setting: Setting, bars: Bars) -> Bars:
        """By the library's automatic differentiation, or the function's own pullback."""
        backend, inputs = backends.of(state.X), self._inputs(state, P)
        if not backend.has_autodiff:
            return self._by_hand(state, setting, bars)
        _, pull = backend.pull(self._of(self.called.function, state, setting), inputs)
        X_bar, q_bar, beta_gamma_bar, *own = pull(bars.X)
        batch = tuple(state.beta_gamma.shape)
        if batch and own:
            own = self._own_of_each(state, P, setting, bars)
        found = dict(zip(self.called.weights, own, strict=True))
        parameters = added(bars.parameters, self.element, found)
        return Bars(X_bar, bars.q + q_bar, bars.beta_gamma + beta_gamma_bar, parameters)

    def _own_of_each(self, state: State, P: Parameters, setting: Setting, bars: Bars) -> list[Array]:
        """Cotangents of its weights for each beam of a batch by itself: all at once, if the function allows it."""
        xp, batch = namespace(state.X), tuple(state.beta_gamma.shape)
        rows = [xp.reshape(a, (prod(batch), *a.shape[len(batch) :])) for a in (bars.X, *state)]
        weights = self._inputs(state, P)[3:]

        def function(X: Array, q: Array, beta_gamma: Array, lost_at: Array, *own: Array) -> Array:
            one = State(X, q, beta_gamma, lost_at)
            return self._of(self.called.function, one, setting)(X, q, beta_gamma, *own)

        try:
            found = backends.of(state.X).pull_each(function, rows[1:], weights, rows[0])
        except (RuntimeError, TypeError):  # it looks at numbers, or draws some, as no library lets many at once
            found = self._one_by_one(function, rows[1:], weights, rows[0])
        return [xp.reshape(own, (*batch, *own.shape[1:])) for own in found]

    @staticmethod
    def _one_by_one(
        function: Callable[..., Array], each: Sequence[Array], shared: Sequence[Array], bars: Array
    ) -> list[Array]:
        """`Backend.pull_each` in a loop."""
        xp, found = namespace(bars), []
        for k in range(bars.shape[0]):
            mine = [a[k, ...] for a in each]
            _, pull = backends.of(bars).pull(lambda *own, mine=mine: function(*mine, *own), shared)
            found.append(pull(bars[k, ...]))
        return [xp.stack(own) for own in zip(*found, strict=True)]

    def _by_hand(self, state: State, setting: Setting, bars: Bars) -> Bars:
        pullback = getattr(self.called.function, "pullback", None)
        if pullback is None or self.called.weights:
            allowed = f"on {backends.of(state.X).name}: a function of the beam alone, with a pullback"
            raise InputError(self.element, self.called.function, allowed)
        alive = setting.alive(state)[..., None, :]
        xp = namespace(state.X)
        nothing = xp.zeros_like(bars.X)
        X_bar = pullback(_beam(state.X, state.q, state.beta_gamma, state, setting), xp.where(alive, bars.X, nothing))
        return bars._replace(X=xp.where(alive, X_bar, bars.X))

    def _inputs(self, state: State, P: Parameters) -> list[Array]:
        return [state.X, state.q, state.beta_gamma, *(P[self.element][name] for name in self.called.weights)]

    def _of(self, function: Callable[..., Any], state: State, setting: Setting) -> Callable[..., Array]:
        """The function of arrays alone; the lost stay where they are."""
        called, backend = self.called, backends.of(state.X)

        def call(X: Array, q: Array, beta_gamma: Array, *weights: Array) -> Array:
            if called.module_names:
                named = dict(zip(called.module_names, weights, strict=True))
                found = backend.call_module(function, named, X)
            else:
                beam = _beam(X, q, beta_gamma, state, setting)
                found = function(beam, **dict(zip(called.weights, weights, strict=True)))
            X1 = found.coordinates if isinstance(found, Beam) else found
            if tuple(getattr(X1, "shape", ())) != tuple(X.shape):
                allowed = f"a beam, or coordinates of shape {tuple(X.shape)}, from the function"
                raise InputError(self.element, X1, allowed)
            return namespace(X).where(setting.alive(state)[..., None, :], X1, X)

        return call


def _beam(X: Array, q: Array, beta_gamma: Array, state: State, setting: Setting) -> Beam:
    """What the function sees."""
    reference = setting.reference(state).with_beta_gamma(beta_gamma)
    return Beam(X, q, reference, state.lost_at)
