"""Longitudinal momentum and delay without cancellation: the small quantities that most maps start from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbeam.arrays import Array, namespace, per_particle

if TYPE_CHECKING:
    from backbeam.reference import Reference


def delta_pz(px: Array, py: Array, pt: Array, inverse_beta: Array) -> Array:
    """Return dpz = Pz/P0 - 1 for rows ``(..., n)``; NaN where px^2 + py^2 exceeds p^2 and the particle turns round.

    With a = pt (2/beta0 + pt) = p^2 - 1, dpz = (a - px^2 - py^2)/(1 + sqrt(1 + a - px^2 - py^2)): never a
    difference of two numbers of order one.
    """
    excess = pt * (2.0 * inverse_beta + pt) - px * px - py * py
    return excess / (1.0 + namespace(excess).sqrt(1.0 + excess))


def delay(px: Array, py: Array, pt: Array, pz: Array, reference: Reference, beta: Array) -> Array:
    """Return e - pz/beta0 with e = pt + 1/beta0, for rows ``(..., n)``: pz times the slope of tau in a drift.

    e - pz/beta0 = beta0^-1 ((beta0 e)^2 - pz^2)/(beta0 e + pz), whose numerator is px^2 + py^2 - a/gamma0^2.
    """
    inverse_beta, gamma = per_particle(reference.inverse_beta), per_particle(reference.gamma)
    excess = px * px + py * py - pt * (2.0 * inverse_beta + pt) / (gamma * gamma)
    return inverse_beta * excess / (1.0 + beta * pt + pz)
