"""Consecutive linear maps as one matrix, and the gradient through it.

The matrix of a linear map is what it makes of the six unit vectors. So maps are merged by tracking these, as a beam of
six particles, and by multiplying what comes out; no map needs to know. On the way back the cotangent of the merged
matrix is B, the sum over particles of X1_bar X^T, and each factor T_k of S T_k R has S^T B R^T: that is pulled back
through the map by the same six particles. The beam itself is read and written once, however many maps there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from backbeam.arrays import Array, namespace
from backbeam.maps.matrices import multiply, outer_product
from backbeam.plan.apply import Apply
from backbeam.plan.state import ALIVE, Bars, Parameters, Setting, State
from backbeam.plan.step import Local, compiled, pull_back, take, undo, with_own_bars


class Matrices(NamedTuple):
    """Matrices of a `Merged` step, each ``(..., 6, 6)``."""

    total: Array
    inverse: Array | None
    """Product of the inverses of the maps, as each undoes itself; None unless asked for."""


@dataclass(frozen=True)
class Merged(Local):
    """Linear maps of which none loses particles or looks at them: one matrix."""

    steps: tuple[Apply, ...]

    @cached_property
    def owners(self) -> tuple[str, ...]:
        """Owners of its maps."""
        return tuple(dict.fromkeys(owner for step in self.steps for owner in step.owners))

    @property
    def width(self) -> int:
        """Number of its maps."""
        return len(self.steps)

    def split(self, kicks: int) -> tuple[Local, ...]:
        """In two, of which the first has so many maps."""
        parts = self.steps[:kicks], self.steps[kicks:]
        return tuple(Merged(part) if len(part) > 1 else part[0] for part in parts if part)

    def anonymous(self) -> Merged:
        """Whatever its maps are, a block sees matrices."""
        return Merged(())

    # -- a block of particles ----------------------------------------------------------------------------------------

    def given(self, setting: Setting, state: State, P: Parameters, inverse: bool) -> Matrices:
        """Its matrices."""
        return matrices(self, setting, state, P, inverse)

    def nothing(self, given: Any, bars: Bars) -> None:
        """A block makes the cotangent of a matrix, and needs nothing to begin with."""
        return

    def block_forward(self, setting: Setting, state: State, given: Matrices) -> State:
        """A block forward."""
        return state._replace(X=_multiplied(given.total, state, setting))

    def block_reverse(
        self, setting: Setting, state: State, given: Matrices, X_bar: Array, q_bar: Array, nothing: None
    ) -> tuple[State, Array, Array]:
        """A block back from the state after it; the cotangent of the matrix."""
        state = state._replace(X=_multiplied(given.inverse, state, setting))
        return state, *_pulled_matrix(given.total, state, setting, X_bar)

    def block_pullback(
        self, setting: Setting, state: State, given: Matrices, X_bar: Array, q_bar: Array, nothing: None
    ) -> tuple[Array, Array]:
        """Cotangents of a block, from the state before it; the cotangent of the matrix."""
        return _pulled_matrix(given.total, state, setting, X_bar)

    def collect(self, setting: Setting, state: State, P: Parameters, bars: Bars, sums: Array) -> Bars:
        """The cotangents with those behind the matrix."""
        return pull_matrix(self, setting, state, P, sums, bars)


def merge_linear(plan: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the plan with neighbouring linear maps merged; what a loop repeats stays as it is."""
    merged: list[Any] = []
    run: list[Apply] = []

    def close() -> None:
        merged.extend([Merged(tuple(run))] if len(run) > 1 else run)
        run.clear()

    for step in plan:
        if isinstance(step, Apply) and step.is_matrix:
            run.append(step)
            continue
        close()
        merged.append(step)
    close()
    return tuple(merged)


def matrices(merged: Merged, setting: Setting, state: State, P: Parameters, inverse: bool = False) -> Matrices:
    """Multiply the matrices of the maps, and of their inverses if asked for."""
    unit = unit_vectors(state)
    alone = setting_alone(setting)
    forward = {s: compiled(take, s, alone, unit, P).X for s in dict.fromkeys(merged.steps)}
    total = unit.X
    for step in merged.steps:
        total = multiply(forward[step], total)
    if not inverse:
        return Matrices(total, None)
    backward = {s: compiled(undo, s, alone, unit, P).X for s in forward}
    undone = unit.X
    for step in reversed(merged.steps):
        undone = multiply(backward[step], undone)
    return Matrices(total, undone)


def pull_matrix(merged: Merged, setting: Setting, state: State, P: Parameters, B: Array, bars: Bars) -> Bars:
    """Add the cotangents of the parameters and of the reference for that of the merged matrix, ``B (..., 6, 6)``."""
    xp = namespace(state.X)
    unit, alone = unit_vectors(state), setting_alone(setting)
    forward = {s: compiled(take, s, alone, unit, P).X for s in dict.fromkeys(merged.steps)}
    before = [unit.X]
    for step in merged.steps[:-1]:
        before.append(multiply(forward[step], before[-1]))
    own: dict[Apply, Array] = {}
    for step in reversed(merged.steps):
        found = outer_product(B, before.pop())
        own[step] = own[step] + found if step in own else found
        B = multiply(xp.matrix_transpose(forward[step]), B)
    for step, matrix_bar in own.items():
        mine = bars._replace(X=matrix_bar, q=xp.zeros_like(matrix_bar[..., 0, :]))
        found_bars = with_own_bars(pull_back, step, alone, unit, P, mine)
        bars = bars._replace(beta_gamma=found_bars.beta_gamma, parameters=found_bars.parameters)
    return bars


def unit_vectors(state: State) -> State:
    """Six particles with the unit vectors for coordinates, beside the reference of a state."""
    xp, X = namespace(state.X), state.X
    zero = xp.zeros_like(X[..., 0, :1])
    rows = [xp.concat([zero + (1.0 if i == j else 0.0) for j in range(6)], axis=-1) for i in range(6)]
    charge = xp.concat([zero] * 6, axis=-1)
    lost_at = xp.concat([xp.zeros_like(state.lost_at[..., :1]) + ALIVE] * 6, axis=-1)
    return State(xp.stack(rows, axis=-2), charge, state.beta_gamma, lost_at)


def setting_alone(setting: Setting) -> Setting:
    """The setting for particles of which none is lost."""
    return Setting(setting.species)


def _multiplied(matrix: Array, state: State, setting: Setting) -> Array:
    """Coordinates after a matrix; the lost stay."""
    X = multiply(matrix, state.X)
    return namespace(X).where(setting.alive(state)[..., None, :], X, state.X) if setting.masked else X


def _pulled_matrix(matrix: Array, before: State, setting: Setting, X1_bar: Array) -> tuple[Array, Array]:
    """Cotangents of the coordinates before a matrix and of the matrix."""
    xp, X = namespace(X1_bar), before.X
    if not setting.masked:
        return multiply(xp.matrix_transpose(matrix), X1_bar), outer_product(X1_bar, X)
    alive = setting.alive(before)[..., None, :]
    seen = xp.where(alive, X1_bar, xp.zeros_like(X1_bar))
    X = xp.where(alive, X, xp.zeros_like(X))
    return xp.where(alive, multiply(xp.matrix_transpose(matrix), seen), X1_bar), outer_product(seen, X)
