"""Vectors and matrices of three-dimensional space, whose components are arrays, or the number 0.0 for nothing.

What is the number 0.0 stays out of all sums and products, so that a rotation about one axis costs what one axis costs.
A vector is a tuple of three components (x, y, s), a matrix a tuple of three rows.
"""

from __future__ import annotations

from typing import Any

Vector = tuple[Any, Any, Any]
Matrix = tuple[Vector, Vector, Vector]

NOTHING: Vector = (0.0, 0.0, 0.0)
UNIT: Matrix = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def is_nothing(a: Any) -> bool:
    """Whether a component is the number 0.0, and no array."""
    return type(a) is float and a == 0.0


def add(*terms: Any) -> Any:
    """Sum of components."""
    there = [t for t in terms if not is_nothing(t)]
    return sum(there[1:], there[0]) if there else 0.0


def times(a: Any, b: Any) -> Any:
    """Product of two components."""
    if is_nothing(a) or is_nothing(b):
        return 0.0
    if type(a) is float and a == 1.0:
        return b
    return a if type(b) is float and b == 1.0 else a * b


def dot(a: Vector, b: Vector) -> Any:
    """Scalar product."""
    return add(*(times(p, q) for p, q in zip(a, b, strict=True)))


def cross(a: Vector, b: Vector) -> Vector:
    """Vector product."""
    (ax, ay, az), (bx, by, bz) = a, b
    return (
        add(times(ay, bz), times(-1.0, times(az, by))),
        add(times(az, bx), times(-1.0, times(ax, bz))),
        add(times(ax, by), times(-1.0, times(ay, bx))),
    )


def plus(a: Vector, b: Vector) -> Vector:
    """Sum of two vectors."""
    return tuple(add(p, q) for p, q in zip(a, b, strict=True))


def scaled(factor: Any, a: Vector) -> Vector:
    """A vector times a number."""
    return tuple(times(factor, p) for p in a)


def transposed(M: Matrix) -> Matrix:
    """Transpose of a matrix."""
    return tuple(zip(*M, strict=True))  # type: ignore[return-value]


def turned(M: Matrix, a: Vector) -> Vector:
    """Matrix times vector."""
    return tuple(dot(row, a) for row in M)


def product(M: Matrix, N: Matrix) -> Matrix:
    """Matrix times matrix."""
    columns = transposed(N)
    return tuple(tuple(dot(row, column) for column in columns) for row in M)  # type: ignore[return-value]


def about_y(c: Any, s: Any) -> Matrix:
    """Rotation from s towards x, by the angle of this cosine and sine."""
    return ((c, 0.0, s), (0.0, 1.0, 0.0), (times(-1.0, s), 0.0, c))


def about_s(c: Any, s: Any) -> Matrix:
    """Rotation from x towards y, by the angle of this cosine and sine."""
    return ((c, times(-1.0, s), 0.0), (s, c, 0.0), (0.0, 0.0, 1.0))
