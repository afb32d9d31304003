"""Stretches without space charge: a block of particles goes through all of their maps before the next block starts.

Between two kicks every particle goes its own way. So the beam is cut into blocks that stay in the processor's cache
(`Backend.blockwise`), where a map at a time would carry the whole beam to memory and back; on the way back the states
in between exist for one block only. The reference energy does not change within a stretch: a map that accelerates
ends it.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from backbeam import backends
from backbeam.arrays import Array, namespace
from backbeam.maps.matrices import multiply, outer_product
from backbeam.plan.calling import add_own, anonymous, own_parameters, pull_back, take, take_back, zero_own
from backbeam.plan.merging import matrices, pull_matrix
from backbeam.plan.steps import Apply, Bars, Lose, Merged, Plan, Setting, State

if TYPE_CHECKING:
    from backbeam.plan.steps import Parameters

    Stretch = tuple[Apply | Lose | Merged, ...]


def belongs(step: Any) -> bool:
    """Whether a step can be part of a stretch."""
    return isinstance(step, Lose | Merged) or (isinstance(step, Apply) and not step.map.accelerates)


def stretches(plan: Plan) -> list[Any]:
    """The plan with its stretches as tuples, in their places between all other steps."""
    found: list[Any] = []
    stretch: list[Any] = []
    for step in plan:
        if belongs(step):
            stretch.append(step)
            continue
        if stretch:
            found.append(tuple(stretch))
            stretch = []
        found.append(step)
    return [*found, tuple(stretch)] if stretch else found


def through(stretch: Stretch, setting: Setting, state: State, P: Parameters) -> State:
    """Forward."""
    loses = any(isinstance(step, Lose) for step in stretch)

    def block(particles: tuple[Array, ...], shared: Any) -> tuple[Any, None]:
        inner, given = _state(particles, shared[0]), shared[1]
        backend = backends.of(inner.X)
        run = backend.compile(chunk_through, static=(0, 1))
        with backend.quiet():
            for part in _chunks(stretch, backend.steps_together):
                inner = run(_bare(stretch[part]), setting, inner, given[part])
        return (inner.X, inner.lost_at) if loses else (inner.X,), None

    particles = (state.X, state.q, state.lost_at)
    given = [_given(step, setting, state, P, inverse=False) for step in stretch]
    found, _ = backends.of(state.X).blockwise(block, particles, (state.beta_gamma, given))
    return state._replace(X=found[0], lost_at=found[1] if loses else state.lost_at)


def back(stretch: Stretch, setting: Setting, state: State, P: Parameters, bars: Bars) -> tuple[State, Bars]:
    """Undo from the state after it, and pull the cotangents back on the way."""
    loses = any(isinstance(step, Lose) for step in stretch)

    def block(particles: tuple[Array, ...], shared: Any) -> tuple[Any, Any]:
        *now, X_bar, q_bar = particles
        inner, (_, given, zeros) = _state(tuple(now), shared[0]), shared
        backend = backends.of(inner.X)
        run = backend.compile(chunk_back, static=(0, 1))
        sums: list[Any] = []
        with backend.quiet():
            for part in reversed(_chunks(stretch, backend.steps_together)):
                inner, X_bar, found = run(_bare(stretch[part]), setting, inner, given[part], X_bar, q_bar, zeros[part])
                sums = [*found, *sums]
        return ((inner.X, X_bar, inner.lost_at) if loses else (inner.X, X_bar)), sums

    particles = (state.X, state.q, state.lost_at, bars.X, bars.q)
    given = [_given(step, setting, state, P, inverse=True) for step in stretch]
    zeros = [_zero(step, own, bars) for step, own in zip(stretch, given, strict=True)]
    found, sums = backends.of(state.X).blockwise(block, particles, (state.beta_gamma, given, zeros))
    before = state._replace(X=found[0], lost_at=found[2] if loses else state.lost_at)
    return before, _added(stretch, setting, before, P, bars._replace(X=found[1]), sums)


def replayed(stretch: Stretch, setting: Setting, state: State, P: Parameters, bars: Bars) -> Bars:
    """Pull the cotangents back from the state before it; the states in between are made again, block by block."""

    def block(particles: tuple[Array, ...], shared: Any) -> tuple[Any, Any]:
        *now, X_bar, q_bar = particles
        inner, (_, given, zeros) = _state(tuple(now), shared[0]), shared
        backend = backends.of(inner.X)
        run, pull = (backend.compile(f, static=(0, 1)) for f in (chunk_through, chunk_replayed))
        before: list[State] = [inner]
        sums: list[Any] = []
        parts = _chunks(stretch, backend.steps_together)
        with backend.quiet():
            for part in parts[:-1]:
                before.append(run(_bare(stretch[part]), setting, before[-1], given[part]))
            for part in reversed(parts):
                bare = _bare(stretch[part])
                X_bar, found = pull(bare, setting, before.pop(), given[part], X_bar, q_bar, zeros[part])
                sums = [*found, *sums]
        return (X_bar,), sums

    particles = (state.X, state.q, state.lost_at, bars.X, bars.q)
    given = [_given(step, setting, state, P, inverse=False) for step in stretch]
    zeros = [_zero(step, own, bars) for step, own in zip(stretch, given, strict=True)]
    found, sums = backends.of(state.X).blockwise(block, particles, (state.beta_gamma, given, zeros))
    return _added(stretch, setting, state, P, bars._replace(X=found[0]), sums)


# -- what is compiled: a few steps at a time ---------------------------------------------------------------------------


def chunk_through(steps: Stretch, setting: Setting, state: State, given: list[Any]) -> State:
    """Some steps forward."""
    for step, own in zip(steps, given, strict=True):
        state = _taken(step, setting, state, own)
    return state


def chunk_back(
    steps: Stretch, setting: Setting, state: State, given: list[Any], X_bar: Array, q_bar: Array, zeros: list[Any]
) -> tuple[State, Array, list[Any]]:
    """Some steps back from the state after them; the sums of each step."""
    sums: list[Any] = []
    for step, own, zero in reversed(list(zip(steps, given, zeros, strict=True))):
        if isinstance(step, Merged):
            state = state._replace(X=_multiplied(own.inverse, state, setting))
            X_bar, found = _pulled_matrix(own.total, state, setting, X_bar)
        else:
            state, bars = take_back(step, setting, state, own, Bars(X_bar, q_bar, *zero))
            X_bar, found = bars.X, (bars.beta_gamma, bars.parameters)
        sums = [found, *sums]
    return state, X_bar, sums


def chunk_replayed(
    steps: Stretch, setting: Setting, state: State, given: list[Any], X_bar: Array, q_bar: Array, zeros: list[Any]
) -> tuple[Array, list[Any]]:
    """Cotangents some steps back, from the state before them; the sums of each step."""
    before = [state]
    for step, own in list(zip(steps, given, strict=True))[:-1]:
        before.append(_taken(step, setting, before[-1], own))
    sums: list[Any] = []
    for step, own, zero in reversed(list(zip(steps, given, zeros, strict=True))):
        state = before.pop()
        if isinstance(step, Merged):
            X_bar, found = _pulled_matrix(own.total, state, setting, X_bar)
        else:
            bars = pull_back(step, setting, state, own, Bars(X_bar, q_bar, *zero))
            X_bar, found = bars.X, (bars.beta_gamma, bars.parameters)
        sums = [found, *sums]
    return X_bar, sums


def _chunks(stretch: Stretch, longest: int) -> list[slice]:
    """Cut a stretch into parts that are compiled as one."""
    return [slice(k, k + longest) for k in range(0, len(stretch), longest)]


@cache
def _bare(steps: Stretch) -> Stretch:
    """The steps without the names of their elements, so that like ones share what is compiled."""
    return tuple(Merged(()) if isinstance(step, Merged) else anonymous(step) for step in steps)


def _taken(step: Any, setting: Setting, state: State, own: Any) -> State:
    if isinstance(step, Merged):
        return state._replace(X=_multiplied(own.total, state, setting))
    return take(step, setting, state, own)


def _state(particles: tuple[Array, ...], beta_gamma: Array) -> State:
    X, q, lost_at = particles
    return State(X, q, beta_gamma, lost_at)


def _given(step: Any, setting: Setting, state: State, P: Parameters, inverse: bool) -> Any:
    """What all blocks see of a step: its matrices, or its parameters."""
    if isinstance(step, Merged):
        return matrices(step, setting, state, P, inverse)
    return own_parameters(step, P)


def _zero(step: Any, own: Any, bars: Bars) -> Any:
    """Cotangents of the reference and of a step's parameters, from which the sums of a block begin."""
    zero = namespace(bars.beta_gamma).zeros_like(bars.beta_gamma)
    return None if isinstance(step, Merged) else (zero, zero_own(own, bars.parameters, step))


def _added(stretch: Stretch, setting: Setting, state: State, P: Parameters, bars: Bars, sums: Any) -> Bars:
    """The cotangents with the sums over all particles."""
    for step, found in zip(stretch, sums, strict=True):
        if isinstance(step, Merged):
            bars = pull_matrix(step, setting, state, P, found, bars)
        else:
            beta_gamma_bar, own = found
            parameters = add_own(bars.parameters, own, step)
            bars = bars._replace(beta_gamma=bars.beta_gamma + beta_gamma_bar, parameters=parameters)
    return bars


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
