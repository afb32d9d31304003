"""Around a kick at fixed t: every particle to the time of the reference, and back to s after it.

At fixed t the rows of ``Y (B, 6, n)`` are (x, px, y, py, -z, d): z is the distance ahead of the reference [m], d =
Pz/P0 - 1. So they are three positions and their momenta, the third pair with the sign of (tau, pt), and the kick is
the same. ``inverse_beta`` is ``(B, 1)``. The lost are at rest on the axis there, and are put back where they were.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbeam import backends
from backbeam.arrays import join, namespace, over_particles, rows
from backbeam.effects.space_charge.transforms import to_fixed_s, to_fixed_s_pullback, to_fixed_t, to_fixed_t_pullback

if TYPE_CHECKING:
    from backbeam.arrays import Array


def entered(X: Array, alive: Array | None, inverse_beta: Array) -> Array:
    """Y of coordinates X at fixed s."""
    return _in_blocks(_entered, (X, alive), inverse_beta)[0]


def left(Y: Array, X: Array, alive: Array | None, inverse_beta: Array) -> Array:
    """Coordinates at fixed s of Y; of X for the lost."""
    return _in_blocks(_left, (Y, X, alive), inverse_beta)[0]


def entered_pullback(X: Array, alive: Array | None, inverse_beta: Array, Y_bar: Array) -> tuple[Array, Array]:
    """Cotangents of X and of inverse_beta ``(B,)`` from those of Y; those of the lost are handed through."""
    return _in_blocks(_entered_pullback, (X, alive, Y_bar), inverse_beta)


def left_pullback(Y: Array, alive: Array | None, inverse_beta: Array, X_bar: Array) -> tuple[Array, Array]:
    """Cotangents of Y and of inverse_beta ``(B,)`` from those of X; those of the lost are handed through."""
    return _in_blocks(_left_pullback, (Y, alive, X_bar), inverse_beta)


def _in_blocks(function, particles, inverse_beta: Array) -> tuple[Array, Array | None]:
    backend = backends.of(inverse_beta)
    return backend.blockwise(lambda block, b: backends.of(b).compile(function)(block, b), particles, inverse_beta)


def _entered(block, inverse_beta: Array) -> tuple[Array, None]:
    X, alive = block
    x, px, y, py, tau, pt = rows(_of_alive(X, alive))
    x, y, z, d = to_fixed_t(x, px, y, py, tau, pt, inverse_beta)
    return join(x, px, y, py, -z, d), None


def _left(block, inverse_beta: Array) -> tuple[Array, None]:
    Y, X, alive = block
    x, px, y, py, behind, d = rows(Y)
    x, y, tau, pt = to_fixed_s(x, px, y, py, -behind, d, inverse_beta)
    return _or_lost(join(x, px, y, py, tau, pt), X, alive), None


def _entered_pullback(block, inverse_beta: Array) -> tuple[Array, Array]:
    X, alive, Y_bar = block
    _, px, _, py, tau, pt = rows(_of_alive(X, alive))
    x_bar, px_bar, y_bar, py_bar, behind_bar, d_bar = rows(_of_alive(Y_bar, alive))
    bars = x_bar, px_bar, y_bar, py_bar, -behind_bar, d_bar
    *X_bar, inverse_beta_bar = to_fixed_t_pullback(px, py, tau, pt, inverse_beta, bars)
    return _or_lost(join(*X_bar), Y_bar, alive), over_particles(inverse_beta_bar)


def _left_pullback(block, inverse_beta: Array) -> tuple[Array, Array]:
    Y, alive, X_bar = block
    _, px, _, py, behind, d = rows(Y)
    bars = to_fixed_s_pullback(px, py, -behind, d, inverse_beta, rows(_of_alive(X_bar, alive)))
    x_bar, px_bar, y_bar, py_bar, z_bar, d_bar, inverse_beta_bar = bars
    found = join(x_bar, px_bar, y_bar, py_bar, -z_bar, d_bar)
    return _or_lost(found, X_bar, alive), over_particles(inverse_beta_bar)


def _of_alive(X: Array, alive: Array | None) -> Array:
    """X, 0 for particles that are not alive."""
    return X if alive is None else namespace(X).where(alive[:, None, :], X, namespace(X).zeros_like(X))


def _or_lost(moved: Array, X: Array, alive: Array | None) -> Array:
    """Of X for particles that are not alive."""
    return moved if alive is None else namespace(X).where(alive[:, None, :], moved, X)
