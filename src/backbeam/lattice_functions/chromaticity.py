"""Chromaticity: how the tunes change with pt, along the orbit that changes with it.

The matrices of all maps are taken about z + h w, w being the change of the orbit with pt, at the four points of a
difference of fourth order. What the orbit does beyond first order is even in h and drops out. 2 cos(mu) of the whole
line at these points gives the slope of mu.

With motion along s the orbit changes with pt as it does when the radio frequency is changed, which is how a
chromaticity is measured: it returns in all but tau, and the tunes are those of the modes in x and y of all six
coordinates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from array_api_compat import device

from backbeam.arrays import Array, namespace
from backbeam.lattice_functions.linearisation import STENCIL, linearised, linearised_pullback, step_of
from backbeam.lattice_functions.normal_form import cosines_pullback, modes
from backbeam.lattice_functions.products import as_one, in_corner, products, products_pullback
from backbeam.lattice_functions.solution import SolutionBars

if TYPE_CHECKING:
    from backbeam.lattice_functions.solution import Solution


class _Offsets(NamedTuple):
    """Everything about the points of the difference, along a leading axis."""

    shifts: Array
    """h of each point ``(4, 1, ..., 1)``, to multiply w."""
    weights: Array
    """Of each point ``(4, 1, ..., 1)``, to multiply what has the batch shape."""
    beta_gamma: Array
    z: Array


def cosine_slopes(solution: Solution) -> list[Array]:
    """d(2 cos mu)/dpt of the modes in x and y, each ``(...)``."""
    offsets = _offsets(solution)
    xp = namespace(offsets.z)
    R = linearised(solution.passages, solution.species, solution.vector, offsets.beta_gamma, offsets.z).R
    return [xp.sum(offsets.weights * c, axis=0) for c in as_one(_cosines, R, solution.size, static=(1,))]


def cosine_slopes_pullback(solution: Solution, bars: list[Array]) -> SolutionBars:
    """Cotangents of the orbit, of its change with pt, of the momenta and of the parameters."""
    offsets = _offsets(solution)
    xp = namespace(offsets.z)
    given = (solution.passages, solution.species, solution.vector, offsets.beta_gamma, offsets.z)
    R = linearised(*given).R
    R_bar = as_one(_cosines_pullback, R, [offsets.weights * bar for bar in bars], solution.size, static=(2,))
    found = linearised_pullback(*given, xp.zeros_like(offsets.z), R_bar)
    z_bar, w_bar = xp.sum(found.z, axis=0), xp.sum(offsets.shifts * found.z, axis=0)
    along = xp.sum(found.beta_gamma, axis=0)
    return SolutionBars(
        z=_with_end(z_bar, -2),
        **{"v" if solution.size == 4 else "w": _with_end(w_bar, -2)},
        beta_gamma=_with_end(along, -1),
        vector=xp.sum(found.vector, axis=0),
    )


def _cosines(R: Array, size: int) -> list[Array]:
    """2 cos(mu) of the product of all R, in x and y."""
    return modes(products(R)[..., -1, :size, :size]).cosines[:2]


def _cosines_pullback(R: Array, bars: list[Array], size: int) -> Array:
    xp, M = namespace(R), products(R)
    found = modes(M[..., -1, :size, :size])
    rest = [xp.zeros_like(bars[0]) for _ in found.projectors[2:]]
    wide = in_corner(cosines_pullback(found, [*bars, *rest]), 6)
    M_bar = xp.concat([xp.zeros_like(M[..., :-1, :, :]), wide[..., None, :, :]], axis=-3)
    return products_pullback(R, M, M_bar)


def _offsets(solution: Solution) -> _Offsets:
    z, w = solution.z[..., :-1, :], solution.w[..., :-1, :]
    xp, h = namespace(z), step_of(z)

    def column(values: list[float], ndim: int) -> Array:
        return xp.reshape(xp.asarray(values, dtype=z.dtype, device=device(z)), (len(values), *[1] * ndim))

    shifts = column([h * where for where, _ in STENCIL], z.ndim)
    weights = column([weight / h for _, weight in STENCIL], z.ndim - 2)
    beta_gamma = solution.beta_gamma[..., :-1]
    spread = xp.broadcast_to(beta_gamma, (len(STENCIL), *beta_gamma.shape))
    return _Offsets(shifts, weights, spread, z + shifts * w)


def _with_end(bar: Array, axis: int) -> Array:
    """A cotangent of what is before each map, as one of what is at the end too."""
    xp = namespace(bar)
    end = bar[..., :1, :] if axis == -2 else bar[..., :1]
    return xp.concat([bar, xp.zeros_like(end)], axis=axis)
