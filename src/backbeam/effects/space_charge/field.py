"""The field of a beam on the nodes of its grid: potential and gradient, and the way back.

Positions are (x, y, tau); ``stretch`` turns tau into length at rest. The potential is that of 1/r, so that the
strength of the kick holds all constants.

The pullback of the field is made of the same parts. With E_bar the cotangents of the field on the nodes, which is a
deposit of those at the particles, the potential has phi_bar = transpose of difference (E_bar/h), the charge has the
convolution of phi_bar with the Green function, which is even, and a particle's charge and position get their share by
a gather. Nothing of this waits for the field: there and back go by one deposit, one pass over the columns of the grid,
one gather. What is left goes through the box: its spacing stands in the Green function, and in the difference and the
particles' positions, whose part is a sum over particles. All this is done in the widest float of the device: a flat
beam's field is a difference of potentials that are nearly equal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from backbeam import backends
from backbeam.arrays import namespace
from backbeam.effects.space_charge.extents import Box
from backbeam.effects.space_charge.green import Slopes, green, green_and_slopes
from backbeam.effects.space_charge.poisson import (
    columns,
    convolve,
    convolve_both,
    even_transform,
    even_transform_transpose,
)
from backbeam.effects.space_charge.stencil import difference, difference_transpose

if TYPE_CHECKING:
    from backbeam.arrays import Array
    from backbeam_backends.particle_mesh import CloudInCell

    Rows = tuple[Array, Array, Array]

AXES = (-3, -2, -1)
"""Axes x, y, tau of a grid."""
SIGNS = (-1.0, -1.0, 1.0)
"""Of the field beside the gradient: (tau, -pt) is the canonical pair."""


class Back(NamedTuple):
    """Cotangents on the way back from the field, beside those of the charge of each node."""

    spacing_bar: Array
    """Of the spacing in the Green function ``(3, B)``."""
    stretch_bar: Array
    """Of the stretch ``(B,)``."""


def potential(charge: Array, box: Box, stretch: Array, order: int) -> Array:
    """Potential [C/m] of the charge of each node [C], both ``(B, nx, ny, nz)``."""
    charge = _wide(charge)
    g = green(_offsets(charge), _rest_spacing(box, stretch))
    return convolve(columns(charge), even_transform(g, order))


def electric_field(phi: Array, box: Box, weights: CloudInCell, order: int) -> Any:
    """(-d/dx, -d/dy, d/dtau) phi ``(3, B, nx, ny, nz)`` [C/m^2] in the type of the box, as the weights arrange it."""
    factors = _factors(box)
    field = weights.gradient(phi, factors, order)
    if field is not None:
        return field
    xp = namespace(phi)
    parts = [difference(phi, axis, order) * _per_node(factors[k, ...]) for k, axis in enumerate(AXES)]
    return weights.arrange(xp.astype(xp.stack(parts), factors.dtype, copy=False))


def field_and_back(
    nodes: Array, box: Box, stretch: Array, weights: CloudInCell, order: int, per_field: Array
) -> tuple[Any, Back]:
    """Field of a charge, with the cotangents of the charge of each node beside it, as the weights arrange it; and Back.

    ``nodes (4, B, nx, ny, nz)``, which are let go, are the cotangents of the field over ``per_field (B,)``, and the
    charge.
    """
    factors = _factors(box) * per_field
    phi_bar = weights.gradient_transpose(nodes[:3, ...], factors, order)
    if phi_bar is None:
        E_bar = _wide(nodes[:3, ...])
        parts = [
            difference_transpose(E_bar[k, ...], axis, order) * _per_node(factors[k, ...]) for k, axis in enumerate(AXES)
        ]
        phi_bar = parts[0] + parts[1] + parts[2]
    offsets, spectra = _offsets(phi_bar), (columns(_wide(nodes[3, ...])), columns(_wide(phi_bar)))
    del nodes, phi_bar
    transform, slopes = _green(offsets, _rest_spacing(box, stretch), order)
    phi, charge_bar, transform_bar = convolve_both(*spectra, transform)
    del spectra, transform
    rest_bar = slopes.pull_back(even_transform_transpose(transform_bar, order))
    xp = namespace(charge_bar)
    a, b, c = (xp.astype(rest_bar[k, ...], stretch.dtype, copy=False) for k in range(3))
    field = electric_field(phi, box, weights, order)
    field = weights.beside(field, xp.astype(charge_bar, stretch.dtype, copy=False))
    # Rest-frame spacing (hx, hy, stretch htau).
    return field, Back(xp.stack([a, b, c * stretch]), c * box.spacing[2, ...])


def _green(offsets: tuple[int, int, int], spacing: Array, order: int) -> tuple[Array, Slopes]:
    """Transform of the Green function, and how that depends on the spacing."""
    g, slopes = green_and_slopes(offsets, spacing)
    return even_transform(g, order), slopes


def _factors(box: Box) -> Array:
    """Of the differences per spacing ``(3, B)``."""
    xp = namespace(box.spacing)
    one = xp.ones_like(box.spacing[0, ...])
    return xp.stack([sign * one for sign in SIGNS]) / box.spacing


def _wide(a: Array) -> Array:
    """In the widest float of the device."""
    return namespace(a).astype(a, backends.of(a).wide(a), copy=False)


def _offsets(charge: Array) -> tuple[int, int, int]:
    """How many offsets the Green function is wanted at, along each axis."""
    _, nx, ny, nz = charge.shape
    return nx + 1, ny + 1, nz + 1


def _rest_spacing(box: Box, stretch: Array) -> Array:
    """Spacing in the rest frame ``(3, B)``."""
    one = namespace(stretch).ones_like(stretch)
    return _wide(box.spacing * namespace(stretch).stack([one, one, stretch]))


def _per_node(a: Array) -> Array:
    """Shape ``(B,)`` to meet grids."""
    return a[:, None, None, None]
