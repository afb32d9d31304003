"""Grids of a beam that is long beside its width: a plane problem at every place along it.

At the distance tau the line density lambda(tau) makes the potential that an endless line of it would make, so

    phi(x, y, tau) = int g(x - x', y - y') rho(x', y', tau) dx' dy',     g = -2 ln r

is a convolution in each plane of nodes, the charge of a plane being that over the spacing of planes. `Sliced` takes
each plane's own charge, `Shared` that of the whole bunch times the line density: one convolution, and less noise, for a
bunch of one shape. Its slope along the beam would be the longitudinal force; but the potential of a line is known up to
a constant that only a pipe around it can give, so there is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from backbeam import backends
from backbeam.arrays import namespace
from backbeam.effects.space_charge.field import Back
from backbeam.effects.space_charge.gridded import Gridded
from backbeam.effects.space_charge.plane_green import convolve, correlate, even_transform, plane_green, transform
from backbeam.effects.space_charge.stencil import difference, difference_transpose

if TYPE_CHECKING:
    from backbeam.arrays import Array

    Rows = tuple[Array, ...]

PLANES = (-2, -1)


class Kept(NamedTuple):
    """What the way back from a potential needs."""

    charge: Array
    """`transform` of the charge in planes."""
    green: Array
    """`even_transform` of the Green function, and"""
    green_slope: Array
    """the derivative of that function with respect to the ratio of the spacings."""
    phi: Array
    """The potential."""
    shape: Array | None = None
    """Potential of the charge of all planes, where they share it, and"""
    density: Array | None = None
    """the part of the charge that each plane has."""


class Sliced(Gridded):
    """Each plane of nodes by itself. Grids are ``(B, nx, ny, ntau)``, planes ``(B, ntau, nx, ny)``."""

    __slots__ = ()

    @property
    def falls(self) -> int:
        """As that of a line of charge."""
        return 1

    def potential(self, charge: Array) -> Array:
        """Potential [C/m] of the charge of each node [C]."""
        return self._along(self._solved(charge).phi)

    def field(self, q: Array) -> Any:
        """Field on the nodes, arranged for `read`, of charges ``(B, n)``."""
        return self._arranged(self._solved(self.mesh.deposit(q)[0, ...]))

    def _arranged(self, kept: Kept) -> Any:
        """Field on the nodes."""
        xp, phi = namespace(kept.phi), self._along(kept.phi)
        parts = [
            difference(phi, axis, self.order) * factor for axis, factor in zip((-3, -2), self._factors(), strict=True)
        ]
        field = xp.stack([*parts, xp.zeros_like(phi)])
        return self.mesh.weights.arrange(xp.astype(field, self.stretch.dtype, copy=False))

    def field_and_back(self, q: Array, e_bar: Rows, factor: Array) -> tuple[Any, Back]:
        """`field` with the cotangents of the charge of each node beside it, arranged for `slopes`; and `Back`.

        From the cotangents of the field where the particles are, ``factor (B,)`` times rows ``e_bar (B, n)``.
        """
        nodes = _wide(self.mesh.deposit(*e_bar, q))
        xp, h, E_bar, kept = namespace(nodes), _wide(self.mesh.box.spacing), nodes[:2, ...], self._solved(nodes[3, ...])
        scaled = [_per_node(_wide(factor)) * f for f in self._factors()]
        parts = [difference_transpose(E_bar[k, ...], axis, self.order) * scaled[k] for k, axis in enumerate((-3, -2))]
        phi_bar = xp.permute_dims((parts[0] + parts[1]) * self._per_plane(), (0, 3, 1, 2))
        charge_bar, g_bar = self._pull_back(kept, phi_bar)
        by_ratio = xp.sum(g_bar * kept.green_slope, axis=PLANES)
        by_planes = -xp.sum(phi_bar * kept.phi, axis=(-3, -2, -1))
        spacing_bar = xp.stack([-by_ratio * h[1, ...] / h[0, ...] ** 2, by_ratio / h[0, ...], by_planes / h[2, ...]])
        charge_bar = xp.permute_dims(charge_bar, (0, 2, 3, 1))
        narrow = lambda a: xp.astype(a, self.stretch.dtype, copy=False)  # noqa: E731
        field = self.mesh.weights.beside(self._arranged(kept), narrow(charge_bar))
        return field, Back(narrow(spacing_bar), narrow(by_planes) / self.stretch)

    def _solved(self, charge: Array) -> Kept:
        """What follows from the charge of each node."""
        charge, h = _wide(charge), _wide(self.mesh.box.spacing)
        g, slope = plane_green(tuple(charge.shape[1:3]), h[1, ...] / h[0, ...], self.order)
        planes = namespace(charge).permute_dims(charge, (0, 3, 1, 2))
        return self._potential(planes, even_transform(g)[:, None, ...], slope)

    def _along(self, planes: Array) -> Array:
        """Planes ``(B, ntau, nx, ny)`` as a grid, per length along the beam."""
        return namespace(planes).permute_dims(planes, (0, 2, 3, 1)) * self._per_plane()

    def _potential(self, charge: Array, green: Array, slope: Array) -> Kept:
        """Potential of planes, per spacing of planes."""
        spectrum = transform(charge)
        return Kept(spectrum, green, slope, convolve(spectrum, green))

    def _pull_back(self, kept: Kept, phi_bar: Array) -> tuple[Array, Array]:
        """Cotangents of the charge of planes, and of the Green function."""
        spectrum = transform(phi_bar)
        return convolve(spectrum, kept.green), namespace(phi_bar).sum(correlate(kept.charge, spectrum), axis=1)

    def _factors(self) -> tuple[Array, Array]:
        """Of the differences along x and y."""
        h = _wide(self.mesh.box.spacing)
        return _per_node(-1.0 / h[0, ...]), _per_node(-1.0 / h[1, ...])

    def _per_plane(self) -> Array:
        """Charge of a plane to line density, at rest [1/m]."""
        return _per_node(1.0 / (_wide(self.stretch) * _wide(self.mesh.box.spacing[2, ...])))


class Shared(Sliced):
    """All planes with one shape, times the charge that each has of the whole."""

    __slots__ = ()

    def _potential(self, charge: Array, green: Array, slope: Array) -> Kept:
        xp = namespace(charge)
        spectrum = transform(xp.sum(charge, axis=1, keepdims=True))
        shape, density = convolve(spectrum, green), self._density(charge)
        return Kept(spectrum, green, slope, shape * density, shape, density)

    def _pull_back(self, kept: Kept, phi_bar: Array) -> tuple[Array, Array]:
        xp = namespace(phi_bar)
        spectrum = transform(xp.sum(phi_bar * kept.density, axis=1, keepdims=True))
        by_density = xp.sum(phi_bar * kept.shape, axis=PLANES, keepdims=True)
        # A charge makes its plane's part greater and that of all others less.
        along = by_density - xp.sum(by_density * kept.density, axis=1, keepdims=True)
        charge_bar = convolve(spectrum, kept.green) + along / self._total(kept)
        return charge_bar, xp.sum(correlate(kept.charge, spectrum), axis=1)

    @staticmethod
    def _total(kept: Kept) -> Array:
        """The whole charge, or 1 where there is none: its transform at frequency 0."""
        xp = namespace(kept.charge)
        total = xp.real(kept.charge[..., :1, :1])
        return xp.where(total == 0.0, xp.ones_like(total), total)

    @staticmethod
    def _density(charge: Array) -> Array:
        """Part of the charge that each plane has ``(B, ntau, 1, 1)``."""
        xp = namespace(charge)
        of_plane = xp.sum(charge, axis=PLANES, keepdims=True)
        total = xp.sum(of_plane, axis=1, keepdims=True)
        return of_plane / xp.where(total == 0.0, xp.ones_like(total), total)


def _wide(a: Array) -> Array:
    """In the widest float of the device."""
    return namespace(a).astype(a, backends.of(a).wide(a), copy=False)


def _per_node(a: Array) -> Array:
    """Shape ``(B,)`` to meet grids."""
    return a[:, None, None, None]
