"""Affine maps, one matrix and one shift for all particles, as matrices (7, 7): displaced frames, thin kicks.

    (X1, 1) = T (X, 1),    T = [[R, b], [0, 1]]

The shift b is what a map makes of the origin. Its matrix R is its derivative there, of which a pullback gives the
transpose: that of six unit vectors are its rows, and nothing of order one is subtracted. An affine map that is no
matrix is a displacement, a turn or a kick, so R is symplectic, and its inverse is made of the same entries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbeam.arrays import namespace
from backbeam.maps.matrices import symplectic_inverse_matrix

if TYPE_CHECKING:
    from backbeam.arrays import Array
    from backbeam.plan.apply import Apply
    from backbeam.plan.state import Setting, State
    from backbeam.plan.step import Owned


def with_shift(R: Array, b: Array | None = None) -> Array:
    """T ``(..., 7, 7)`` of a matrix and a shift ``(..., 6)``; None: none."""
    xp = namespace(R)
    b = xp.zeros_like(R[..., 0]) if b is None else b
    row = xp.concat([xp.zeros_like(R[..., :1, :]), xp.ones_like(R[..., :1, :1])], axis=-1)
    return xp.concat([xp.concat([R, b[..., None]], axis=-1), row], axis=-2)


def matrix(step: Apply, setting: Setting, units: State, own: Owned) -> Array:
    """T of maps ``(K, ..., 7, 7)`` at once; ``units`` are six unit vectors for each, beside the reference."""
    xp, reference, p = namespace(units.X), setting.reference(units), step.values(own)
    origin = xp.zeros_like(units.X)
    b = step.map.forward(origin[..., :1], reference, p)[..., 0]
    return with_shift(_derivative(step, setting, units, own), b)


def inverse_matrix(step: Apply, setting: Setting, units: State, own: Owned) -> Array:
    """Inverses of R ``(K, ..., 6, 6)``."""
    return symplectic_inverse_matrix(_derivative(step, setting, units, own))


def _derivative(step: Apply, setting: Setting, units: State, own: Owned) -> Array:
    xp, origin = namespace(units.X), namespace(units.X).zeros_like(units.X)
    transposed, *_ = step.map.pullback(origin, setting.reference(units), step.values(own), units.X)
    return xp.matrix_transpose(transposed)


def pulled_inputs(units: Array, T_bar: Array) -> tuple[Array, Array]:
    """Seven particles, and cotangents of what a map makes of them, of which the pullback is that of its T.

    The unit vectors have the columns of R's cotangent; the origin has b's, less what the others have of it.
    """
    xp = namespace(units)
    R_bar, b_bar = T_bar[..., :6, :6], T_bar[..., :6, 6:]
    X = xp.concat([units, xp.zeros_like(units[..., :1])], axis=-1)
    return X, xp.concat([R_bar, b_bar - xp.sum(R_bar, axis=-1, keepdims=True)], axis=-1)
