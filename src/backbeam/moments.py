"""Moments of a beam, weighted by charge, and the transpose of their derivative.

Every particle that is alive counts with its charge, w_i = q_i/sum q; where the total charge is zero, all that
are alive count the same; where none is alive, every moment is 0. Nothing here is ever NaN.

Nothing cancels either. Means are refined by the mean of what they leave over, second moments are centred, and
a plane (q, p) is described by its regression p = slope q + r,

    size = <q^2>,   slope = <q p>/<q^2>,   rest = <r^2>,

so that the emittance sqrt(<q^2><p^2> - <q p>^2) = sqrt(size rest) is a product of two sums of squares: never
negative, and good to rounding/sqrt(1 - correlation^2) where the determinant would be good to rounding/(1 -
correlation^2).

What is within a few rounding units of the coordinates is 0: a size, and what a plane's momenta have besides their
regression. So a beam of no emittance has none, with a slope of 0, and not that of its rounding, which would be
anything.

Sums are written as elementwise products and sums, not as matrix products, which some devices run in reduced
precision. What happens to each particle stands in functions of their own, ``_..._of``: an adapter compiles them, and
runs them block by block. Weights are made anew in each pass, which takes less than to carry them to memory and back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from backbeam import backends
from backbeam.arrays import Array, namespace, over_particles, per_particle

BLOCK = 100_000
"""Particles of a block: one loop over them has no temporaries that would have to stay in the cache."""
ROUNDING, ROUNDING_OF_A_POINT = 16.0, 2.0
"""Rounding units of a momentum that are no emittance, three times what a beam of none has after 20 maps; and of a
coordinate that are no size."""


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


def beyond_rounding(square: Array, units: float, *of: Array) -> Array:
    """A mean square, or 0 where it is within so many rounding units of the squares of which it is a difference."""
    xp = namespace(square)
    noise = (units * float(xp.finfo(square.dtype).eps)) ** 2 * sum(of)
    return xp.where(square > noise, square, xp.zeros_like(square))


# -- passes over the particles ---------------------------------------------------------------------------------------


class _Beam(NamedTuple):
    """Rows with their charges, all of one batch shape, and what gives the weights."""

    X: Array
    """``(..., k, n)``"""
    q: Array
    """``(..., n)`` [C]"""
    alive: Array
    """``(..., n)``, boolean"""
    charge: Array
    """Of all that are alive ``(...)`` [C]."""
    count: Array
    """Of all that are alive ``(...)``."""
    about: Array
    """Their mean ``(..., k)``, to rounding of what it is an offset of."""


def _beam(X: Array, q: Array, alive: Array) -> _Beam:
    xp = namespace(X)
    shape = (*X.shape[:-2], X.shape[-1])
    q, alive = xp.broadcast_to(q, shape), xp.broadcast_to(alive, shape)
    charge, count, charged, counted = _over(_totals_of, (X, q, alive), ())[1]
    about = xp.where(
        (charge != 0.0)[..., None], safe_divide(charged, charge[..., None]), safe_divide(counted, count[..., None])
    )
    return _Beam(X, q, alive, charge, count, about)


def _over(function: Callable[..., Any], particles: Any, shared: Any) -> tuple[Any, Any]:
    """What a function of particles makes of each, and its sums over them: compiled, block by block."""

    def of_block(block: Any, shared: Any) -> tuple[Any, Any]:
        return backends.of(block[-1]).compile(function)(*block, *shared)

    return backends.of(particles[-1]).blockwise(of_block, particles, shared, block=BLOCK)


def _sums(function: Callable[..., Any], beam: _Beam, *shared: Array) -> Any:
    return _over(function, beam[:3], (*beam[3:5], *shared))[1]


def _each(function: Callable[..., Any], beam: _Beam, *shared: Array) -> Any:
    return _over(function, beam[:3], (*beam[3:5], *shared))[0]


def _totals_of(X: Array, q: Array, alive: Array) -> tuple[None, tuple[Array, ...]]:
    """Charge and number of those alive, and the sums of their rows with and without their charges."""
    xp = namespace(q)
    one, seen = xp.astype(alive, q.dtype), xp.where(alive[..., None, :], X, xp.zeros_like(X))
    charge = one * q
    return None, (
        over_particles(charge),
        over_particles(one),
        over_particles(charge[..., None, :] * seen),
        over_particles(seen),
    )


def _weight(q: Array, alive: Array, charge: Array, count: Array) -> Array:
    """What each particle counts for: weights ``(..., n)`` that add to 1, or to 0 where all particles are lost."""
    xp = namespace(q)
    one, charge, count = xp.astype(alive, q.dtype), per_particle(charge), per_particle(count)
    return xp.where(charge != 0.0, safe_divide(one * q, charge), safe_divide(one, count))


def _charge_slope(q: Array, alive: Array, charge: Array) -> Array:
    """``(..., n)``: d<f>/dq_i = slope_i (f_i - <f>) [1/C]; 0 for the lost and where there is no charge."""
    return safe_divide(namespace(q).astype(alive, q.dtype), per_particle(charge))


def _less(X: Array, alive: Array, mean: Array) -> Array:
    """Rows less their means; 0 for the lost, whatever they are."""
    xp = namespace(X)
    return xp.where(alive[..., None, :], X - per_particle(mean), xp.zeros_like(X))


def _mean_of(X: Array, q: Array, alive: Array, charge: Array, count: Array, about: Array) -> tuple[None, Array]:
    return None, over_particles(_weight(q, alive, charge, count)[..., None, :] * _less(X, alive, about))


def _squares_of(
    X: Array, q: Array, alive: Array, charge: Array, count: Array, about: Array
) -> tuple[None, tuple[Array, Array]]:
    D = _less(X, alive, about)
    weighted = _weight(q, alive, charge, count)[..., None, :] * D
    return None, (over_particles(weighted), over_particles(weighted * D))


def _products_of(
    X: Array, q: Array, alive: Array, charge: Array, count: Array, about: Array
) -> tuple[None, tuple[Array, Array]]:
    xp, k = namespace(X), X.shape[-2]
    D = _less(X, alive, about)
    weighted = _weight(q, alive, charge, count)[..., None, :] * D
    upper = {(i, j): over_particles(weighted[..., i, :] * D[..., j, :]) for i in range(k) for j in range(i, k)}
    square = [xp.stack([upper[min(i, j), max(i, j)] for j in range(k)], axis=-1) for i in range(k)]
    return None, (over_particles(weighted), xp.stack(square, axis=-2))


# -- mean and covariance ---------------------------------------------------------------------------------------------


@backends.as_one
def centroid(X: Array, q: Array, alive: Array) -> Array:
    """Mean ``(..., k)`` of rows ``(..., k, n)``."""
    return _mean(_beam(X, q, alive))


def _mean(beam: _Beam) -> Array:
    return beam.about + _sums(_mean_of, beam, beam.about)


def centroid_pullback(X: Array, q: Array, alive: Array, mean_bar: Array) -> tuple[Array, Array]:
    """Cotangents of X ``(..., k, n)`` and q ``(..., n)`` from that of `centroid`."""
    return pullback(X, q, alive, mean_bar, None)


@backends.as_one
def variance(X: Array, q: Array, alive: Array) -> Array:
    """Central second moments ``(..., k)`` of rows ``(..., k, n)``: the diagonal of `cov`."""
    beam = _beam(X, q, alive)
    rest, squares = _sums(_squares_of, beam, beam.about)
    return beyond_rounding(squares - rest * rest, ROUNDING_OF_A_POINT, beam.about * beam.about)


@backends.as_one
def sigma(X: Array, q: Array, alive: Array) -> Array:
    """Rms sizes ``(..., k)`` of rows ``(..., k, n)``."""
    return safe_sqrt(variance(X, q, alive))


class Moments(NamedTuple):
    """First and second moments of rows."""

    mean: Array
    """``(..., k)``"""
    cov: Array
    """About the mean ``(..., k, k)``, symmetric to the last bit."""

    @property
    def sigma(self) -> Array:
        """Rms sizes about the mean ``(..., k)``."""
        k = self.cov.shape[-1]
        squares = namespace(self.cov).stack([self.cov[..., i, i] for i in range(k)], axis=-1)
        return safe_sqrt(beyond_rounding(squares, ROUNDING_OF_A_POINT, self.mean * self.mean))


@backends.as_one
def mean_and_cov(X: Array, q: Array, alive: Array) -> Moments:
    """`centroid` ``(..., k)`` and `cov` ``(..., k, k)`` of rows ``(..., k, n)`` together, for the price of one."""
    return _mean_and_cov(_beam(X, q, alive))


def _mean_and_cov(beam: _Beam) -> Moments:
    # About nearly the mean, so that taking the rest out cancels nothing.
    rest, products = _sums(_products_of, beam, beam.about)
    return Moments(beam.about + rest, products - rest[..., :, None] * rest[..., None, :])


def cov(X: Array, q: Array, alive: Array) -> Array:
    """Central second moments ``(..., k, k)`` of rows ``(..., k, n)``; symmetric to the last bit."""
    return mean_and_cov(X, q, alive).cov


@backends.as_one
def pullback(X: Array, q: Array, alive: Array, mean_bar: Array | None, cov_bar: Array | None) -> tuple[Array, Array]:
    """Cotangents of X ``(..., k, n)`` and q ``(..., n)`` from those of `centroid` and `cov`, or None."""
    xp, beam = namespace(X), _beam(X, q, alive)
    if cov_bar is None:
        mean = _mean(beam)
        return _each(_pulled_mean_of, beam, mean, xp.zeros_like(mean) if mean_bar is None else mean_bar)
    return _pulled(beam, _mean_and_cov(beam), mean_bar, cov_bar)


def _pulled(beam: _Beam, found: Moments, mean_bar: Array | None, cov_bar: Array) -> tuple[Array, Array]:
    xp = namespace(cov_bar)
    mean, second = found
    expected = xp.sum(xp.sum(cov_bar * second, axis=-1), axis=-1)
    both = cov_bar + xp.matrix_transpose(cov_bar)
    return _each(_pulled_of, beam, mean, xp.zeros_like(mean) if mean_bar is None else mean_bar, both, expected)


@backends.as_one
def sigma_pullback(X: Array, q: Array, alive: Array, bar: Array) -> tuple[Array, Array]:
    """Cotangents of a row ``(..., 1, n)`` and of q ``(..., n)`` from that of its size: d sigma = d<x^2>/(2 sigma)."""
    beam = _beam(X, q, alive)
    found = _mean_and_cov(beam)
    variance_bar = safe_divide(0.5 * bar, found.sigma[..., 0])
    return _pulled(beam, found, None, variance_bar[..., None, None])


def _pulled_mean_of(
    X: Array, q: Array, alive: Array, charge: Array, count: Array, mean: Array, mean_bar: Array
) -> tuple[tuple[Array, Array], None]:
    xp = namespace(X)
    D, X_bar = _less(X, alive, mean), xp.broadcast_to(per_particle(mean_bar), X.shape)
    q_bar = xp.sum(X_bar * D, axis=-2)
    weight, slope = _weight(q, alive, charge, count), _charge_slope(q, alive, charge)
    return (weight[..., None, :] * X_bar, slope * q_bar), None


def _pulled_of(
    X: Array,
    q: Array,
    alive: Array,
    charge: Array,
    count: Array,
    mean: Array,
    mean_bar: Array,
    both: Array,
    expected: Array,
) -> tuple[tuple[Array, Array], None]:
    xp, D = namespace(X), _less(X, alive, mean)
    pulled = xp.zeros_like(D)
    for j in range(X.shape[-2]):
        pulled = pulled + per_particle(both[..., :, j]) * D[..., j, :][..., None, :]
    q_bar = xp.sum((per_particle(mean_bar) + 0.5 * pulled) * D, axis=-2) - per_particle(expected)
    weight, slope = _weight(q, alive, charge, count), _charge_slope(q, alive, charge)
    return (weight[..., None, :] * (per_particle(mean_bar) + pulled), slope * q_bar), None


# -- planes ----------------------------------------------------------------------------------------------------------


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


class _Regression(NamedTuple):
    """A pair (q, p) as p = slope q + r about its means."""

    beam: _Beam
    mean: Array
    """``(..., 2)``"""
    plane: Plane


def _regression(X: Array, q: Array, alive: Array) -> _Regression:
    beam = _beam(X, q, alive)
    mean, second = _mean_and_cov(beam)
    a, b = mean[..., 0], mean[..., 1]
    size = beyond_rounding(second[..., 0, 0], ROUNDING_OF_A_POINT, a * a)
    slope = safe_divide(second[..., 0, 1], size)
    # Once more, for the slope's own rounding.
    slope = slope + safe_divide(_sums(_leaning_of, beam, mean, slope), size)
    rest, leaning = _sums(_remaining_of, beam, mean, slope), slope * slope
    rest = beyond_rounding(rest, ROUNDING, rest, leaning * size, b * b, leaning * a * a)
    return _Regression(beam, mean, Plane(size, slope, rest))


def _remainder(X: Array, alive: Array, mean: Array, slope: Array) -> tuple[Array, Array]:
    """q about its mean, and r = p - slope q."""
    D = _less(X, alive, mean)
    return D[..., 0, :], D[..., 1, :] - per_particle(slope) * D[..., 0, :]


def _leaning_of(
    X: Array, q: Array, alive: Array, charge: Array, count: Array, mean: Array, slope: Array
) -> tuple[None, Array]:
    a, r = _remainder(X, alive, mean, slope)
    return None, over_particles(_weight(q, alive, charge, count) * a * r)


def _remaining_of(
    X: Array, q: Array, alive: Array, charge: Array, count: Array, mean: Array, slope: Array
) -> tuple[None, Array]:
    _, r = _remainder(X, alive, mean, slope)
    return None, over_particles(_weight(q, alive, charge, count) * r * r)


@backends.as_one
def plane(X: Array, q: Array, alive: Array) -> Plane:
    """Second moments of the pair of rows ``(..., 2, n)``."""
    return _regression(X, q, alive).plane


@backends.as_one
def plane_pullback(X: Array, q: Array, alive: Array, bar: Plane) -> tuple[Array, Array]:
    """Cotangents of the pair ``(..., 2, n)`` and of q ``(..., n)`` from those of the `plane`'s three moments.

    The rest is stationary in the slope, and <a r> = 0: with the pair's centred rows a and b = slope a + r,
    d size = 2<a da>, d rest = 2<r (db - slope da)>, d slope = <a db + (r - slope a) da>/size.
    """
    beam, mean, found = _regression(X, q, alive)
    return _each(_pulled_plane_of, beam, mean, *found, bar.size, safe_divide(bar.slope, found.size), bar.rest)


def _pulled_plane_of(
    X: Array,
    q: Array,
    alive: Array,
    charge: Array,
    count: Array,
    mean: Array,
    size: Array,
    slope: Array,
    rest: Array,
    size_bar: Array,
    slope_bar: Array,
    rest_bar: Array,
) -> tuple[tuple[Array, Array], None]:
    a, r = _remainder(X, alive, mean, slope)
    size, slope, rest, size_bar, slope_bar, rest_bar = map(
        per_particle, (size, slope, rest, size_bar, slope_bar, rest_bar)
    )
    p_bar = 2.0 * rest_bar * r + slope_bar * a
    q_row_bar = 2.0 * size_bar * a + slope_bar * r - slope * p_bar
    weight = _weight(q, alive, charge, count)
    X_bar = namespace(X).stack([weight * q_row_bar, weight * p_bar], axis=-2)
    charge_bar = size_bar * (a * a - size) + rest_bar * (r * r - rest) + slope_bar * a * r
    return (X_bar, _charge_slope(q, alive, charge) * charge_bar), None
