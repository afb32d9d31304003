"""The field of a beam at its own particles, at fixed t: box, deposit, potential, gradient; and the way back.

The pullback of the field is made of the same parts. With E_bar the cotangents of the field on the nodes,
which is a deposit of those at the particles, the potential has phi_bar = -transpose of difference
(E_bar/h), the charge has the convolution of phi_bar with the Green function, which is even, and a
particle's charge and position get their share by a gather. What is left goes through the box: its spacing
stands in the difference, in the Green function and in the particles' positions on the grid.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from backbeam import backends
from backbeam.arrays import namespace
from backbeam.errors import TrackingError
from backbeam.space_charge.cloud_in_cell import Cloud, deposit, gather, gather_slope, locate
from backbeam.space_charge.extents import Box, Extent
from backbeam.space_charge.green import green, green_slope
from backbeam.space_charge.poisson import convolve, convolve_transpose, even_transform, spectrum
from backbeam.space_charge.stencil import difference, difference_transpose
from backbeam.species import VACUUM_PERMITTIVITY

if TYPE_CHECKING:
    from backbeam.arrays import Array
    from backbeam.space_charge.poisson import Spectrum

    Rows = tuple[Array, Array, Array]

COULOMB = 1.0 / (4.0 * math.pi * VACUUM_PERMITTIVITY)
"""1/(4 pi epsilon_0) [V m/C]."""

AXES = (-3, -2, -1)
"""Axes x, y, z of a grid."""

OUTSIDE = 1e-4
"""Part of a cell by which rounding may carry a particle over the edge of its box."""


class Charges(NamedTuple):
    """Macroparticles at fixed t, with one batch axis. Those not alive have no charge."""

    r: Rows
    """Positions (x, y, z), three rows ``(B, n)`` [m]."""
    q: Array
    """Charges ``(B, n)`` [C]."""
    alive: Array | None
    """``(B, n)``, or None for all."""
    gamma: Array
    """gamma0 ``(B,)``."""


class Field(NamedTuple):
    """What was found on the nodes."""

    box: Box
    cloud: Cloud
    charge: Array
    """Charge of each node ``(B, nx, ny, nz)`` [C]."""
    phi: Array
    """Potential in the laboratory ``(B, nx, ny, nz)`` [V]."""
    E: Array
    """-grad(phi) ``(3, B, nx, ny, nz)`` [V/m]."""

    def at_particles(self) -> Array:
        """E at each particle ``(3, B n)``."""
        return gather(self.E, self.cloud)


class Kept(NamedTuple):
    """What the pullback of a field needs beside it."""

    charge: Spectrum
    green: Array
    green_slope: Rows


@dataclass(frozen=True)
class FieldSolver:
    """Field of charges on a grid of ``grid`` nodes over an ``extent``."""

    grid: tuple[int, int, int]
    extent: Extent
    box_moves: bool = True
    """Whether cotangents go through the box to the particles that set it."""

    def solve(self, charges: Charges) -> Field:
        """Find the field; `TrackingError` for charge outside a box that does not follow it."""
        box, cloud = self._located(charges)
        g = green(self.grid, _rest_spacing(box, charges))
        return _solved(box, cloud, charges, g)[0]

    def solve_and_keep(self, charges: Charges) -> tuple[Field, Kept]:
        """Find the field, and keep what `pullback` needs."""
        box, cloud = self._located(charges)
        g, slope = green_slope(self.grid, _rest_spacing(box, charges))
        field, charge, transform = _solved(box, cloud, charges, g)
        return field, Kept(charge, transform, slope)

    def pullback(self, charges: Charges, field: Field, kept: Kept, at_bar: Array) -> tuple[Array, Rows, Array, Array]:
        """Return E at the particles, and the cotangents of r, q and gamma for that of `Field.at_particles`.

        ``at_bar`` is ``(3, B n)``, 0 for particles not alive.
        """
        xp, fft = namespace(at_bar), backends.of(at_bar).fft
        box, cloud = field.box, field.cloud
        shape = tuple(charges.q.shape)
        at, u_bar = gather_slope(field.E, at_bar, cloud)
        E_bar = deposit(at_bar, cloud)
        phi_bar = 0.0
        for k, axis in enumerate(AXES):
            phi_bar = phi_bar - difference_transpose(E_bar[k, ...], axis) / _per_node(box.spacing[k, ...])
        coulomb = _per_node(COULOMB * charges.gamma)
        phi_spectrum = spectrum(phi_bar, fft)
        charge_bar = convolve(phi_spectrum, kept.green, fft) * coulomb
        g_bar = convolve_transpose(kept.charge, phi_spectrum, fft) * coulomb
        q_bar, through_charge = gather_slope(charge_bar[None, ...], xp.reshape(charges.q, (1, -1)), cloud)
        r_bar = tuple(
            xp.reshape(a + b, shape) / box.spacing[k, :, None]
            for k, (a, b) in enumerate(zip(u_bar, through_charge, strict=True))
        )
        q_bar = xp.reshape(q_bar, shape)
        # Rest-frame spacing (hx, hy, gamma hz), and gamma in front of the potential.
        rest_bar = _over_nodes(kept.green_slope, g_bar)
        gamma_bar = _sum_nodes(phi_bar * field.phi) / charges.gamma + rest_bar[2] * box.spacing[2, ...]
        if self.box_moves:
            stretched = (rest_bar[0], rest_bar[1], rest_bar[2] * charges.gamma)
            centre_bar, spacing_bar = [], []
            for k, along in enumerate(r_bar):
                h = box.spacing[k, ...]
                off = charges.r[k] - box.centre[k, :, None]
                if charges.alive is not None:
                    off = xp.where(charges.alive, off, xp.zeros_like(off))
                centre_bar.append(-xp.sum(along, axis=-1))
                by_position = xp.sum(along * off, axis=-1)
                by_difference = _sum_nodes(E_bar[k, ...] * field.E[k, ...])
                spacing_bar.append(stretched[k] - (by_position + by_difference) / h)
            box_bar = Box(xp.stack(centre_bar), xp.stack(spacing_bar))
            through = self.extent.pullback(charges.r, charges.alive, charges.gamma, self.grid, box_bar)
            if through is not None:
                r_bar = tuple(a + b for a, b in zip(r_bar, through[0], strict=True))
                gamma_bar = gamma_bar + through[1]
        return at, r_bar, q_bar, gamma_bar

    def _located(self, charges: Charges) -> tuple[Box, Cloud]:
        """Box of each beam and the cells of its particles."""
        xp = namespace(charges.q)
        box = self.extent.box(charges.r, charges.alive, charges.gamma, self.grid)
        guard = self.extent.guard
        u = []
        for k, n in enumerate(self.grid):
            # From the middle: as exact far from the axis as on it, and symmetric.
            position = (charges.r[k] - box.centre[k, :, None]) / box.spacing[k, :, None] + 0.5 * (n - 1)
            if charges.alive is not None:
                position = xp.where(charges.alive, position, xp.full_like(position, float(guard)))
            u.append(position)
        if not self.extent.holds_all:
            u[0] = self._without_outside(u)
        return box, locate(tuple(u), self.grid, guard)

    def _without_outside(self, u: list[Array]) -> Array:
        """Return u[0]; `TrackingError` for particles outside the box, or NaN for them under tracing."""
        xp = namespace(*u)
        guard = self.extent.guard
        outside = u[0] != u[0]
        for position, n in zip(u, self.grid, strict=True):
            outside = outside | (position < guard - OUTSIDE) | (position > n - 1 - guard + OUTSIDE)
        if backends.of(*u).traced(u):
            return xp.where(outside, xp.full_like(u[0], math.nan), u[0])
        if bool(xp.any(outside)):
            count = int(xp.sum(xp.astype(outside, xp.asarray(0).dtype)))
            raise TrackingError(
                f"{count} of {math.prod(u[0].shape)} particles are outside the space-charge box "
                f"{self.extent}; enlarge it, or use extent='beam', which follows all of them"
            )
        return u[0]


def _solved(box: Box, cloud: Cloud, charges: Charges, g: Array) -> tuple[Field, Spectrum, Array]:
    """Field, transform of the charge, transform of the Green function."""
    xp, fft = namespace(charges.q), backends.of(charges.q).fft
    charge = deposit(xp.reshape(charges.q, (1, -1)), cloud)[0, ...]
    transform = even_transform(xp.astype(g, charges.q.dtype), fft)
    charge_spectrum = spectrum(charge, fft)
    phi = convolve(charge_spectrum, transform, fft) * _per_node(COULOMB * charges.gamma)
    E = xp.stack([difference(phi, axis) / _per_node(-box.spacing[k, ...]) for k, axis in enumerate(AXES)])
    return Field(box, cloud, charge, phi, E), charge_spectrum, transform


def _rest_spacing(box: Box, charges: Charges) -> Array:
    """Spacing in the rest frame ``(3, B)``, in the widest float of the device."""
    xp = namespace(box.spacing)
    one = xp.ones_like(charges.gamma)
    return xp.astype(box.spacing * xp.stack([one, one, charges.gamma]), backends.of(one).wide(one))


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
