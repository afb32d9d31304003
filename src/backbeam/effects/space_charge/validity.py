"""Where the model of the kick ends: asked once of the beam that a run begins with.

Next to the sum over 3000 point charges, each at its own crossing and with its own velocity (electrons of 8 MeV, 1 x 1 x
5 mm, 32 nodes a side, mean over three bunches), the mean of kick times position is off by

============================================ ======== ========
what a bunch has                             across   along
============================================ ======== ========
nothing: cold, one energy                     0.3 %    0.1 %
diverging, gamma sigma_x' = 0.03             -0.2 %    1.6 %
0.1                                          -2 %      6 %
0.3                                         -15 %     37 %
hot, gamma sigma_x' = 0.1                    -1 %      0.2 %
0.3                                          -8 %      4 %
energy along the bunch, rms pt = 0.03        -0.1 %    0.0 %
0.1                                          -1.5 %    0.8 %
energies at random, rms pt = 0.03            -0.3 %    0.6 %
0.1                                          -3 %      0.2 %
tilted, x as far as tau times 0.3            -0.3 %    0.1 %
1 (five times as wide: cells are)           -11 %     -2 %
============================================ ======== ========

and for slow bunches with a chirp by delta beta/beta: protons of 2.5 MeV with 10 % rms, 5.4 % (at fixed t 0.7 %).
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, NamedTuple

from backbeam import backends
from backbeam.arrays import namespace, over_particles
from backbeam.errors import BackbeamWarning

if TYPE_CHECKING:
    from collections.abc import Callable

    from backbeam.arrays import Array
    from backbeam.reference import Reference

TRANSVERSE = 0.1
"""Rms transverse momentum over m c from which on what is left out counts: see above."""
VELOCITIES = 0.05
"""Relative rms spread of velocities of a beam, which a kick at fixed s takes for none."""


BLOCK = 100_000
"""Particles of a block of sums: see `backbeam.moments.BLOCK`."""


class Spread(NamedTuple):
    """What of a beam the model leaves out, each ``()``, of the worst of a batch."""

    across: Array
    """Rms transverse momentum over m c."""
    velocities: Array
    """Relative rms spread."""


def spread_of(X: Array, q: Array, reference: Reference) -> Spread:
    """That of charges ``q (B, n)`` with coordinates ``X (B, 6, n)``."""
    xp, backend, u0 = namespace(X), backends.of(X), reference.beta_gamma

    def over(function: Callable[..., Array], *shared: Array) -> Array:
        """Sums over the particles, compiled, block by block."""

        def of_block(block: tuple[Array, Array], shared: tuple[Array, ...]) -> tuple[None, Array]:
            return None, backends.of(block[0]).compile(function)(*block, *shared)

        return backend.blockwise(of_block, (X, q), shared, block=BLOCK)[1]

    sums = over(_sums)
    charge, firsts = sums[0, ...], sums[1:, ...]
    charge = xp.clip(charge, 1e-300 if q.dtype == xp.float64 else 1e-30, None)
    sizes = xp.sqrt(over(_squares, firsts / charge) / charge)
    across = xp.max(xp.maximum(sizes[0, ...], sizes[1, ...]) * u0)
    return Spread(across, xp.max(sizes[2, ...] * reference.inverse_beta / (1.0 + u0 * u0)))


def ask(spread: Spread, plane: str) -> None:
    """Warn of a beam beyond what the model is for."""
    across, velocities = (float(backends.of(a).to_numpy(a)) for a in spread)
    if across > TRANSVERSE:
        _warn(
            f"transverse momenta are {across:.2g} of m c (rms, gamma sigma_x'), more than {TRANSVERSE:g}: the field of "
            "charges that move across is left out, 1 to 2 % at 0.1 and 8 to 15 % at 0.3"
        )
    if velocities > VELOCITIES and plane == "s":
        _warn(
            f"velocities spread by {velocities:.2g} (rms), more than {VELOCITIES:g}: for a long bunch whose energy "
            "grows along it, at='t' is nearer"
        )


def _sums(X: Array, q: Array) -> Array:
    """Of the magnitude of charge, and of it times px, py and pt ``(4, B)``; the lost have none, whatever they are."""
    xp, weight = namespace(q), namespace(q).abs(q)
    return over_particles(xp.stack([weight, *(weight * row for row in _momenta(X, weight))]))


def _squares(X: Array, q: Array, mean: Array) -> Array:
    """Of the magnitude of charge times the squares of px, py and pt about their means ``(3, B)``."""
    xp, weight = namespace(q), namespace(q).abs(q)
    found = [weight * (row - mean[k, ..., None]) ** 2 for k, row in enumerate(_momenta(X, weight))]
    return over_particles(xp.stack(found))


def _momenta(X: Array, weight: Array) -> list[Array]:
    xp = namespace(X)
    return [xp.where(weight > 0.0, X[..., k, :], xp.zeros_like(weight)) for k in (1, 3, 5)]


def ask_of_places(count: int) -> None:
    """Warn of so many particles without charge that are beyond the wide grid."""
    if count:
        _warn(
            f"{count} particle{'s' * (count > 1)} without charge, more than four widths of the charge away: the field "
            "there is taken to fall off as that of a point"
        )


def _warn(message: str) -> None:
    warnings.warn(f"space charge: {message}", BackbeamWarning, stacklevel=2)
