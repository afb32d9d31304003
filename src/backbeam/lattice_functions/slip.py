"""How the time of a turn changes with momentum, about an orbit of any energy.

A turn takes T = (L/beta0 + tau)/c, L being the line's length and tau what a turn adds to it. With p and e the momentum
and the energy of the orbit over P0 and P0 c, d pt/d ln p = p^2/e, and so::

    slip_factor = d ln T/d ln p = (d tau/d pt) (p^2/e)/(L/beta0 + tau)
    momentum_compaction = d ln C/d ln p = slip_factor + 1/gamma^2

of which the second is of C = beta c T, the way that the orbit goes.
"""

from __future__ import annotations

from typing import NamedTuple

from backbeam.arrays import Array, namespace


class Turn(NamedTuple):
    """What the slip factor is made from, each ``(...)``; or the cotangents of it."""

    length: Array
    """L [m]"""
    late: Array
    """tau at the end less that at the start [m]."""
    slope: Array
    """d tau/d pt of a turn [m]."""
    pt: Array
    """Of the orbit."""
    beta_gamma: Array
    """Of the reference."""


class _Parts(NamedTuple):
    inverse_beta: Array
    e: Array
    square: Array
    """p^2"""
    time: Array
    """c T [m]"""


def _parts(turn: Turn) -> _Parts:
    u = turn.beta_gamma
    inverse_beta = namespace(u).sqrt(1.0 + u * u) / u
    e = inverse_beta + turn.pt
    square = 1.0 + turn.pt * (2.0 * inverse_beta + turn.pt)
    return _Parts(inverse_beta, e, square, turn.length * inverse_beta + turn.late)


def slip_and_compaction(turn: Turn) -> tuple[Array, Array]:
    """Slip factor, positive above transition, and momentum compaction."""
    _, e, square, time = _parts(turn)
    gamma = turn.beta_gamma * e
    slip = turn.slope * square / (e * time)
    return slip, slip + 1.0 / (gamma * gamma)


def slip_and_compaction_pullback(turn: Turn, slip_bar: Array, compaction_bar: Array) -> Turn:
    """Cotangents of what they are made from."""
    inverse_beta, e, square, time = _parts(turn)
    u, xp = turn.beta_gamma, namespace(turn.beta_gamma)
    gamma = u * e
    both = slip_bar + compaction_bar
    slip = turn.slope * square / (e * time)
    gamma_bar = -2.0 * compaction_bar / (gamma * gamma * gamma)
    time_bar = -both * slip / time
    square_bar = both * turn.slope / (e * time)
    e_bar = -both * slip / e + gamma_bar * u
    # p^2 = 1 + pt (2/beta0 + pt), e = 1/beta0 + pt
    pt_bar = 2.0 * e * square_bar + e_bar
    inverse_beta_bar = 2.0 * turn.pt * square_bar + e_bar + time_bar * turn.length
    u_bar = gamma_bar * e - inverse_beta_bar / (u * u * xp.sqrt(1.0 + u * u))
    return Turn(time_bar * inverse_beta, time_bar, both * square / (e * time), pt_bar, u_bar)
