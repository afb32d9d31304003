"""Where a kick is made: at fixed s, where the coordinates stand, or at the time of the reference.

At fixed t the rows of ``Y (B, 6, n)`` are (x, px, y, py, -z, d): z is the distance ahead of the reference [m], d =
Pz/P0 - 1. So they are three positions and their momenta, the third pair with the sign of (tau, pt), and the kick is
the same. The lost are at rest on the axis there, and are put back where they were.

Methods are given a block of particles: the way there and back is part of the kick's own passes over them.
``inverse_beta`` is ``(B, 1)``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backbeam import backends
from backbeam.arrays import join, namespace, over_particles, rows
from backbeam.effects.space_charge import particles
from backbeam.effects.space_charge.drive import MeanEnergy, OfReference
from backbeam.effects.space_charge.transforms import to_fixed_s, to_fixed_s_pullback, to_fixed_t, to_fixed_t_pullback

if TYPE_CHECKING:
    from backbeam.arrays import Array


class FixedS:
    """Coordinates as they stand, and the beam's own mean energy."""

    order = 4
    energy = MeanEnergy()

    def entered(
        self, X: Array, alive: Array | None, X1_bar: Array | None, inverse_beta: Array
    ) -> tuple[tuple[Array | None, Array | None], Array | None]:
        """Y of coordinates X; on the way back also its cotangent, from that of X, and that of inverse_beta ``(B,)``.

        None for what is as it was.
        """
        return (None, None), None

    def kicked(self, Y: Array, X: Array, alive: Array | None, at: Array, strength: Array, inverse_beta: Array) -> Array:
        """Coordinates after the kick of Y; those of X for the lost."""
        return backends.of(Y).compile(particles.kicked)(Y, alive, at, strength)

    def coordinate_bars(
        self, extent: Any, block: Any, shared: Any
    ) -> tuple[tuple[Array | None, Array, Array], Array | None]:
        """X before the kick, its cotangent, that of the charge through the mean energy; and of inverse_beta ``(B,)``.

        ``block`` is Y before the kick, X after it, who is alive, and what `particles.coordinate_bars` wants besides of
        each particle; ``shared`` what it wants of all, and inverse_beta. None for what is as it was.
        """
        Y, _, _, *of_each = block
        *of_all, _ = shared
        run = backends.of(Y).compile(particles.coordinate_bars, static=(0,))
        return (None, *run(extent, Y, *of_each, *of_all)), None


class FixedT:
    """Every particle brought to the time of the reference, straight on, and the energy of the reference."""

    order = 2
    energy = OfReference()

    def entered(
        self, X: Array, alive: Array | None, X1_bar: Array | None, inverse_beta: Array
    ) -> tuple[tuple[Array | None, Array | None], Array | None]:
        """Y of coordinates X; on the way back also its cotangent, from that of X, and that of inverse_beta ``(B,)``."""
        return backends.of(X).compile(_entered)(X, alive, X1_bar, inverse_beta)

    def kicked(self, Y: Array, X: Array, alive: Array | None, at: Array, strength: Array, inverse_beta: Array) -> Array:
        """Coordinates after the kick of Y; those of X for the lost."""
        return backends.of(Y).compile(_kicked)(Y, X, alive, at, strength, inverse_beta)

    def coordinate_bars(self, extent: Any, block: Any, shared: Any) -> tuple[tuple[Array, Array, Array], Array | None]:
        """X before the kick, its cotangent, that of the charge by the mean energy; and of inverse_beta ``(B,)``."""
        return backends.of(block[0]).compile(_coordinate_bars, static=(0,))(extent, block, shared)


PLANES: dict[str, FixedS | FixedT] = {"s": FixedS(), "t": FixedT()}


def _entered(
    X: Array, alive: Array | None, X1_bar: Array | None, inverse_beta: Array
) -> tuple[tuple[Array, Array | None], Array | None]:
    x, px, y, py, tau, pt = rows(_of_alive(X, alive))
    x, y, z, d = to_fixed_t(x, px, y, py, tau, pt, inverse_beta)
    Y = join(x, px, y, py, -z, d)
    if X1_bar is None:
        return (Y, None), None
    bars = to_fixed_s_pullback(px, py, z, d, inverse_beta, rows(_of_alive(X1_bar, alive)))
    x_bar, px_bar, y_bar, py_bar, z_bar, d_bar, inverse_beta_bar = bars
    Y_bar = join(x_bar, px_bar, y_bar, py_bar, -z_bar, d_bar)
    return (Y, _or_lost(Y_bar, X1_bar, alive)), over_particles(inverse_beta_bar)


def _left(Y: Array, X: Array, alive: Array | None, inverse_beta: Array) -> Array:
    """Coordinates at fixed s of Y; of X for the lost."""
    x, px, y, py, behind, d = rows(Y)
    x, y, tau, pt = to_fixed_s(x, px, y, py, -behind, d, inverse_beta)
    return _or_lost(join(x, px, y, py, tau, pt), X, alive)


def _kicked(Y: Array, X: Array, alive: Array | None, at: Array, strength: Array, inverse_beta: Array) -> Array:
    return _left(particles.kicked(Y, alive, at, strength), X, alive, inverse_beta)


def _coordinate_bars(extent: Any, block: Any, shared: Any) -> tuple[tuple[Array, Array, Array], Array]:
    Y, X1, alive, *of_each = block
    *of_all, inverse_beta = shared
    X = _left(Y, X1, alive, inverse_beta)
    Y_bar, q_bar = particles.coordinate_bars(extent, Y, *of_each, *of_all)
    _, px, _, py, tau, pt = rows(_of_alive(X, alive))
    x_bar, px_bar, y_bar, py_bar, behind_bar, d_bar = rows(_of_alive(Y_bar, alive))
    bars = x_bar, px_bar, y_bar, py_bar, -behind_bar, d_bar
    *X_bar, inverse_beta_bar = to_fixed_t_pullback(px, py, tau, pt, inverse_beta, bars)
    return (X, _or_lost(join(*X_bar), Y_bar, alive), q_bar), over_particles(inverse_beta_bar)


def _of_alive(X: Array, alive: Array | None) -> Array:
    """X, 0 for particles that are not alive."""
    return X if alive is None else namespace(X).where(alive[:, None, :], X, namespace(X).zeros_like(X))


def _or_lost(moved: Array, X: Array, alive: Array | None) -> Array:
    """Of X for particles that are not alive."""
    return moved if alive is None else namespace(X).where(alive[:, None, :], moved, X)
