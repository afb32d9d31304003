"""Steady acceleration: the integrals along the way of a particle in a uniform field, none found by cancellation."""

from __future__ import annotations

from typing import NamedTuple

from backbeam.arrays import Array, namespace
from backbeam.maps.smooth import logarithm_ratio


class Flight(NamedTuple):
    """Integrals along a steady acceleration from energy E0 to E1, with Pz = sqrt(E^2 - 1 - M).

    A particle has E = gamma + e, where e and M stay; all are rows, or of the batch shape for the reference itself.
    """

    proper: Array
    """T = int ds/Pz over a length."""
    late: Array
    """int (E/Pz - gamma/u) ds over a length."""
    cubic: Array
    """int ds/Pz^3."""
    energetic: Array
    """int E ds/Pz^3."""
    by_gain: Array
    """dT/d(E1 - E0) at given E0 and length."""
    late_by: tuple[tuple[Array, Array], tuple[Array, Array]]
    """Derivatives of int (E/Pz - gamma/u) ds by gamma and by u of the reference, at both ends."""


def flight(ends: tuple[tuple[Array, Array], ...], gain: Array, length: Array, e: Array, M: Array) -> Flight:
    """Integrals of a `Flight`; ``ends`` are gamma and u of the reference before and after.

    T = log((E1 + P1)/(E0 + P0))/g = L q log(1 + D q)/(D q) with D = E1 - E0, q = (1 + (E0 + E1)/(P0 + P1))/(E0 + P0).
    With h = gamma - u = 1/(gamma + u) and f = e - (Pz - u), of which none is found by a difference, the delay is
    L ((gamma0 + gamma1)(f0 + f1) - 2 e (h0 + h1))/((P0 + P1)(u0 + u1)).
    """
    xp = namespace(gain)
    (g0, u0), (g1, u1) = ends
    m2, E0, E1 = 1.0 + M, g0 + e, g1 + e
    P0, P1 = (xp.sqrt(u * u + (2.0 * g + e) * e - M) for g, u in ends)
    both_E, both_P, both_g, both_u = E0 + E1, P0 + P1, g0 + g1, u0 + u1
    q = (1.0 + both_E / both_P) / (E0 + P0)
    ratio, slope = logarithm_ratio(gain * q)
    cosh = (E1 * E1 + P0 * P0) / (E0 * E1 + P0 * P1)
    by_q = -m2 * (1.0 + cosh) / (P1 * both_P * both_P * (E0 + P0))
    square = P0 * P1
    h, Q = [1.0 / (g + u) for g, u in ends], [P + u + e for P, (_, u) in zip((P0, P1), ends, strict=True)]
    f = [(M - 2.0 * e * hi) / Qi for hi, Qi in zip(h, Q, strict=True)]
    per = length / (both_P * both_u)
    late = per * (both_g * (f[0] + f[1]) - 2.0 * e * (h[0] + h[1]))
    late_by = []
    for fi, hi, Qi, Pi, (_, u) in zip(f, h, Q, (P0, P1), ends, strict=True):
        along = 2.0 * e * hi * hi
        by_gamma = per * (f[0] + f[1] + both_g * (along - fi * e / Pi) / Qi + along) - late * e / (Pi * both_P)
        by_u = per * (both_g * (along - fi * (1.0 + u / Pi)) / Qi + along)
        late_by.append((by_gamma, by_u - late * (u / (Pi * both_P) + 1.0 / both_u)))
    return Flight(
        length * q * ratio,
        late,
        length * both_E / (square * (E0 * P1 + E1 * P0)),
        length * both_E / (square * both_P),
        length * (by_q * ratio + q * slope * (q + gain * by_q)),
        (late_by[0], late_by[1]),
    )
