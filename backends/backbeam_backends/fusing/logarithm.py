"""log(1 + x) and the angle atan2(y, x) of vectors of float64, in arithmetic alone and with two divisions and one.

The polynomials are those of fdlibm (Sun Microsystems, 1993): of the logarithm between the roots of 1/2 and of 2, with
what 1 + x lost to rounding carried along, and of the arc tangent below 7/16. An angle above pi/8 is turned back by pi/4
on the way into its division. Results are within 2 units in the last place; what is infinite, no number or outside the
domain gives what C says.
"""

from __future__ import annotations

import math

from backbeam_backends.fusing.vectors import Vectors

_LOG = (
    6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01, 2.222219843214978396e-01,
    1.818357216161805012e-01, 1.531383769920937332e-01, 1.479819860511658591e-01,
)  # fmt: skip
_ATAN = (
    3.33333333333329318027e-01, -1.99999999998764832476e-01, 1.42857142725034663711e-01, -1.11111104054623557880e-01,
    9.09088713343650656196e-02, -7.69187620504482999495e-02, 6.66107313738753120669e-02, -5.83357013379057348645e-02,
    4.97687799461593236017e-02, -3.65315727442169155270e-02, 1.62858201153657823623e-02,
)  # fmt: skip
_LN2 = (6.93147180369123816490e-01, 1.90821492927058770002e-10)
"""In two parts, the first with so few digits that its product with an exponent is exact."""
_PI = (3.141592653589793, 1.2246467991473532e-16)
"""In two parts."""
_TAN_EIGHTH = math.sqrt(2.0) - 1.0

_FRACTION = 52
"""Bits behind the exponent."""
_ROOT_HALF, _ONE = 0x3FE6A09E00000000, 0x3FF << _FRACTION
"""Bits of two numbers."""
_SHIFT = 6755399441055744.0
"""1.5 2^52: a whole number added to its bits is added to it."""
_LOST = 2.0**60
"""Beyond, 1 is next to nothing."""


def log1p(x: str, v: Vectors) -> str:
    """log(1 + x)."""
    number, one = v.number, v.number(1.0)
    whole, is_large = v.add(one, x), v.compare("ogt", x, one)
    lost = v.subtract(v.where(is_large, one, x), v.subtract(whole, v.where(is_large, x, one)))
    # 1 + x = 2^k (1 + f)
    bits = v.bits(whole)
    above = v.on_bits("sub", bits, v.integer(_ROOT_HALF))
    exponent = v.on_bits("and", above, v.integer(-(1 << _FRACTION)))
    steps = v.on_bits("ashr", above, v.integer(_FRACTION))
    k = v.subtract(v.of_bits(v.on_bits("add", steps, v.bits(number(_SHIFT)))), number(_SHIFT))
    f = v.subtract(v.of_bits(v.on_bits("sub", bits, exponent)), one)
    # What is lost, over 1 + x: 1 - f + f^2 is near enough to 1/(1 + f) for that.
    scale = v.of_bits(v.on_bits("sub", v.integer(_ONE), exponent))
    lost = v.multiply(v.multiply(lost, scale), v.fused(f, v.subtract(f, one), one))
    lost = v.where(v.compare("olt", x, number(_LOST)), lost, number(0.0))

    half = v.multiply(number(0.5), v.multiply(f, f))
    s = v.divide(f, v.add(number(2.0), f))
    z = v.multiply(s, s)
    rest = v.fused(s, v.fused(z, v.polynomial(_LOG, z), half), v.fused(k, number(_LN2[1]), lost))
    found = v.fused(k, number(_LN2[0]), v.subtract(f, v.subtract(half, rest)))
    found = v.intrinsic("copysign", found, x)  # -0 of -0

    none = v.where(v.compare("olt", x, number(-1.0)), number(math.nan), x)
    none = v.where(v.compare("oeq", x, number(-1.0)), number(-math.inf), none)
    is_finite = v.compare("olt", x, number(math.inf))
    return v.where(v.compare("ogt", x, number(-1.0)), v.where(is_finite, found, none), none)


def atan2(y: str, x: str, v: Vectors) -> str:
    """Angle of (x, y) from the x axis, with the sign of y."""
    number = v.number
    across, along = v.intrinsic("fabs", y), v.intrinsic("fabs", x)
    is_steep = v.compare("ogt", across, along)
    small, large = v.where(is_steep, along, across), v.where(is_steep, across, along)  # NaN is in one of them
    is_endless = v.compare("oeq", small, number(math.inf))
    is_turned = v.either(v.compare("ogt", small, v.multiply(number(_TAN_EIGHTH), large)), is_endless)
    above = v.where(is_endless, number(0.0), v.where(is_turned, v.subtract(small, large), small))
    below = v.where(is_turned, v.add(small, large), large)
    t = v.divide(above, v.where(v.compare("oeq", below, number(0.0)), number(1.0), below))
    z = v.multiply(t, t)
    bent = v.multiply(v.multiply(t, z), v.polynomial(_ATAN, z))

    # The angle is t - bent from 0 or pi/4, or back from pi/2, or from pi; in two parts, to be rounded once.
    start, lost = (v.where(is_turned, number(0.25 * part), number(0.0)) for part in _PI)
    angle = v.add(start, t)
    rest = v.subtract(v.subtract(t, v.subtract(angle, start)), v.subtract(bent, lost))
    for is_back, turn in ((is_steep, 0.5), (v.is_negative(x), 1.0)):
        high, low = (number(turn * part) for part in _PI)
        back = v.subtract(high, angle)
        back_rest = v.add(v.subtract(v.subtract(high, back), angle), v.subtract(low, rest))
        angle, rest = v.where(is_back, back, angle), v.where(is_back, back_rest, rest)
    return v.intrinsic("copysign", v.add(angle, rest), y)
