"""Wedge: between two planes through one line, x = 0 in both, in a uniform field; without field a rotation of the axes.

It is what lies between the pole face of a bend and the plane at right angles to the reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbeam.arrays import join, namespace, over_particles, per_particle, rows
from backbeam.maps.kinematics import delta_pz
from backbeam.maps.smooth import angle_excess

if TYPE_CHECKING:
    from backbeam.arrays import Array
    from backbeam.reference import Reference


def _crossed(X: Array, reference: Reference, angle: Array, k0: Array) -> tuple[Array, ...]:
    """All that the map and its pullback are made of, as rows: s, c, k, pz, x1, px1, pz1, D, A, m3."""
    x, px, _, py, _, pt = rows(X)
    xp = namespace(X)
    theta, k, b = map(per_particle, (angle, k0, reference.inverse_beta))
    s, c = xp.sin(theta), xp.cos(theta)
    pz = 1.0 + delta_pz(px, py, pt, b)
    inner = pz - k * x
    px1 = c * px + s * inner
    pz1 = 1.0 + delta_pz(px1, py, pt, b)
    D = c * inner - s * px
    x1 = x * (pz + inner) / (pz1 + D)
    # By k A the particle turns in the field: sine k m, from its way across and along.
    ps2 = px * px + pz * pz
    across, along = x - c * x1, s * x1
    m = (pz * along - px * across) / ps2
    m3 = angle_excess(m, k, 1.0 - k * (px * along + pz * across) / ps2)
    return s, c, k, pz, x1, px1, pz1, D, m + k * k * m3, m3


def wedge(X: Array, reference: Reference, angle: Array, k0: Array) -> Array:
    """Go from the plane s = 0 to that plane turned by an angle [rad] from s towards -x, in a field k0 [1/m].

    H = -x sqrt((1 + delta)^2 - px^2 - py^2) + k0 x^2/2, over the angle (Forest, *Beam Dynamics*, 1998, ch. 12)::

        px1 = px cos + (pz - k0 x) sin             D = (pz - k0 x) cos - px sin
        x1  = x (2 pz - k0 x)/(pz1 + D)            A = phi/k0, sin(phi) = k0 (pz x1 sin - px (x - x1 cos))/(px^2 + pz^2)
        y1  = y + py A                             tau1 = tau + (pt + 1/beta0) A

    It is smooth through k0 = 0. The angle with its other sign is the inverse. NaN where a particle does not arrive.
    """
    _, _, y, py, tau, pt = rows(X)
    _, _, _, _, x1, px1, _, _, A, _ = _crossed(X, reference, angle, k0)
    return join(x1, px1, y + py * A, py, tau + (pt + per_particle(reference.inverse_beta)) * A, pt)


def wedge_pullback(
    X: Array, reference: Reference, angle: Array, k0: Array, X1_bar: Array
) -> tuple[Array, Array, Array, Array]:
    """Cotangents of X, 1/beta0, angle and k0 for `wedge` at X.

    The Jacobian in (x, px, w = (px^2 + pz^2)/2): that of x1 from H, which is conserved, that of A by symplecticity.
    """
    x, px, _, py, _, pt = rows(X)
    xb, pxb, yb, pyb, taub, ptb = rows(X1_bar)
    s, c, k, pz, x1, px1, pz1, D, A, m3 = _crossed(X, reference, angle, k0)
    e = pt + per_particle(reference.inverse_beta)
    px1_x, px1_p, px1_w, px1_k = -s * k, c - s * px / pz, s / pz, -s * x
    # D dx1 = d(x pz - k x^2/2) - x1 dpz1 + x1^2/2 dk, pz1 dpz1 = dw - px1 dpx1, pz dpz = dw - px dpx
    slope, slope1 = x / pz, x1 / pz1
    x1_x = (pz - k * x + slope1 * px1 * px1_x) / D
    x1_p = (-slope * px + slope1 * px1 * px1_p) / D
    x1_w = (slope - slope1 * (1.0 - px1 * px1_w)) / D
    x1_k = (0.5 * (x1 * x1 - x * x) + slope1 * px1 * px1_k) / D
    A_x = x1_x * px1_w - x1_w * px1_x
    A_p = x1_p * px1_w - x1_w * px1_p
    ps2 = px * px + pz * pz
    A_w = (x * (c * px - s * pz) - x1 * px) / (pz * pz1 * ps2)
    A_k = (0.5 * (s * pz + c * px) * (x * x - x1 * x1) + px * x * (x1 - c * x)) / (pz1 * ps2) - k * m3
    Ab = py * yb + e * taub
    w_bar = x1_w * xb + px1_w * pxb + A_w * Ab
    X_bar = join(
        x1_x * xb + px1_x * pxb + A_x * Ab,
        x1_p * xb + px1_p * pxb + A_p * Ab,
        yb,
        pyb + A * yb - py * w_bar,
        taub,
        ptb + A * taub + e * w_bar,
    )
    angle_bar = over_particles(slope1 * px1 * xb + D * pxb + slope1 * Ab)
    k_bar = over_particles(x1_k * xb + px1_k * pxb + A_k * Ab)
    return X_bar, over_particles(pt * w_bar + A * taub), angle_bar, k_bar
