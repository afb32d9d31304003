"""The field of a beam on the nodes of its grid, at fixed t: potential and gradient, and the way back.

The pullback of the field is made of the same parts. With E_bar the cotangents of the field on the nodes,
which is a deposit of those at the particles, the potential has phi_bar = -transpose of difference
(E_bar/h), the charge has the convolution of phi_bar with the Green function, which is even, and a
particle's charge and position get their share by a gather. What is left goes through the box: its spacing
stands in the difference, in the Green function and in the particles' positions on the grid.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from backbeam import backends
from backbeam.arrays import namespace
from backbeam.effects.space_charge.extents import Box
from backbeam.effects.space_charge.green import green, green_slope
from backbeam.effects.space_charge.poisson import columns, convolve, convolve_both, even_transform
from backbeam.effects.space_charge.stencil import difference, difference_transpose
from backbeam.species import VACUUM_PERMITTIVITY

if TYPE_CHECKING:
    from backbeam.arrays import Array
    from backbeam_backends.particle_mesh import CloudInCell

    Rows = tuple[Array, Array, Array]

COULOMB = 1.0 / (4.0 * math.pi * VACUUM_PERMITTIVITY)
"""1/(4 pi epsilon_0) [V m/C]."""

AXES = (-3, -2, -1)
"""Axes x, y, z of a grid."""


class Kept(NamedTuple):
    """What the pullback of a potential needs."""

    phi: Array
    """Potential ``(B, nx, ny, nz)`` [V]."""
    charge: Array
    """`columns` of the charge."""
    green: Array
    """`even_transform` of the Green function."""
    green_slope: Rows
    """Its derivatives with respect to the rest-frame spacings."""


class Back(NamedTuple):
    """Cotangents on the way back from the field."""

    charge_bar: Array
    """Of the charge of each node ``(B, nx, ny, nz)``."""
    spacing_bar: Array
    """Of the spacing, with the particles where they are on the grid ``(3, B)``."""
    gamma_bar: Array
    """Of gamma0 ``(B,)``."""


def potential(charge: Array, box: Box, gamma: Array) -> Array:
    """Potential in the laboratory [V], of the charge of each node [C], both ``(B, nx, ny, nz)``."""
    g = green(tuple(charge.shape[1:]), _rest_spacing(box, gamma))
    return _solved(columns(charge), _transform(g, charge), gamma)


def potential_and_keep(charge: Array, box: Box, gamma: Array) -> Kept:
    """`potential`, and what `pull_back` needs beside it."""
    g, slope = green_slope(tuple(charge.shape[1:]), _rest_spacing(box, gamma))
    spectrum, transform = columns(charge), _transform(g, charge)
    return Kept(_solved(spectrum, transform, gamma), spectrum, transform, slope)


def electric_field(phi: Array, box: Box, weights: CloudInCell) -> Any:
    """-grad(phi) ``(3, B, nx, ny, nz)`` [V/m], as the weights arrange it."""
    if hasattr(weights, "gradient"):
        return weights.gradient(phi, -1.0 / box.spacing)
    parts = [difference(phi, axis) / _per_node(-box.spacing[k, ...]) for k, axis in enumerate(AXES)]
    return weights.arrange(namespace(phi).stack(parts))


def pull_back(kept: Kept, E_bar: Array, box: Box, gamma: Array, weights: CloudInCell) -> Back:
    """Cotangents from those of `electric_field` ``(3, B, nx, ny, nz)``."""
    xp = namespace(E_bar)
    if hasattr(weights, "gradient_transpose"):
        phi_bar, along = weights.gradient_transpose(E_bar, -1.0 / box.spacing, kept.phi)
    else:
        parts = [
            difference_transpose(E_bar[k, ...], axis) / _per_node(-box.spacing[k, ...]) for k, axis in enumerate(AXES)
        ]
        phi_bar = parts[0] + parts[1] + parts[2]
        along = xp.stack([_sum_nodes(part * kept.phi) for part in parts])  # sum of E_bar E
    charge_bar, g_bar = convolve_both(kept.charge, columns(phi_bar * _per_node(COULOMB * gamma)), kept.green)
    # Rest-frame spacing (hx, hy, gamma hz), and gamma in front of the potential.
    rest_bar = _over_nodes(kept.green_slope, g_bar)
    gamma_bar = xp.sum(along, axis=0) / gamma + rest_bar[2] * box.spacing[2, ...]
    spacing_bar = xp.stack([rest_bar[0], rest_bar[1], rest_bar[2] * gamma]) - along / box.spacing
    return Back(charge_bar, spacing_bar, gamma_bar)


def _transform(g: Array, like: Array) -> Array:
    """Transform of a Green function, in the type of the charge."""
    return even_transform(namespace(g).astype(g, like.dtype, copy=False), backends.of(g).fft)


def _solved(charge: Array, transform: Array, gamma: Array) -> Array:
    return convolve(charge, transform * _per_node(COULOMB * gamma))


def _rest_spacing(box: Box, gamma: Array) -> Array:
    """Spacing in the rest frame ``(3, B)``, in the widest float of the device."""
    xp = namespace(box.spacing)
    one = xp.ones_like(gamma)
    return xp.astype(box.spacing * xp.stack([one, one, gamma]), backends.of(one).wide(one))


def _over_nodes(slopes: Rows, g_bar: Array) -> Rows:
    """Contract the slopes of the Green function, which are wide, with its cotangent."""
    xp = namespace(g_bar)
    wide = xp.astype(g_bar, slopes[0].dtype)
    return tuple(xp.astype(_sum_nodes(wide * slope), g_bar.dtype) for slope in slopes)


def _per_node(a: Array) -> Array:
    """Shape ``(B,)`` to meet grids."""
    return a[:, None, None, None]


def _sum_nodes(a: Array) -> Array:
    """Sum ``(B, nx, ny, nz)`` over the nodes."""
    return namespace(a).sum(a, axis=(-3, -2, -1))
