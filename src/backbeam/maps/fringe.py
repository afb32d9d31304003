"""Hard edge of a dipole: the nonlinear kick of a field that begins at a plane, at right angles to it.

The lines of the field bulge there: off the plane of the bend a particle that crosses at a slope sees a component of it
that bends it up or down.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from backbeam.arrays import join, namespace, over_particles, per_particle, rows

if TYPE_CHECKING:
    from backbeam.arrays import Array
    from backbeam.reference import Reference


class _Slopes(NamedTuple):
    """phi = px pz/(px^2 + py^2 + pz^2 - px^2) of `fringe`, and its derivatives by px, py and w = (1 + delta)^2/2."""

    value: Array
    px: Array
    py: Array
    w: Array


def _momentum2(pt: Array, reference: Reference) -> Array:
    """(1 + delta)^2."""
    return 1.0 + pt * (2.0 * per_particle(reference.inverse_beta) + pt)


def _slopes(px: Array, py: Array, p2: Array) -> tuple[_Slopes, Array, Array]:
    """The slopes, pz, and r = 1/(p2 - px^2)."""
    N = p2 - px * px
    pz, r = namespace(px).sqrt(N - py * py), 1.0 / N
    i = r / pz
    bent = 2.0 * pz * r * r
    return _Slopes(px * pz * r, pz * r - px * px * (i - bent), -px * py * i, px * (i - bent)), pz, r


def fringe(X: Array, reference: Reference, k0: Array) -> Array:
    """Enter a field k0 [1/m] through its plane edge, or leave it, with -k0.

    To first order in k0, of a field that rises over no length (Forest & Milutinovic, NIM A 269 (1988) 474), by a
    generating function of the old momenta and the new y, which makes it symplectic::

        phi = px pz/(py^2 + pz^2)
        y1  = y + k0 phi_py y1^2/2        x1   = x + k0 phi_px y1^2/2
        py1 = py - k0 phi y1              tau1 = tau - k0 phi_pt y1^2/2
    """
    x, px, y, py, tau, pt = rows(X)
    k = per_particle(k0)
    phi, _, _ = _slopes(px, py, _momentum2(pt, reference))
    y1 = 2.0 * y / (1.0 + namespace(y).sqrt(1.0 - 2.0 * k * phi.py * y))
    half = 0.5 * k * y1 * y1
    e = pt + per_particle(reference.inverse_beta)
    return join(x + half * phi.px, px, y1, py - k * phi.value * y1, tau - half * e * phi.w, pt)


def fringe_inverse(X1: Array, reference: Reference, k0: Array) -> Array:
    """Undo `fringe`: py from a quadratic equation, the rest from what it gives."""
    x, px, y1, py1, tau, pt = rows(X1)
    k, p2 = per_particle(k0), _momentum2(pt, reference)
    N = p2 - px * px
    a = k * px * y1 / N
    stretch = 1.0 + a * a
    py = (py1 + a * namespace(a).sqrt(N * stretch - py1 * py1)) / stretch
    phi, _, _ = _slopes(px, py, p2)
    half = 0.5 * k * y1 * y1
    e = pt + per_particle(reference.inverse_beta)
    return join(x - half * phi.px, px, y1 - half * phi.py, py, tau + half * e * phi.w, pt)


def fringe_pullback(X: Array, reference: Reference, k0: Array, X1_bar: Array) -> tuple[Array, Array, Array, Array]:
    """Cotangents of X, 1/beta0 and k0 for `fringe` at X; and what that of px has gained, a row."""
    _, px, y, py, _, pt = rows(X)
    xb, pxb, yb, pyb, taub, ptb = rows(X1_bar)
    k = per_particle(k0)
    phi, pz, r = _slopes(px, py, _momentum2(pt, reference))
    root = namespace(y).sqrt(1.0 - 2.0 * k * phi.py * y)  # 1 - k phi_py y1
    y1 = 2.0 * y / (1.0 + root)
    e = pt + per_particle(reference.inverse_beta)
    y_bar = (yb + k * (y1 * (phi.px * xb - e * phi.w * taub) - phi.value * pyb)) / root
    half = 0.5 * y1 * y1
    # Cotangents of k times phi and its slopes.
    of = _Slopes(-y1 * pyb, half * xb, half * y_bar, -half * e * taub)
    i, px2 = r / pz, px * px
    i3, ri = i / (pz * pz), r * i
    xx = px * (-3.0 * i + 6.0 * pz * r * r - px2 * (4.0 * ri + i3 - 8.0 * pz * r**3))
    xy = -py * (i + px2 * (2.0 * ri + i3))
    xw = i - 2.0 * pz * r * r + px2 * (4.0 * ri + i3 - 8.0 * pz * r**3)
    yy = -px * (i + py * py * i3)
    yw = px * py * (2.0 * ri + i3)
    ww = px * (8.0 * pz * r**3 - 4.0 * ri - i3)
    w_bar = k * (of.value * phi.w + of.px * xw + of.py * yw + of.w * ww)
    gain = k * (of.value * phi.px + of.px * xx + of.py * xy + of.w * xw)
    X_bar = join(
        xb,
        pxb + gain,
        y_bar,
        pyb + k * (of.value * phi.py + of.px * xy + of.py * yy + of.w * yw),
        taub,
        ptb + e * w_bar - k * half * phi.w * taub,
    )
    inverse_beta_bar = over_particles(pt * w_bar - k * half * phi.w * taub)
    k_bar = over_particles(of.value * phi.value + of.px * phi.px + of.py * phi.py + of.w * phi.w)
    return X_bar, inverse_beta_bar, k_bar, gain
