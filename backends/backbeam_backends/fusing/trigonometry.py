"""Sine and cosine of a vector of float64, in arithmetic alone: a library call for each lane would break the loop.

The argument is reduced by a multiple of pi/2 held in three parts. With fused multiply-add the first subtraction is
exact, so that the remainder is right to rounding however close it comes to 0 (Cody & Waite, *Software Manual for the
Elementary Functions*, 1980, in the form for fused arithmetic), up to `LARGEST`: beyond, the function is called as it
is. The polynomials on [-pi/4, pi/4] are those of fdlibm (Sun Microsystems, 1993). Results are within 1.5 units in
the last place.
"""

from __future__ import annotations

from backbeam_backends.fusing.vectors import Vectors

LARGEST = 1e9
"""Largest argument that is reduced."""

_HALF_PI = (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591833e-33)
_SINE = (
    -1.66666666666666324348e-01, 8.33333333332248946124e-03, -1.98412698298579493134e-04,
    2.75573137070700676789e-06, -2.50507602534068634195e-08, 1.58969099521155010221e-10,
)  # fmt: skip
_COSINE = (
    4.16666666666666019037e-02, -1.38888888888741095749e-03, 2.48015872894767294178e-05,
    -2.75573143513906633035e-07, 2.08757232129817482790e-09, -1.13596475577881948265e-11,
)  # fmt: skip


def sine_and_cosine(x: str, v: Vectors) -> tuple[str, str]:
    """Both functions of the vector ``x``."""
    number = v.number
    turns = v.intrinsic("rint", v.multiply(x, number(0.6366197723675814)))
    back = v.minus(turns)
    r = x
    for part in _HALF_PI:
        r = v.fused(back, number(part), r)
    z = v.multiply(r, r)
    sine = v.fused(v.multiply(r, z), v.polynomial(_SINE, z), r)
    half = v.multiply(z, number(0.5))
    w = v.subtract(number(1.0), half)
    rest = v.subtract(v.subtract(number(1.0), w), half)
    cosine = v.add(w, v.fused(v.multiply(z, z), v.polynomial(_COSINE, z), rest))

    # Which quarter turn: 0, 1, 2 or 3.
    whole = v.intrinsic("floor", v.multiply(turns, number(0.25)))
    quarter = v.fused(whole, number(-4.0), turns)
    first, second, third = (v.compare("oeq", quarter, number(k)) for k in (1.0, 2.0, 3.0))
    odd, low, high = (v.either(a, b) for a, b in ((first, third), (second, third), (first, second)))
    sine, cosine = v.where(odd, cosine, sine), v.where(odd, sine, cosine)
    return v.where(low, v.minus(sine), sine), v.where(high, v.minus(cosine), cosine)
