"""Sine and cosine of a vector of float64, in arithmetic alone: a library call for each lane would break the loop.

The argument is reduced by a multiple of pi/2 held in three parts. With fused multiply-add the first subtraction is
exact, so that the remainder is right to rounding however close it comes to 0 (Cody & Waite, *Software Manual for the
Elementary Functions*, 1980, in the form for fused arithmetic), up to `LARGEST`: beyond, the function is called as it
is. The polynomials on [-pi/4, pi/4] are those of fdlibm (Sun Microsystems, 1993). Results are within 1.5 units in
the last place.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

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


def hexadecimal(value: float) -> str:
    """A float64 to the bit, as LLVM writes it."""
    return f"0x{struct.unpack('>Q', struct.pack('>d', value))[0]:016X}"


def sine_and_cosine(x: str, width: int, let: Callable[[str], str], call: Callable[..., str]) -> tuple[str, str]:
    """Both functions of the vector ``x``; ``let`` writes an instruction, ``call`` that of an intrinsic."""
    kind, choice, suffix = f"<{width} x double>", f"<{width} x i1>", f"v{width}f64"

    def number(value: float) -> str:
        return "<" + ", ".join([f"double {hexadecimal(value)}"] * width) + ">"

    def multiply(a: str, b: str) -> str:
        return let(f"fmul {kind} {a}, {b}")

    def fused(a: str, b: str, c: str) -> str:
        return call(f"llvm.fma.{suffix}", kind, [a, b, c])

    def polynomial(coefficients: tuple[float, ...], z: str) -> str:
        total = number(coefficients[-1])
        for c in coefficients[-2::-1]:
            total = fused(total, z, number(c))
        return total

    turns = call(f"llvm.rint.{suffix}", kind, [multiply(x, number(0.6366197723675814))])
    back = let(f"fneg {kind} {turns}")
    r = x
    for part in _HALF_PI:
        r = fused(back, number(part), r)
    z = multiply(r, r)
    sine = fused(multiply(r, z), polynomial(_SINE, z), r)
    half = multiply(z, number(0.5))
    w = let(f"fsub {kind} {number(1.0)}, {half}")
    rest = let(f"fsub {kind} {let(f'fsub {kind} {number(1.0)}, {w}')}, {half}")
    cosine = let(f"fadd {kind} {w}, {fused(multiply(z, z), polynomial(_COSINE, z), rest)}")

    # Which quarter turn: 0, 1, 2 or 3.
    whole = call(f"llvm.floor.{suffix}", kind, [multiply(turns, number(0.25))])
    quarter = fused(whole, number(-4.0), turns)
    first, second, third = (let(f"fcmp oeq {kind} {quarter}, {number(k)}") for k in (1.0, 2.0, 3.0))
    odd, low, high = (let(f"or {choice} {a}, {b}") for a, b in ((first, third), (second, third), (first, second)))

    def signed(negative: str, value: str) -> str:
        return let(f"select {choice} {negative}, {kind} {let(f'fneg {kind} {value}')}, {kind} {value}")

    sine, cosine = (let(f"select {choice} {odd}, {kind} {a}, {kind} {b}") for a, b in ((cosine, sine), (sine, cosine)))
    return signed(low, sine), signed(high, cosine)
