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
from typing import TYPE_CHECKING

from backbeam import backends
from backbeam.arrays import namespace
from backbeam.errors import BackbeamWarning

if TYPE_CHECKING:
    from backbeam.arrays import Array
    from backbeam.reference import Reference

TRANSVERSE = 0.1
"""Rms transverse momentum over m c from which on what is left out counts: see above."""
VELOCITIES = 0.05
"""Relative rms spread of velocities of a beam, which a kick at fixed s takes for none."""


def ask(X: Array, q: Array, reference: Reference, plane: str) -> None:
    """Warn of charges ``q (B, n)`` with coordinates ``X (B, 6, n)`` beyond what the model is for."""
    xp, u0 = namespace(X), reference.beta_gamma
    weight = xp.abs(q)
    weight = weight / xp.clip(xp.sum(weight, axis=-1), 1e-300 if q.dtype == xp.float64 else 1e-30, None)[:, None]

    def size(k: int) -> Array:
        """Rms about the mean, of the charge."""
        row = xp.where(weight > 0.0, X[:, k, :], xp.zeros_like(weight))
        mean = xp.sum(weight * row, axis=-1)
        return xp.sqrt(xp.sum(weight * (row - mean[:, None]) ** 2, axis=-1))

    number = backends.of(X).to_numpy
    across = float(number(xp.max(xp.maximum(size(1), size(3)) * u0)))
    if across > TRANSVERSE:
        _warn(
            f"transverse momenta are {across:.2g} of m c (rms, gamma sigma_x'), more than {TRANSVERSE:g}: the field of "
            "charges that move across is left out, 1 to 2 % at 0.1 and 8 to 15 % at 0.3"
        )
    spread = float(number(xp.max(size(5) * reference.inverse_beta / (1.0 + u0 * u0))))
    if spread > VELOCITIES and plane == "s":
        _warn(
            f"velocities spread by {spread:.2g} (rms), more than {VELOCITIES:g}: for a long bunch whose energy "
            "grows along it, at='t' is nearer"
        )


def ask_of_places(count: int) -> None:
    """Warn of so many particles without charge that are beyond the wide grid."""
    if count:
        _warn(
            f"{count} particle{'s' * (count > 1)} without charge, more than four widths of the charge away: the field "
            "there is taken to fall off as that of a point"
        )


def _warn(message: str) -> None:
    warnings.warn(f"space charge: {message}", BackbeamWarning, stacklevel=2)
