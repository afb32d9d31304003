"""Space charge of a beam that is long beside its width, in free space: 2.5 dimensions, for rings and long bunches.

The transverse field at any place is that of an endless beam with the line density there. It is right where the density
changes little over sigma_x/gamma, the reach of the field along the beam; then it is the three-dimensional one, at a
fraction of its cost. Forces along the beam are left out (no g-factor): they hang on the pipe. See ``slices``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from backbeam.effects.space_charge.kick import SpaceCharge3D
from backbeam.effects.space_charge.slices import Shared, Sliced
from backbeam.errors import InputError

if TYPE_CHECKING:
    from backbeam.effects.space_charge.drive import Drive
    from backbeam.effects.space_charge.mesh import Mesh

PROFILES = {"shared": Shared, "sliced": Sliced}
"""shared: one transverse shape for the whole bunch. sliced: each plane of nodes has its own."""


@dataclass(frozen=True)
class SpaceCharge25D(SpaceCharge3D):
    """Space charge of a long beam: open space across, the line density along.

    Parameters
    ----------
    grid:
        Nodes along x, y and the beam.
    profile:
        "shared": the transverse shape of the whole bunch, times the line density; "sliced": each place along the beam
        has its own shape, with the noise of the particles there.

    All others are those of `SpaceCharge3D`.

    Examples
    --------
    >>> bb.SpaceCharge25D().kind
    'space_charge_2.5d'
    """

    profile: str = "shared"

    kind: ClassVar[str] = "space_charge_2.5d"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.profile not in tuple(PROFILES):
            raise InputError("space_charge.profile", self.profile, " or ".join(PROFILES))

    def _gridded(self, mesh: Mesh, drive: Drive) -> Sliced:
        return PROFILES[self.profile](mesh, drive.stretch, self.order)
