"""Consecutive linear and affine maps as one matrix and one shift, and the gradient through it.

The matrix of a linear map is what it makes of the six unit vectors. So maps are merged by tracking these, as a beam of
six particles, and by multiplying what comes out; no map needs to know. Maps that are alike but for their parameters are
tracked together, along an axis in front of the batch, and neighbours are multiplied in pairs, so that a row of maps is
a few calls however long it is. Where one of them has a shift, as a displaced magnet and a corrector have, all are
matrices (7, 7): see `backbeam.plan.affine`.

On the way back the cotangent of the merged matrix is B, the sum over particles of X1_bar X^T, beside that of X1_bar for
the shift. It goes back through the products, and that of each factor through its map by the same six particles. The
beam itself is read and written once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, NamedTuple

from array_api_compat import device

from backbeam import backends
from backbeam.arrays import Array, broadcast, namespace, over_particles, per_particle
from backbeam.maps.matrices import multiply, outer_product
from backbeam.plan import affine
from backbeam.plan.apply import Apply
from backbeam.plan.state import ALIVE, Bars, Parameters, Setting, State, made_once
from backbeam.plan.step import Local, Owned, take, undo


class Matrices(NamedTuple):
    """Matrices of a `Merged` step, each ``(..., 6, 6)``, and its shift."""

    total: Array
    inverse: Array | None
    """Product of the inverses of the maps, as each undoes itself; None unless asked for."""
    shift: Array | None
    """What it makes of the origin ``(..., 6)``; None where all maps are linear."""


class Pattern(NamedTuple):
    """What of a row of maps does not depend on numbers and names."""

    steps: tuple[Apply, ...]
    """One of each kind, without the name of its element."""
    order: tuple[int, ...]
    """Which of the different maps, kind by kind, each map of the row is."""

    @property
    def shifts(self) -> bool:
        """Whether any of the maps has a shift."""
        return not all(step.map.linear for step in self.steps)


class Alike(NamedTuple):
    """Maps that are alike but for the elements whose parameters they take."""

    step: Apply
    """Any of them, without the name of its element."""
    elements: tuple[str, ...]


@dataclass(frozen=True)
class Merged(Local):
    """Affine maps of which none loses particles or looks at them: one matrix, and one shift where any has one."""

    steps: tuple[Apply, ...]

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash(self.steps)

    @cached_property
    def kinds(self) -> tuple[Alike, ...]:
        """Its different maps, by kind."""
        found: dict[Apply, list[str]] = {}
        for step in dict.fromkeys(self.steps):
            found.setdefault(step.bare, []).append(step.element)
        return tuple(Alike(bare, tuple(elements)) for bare, elements in found.items())

    @cached_property
    def pattern(self) -> Pattern:
        """Its kinds, and which of its different maps each step is."""
        known = [(bare, element) for bare, elements in self.kinds for element in elements]
        at = {one: k for k, one in enumerate(known)}
        return Pattern(tuple(a.step for a in self.kinds), tuple(at[step.bare, step.element] for step in self.steps))

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

    def undone(self, setting: Setting, state: State, P: Parameters) -> State:
        """By the product of the inverses."""
        return state._replace(X=_unmultiplied(self.given(setting, state, P, True), state, setting))

    # -- a block of particles ----------------------------------------------------------------------------------------

    def given(self, setting: Setting, state: State, P: Parameters, inverse: bool) -> Matrices:
        """Its matrices."""
        total, shift = product(factors(self, setting, state, P, take)), None
        if self.pattern.shifts:
            total, shift = total[..., :6, :6], total[..., :6, 6]
        undone = product(factors(self, setting, state, P, undo), backwards=True) if inverse else None
        return Matrices(total, undone, shift)

    def nothing(self, given: Any, bars: Bars) -> None:
        """A block makes the cotangent of a matrix, and needs nothing to begin with."""
        return

    def block_forward(self, setting: Setting, state: State, given: Matrices) -> State:
        """A block forward."""
        return state._replace(X=_multiplied(given, state, setting))

    def block_reverse(
        self, setting: Setting, state: State, given: Matrices, X_bar: Array, q_bar: Array, nothing: None
    ) -> tuple[State, Array, Array]:
        """A block back from the state after it; the cotangent of the matrix."""
        state = state._replace(X=_unmultiplied(given, state, setting))
        return state, *_pulled_matrix(given, state, setting, X_bar)

    def block_pullback(
        self, setting: Setting, state: State, given: Matrices, X_bar: Array, q_bar: Array, nothing: None
    ) -> tuple[Array, Array]:
        """Cotangents of a block, from the state before it; the cotangent of the matrix."""
        return _pulled_matrix(given, state, setting, X_bar)

    def collect(self, setting: Setting, state: State, P: Parameters, bars: Bars, sums: Array) -> Bars:
        """The cotangents with those behind the matrix."""
        return pull_matrix(self, setting, state, P, sums, bars)


def merge_linear(plan: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the plan with neighbouring affine maps merged; what a loop repeats stays as it is."""
    merged: list[Any] = []
    run: list[Apply] = []

    def close() -> None:
        merged.extend([Merged(tuple(run))] if len(run) > 1 else run)
        run.clear()

    for step in plan:
        if isinstance(step, Apply) and step.is_affine:
            run.append(step)
            continue
        close()
        merged.append(step)
    close()
    return tuple(merged)


def factors(merged: Merged, setting: Setting, state: State, P: Parameters, which: Any) -> Array:
    """Matrices of the steps in order ``(K, ..., 6, 6)``: of the maps (`take`), or of their inverses (`undo`).

    Where there are shifts those of the maps are ``(K, ..., 7, 7)``.
    """
    return made_once(P, (merged, which), state, lambda: _factors(merged, setting, state, P, which))


def _factors(merged: Merged, setting: Setting, state: State, P: Parameters, which: Any) -> Array:
    backend = backends.of(state.X)
    given = [(units(state, alike), stacked(alike, state, P)) for alike in merged.kinds]
    with backend.quiet():
        return backend.compile(tracked, static=(0, 1, 2))(which, merged.pattern, Setting(setting.species), given)


def tracked(which: Any, pattern: Pattern, setting: Setting, given: list[tuple[State, Owned]]) -> Array:
    """Matrices of the maps of a pattern, in order: what they make of the unit vectors."""
    steps, order = pattern
    found = [_matrix(which, pattern, setting, step, *one) for step, one in zip(steps, given, strict=True)]
    each = found[0] if len(found) == 1 else namespace(found[0]).concat(found, axis=0)
    return each if order == tuple(range(each.shape[0])) else taken(each, order)


def _matrix(which: Any, pattern: Pattern, setting: Setting, step: Apply, state: State, own: Owned) -> Array:
    if step.map.linear:
        R = which(step, setting, state, own).X
        return affine.with_shift(R) if pattern.shifts and which is take else R
    return (affine.matrix if which is take else affine.inverse_matrix)(step, setting, state, own)


def units(state: State, alike: Alike) -> State:
    """Six particles with the unit vectors for coordinates for each of some maps, beside the reference of a state."""
    xp, X = namespace(state.X), state.X
    shape = (len(alike.elements), *X.shape[:-2])
    place = device(X) if not backends.of(X).traced([X]) else None
    unit = xp.broadcast_to(xp.eye(6, dtype=X.dtype, device=place), (*shape, 6, 6))
    lost_at = xp.broadcast_to(xp.asarray(ALIVE, dtype=state.lost_at.dtype, device=place), (*shape, 6))
    return State(unit, unit[..., 0, :], state.beta_gamma, lost_at)


def stacked(alike: Alike, state: State, P: Parameters) -> Owned:
    """Parameters of maps that are alike, each of the shape ``(K, ..., own)``."""
    ranks = alike.step.map.ranks
    batch = tuple(state.beta_gamma.shape)
    found = {}
    for mine, field in alike.step.names:
        if field not in found:
            values = [P[element][field] for element in alike.elements]
            found[field] = _stacked(values, len(batch), ranks.get(mine, 0))
    return {"0": found}


def _stacked(values: list[Array], batch: int, rank: int) -> Array:
    """Arrays with axes of a batch and so many of their own, the batch filled up to the same number of axes."""
    xp = namespace(values[0])
    if any(v.shape != values[0].shape for v in values):
        values = list(broadcast(*(_filled(v, batch, rank) for v in values)))
    whole = xp.stack(values, axis=0)
    short = batch + rank + 1 - whole.ndim
    return xp.reshape(whole, (whole.shape[0], *[1] * short, *whole.shape[1:])) if short else whole


def _filled(value: Array, batch: int, rank: int) -> Array:
    """The array with ones in front of its batch axes."""
    short = batch + rank - value.ndim
    return namespace(value).reshape(value, (*[1] * short, *value.shape)) if short else value


def taken(each: Array, order: tuple[int, ...]) -> Array:
    """Matrices of the steps ``(K, ...)`` from an array of the different ones."""
    xp = namespace(each)
    place = device(each) if not backends.of(each).traced([each]) else None
    return xp.take(each, xp.asarray(order, dtype=xp.int64, device=place), axis=0)


def pairs(S: Array) -> tuple[Array, Array]:
    """Those with an even number and those behind them, of the whole pairs."""
    whole = S.shape[0] // 2 * 2
    return S[0:whole:2, ...], S[1:whole:2, ...]


def halved(S: Array, backwards: bool) -> Array:
    """Products of neighbours, and the last one where it has none."""
    first, second = pairs(S)
    found = multiply(first, second) if backwards else multiply(second, first)
    return namespace(S).concat([found, S[-1:, ...]], axis=0) if S.shape[0] % 2 else found


def product(S: Array, backwards: bool = False) -> Array:
    """S_K ... S_2 S_1 of ``(K, ..., 6, 6)``; ``backwards``: S_1 S_2 ... S_K."""
    while S.shape[0] > 1:
        S = halved(S, backwards)
    return S[0, ...]


def product_pullback(S: Array, B: Array) -> Array:
    """Cotangents of the factors of `product` from that of the whole."""
    xp = namespace(S)
    levels = [S]
    while levels[-1].shape[0] > 1:
        levels.append(halved(levels[-1], False))
    bar = B[None, ...]
    for level in levels[-2::-1]:
        first, second = pairs(level)
        of_pairs = bar[: first.shape[0], ...]
        both = xp.stack(
            [multiply(xp.matrix_transpose(second), of_pairs), multiply(of_pairs, xp.matrix_transpose(first))], axis=1
        )
        both = xp.reshape(both, (2 * first.shape[0], *both.shape[2:]))
        bar = xp.concat([both, bar[-1:, ...]], axis=0) if level.shape[0] % 2 else both
    return bar


def pull_matrix(merged: Merged, setting: Setting, state: State, P: Parameters, B: Array, bars: Bars) -> Bars:
    """Add the cotangents of the parameters and of the reference for that of the merged matrix, ``B (..., 6, 6)``.

    With that of a shift behind it, ``(..., 6, 7)``.
    """
    xp, backend = namespace(state.X), backends.of(state.X)
    if merged.pattern.shifts:
        B = xp.concat([B, xp.zeros_like(B[..., :1, :])], axis=-2)
    given = [(units(state, alike), stacked(alike, state, P)) for alike in merged.kinds]
    each_bar = backend.compile(product_pullback)(factors(merged, setting, state, P, take), B)
    each_bar = _of_different(each_bar, merged.pattern.order, sum(len(alike.elements) for alike in merged.kinds))
    with backend.quiet():
        pull = backend.compile(pull_tracked, static=(0, 1))
        found, more = pull(merged.pattern.steps, Setting(setting.species), given, each_bar)
    parameters = dict(bars.parameters)
    for alike, fields in zip(merged.kinds, found, strict=True):
        for field, bar in fields.items():
            for k, element in enumerate(alike.elements):
                if element in parameters:
                    mine = parameters[element]
                    parameters[element] = {**mine, field: mine[field] + bar[k, ...]}
    return bars._replace(beta_gamma=bars.beta_gamma + more, parameters=parameters)


def _of_different(each_bar: Array, order: tuple[int, ...], count: int) -> Array:
    """Cotangents of the different matrices, in the order of their kinds, from those of all in the order of the row."""
    if order == tuple(range(count)):
        return each_bar
    if len(order) == count:
        return taken(each_bar, tuple(sorted(range(count), key=order.__getitem__)))
    xp, backend = namespace(each_bar), backends.of(each_bar)
    flat = xp.matrix_transpose(xp.reshape(each_bar, (len(order), prod(each_bar.shape[1:]))))
    place = None if backend.traced([flat]) else device(flat)
    summed = backend.scatter_add(flat, xp.asarray(order, dtype=xp.int64, device=place), count)
    return xp.reshape(xp.matrix_transpose(summed), (count, *each_bar.shape[1:]))


def pull_tracked(
    steps: tuple[Apply, ...], setting: Setting, given: list[tuple[State, Owned]], each_bar: Array
) -> tuple[list[dict[str, Array]], Array]:
    """Cotangents of the parameters of each kind of maps, and of the reference, from those of their matrices."""
    xp = namespace(each_bar)
    total: Array | float = 0.0
    start, found = 0, []
    for step, (state, own) in zip(steps, given, strict=True):
        bar = each_bar[start : start + state.X.shape[0], ...]
        start += state.X.shape[0]
        X, bar = (state.X, bar[..., :6, :6]) if step.map.linear else affine.pulled_inputs(state.X, bar)
        _, more, bars = step.map.pullback(X, setting.reference(state), step.values(own), bar)
        found.append(step.bound(bars))
        total = total + xp.sum(xp.zeros_like(bar[..., 0, 0]) + more, axis=0)
    return found, total


def _multiplied(given: Matrices, state: State, setting: Setting) -> Array:
    """Coordinates after matrix and shift; the lost stay."""
    X = multiply(given.total, state.X)
    return _of_living(X if given.shift is None else X + per_particle(given.shift), state, setting)


def _unmultiplied(given: Matrices, state: State, setting: Setting) -> Array:
    """Coordinates before them; the lost stay."""
    X1 = state.X if given.shift is None else state.X - per_particle(given.shift)
    return _of_living(multiply(given.inverse, X1), state, setting)


def _of_living(X: Array, state: State, setting: Setting) -> Array:
    return namespace(X).where(setting.alive(state)[..., None, :], X, state.X) if setting.masked else X


def _pulled_matrix(given: Matrices, before: State, setting: Setting, X1_bar: Array) -> tuple[Array, Array]:
    """Cotangents of the coordinates before a matrix and of the matrix, that of the shift behind it."""
    xp, X, seen, alive = namespace(X1_bar), before.X, X1_bar, None
    if setting.masked:
        alive = setting.alive(before)[..., None, :]
        seen = xp.where(alive, X1_bar, xp.zeros_like(X1_bar))
        X = xp.where(alive, X, xp.zeros_like(X))
    X_bar, B = multiply(xp.matrix_transpose(given.total), seen), outer_product(seen, X)
    if given.shift is not None:
        B = xp.concat([B, over_particles(seen)[..., None]], axis=-1)
    return X_bar if alive is None else xp.where(alive, X_bar, X1_bar), B
