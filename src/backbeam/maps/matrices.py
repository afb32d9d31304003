"""6x6 matrices of linear maps: from their entries, applied to all particles, transposed, and undone.

A matrix is a dictionary of its entries ``{(row, column): entry}`` that are not zero; an entry has the
batch shape ``(...)``, is 0-d, or is the number 1.0. What a gradient needs of the particles is the matrix of
the sums B_ij = sum_n X1_bar_i X_j (`outer_sums`): contracted with the derivative of the entries with respect
to a parameter, scalars only, it gives that parameter's cotangent.

In float64 the work is a matrix product, which reads and writes each coordinate once. In float32 it is
arithmetic on rows: libraries may let a GPU round the factors of a float32 product to ten bits
(TensorFloat-32), and JAX does so unasked (its documentation, "Matmul precision").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from array_api_compat import device

from backbeam import backends
from backbeam.arrays import broadcast, join, namespace, over_particles, per_particle, rows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backbeam.arrays import Array
    from backbeam.maps.base import Cotangents, Parameters
    from backbeam.reference import Reference

    Entries = dict[tuple[int, int], Array | float]

# The other half of each canonical pair (x, px), (y, py), (tau, -pt), and its sign in the area that they span.
_PARTNER = (1, 0, 3, 2, 5, 4)
_SIGN = (1.0, -1.0, 1.0, -1.0, -1.0, 1.0)


def dense(entries: Entries) -> Array:
    """Array ``(..., 6, 6)`` of the entries, broadcast against each other."""
    varying = {key: entry for key, entry in entries.items() if type(entry) is not float}
    xp = namespace(*varying.values())
    full = dict(zip(varying, broadcast(*varying.values()), strict=True))
    like = next(iter(full.values()))
    zero, one = xp.zeros_like(like), xp.ones_like(like)
    full |= {key: one for key in entries if key not in varying}
    matrix = xp.stack([full.get((i, j), zero) for i in range(6) for j in range(6)], axis=-1)
    return xp.reshape(matrix, (*like.shape, 6, 6))


def multiply(matrix: Array, X: Array) -> Array:
    """Matrix ``(..., 6, 6)`` times coordinates ``(..., 6, n)``; of other sizes as well."""
    xp = namespace(X)
    if X.dtype == xp.float64:
        return xp.matmul(matrix, X)
    high, wide = matrix.shape[-2:]
    return _by_rows({(i, j): matrix[..., i, j] for i in range(high) for j in range(wide)}, X)


def apply(entries: Entries, X: Array) -> Array:
    """`multiply` for a matrix given by its entries."""
    return multiply(dense(entries), X) if X.dtype == namespace(X).float64 else _by_rows(entries, X)


def _by_rows(entries: Entries, X: Array) -> Array:
    r = rows(X)
    sums: dict[int, Array] = {}
    for (i, j), entry in entries.items():
        term = r[j] if type(entry) is float else per_particle(entry) * r[j]
        sums[i] = sums[i] + term if i in sums else term
    return join(*(sums[i] for i in sorted(sums)))


def transpose(entries: Entries) -> Entries:
    """Entries of the transpose."""
    return {(j, i): entry for (i, j), entry in entries.items()}


def symplectic_inverse(entries: Entries) -> Entries:
    """Entries of the inverse of a symplectic matrix: those of its transpose, moved to their partners."""
    inverse: Entries = {}
    for (i, j), entry in entries.items():
        key = (_PARTNER[j], _PARTNER[i])
        inverse[key] = entry if _SIGN[key[0]] * _SIGN[key[1]] > 0 else -entry
    return inverse


def symplectic_inverse_matrix(matrix: Array) -> Array:
    """`symplectic_inverse` of an array ``(..., 6, 6)``."""
    xp, shape = namespace(matrix), tuple(matrix.shape)
    found = xp.matrix_transpose(matrix)
    found = xp.reshape(xp.flip(xp.reshape(found, (*shape[:-2], 3, 2, 6)), axis=-2), shape)
    found = xp.reshape(xp.flip(xp.reshape(found, (*shape[:-1], 3, 2)), axis=-1), shape)
    place = None if backends.of(matrix).traced([matrix]) else device(matrix)
    sign = xp.asarray(_SIGN, dtype=matrix.dtype, device=place)
    return sign[:, None] * found * sign


def outer_product(X1_bar: Array, X: Array) -> Array:
    """B_ij = sum over particles of X1_bar_i X_j ``(..., 6, 6)``: the cotangent of a matrix."""
    xp = namespace(X)
    if X.dtype == xp.float64:
        return xp.matmul(X1_bar, xp.matrix_transpose(X))
    return xp.stack([xp.sum(X1_bar * X[..., j : j + 1, :], axis=-1) for j in range(6)], axis=-1)


def outer_sums(X1_bar: Array, X: Array, keys: Iterable[tuple[int, int]]) -> dict[tuple[int, int], Array]:
    """Those entries of `outer_product` that are asked for."""
    if X.dtype == namespace(X).float64:
        B = outer_product(X1_bar, X)
        return {(i, j): B[..., i, j] for i, j in keys}
    b, r = rows(X1_bar), rows(X)
    return {(i, j): over_particles(b[i] * r[j]) for i, j in keys}


class SymplecticMatrix:
    """The methods of a map whose matrix is symplectic: a subclass gives its entries and their derivatives."""

    linear: ClassVar[bool] = True

    def entries(self, reference: Reference, p: Parameters) -> Entries:
        """Entries of the matrix."""
        raise NotImplementedError

    def entries_pullback(self, reference: Reference, p: Parameters, B: Entries) -> tuple[Array, Cotangents]:
        """Cotangents of ``beta_gamma`` and of each parameter, from those of the entries."""
        raise NotImplementedError

    def forward(self, X: Array, reference: Reference, p: Parameters) -> Array:
        """Matrix times X."""
        return apply(self.entries(reference, p), X)

    def inverse(self, X1: Array, reference: Reference, p: Parameters) -> Array:
        """Inverse matrix times X1."""
        return apply(symplectic_inverse(self.entries(reference, p)), X1)

    def _pullback(
        self, entries: Entries, X: Array, reference: Reference, p: Parameters, X1_bar: Array
    ) -> tuple[Array, Array, Cotangents]:
        B = outer_sums(X1_bar, X, entries)
        return (apply(transpose(entries), X1_bar), *self.entries_pullback(reference, p, B))

    def pullback(self, X: Array, reference: Reference, p: Parameters, X1_bar: Array) -> tuple[Array, Array, Cotangents]:
        """Transposed matrix times the cotangent; parameters through the sums over particles."""
        return self._pullback(self.entries(reference, p), X, reference, p, X1_bar)

    def reverse(
        self, X1: Array, reference: Reference, p: Parameters, X1_bar: Array
    ) -> tuple[Array, Array, Array, Cotangents]:
        """`inverse` and `pullback` with the entries shared."""
        entries = self.entries(reference, p)
        X = apply(symplectic_inverse(entries), X1)
        return (X, *self._pullback(entries, X, reference, p, X1_bar))
