"""From fixed s to fixed t and back: each particle drifts by its own delay.

Tracking compares particles where they cross a plane s; the field of a beam needs them where they are at one
time t. At fixed t a particle has (x, y, z) with z the distance ahead of the reference [m], and (px, py, d)
with d = Pz/P0 - 1. The momenta do not change in between, so px and py are the same in both.

Nothing here subtracts two numbers of order one (see `backbeam.maps.kinematics`), so the two undo each other
to rounding, in float32 too. Source: the transforms of Qiang et al., PRST-AB 9 (2006) 044204, rearranged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbeam.arrays import namespace
from backbeam.maps.kinematics import delta_pz

if TYPE_CHECKING:
    from backbeam.arrays import Array

    Rows = tuple[Array, ...]


def to_fixed_t(x: Array, px: Array, y: Array, py: Array, tau: Array, pt: Array, inverse_beta: Array) -> Rows:
    """Return (x, y, z, d) at fixed t; rows ``(..., n)``, inverse_beta ``(..., 1)``."""
    d = delta_pz(px, py, pt, inverse_beta)
    f = tau / (pt + inverse_beta)
    return x - px * f, y - py * f, -(1.0 + d) * f, d


def to_fixed_t_pullback(px: Array, py: Array, tau: Array, pt: Array, inverse_beta: Array, bars: Rows) -> Rows:
    """Cotangents of (x, px, y, py, tau, pt, inverse_beta), the last ``(..., n)``, for `to_fixed_t`.

    ``bars`` are those of (x, px, y, py, z, d) at fixed t.
    """
    x_bar, px_bar, y_bar, py_bar, z_bar, d_bar = bars
    e = pt + inverse_beta
    f = tau / e
    pz = 1.0 + delta_pz(px, py, pt, inverse_beta)
    tau_bar = -(px * x_bar + py * y_bar + pz * z_bar) / e
    # pz^2 = 1 + pt (2/beta0 + pt) - px^2 - py^2
    g = (d_bar - f * z_bar) / pz
    e_bar = -f * tau_bar
    return (
        x_bar,
        px_bar - f * x_bar - px * g,
        y_bar,
        py_bar - f * y_bar - py * g,
        tau_bar,
        e_bar + e * g,
        e_bar + pt * g,
    )


def to_fixed_s(x: Array, px: Array, y: Array, py: Array, z: Array, d: Array, inverse_beta: Array) -> Rows:
    """Return (x, y, tau, pt) at fixed s; rows ``(..., n)``, inverse_beta ``(..., 1)``."""
    pt = _energy(px, py, d, inverse_beta)
    f = -z / (1.0 + d)
    return x + px * f, y + py * f, (pt + inverse_beta) * f, pt


def to_fixed_s_pullback(px: Array, py: Array, z: Array, d: Array, inverse_beta: Array, bars: Rows) -> Rows:
    """Cotangents of (x, px, y, py, z, d, inverse_beta), the last ``(..., n)``, for `to_fixed_s`.

    ``bars`` are those of (x, px, y, py, tau, pt) at fixed s.
    """
    x_bar, px_bar, y_bar, py_bar, tau_bar, pt_bar = bars
    pt = _energy(px, py, d, inverse_beta)
    pz, e = 1.0 + d, pt + inverse_beta
    f = -z / pz
    z_bar = -(px * x_bar + py * y_bar + e * tau_bar) / pz
    # e^2 = 1/beta0^2 + d (2 + d) + px^2 + py^2 and pt = e - 1/beta0
    g = (pt_bar + f * tau_bar) / e
    return (
        x_bar,
        px_bar + f * x_bar + px * g,
        y_bar,
        py_bar + f * y_bar + py * g,
        z_bar,
        f * z_bar + pz * g,
        f * tau_bar - pt * g,
    )


def _energy(px: Array, py: Array, d: Array, inverse_beta: Array) -> Array:
    """Return pt = b/(1/beta0 + sqrt(1/beta0^2 + b)) with b = p^2 - 1 = d (2 + d) + px^2 + py^2."""
    b = d * (2.0 + d) + px * px + py * py
    return b / (inverse_beta + namespace(b).sqrt(inverse_beta * inverse_beta + b))
