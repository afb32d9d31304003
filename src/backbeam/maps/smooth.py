"""Functions with a removable singularity, smooth through it in value and in every derivative.

Focusing that vanishes, a bend that becomes a drift, a field that is switched off: in closed form each is a
0/0. Here are the analytic functions behind them, accurate to rounding on both sides of the limit, in float32
too. Automatic differentiation of them is finite everywhere: a branch that is not used is given a safe
argument, so nothing in it can overflow or divide by zero.

`stumpff`        c_k(w): cos, sin, 1 - cos, ... of sqrt(w) over powers of it, for w of either sign
`stumpff_slopes` their derivatives with respect to w
`asinc`          asin(u)/u
`asinc_slope`    its derivative with respect to u
`asinc_excess`   (asin(u)/u - 1)/u^2, with cos(asin u)
`angle_excess`   what an angle, up to half a turn, is more than its sine
`logarithm_ratio` log(1 + x)/x, with its derivative
"""

from __future__ import annotations

from functools import cache
from math import factorial

from backbeam.arrays import Array, namespace


def stumpff(w: Array, count: int) -> tuple[Array, ...]:
    """Return the Stumpff functions c_0(w) ... c_{count-1}(w), each of the shape of w.

    They are entire functions of w, of either sign (Stiefel & Scheifele, *Linear and Regular Celestial
    Mechanics*, 1971)::

        c_k(w) = sum_j (-w)^j/(2j + k)!      c_k = 1/k! - w c_{k+2}      d c_k/dw = (k c_{k+2} - c_{k+1})/2

    With s = sqrt(w): c0 = cos s, c1 = sin(s)/s, c2 = (1 - cos s)/s^2, c3 = (s - sin s)/s^3; with w = -s^2 the
    same of cosh and sinh. x'' = -k x over a length L has the matrix [[c0, L c1], [-k L c1, c0]] at w = k L^2,
    and a constant force F adds L^2 c2 F.
    """
    xp = namespace(w)
    # The closed form of c_3 = (1 - c_1)/w cancels near 0, and so on upwards; the series needs more terms far
    # from it. c_0 ... c_2 cancel nothing, but what automatic differentiation makes of them does.
    edge = float(count) if count > 3 else 0.5
    negative = w < -edge
    near = xp.abs(w) <= edge

    # Each branch is given an argument held where it is accurate and finite; a margin hides the kink.
    wide, tight = xp.full_like(w, 1.25 * edge), xp.full_like(w, 0.8 * edge)

    # Series of the two highest, then downwards.
    v = xp.minimum(xp.maximum(w, -wide), wide)
    top = max(count, 2)
    series = [v] * top
    for k in (top - 1, top - 2):
        coefficients = _coefficients(k, edge, float(xp.finfo(w.dtype).eps))
        total = coefficients[-2] - coefficients[-1] * v
        for c in coefficients[-3::-1]:
            total = c - v * total
        series[k] = total
    for k in range(top - 3, -1, -1):
        series[k] = 1.0 / factorial(k) - v * series[k + 2]

    # Closed forms of half the argument, where 1 - cos s = 2 sin^2(s/2) cancels nothing; then upwards.
    half = 0.5 * xp.sqrt(xp.maximum(xp.abs(w), tight))
    growing = 0.5 * xp.sqrt(xp.maximum(-w, tight))
    sin, cos, sinh, cosh = xp.sin(half), xp.cos(half), xp.sinh(growing), xp.cosh(growing)
    c1 = xp.where(negative, sinh * cosh, sin * cos) / half
    c2 = 0.5 * xp.where(negative, sinh * sinh, sin * sin) / (half * half)
    closed = [1.0 - w * c2, c1, c2]
    if count > 3:
        u = xp.where(near, wide, w)
        for k in range(3, count):
            closed.append((1.0 / factorial(k - 2) - closed[k - 2]) / u)

    return tuple(xp.where(near, series[k], closed[k]) for k in range(count))


def stumpff_slopes(c: tuple[Array, ...]) -> tuple[Array, ...]:
    """Return d c_k/dw = (k c_{k+2} - c_{k+1})/2 for all but the last two functions that `stumpff` gave."""
    return tuple(0.5 * (k * c[k + 2] - c[k + 1]) for k in range(len(c) - 2))


@cache
def _coefficients(k: int, edge: float, epsilon: float) -> tuple[float, ...]:
    """1/(2j + k)! for as many j as c_k and its slope need for |w| up to ``edge``."""
    j = 0
    while edge**j * factorial(k) / factorial(2 * j + k) * max(j, 1) > 0.05 * epsilon:
        j += 1
    return tuple(1.0 / factorial(2 * i + k) for i in range(j + 1))


def asinc(u: Array) -> Array:
    """Return asin(u)/u for |u| <= 1, of the shape of u; NaN beyond, as asin."""
    return 1.0 + u * u * asinc_excess(u)[0]


def asinc_slope(u: Array) -> Array:
    """Return d asinc/du = (1/sqrt(1 - u^2) - asinc(u))/u for |u| < 1, not by subtraction; infinite at 1."""
    excess, cosine = asinc_excess(u)
    return u * (1.0 / (cosine * (1.0 + cosine)) - excess)


def asinc_excess(u: Array) -> tuple[Array, Array]:
    """Return (asin(u)/u - 1)/u^2 and cos(asin u), by halving the angle three times and a series of the rest.

    With sin(t) = u and sin(t) = 8 P sin(t/8), P = cos(t/2) cos(t/4) cos(t/8): asinc(u) = asinc(sin(t/8))/P.
    Every term is positive, so nothing cancels, and there is no branch.
    """
    xp = namespace(u)
    cosine = xp.sqrt((1.0 - u) * (1.0 + u))
    product, versine = 1.0, 0.0  # P so far; (1 - P)/u^2 so far
    c, one_minus_c = cosine, 1.0 / (1.0 + cosine)  # cos and (1 - cos)/u^2 of the angle so far
    for _ in range(3):
        c = xp.sqrt(0.5 * (1.0 + c))
        one_minus_c = 0.5 * one_minus_c / (1.0 + c)
        versine = versine + product * one_minus_c
        product = product * c
    eighth = u / (8.0 * product)
    v = eighth * eighth
    coefficients = _asin_coefficients(float(xp.finfo(u.dtype).eps))
    series = coefficients[-1]
    for a in coefficients[-2::-1]:
        series = a + v * series
    return (series / (64.0 * product * product) + versine) / product, cosine


def angle_excess(m: Array, h: Array, cosine: Array) -> Array:
    """Return (phi/h - m)/h^2 for the angle phi in (-pi, pi) whose sine is h m and whose cosine is given.

    With c = cos(phi/2) and v = sin(phi/2) = h m/(2 c), phi = 2 asin(v), which makes of it
    m^3/(4 c^3) (1/(1 + c) + (asin(v)/v - 1)/v^2).
    """
    c = namespace(cosine).sqrt(0.5 * (1.0 + cosine))
    ratio = m / c
    return 0.25 * ratio * ratio * ratio * (1.0 / (1.0 + c) + asinc_excess(0.5 * h * ratio)[0])


@cache
def _asin_coefficients(epsilon: float) -> tuple[float, ...]:
    """Coefficients of (asin(x)/x - 1)/x^2 in powers of x^2, as many as matter for x up to sin(pi/16)."""
    coefficients: list[float] = []
    binomial, n = 1.0, 0
    while not coefficients or coefficients[-1] * n * 0.0381 ** (n - 1) > 0.05 * epsilon:
        n += 1
        binomial *= (2 * n - 1) / (2 * n)
        coefficients.append(binomial / (2 * n + 1))
    return tuple(coefficients)


def logarithm_ratio(x: Array) -> tuple[Array, Array]:
    """Return log(1 + x)/x for x > -1, 1 at x = 0, and its derivative; of the shape of x.

    Near 0 from log(1 + x) = 2 artanh(z), z = x/(2 + x), whose series is in z^2; the derivative there is the
    derivative of that, not (1/(1 + x) - log(1 + x)/x)/x, which cancels.
    """
    xp = namespace(x)
    near = xp.abs(x) <= 0.2
    v = xp.where(near, x, xp.zeros_like(x))
    g = 2.0 / (2.0 + v)
    z = 0.5 * v * g
    w = z * z
    total, slope = xp.full_like(w, _ARTANH[-1]), xp.zeros_like(w)
    for c in _ARTANH[-2::-1]:
        total, slope = c + w * total, total + w * slope
    far = xp.where(near, xp.ones_like(x), x)
    ratio = xp.log1p(far) / far
    return (
        xp.where(near, g * total, ratio),
        xp.where(near, g * g * (g * z * slope - 0.5 * total), (1.0 / (1.0 + far) - ratio) / far),
    )


_ARTANH = tuple(1.0 / (2 * k + 1) for k in range(10))
"""artanh(z)/z in powers of z^2: to 1e-19 for z up to 0.11."""
