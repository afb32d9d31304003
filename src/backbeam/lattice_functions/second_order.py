"""Second-order maps T about the orbit: z_i = sum_j R_ij z_j + sum_jk T_ijk z_j z_k, symmetric in j and k.

2 T of a map is the derivative of its matrix by the point that it is about: exact, by the library's automatic
differentiation through the map's pullback; on libraries without one, differences of fourth order of the exact matrices
(`linearisation.STENCIL`), good to 1e-11 of the largest entry in float64 and 1e-5 in float32. Along a line each map's T
is taken between the matrices before and behind it, and the sum of all that is the line's::

    T_ijk = sum_n sum_lpq (R of what is behind n)_il T^n_lpq (R of what is before n)_pj (R of what is before n)_qk
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from array_api_compat import device

from backbeam import backends
from backbeam.arrays import Array, namespace
from backbeam.lattice_functions.linearisation import STENCIL, linearised, step_of
from backbeam.lattice_functions.products import product, transposed

if TYPE_CHECKING:
    from backbeam.lattice_functions.solution import Solution


def second_order(solution: Solution, start: int, end: int) -> Array:
    """T ``(..., 6, 6, 6)`` from before the map of number ``start`` to before that of number ``end``, not less.

    Tensors are held as matrices: T_ijk at row i and column 6 j + k.
    """
    xp = namespace(solution.M)
    each, first = _of_maps(solution)[..., start:end, :, :, :], solution.M[..., start : start + 1, :, :]
    back = xp.linalg.inv(first)
    before = product(solution.M[..., start:end, :, :], back)
    behind = product(solution.M[..., end : end + 1, :, :], xp.linalg.inv(solution.M[..., start + 1 : end + 1, :, :]))
    seen = product(each, before[..., None, :, :])  # by l and p: q -> k
    seen = xp.matmul(xp.matrix_transpose(before)[..., None, :, :], seen)  # p -> j
    flat = xp.reshape(seen, (*seen.shape[:-2], 36))
    total = xp.sum(product(behind, flat), axis=-3)
    T = xp.reshape(total, (*total.shape[:-1], 6, 6))
    return 0.5 * (T + transposed(T))


def joined(R: Array, T: Array, R_next: Array, T_next: Array) -> Array:
    """T of a way and of the one behind it."""
    xp = namespace(T)
    through = product(product(transposed(R)[..., None, :, :], T_next), R[..., None, :, :])
    flat = xp.reshape(T, (*T.shape[:-2], 36))
    return xp.reshape(product(R_next, flat), T.shape) + through


def _of_maps(solution: Solution) -> Array:
    """T of every map about the orbit ``(..., K, 6, 6, 6)``."""
    z = solution.z[..., :-1, :]
    xp, backend = namespace(z), backends.of(z)
    beta_gamma = solution.beta_gamma[..., :-1]
    unit = xp.eye(6, dtype=z.dtype, device=device(z))

    def matrices(points: Array) -> Array:
        along = xp.broadcast_to(beta_gamma, points.shape[:-1])
        return linearised(solution.passages, solution.species, solution.vector, along, points).R

    if backend.has_autodiff and not backend.records([z, solution.vector]):
        one_hot = xp.reshape(xp.eye(36, dtype=z.dtype, device=device(z)), (36, *[1] * (z.ndim - 1), 6, 6))
        R, pull = backend.pull(matrices, [xp.broadcast_to(z, (36, *z.shape)) + 0.0])
        (found,) = pull(xp.broadcast_to(one_hot, R.shape) + 0.0)
        # (row and column, ..., K, by)
        found = xp.reshape(xp.moveaxis(found, 0, -2), (*z.shape[:-1], 6, 6, 6))
        return 0.5 * found
    h = step_of(z)
    shape = (6, *[1] * (z.ndim - 1), 6)
    slopes = sum((weight / h) * matrices(z + (where * h) * xp.reshape(unit, shape)) for where, weight in STENCIL)
    return 0.5 * xp.moveaxis(slopes, 0, -1)
