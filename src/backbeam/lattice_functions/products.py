"""Products of many small matrices along a line, in a few calls: M_k = R_k ... R_2 R_1, and what is built on them.

Neighbours are multiplied in pairs, the products of pairs are found in the same way, and what is left is one factor
each: 1.5 K products in 2 log2 K calls (Ladner & Fischer, J. ACM 27 (1980) 831). The pullback takes the same way back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from array_api_compat import device

from backbeam import backends
from backbeam.arrays import Array, namespace
from backbeam.errors import TrackingError


def as_one(function: Callable[..., Any], *arguments: Any, static: tuple[int, ...] = ()) -> Any:
    """Call a function of arrays, compiled as one where the library compiles: the optics of a line are many small ones.

    The first argument that is not ``static`` is an array.
    """
    like = next(a for k, a in enumerate(arguments) if k not in static)
    return backends.of(like).compile(function, static)(*arguments)


def product(A: Array, B: Array) -> Array:
    """Matrix product; in float32 by sums, which no device rounds to ten bits, see `backbeam.maps.matrices`."""
    xp = namespace(A, B)
    if A.dtype == xp.float64:
        return xp.matmul(A, B)
    return xp.sum(A[..., :, :, None] * B[..., None, :, :], axis=-2)


def transposed(A: Array) -> Array:
    """Matrices with rows and columns exchanged."""
    return namespace(A).matrix_transpose(A)


def products(R: Array) -> Array:
    """M_k = R_k ... R_1 ``(..., K, d, d)``, from the factors ``(..., K, d, d)``."""
    K = R.shape[-3]
    if K < 2:
        return R
    first, second = _pairs(R)
    return _interleaved(R, products(product(second, first)))


def total_product(R: Array) -> Array:
    """R_K ... R_1 ``(..., d, d)``: of the products along the line the last alone, in half the calls."""
    xp = namespace(R)
    while R.shape[-3] > 1:
        first, second = _pairs(R)
        single = R[..., 2 * first.shape[-3] :, :, :]
        R = product(second, first)
        R = xp.concat([R, single], axis=-3) if single.shape[-3] else R
    return R[..., 0, :, :]


def products_pullback(R: Array, M: Array, M_bar: Array) -> Array:
    """Cotangent of the factors from that of `products`, which were ``M``."""
    xp, K = namespace(R), R.shape[-3]
    if K < 2:
        return M_bar
    first, second = _pairs(R)
    paired, paired_bar, single_bar = M[..., 1::2, :, :], M_bar[..., 1::2, :, :], M_bar[..., 2::2, :, :]
    # M_{2j+1} = R_{2j+1} M_{2j}: to the factor, and to the product before it.
    alone_bar = product(single_bar, transposed(paired[..., : single_bar.shape[-3], :, :]))
    carried = product(transposed(R[..., 2::2, :, :]), single_bar)
    if carried.shape[-3] < paired_bar.shape[-3]:
        carried = xp.concat([carried, xp.zeros_like(paired_bar[..., -1:, :, :])], axis=-3)
    pair_bar = products_pullback(product(second, first), paired, paired_bar + carried)
    second_bar, first_bar = product(pair_bar, transposed(first)), product(transposed(second), pair_bar)
    alone_bar = xp.concat([M_bar[..., :1, :, :], alone_bar], axis=-3)
    if first_bar.shape[-3] < alone_bar.shape[-3]:
        first_bar = xp.concat([first_bar, xp.zeros_like(alone_bar[..., :1, :, :])], axis=-3)
    return _woven(alone_bar + first_bar, second_bar, K)


def _pairs(R: Array) -> tuple[Array, Array]:
    """R_1, R_3, ... and R_2, R_4, ... of the whole pairs."""
    whole = R.shape[-3] // 2 * 2
    return R[..., 0:whole:2, :, :], R[..., 1:whole:2, :, :]


def _interleaved(R: Array, even: Array) -> Array:
    """All products from every second one, M_2, M_4, ..."""
    xp, K = namespace(R), R.shape[-3]
    alone = R[..., 2::2, :, :]
    odd = xp.concat([R[..., :1, :, :], product(alone, even[..., : alone.shape[-3], :, :])], axis=-3)
    return _woven(odd, even, K)


def _woven(odd: Array, even: Array, K: int) -> Array:
    """The 1st, 3rd, ... and the 2nd, 4th, ... of K matrices, in order."""
    xp = namespace(odd)
    if odd.shape[-3] > even.shape[-3]:
        even = xp.concat([even, even[..., :1, :, :]], axis=-3)
    both = xp.stack([odd, even], axis=-3)
    return xp.reshape(both, (*odd.shape[:-3], 2 * odd.shape[-3], *odd.shape[-2:]))[..., :K, :, :]


def from_start(M: Array) -> Array:
    """Matrices at every place, the unit matrix at the start among them ``(..., K + 1, d, d)``."""
    xp, d = namespace(M), M.shape[-1]
    unit = xp.eye(d, dtype=M.dtype, device=device(M))
    return xp.concat([xp.broadcast_to(unit, (*M.shape[:-3], 1, d, d)), M], axis=-3)


def affine(R: Array, b: Array) -> Array:
    """Matrices ``(..., 7, 7)`` that take (z, 1) to (R z + b, 1)."""
    xp, d = namespace(R), R.shape[-1]
    top = xp.concat([R, b[..., None]], axis=-1)
    row = xp.concat([xp.zeros_like(R[..., :1, :]), xp.ones_like(R[..., :1, :1])], axis=-1)
    return xp.concat([top, xp.broadcast_to(row, (*top.shape[:-2], 1, d + 1))], axis=-2)


def times(M: Array, v: Array) -> Array:
    """Matrix times vector ``(..., d)``."""
    return product(M, v[..., None])[..., 0]


def solved(A: Array, b: Array) -> Array:
    """Solution of A x = b, for what returns after a turn: A is 1 - M, or its transpose.

    Raises
    ------
    TrackingError
        Where there is none: M has the eigenvalue 1.
    """
    try:
        return namespace(A).linalg.solve(A, b)
    except (ValueError, RuntimeError):  # what NumPy and PyTorch raise for a singular matrix
        raise TrackingError("no one orbit is closed: a tune of the line is a whole number") from None


def outer(a: Array, b: Array) -> Array:
    """Matrix a b^T of vectors ``(..., d)``."""
    return a[..., :, None] * b[..., None, :]


def in_corner(A: Array, d: int) -> Array:
    """A matrix ``(..., k, k)`` in the upper corner of one of size d, the rest 0."""
    xp, k = namespace(A), A.shape[-1]
    if k == d:
        return A
    right = xp.zeros_like(A[..., :, : d - k])
    wide = xp.concat([A, right], axis=-1)
    below = xp.zeros_like(wide[..., : d - k, :])
    return xp.concat([wide, below], axis=-2)
