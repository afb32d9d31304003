"""Consecutive linear maps as one matrix, and the gradient through it.

The matrix of a linear map is what it makes of the six unit vectors. So maps are merged by tracking these, as a beam of
six particles, and by multiplying what comes out; no map needs to know. On the way back the cotangent of the merged
matrix is B, the sum over particles of X1_bar X^T, and each factor T_k of S T_k R has S^T B R^T: that is pulled back
through the map by the same six particles. The beam itself is read and written once, however many maps there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from backbeam.arrays import Array, namespace
from backbeam.maps.matrices import multiply, outer_product
from backbeam.plan.calling import compiled, pull_back, take, with_own_bars
from backbeam.plan.steps import ALIVE, Apply, Bars, Merged, Plan, Setting, State

if TYPE_CHECKING:
    from backbeam.plan.steps import Parameters


def merge_linear(plan: Plan) -> Plan:
    """Return the plan with neighbouring linear maps merged; what a loop repeats stays as it is."""
    merged: list[object] = []
    run: list[Apply] = []

    def close() -> None:
        merged.extend([Merged(tuple(run))] if len(run) > 1 else run)
        run.clear()

    for step in plan:
        if isinstance(step, Apply) and step.map.linear and not step.map.accelerates:
            run.append(step)
            continue
        close()
        merged.append(step)
    close()
    return tuple(merged)


class Matrices(NamedTuple):
    """Matrices of a `Merged` step, each ``(..., 6, 6)``."""

    total: Array
    inverse: Array | None
    """Product of the inverses of the maps, as each undoes itself; None unless asked for."""


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
    backward = {s: compiled(_undo, s, alone, unit, P).X for s in forward}
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


def _undo(step: Apply, setting: Setting, state: State, P: Parameters) -> State:
    return step.inverse(state, P, setting)
