"""Exact sector bend: the closed form of the circle in a uniform field, smooth down to no angle at all.

The field matches the curvature (k0 = h), so the reference particle stays on the reference. The textbook
solution divides by h and subtracts numbers of order one; here every 1/h is carried out by hand, so that the
map becomes the exact drift as the angle goes to 0, in value and in gradient, in float32 too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from backbeam.arrays import join, over_particles, per_particle, rows
from backbeam.maps.base import Map
from backbeam.maps.kinematics import delay, delta_pz
from backbeam.maps.smooth import angle_excess, stumpff

if TYPE_CHECKING:
    from backbeam.arrays import Array
    from backbeam.maps.base import Cotangents, Parameters
    from backbeam.reference import Reference


class Arc(NamedTuple):
    """A piece of a bend with both of its ends: all that the map, its inverse and its pullback are made of.

    Rows ``(..., n)``, or ``(..., 1)`` for what depends on the bend alone.
    """

    L: Array
    """Length [m] along the reference."""
    h: Array
    """Curvature [1/m]."""
    c: Array
    """cos(h L)."""
    S: Array
    """sin(h L)/h."""
    C2: Array
    """(1 - cos(h L))/h^2."""
    C3: Array
    """(h L - sin(h L))/h^3."""
    x: Array
    px: Array
    pz: Array
    x1: Array
    px1: Array
    pz1: Array
    q: Array
    """(px1 - px)/h."""
    r: Array
    """(px1 + px)/(pz1 + pz), so that pz1 - pz = -h q r."""
    m: Array
    """Sine, over h, of the angle by which the particle turns less than the reference."""
    m3: Array
    """That angle over h, less m, over h^2: see `backbeam.maps.smooth.angle_excess`."""
    A: Array
    """(Path length)/(momentum in units of P0): integral of (1 + h x)/pz over s."""
    delay: Array
    """tau1 - tau."""


def _arc(X: Array, reference: Reference, length: Array, curvature: Array) -> Arc:
    x, px, _, py, _, pt = rows(X)
    L, h, beta, b = map(per_particle, (length, curvature, reference.beta, reference.inverse_beta))
    c, c1, c2, c3 = stumpff((h * L) ** 2, 4)
    S, C2, C3 = L * c1, L * L * c2, L * L * L * c3
    dpz = delta_pz(px, py, pt, b)
    pz = 1.0 + dpz
    q = (dpz - h * x) * S - h * C2 * px
    px1 = px + h * q
    pz1 = 1.0 + delta_pz(px1, py, pt, b)
    total = pz1 + pz
    r = (px1 + px) / total
    x1 = c * x + h * C2 * dpz + S * px - q * r
    m = q * (pz + px * r) / (pz * pz + px * px)
    m3 = angle_excess(m, h, 1.0 + h * q * (px - pz * r) / (pz * pz + px * px))
    # A = (angle turned)/h = L - asin(h m)/h. Without the drift's L/pz, what is left of it is of order h.
    bent = h * ((h * C3 * dpz + C2 * px + S * x - q * m * px / total) / pz - h * m3)
    A = L / pz + bent
    later = L / pz * delay(px, py, pt, pz, reference, beta) + (pt + b) * bent
    return Arc(L, h, c, S, C2, C3, x, px, pz, x1, px1, pz1, q, r, m, m3, A, later)


def _end(X: Array, arc: Arc) -> Array:
    _, _, y, py, tau, pt = rows(X)
    return join(arc.x1, arc.px1, y + py * arc.A, py, tau + arc.delay, pt)


def _turned(arc: Arc) -> Arc:
    """The same arc with its ends exchanged: run from the other end, everything odd changes sign."""
    a = arc
    return Arc(
        -a.L, a.h, a.c, -a.S, a.C2, -a.C3, a.x1, a.px1, a.pz1, a.x, a.px, a.pz,
        -a.q, a.r, -a.m, -a.m3, -a.A, -a.delay,
    )  # fmt: skip


def _pull(X: Array, arc: Arc, reference: Reference, X1_bar: Array) -> tuple[Array, Array, Array, Array]:
    """Cotangents of X, beta_gamma, length and curvature; of X only py and pt are used, the same at both ends.

    The Jacobian in closed form, with (x, px, ps^2/2) as variables in the plane, where
    ps^2 = (1 + delta)^2 - py^2 = px^2 + pz^2, and A in the place of y and tau. The derivative by length is
    the equation of motion at the end.
    """
    L, h, c, S, C2, C3, x, px, pz, x1, px1, pz1, q, r, m, m3, A, _ = arc
    py, pt = X[..., 3, :], X[..., 5, :]
    xb, pxb, yb, pyb, taub, ptb = rows(X1_bar)
    beta, b = per_particle(reference.beta), per_particle(reference.inverse_beta)
    e = pt + b
    v, v1 = px / pz, px1 / pz1
    product, dpz = pz * pz1, delta_pz(px, py, pt, b)
    g = m * (pz * pz + px * px) / product  # (v1 - v)/h
    Ab = py * yb + e * taub

    # d(x1, px1, A)/d(ps^2/2)
    x1_s, px1_s, A_s = (q * r / pz1 + h * C2 - v1 * S) / pz, h * S / pz, (m - S) / product
    s_bar = x1_s * xb + px1_s * pxb + A_s * py * yb
    # d tau1/d pt = A + e^2 A_s, where A - pz^2 S/(pz pz1) is of order h and e^2 - pz^2 is small
    transverse = 1.0 / per_particle(reference.beta_gamma) ** 2 + px * px + py * py
    slip = transverse * A_s + h * (h * pz * (C3 - m3) - q * r * A) / pz1
    s_bar_all = s_bar + A_s * e * taub
    X_bar = join(
        (c + h * S * v1) * xb - h * h * S * pxb + h * S / pz1 * Ab,
        (S * (1.0 + v * v1) - c * g) * xb
        + (c - h * S * v) * pxb
        + ((h * C2 * pz - q * r) / product + S * v / pz1) * Ab,
        yb,
        pyb + A * yb - py * s_bar_all,
        taub,
        ptb + e * s_bar + slip * taub,
    )
    inverse_beta_bar = over_particles(pt * s_bar_all - (m + h * h * m3) * taub)

    stretch = 1.0 + h * x1
    late = delay(px1, py, pt, pz1, reference, beta)
    length_bar = over_particles(
        stretch * (v1 * xb + py / pz1 * yb) + h * (dpz - h * (q * r + x1)) * pxb + (h * x1 * e + late) / pz1 * taub
    )
    S_h, C_h = h * (C3 - L * C2), L * S - C2  # d S/dh and d(h C2)/dh
    q_h = (dpz - h * x) * S_h - x * S - px * C_h
    px1_h = q + h * q_h
    x1_h = C_h * dpz + S_h * px - L * h * S * x - q_h * r - q * px1_h * (1.0 + r * v1) / (pz1 + pz)
    A_h = h * m3 - q_h / pz1 + q / pz * (m * px / (pz1 + pz) - q * r / pz1)
    curvature_bar = over_particles(x1_h * xb + px1_h * pxb + A_h * Ab)
    return X_bar, reference.pull_back(inverse_beta=inverse_beta_bar), length_bar, curvature_bar


def bend(X: Array, reference: Reference, length: Array, curvature: Array) -> Array:
    """Follow a sector bend over a length [m] of its curvature h [1/m], whose field is k0 = h.

    Solves H = -(1 + h x) sqrt((1 + delta)^2 - px^2 - py^2) + h x + h^2 x^2/2 + pt/beta0. The circle in the
    plane (Forest, *Beam Dynamics*, 1998, ch. 12) with s = h L and 1/h carried out; q, r, m as in `Arc`::

        px1 = px + h q,  q = (dpz - h x) sin(s)/h - px (1 - cos s)/h
        x1  = x cos s + dpz (1 - cos s)/h + px sin(s)/h - q r
        y1  = y + py A,  A = L - phi/h,  sin(phi) = h m,  m = q (pz + px r)/(pz^2 + px^2)
        tau1 = tau + (pt + 1/beta0) A - L/beta0

    phi, by which the particle turns less than the reference, may be anything within half a turn. A negative length
    is the inverse. NaN where a particle turns round.
    """
    return _end(X, _arc(X, reference, length, curvature))


def bend_pullback(
    X: Array, reference: Reference, length: Array, curvature: Array, X1_bar: Array
) -> tuple[Array, Array, Array, Array]:
    """Cotangents of X, beta_gamma, length and curvature for `bend` at X."""
    return _pull(X, _arc(X, reference, length, curvature), reference, X1_bar)


def bend_reverse(
    X1: Array, reference: Reference, length: Array, curvature: Array, X1_bar: Array
) -> tuple[Array, Array, Array, Array, Array]:
    """X before `bend`, then what `bend_pullback` gives there: one arc serves both."""
    back = _arc(X1, reference, -length, curvature)
    return (_end(X1, back), *_pull(X1, _turned(back), reference, X1_bar))


def curvature_of(p: Parameters) -> Array:
    """Curvature h = angle/length [1/m]."""
    return p["angle"] / p["length"]


def share_curvature(p: Parameters, curvature_bar: Array) -> tuple[Array, Array]:
    """Cotangents of length and angle from that of h = angle/length."""
    angle_bar = curvature_bar / p["length"]
    return -curvature_of(p) * angle_bar, angle_bar


@dataclass(frozen=True)
class Bend(Map):
    """Exact sector bend over a fraction of an element."""

    fraction: float = 1.0

    @property
    def parameters(self) -> tuple[str, ...]:
        """The element's length [m] along the arc, not 0, and its angle [rad], positive towards -x."""
        return ("length", "angle")

    def forward(self, X: Array, reference: Reference, p: Parameters) -> Array:
        """See `bend`."""
        return bend(X, reference, self.fraction * p["length"], curvature_of(p))

    def inverse(self, X1: Array, reference: Reference, p: Parameters) -> Array:
        """Follow the bend back."""
        return bend(X1, reference, -self.fraction * p["length"], curvature_of(p))

    def _collect(self, p: Parameters, length_bar: Array, curvature_bar: Array) -> Cotangents:
        from_curvature, angle_bar = share_curvature(p, curvature_bar)
        return {"length": self.fraction * length_bar + from_curvature, "angle": angle_bar}

    def pullback(self, X: Array, reference: Reference, p: Parameters, X1_bar: Array) -> tuple[Array, Array, Cotangents]:
        """See `bend_pullback`."""
        X_bar, beta_gamma_bar, *bars = bend_pullback(X, reference, self.fraction * p["length"], curvature_of(p), X1_bar)
        return X_bar, beta_gamma_bar, self._collect(p, *bars)

    def reverse(
        self, X1: Array, reference: Reference, p: Parameters, X1_bar: Array
    ) -> tuple[Array, Array, Array, Cotangents]:
        """See `bend_reverse`."""
        X, X_bar, beta_gamma_bar, *bars = bend_reverse(
            X1, reference, self.fraction * p["length"], curvature_of(p), X1_bar
        )
        return X, X_bar, beta_gamma_bar, self._collect(p, *bars)
