"""Arithmetic of vectors of float64 as LLVM instructions: what elementary functions are written with."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence


def hexadecimal(value: float) -> str:
    """A float64 to the bit, as LLVM writes it."""
    return f"0x{struct.unpack('>Q', struct.pack('>d', value))[0]:016X}"


class Vectors:
    """Instructions for vectors of a width; ``let`` writes one, ``call`` that of an intrinsic."""

    def __init__(self, width: int, let: Callable[[str], str], call: Callable[..., str]) -> None:
        self.width, self._let, self._call = width, let, call
        self.kind, self.whole, self.choice = (f"<{width} x {one}>" for one in ("double", "i64", "i1"))

    def number(self, value: float) -> str:
        """The same in all lanes."""
        return "<" + ", ".join([f"double {hexadecimal(value)}"] * self.width) + ">"

    def integer(self, value: int) -> str:
        """The same whole number in all lanes."""
        return "<" + ", ".join([f"i64 {value}"] * self.width) + ">"

    def add(self, a: str, b: str) -> str:
        """Sum."""
        return self._let(f"fadd {self.kind} {a}, {b}")

    def subtract(self, a: str, b: str) -> str:
        """Difference."""
        return self._let(f"fsub {self.kind} {a}, {b}")

    def multiply(self, a: str, b: str) -> str:
        """Product."""
        return self._let(f"fmul {self.kind} {a}, {b}")

    def divide(self, a: str, b: str) -> str:
        """Quotient."""
        return self._let(f"fdiv {self.kind} {a}, {b}")

    def minus(self, a: str) -> str:
        """The negative."""
        return self._let(f"fneg {self.kind} {a}")

    def fused(self, a: str, b: str, c: str) -> str:
        """Return a b + c, rounded once."""
        return self.intrinsic("fma", a, b, c)

    def intrinsic(self, name: str, *args: str) -> str:
        """One of LLVM's functions of float64."""
        return self._call(f"llvm.{name}.v{self.width}f64", self.kind, args)

    def polynomial(self, coefficients: Sequence[float], z: str) -> str:
        """Sum of c_k z^k."""
        total = self.number(coefficients[-1])
        for c in coefficients[-2::-1]:
            total = self.fused(total, z, self.number(c))
        return total

    def compare(self, order: str, a: str, b: str) -> str:
        """Ordered comparison (``olt`` and so on), or whether one of them is NaN (``uno``)."""
        return self._let(f"fcmp {order} {self.kind} {a}, {b}")

    def either(self, a: str, b: str) -> str:
        """One or both of two choices."""
        return self._let(f"or {self.choice} {a}, {b}")

    def where(self, choice: str, a: str, b: str) -> str:
        """Of a where it is chosen, else of b."""
        return self._let(f"select {self.choice} {choice}, {self.kind} {a}, {self.kind} {b}")

    def bits(self, a: str) -> str:
        """The bits of a float64 as a whole number."""
        return self._let(f"bitcast {self.kind} {a} to {self.whole}")

    def of_bits(self, a: str) -> str:
        """The float64 of those bits."""
        return self._let(f"bitcast {self.whole} {a} to {self.kind}")

    def on_bits(self, operation: str, a: str, b: str) -> str:
        """An operation of whole numbers."""
        return self._let(f"{operation} {self.whole} {a}, {b}")

    def is_negative(self, a: str) -> str:
        """Whether the sign is: -0 is negative."""
        return self._let(f"icmp slt {self.whole} {self.bits(a)}, {self.integer(0)}")
