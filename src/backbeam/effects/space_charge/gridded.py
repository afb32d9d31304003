"""One grid as a linear map: from charges to the field where the particles are, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from backbeam import backends
from backbeam.arrays import per_particle
from backbeam.effects.space_charge import particles
from backbeam.effects.space_charge.extents import Box
from backbeam.effects.space_charge.field import Back, electric_field, field_and_back, potential
from backbeam.effects.space_charge.mesh import Mesh

if TYPE_CHECKING:
    from backbeam.arrays import Array

    Rows = tuple[Array, ...]


class Gridded(NamedTuple):
    """The field of any charges of the particles on a mesh."""

    mesh: Mesh
    stretch: Array
    """Length at rest for each length along the third axis ``(B,)``."""
    order: int

    @property
    def falls(self) -> int:
        """With which power of the distance the field falls off, far away."""
        return 2

    def potential(self, charge: Array) -> Array:
        """Potential [C/m] of the charge of each node [C], both ``(B, nx, ny, nz)``."""
        return potential(charge, self.mesh.box, self.stretch, self.order)

    def field(self, q: Array) -> Any:
        """Field on the nodes, arranged for `read`, of charges ``(B, n)``."""
        phi = self.potential(self.mesh.deposit(q)[0, ...])
        return electric_field(phi, self.mesh.box, self.mesh.weights, self.order)

    def field_and_back(self, q: Array, e_bar: Rows, factor: Array) -> tuple[Any, Back]:
        """`field` with the cotangents of the charge of each node beside it, arranged for `slopes`; and `Back`.

        From the cotangents of the field where the particles are, ``factor (B,)`` times rows ``e_bar (B, n)``.
        """
        mesh = self.mesh
        return field_and_back(mesh.deposit(*e_bar, q), mesh.box, self.stretch, mesh.weights, self.order, factor)

    # -- for some of the particles, in blocks ----------------------------------------------------------------------

    def read(self, field: Any, r: Rows, box: Box) -> Array:
        """Field ``(3, B, n)`` at places r of the grid."""
        return self.mesh.weights.gather(field, r, *box, self.mesh.guard)

    def slopes(
        self, field: Any, e_bar: Rows, factor: Array, q: Array, r: Rows, placed: Rows | None, box: Box
    ) -> tuple[Array, Array, Rows, Any]:
        """Field at the particles, cotangents of charges and positions, and the sums of `particles.position_bars`."""
        at = r if placed is None else placed
        factors = (*(factor * bar for bar in e_bar), q)
        found, slopes = self.mesh.weights.gather_slope(field, factors, at, *box, self.mesh.guard)
        function = backends.of(q).compile(particles.position_bars)
        r_bar, sums = function(r, found[:3, ...], e_bar, slopes, placed, *map(per_particle, box))
        return found[:3, ...], found[3, ...], r_bar, sums


def box_bars(back: Back, sums: Any, factor: Array, box: Box) -> Box:
    """Cotangents of a box: through positions, and of its spacing through differences and the Green function as well."""
    along, centre_bar, spacing_bar = sums
    return Box(centre_bar, spacing_bar + back.spacing_bar - along * factor / box.spacing)
