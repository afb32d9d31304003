"""Longitudinal momentum without cancellation: the small quantity that most maps start from."""

from __future__ import annotations

from backbeam.arrays import Array, namespace


def delta_pz(px: Array, py: Array, pt: Array, inverse_beta: Array) -> Array:
    """Return dpz = Pz/P0 - 1 for rows ``(..., n)``; NaN where px^2 + py^2 exceeds p^2 and the particle turns round.

    With a = pt (2/beta0 + pt) = p^2 - 1, dpz = (a - px^2 - py^2)/(1 + sqrt(1 + a - px^2 - py^2)): never a
    difference of two numbers of order one.
    """
    excess = pt * (2.0 * inverse_beta + pt) - px * px - py * py
    return excess / (1.0 + namespace(excess).sqrt(1.0 + excess))
