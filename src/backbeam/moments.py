"""Moments of a beam, weighted by charge, and the transpose of their derivative.

Every particle that is alive counts with its charge, w_i = q_i/sum q; where the total charge is zero, all that
are alive count the same; where none is alive, every moment is 0. Nothing here is ever NaN.

Nothing cancels either. Means are refined by the mean of what they leave over, second moments are centred, and
a plane (q, p) is described by its regression p = slope q + r,

    size = <q^2>,   slope = <q p>/<q^2>,   rest = <r^2>,

so that the emittance sqrt(<q^2><p^2> - <q p>^2) = sqrt(size rest) is a product of two sums of squares: never
negative, and good to rounding/sqrt(1 - correlation^2) where the determinant would be good to rounding/(1 -
correlation^2).

Sums are written as elementwise products and sums, not as matrix products, which some devices run in reduced
precision.
"""

from __future__ import annotations

from typing import NamedTuple

from backbeam.arrays import Array, namespace, over_particles, per_particle


def safe_sqrt(value: Array) -> Array:
    """Square root that is 0, with slope 0 instead of infinity, where the value is not positive."""
    xp = namespace(value)
    positive = value > 0.0
    root = xp.sqrt(xp.where(positive, value, xp.ones_like(value)))
    return xp.where(positive, root, xp.zeros_like(value))


def safe_divide(numerator: Array, denominator: Array) -> Array:
    """Quotient that is 0, with slope 0, where the denominator is 0."""
    xp = namespace(denominator)
    defined = denominator != 0.0
    quotient = numerator / xp.where(defined, denominator, xp.ones_like(denominator))
    return xp.where(defined, quotient, xp.zeros_like(quotient))


class Weights(NamedTuple):
    """What each particle counts for."""

    w: Array
    """Weights ``(..., n)`` that add to 1, or to 0 where all particles are lost."""
    slope: Array
    """``(..., n)``: d<f>/dq_i = slope_i (f_i - <f>) [1/C]; 0 for the lost and where there is no charge."""


def weights(q: Array, alive: Array) -> Weights:
    """Weights from charges ``(..., n)`` [C] and a boolean ``(..., n)``."""
    xp = namespace(q, alive)
    one = xp.astype(alive, q.dtype)
    charge = one * q
    total, count = over_particles(charge), over_particles(one)
    charged = per_particle(total != 0.0)
    w = xp.where(charged, safe_divide(charge, per_particle(total)), safe_divide(one, per_particle(count)))
    return Weights(w, safe_divide(one, per_particle(total)))


def centred(X: Array, w: Array, alive: Array) -> tuple[Array, Array]:
    """Mean ``(..., k)`` of rows ``(..., k, n)``, and the rows less it; 0 for the lost, whatever they are."""
    xp = namespace(X)
    w, alive = w[..., None, :], alive[..., None, :]
    X = xp.where(alive, X, xp.zeros_like(X))
    first = over_particles(w * X)
    D = X - per_particle(first)
    # The weights add to 1 only to rounding: what a large offset leaves over is taken out once more.
    rest = over_particles(w * D)
    D = xp.where(alive, D - per_particle(rest), xp.zeros_like(D))
    return first + rest, D


def centroid(X: Array, q: Array, alive: Array) -> Array:
    """Mean ``(..., k)`` of rows ``(..., k, n)``."""
    return centred(X, weights(q, alive).w, alive)[0]


def centroid_pullback(X: Array, q: Array, alive: Array, mean_bar: Array) -> tuple[Array, Array]:
    """Cotangents of X ``(..., k, n)`` and q ``(..., n)`` from that of `centroid`."""
    return pullback(X, q, alive, mean_bar, None)


def variance(X: Array, q: Array, alive: Array) -> Array:
    """Central second moments ``(..., k)`` of rows ``(..., k, n)``: the diagonal of `cov`."""
    w = weights(q, alive).w
    D = centred(X, w, alive)[1]
    return over_particles(w[..., None, :] * D * D)


def cov(X: Array, q: Array, alive: Array) -> Array:
    """Central second moments ``(..., k, k)`` of rows ``(..., k, n)``; symmetric to the last bit."""
    w = weights(q, alive).w
    return _second(centred(X, w, alive)[1], w)


def _second(D: Array, w: Array) -> Array:
    k = D.shape[-2]
    weighted = w[..., None, :] * D
    upper = {(i, j): over_particles(weighted[..., i, :] * D[..., j, :]) for i in range(k) for j in range(i, k)}
    xp = namespace(D)
    return xp.stack([xp.stack([upper[min(i, j), max(i, j)] for j in range(k)], axis=-1) for i in range(k)], axis=-2)


def pullback(X: Array, q: Array, alive: Array, mean_bar: Array | None, cov_bar: Array | None) -> tuple[Array, Array]:
    """Cotangents of X ``(..., k, n)`` and q ``(..., n)`` from those of `centroid` and `cov`, or None."""
    xp = namespace(X)
    w, slope = weights(q, alive)
    D = centred(X, w, alive)[1]
    X_bar, q_bar = xp.zeros_like(D), xp.zeros_like(D[..., 0, :])
    if mean_bar is not None:
        X_bar = X_bar + per_particle(mean_bar)
        q_bar = q_bar + xp.sum(per_particle(mean_bar) * D, axis=-2)
    if cov_bar is not None:
        both = cov_bar + xp.matrix_transpose(cov_bar)
        pulled = xp.zeros_like(D)
        for j in range(D.shape[-2]):
            pulled = pulled + per_particle(both[..., :, j]) * D[..., j, :][..., None, :]
        X_bar = X_bar + pulled
        expected = xp.sum(xp.sum(cov_bar * _second(D, w), axis=-1), axis=-1)
        q_bar = q_bar + 0.5 * xp.sum(pulled * D, axis=-2) - per_particle(expected)
    return w[..., None, :] * X_bar, slope * q_bar


class Plane(NamedTuple):
    """Second moments of a pair (q, p) by regression, each ``(...)``."""

    size: Array
    """<q^2>"""
    slope: Array
    """<q p>/<q^2>, or 0"""
    rest: Array
    """<(p - slope q)^2>"""

    @property
    def emittance(self) -> Array:
        """sqrt(<q^2><p^2> - <q p>^2); two roots, so that the product does not underflow in float32."""
        return safe_sqrt(self.size) * safe_sqrt(self.rest)

    @property
    def beta(self) -> Array:
        """Twiss beta = <q^2>/emittance; 0 at zero emittance."""
        return safe_divide(safe_sqrt(self.size), safe_sqrt(self.rest))

    @property
    def alpha(self) -> Array:
        """Twiss alpha = -<q p>/emittance; 0 at zero emittance."""
        return -self.slope * self.beta

    @property
    def gamma(self) -> Array:
        """Twiss gamma = <p^2>/emittance; 0 at zero emittance."""
        return safe_divide(1.0 + self.alpha * self.alpha, self.beta)

    def beta_pullback(self, bar: Array) -> Plane:
        """Cotangents of the three moments from that of `beta`."""
        half = 0.5 * bar * self.beta
        zero = namespace(half).zeros_like(half)
        return Plane(safe_divide(half, self.size), zero, -safe_divide(half, self.rest))

    def alpha_pullback(self, bar: Array) -> Plane:
        """Cotangents of the three moments from that of `alpha`."""
        size, _, rest = self.beta_pullback(-self.slope * bar)
        return Plane(size, -self.beta * bar, rest)

    def emittance_pullback(self, bar: Array) -> Plane:
        """Cotangents of the three moments from that of `emittance`."""
        half = 0.5 * bar * self.emittance
        zero = namespace(half).zeros_like(half)
        return Plane(safe_divide(half, self.size), zero, safe_divide(half, self.rest))


def _regression(X: Array, q: Array, alive: Array) -> tuple[Plane, Weights, Array, Array]:
    weighted = weights(q, alive)
    w = weighted.w
    D = centred(X, w, alive)[1]
    a, b = D[..., 0, :], D[..., 1, :]
    size = over_particles(w * a * a)
    slope = safe_divide(over_particles(w * a * b), size)
    r = b - per_particle(slope) * a
    # Once more, for the slope's own rounding.
    more = safe_divide(over_particles(w * a * r), size)
    r = r - per_particle(more) * a
    return Plane(size, slope + more, over_particles(w * r * r)), weighted, a, r


def plane(X: Array, q: Array, alive: Array) -> Plane:
    """Second moments of the pair of rows ``(..., 2, n)``."""
    return _regression(X, q, alive)[0]


def plane_pullback(X: Array, q: Array, alive: Array, bar: Plane) -> tuple[Array, Array]:
    """Cotangents of the pair ``(..., 2, n)`` and of q ``(..., n)`` from those of the `plane`'s three moments.

    The rest is stationary in the slope, and <a r> = 0: with the pair's centred rows a and b = slope a + r,
    d size = 2<a da>, d rest = 2<r (db - slope da)>, d slope = <a db + (r - slope a) da>/size.
    """
    moments, (w, q_slope), a, r = _regression(X, q, alive)
    slope = per_particle(moments.slope)
    size_bar, slope_bar, rest_bar = (
        per_particle(b) for b in (bar.size, safe_divide(bar.slope, moments.size), bar.rest)
    )
    p_bar = 2.0 * rest_bar * r + slope_bar * a
    q_row_bar = 2.0 * size_bar * a + slope_bar * r - slope * p_bar
    X_bar = namespace(X).stack([w * q_row_bar, w * p_bar], axis=-2)
    charge_bar = (
        size_bar * (a * a - per_particle(moments.size))
        + rest_bar * (r * r - per_particle(moments.rest))
        + slope_bar * a * r
    )
    return X_bar, q_slope * charge_bar
