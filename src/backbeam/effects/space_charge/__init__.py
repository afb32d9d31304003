"""Space charge: the field of the beam itself, as a kick between two maps.

`SpaceCharge` is the contract of a model. `SpaceCharge2DPipe` is the field of a long beam in a grounded pipe
(``pipe``, with its waves in ``pipe_waves``), and `SpaceCharge3D` that of a bunch in free space (``kick``). Particles
get to nodes and back by `backbeam.effects.mesh.cloud_in_cell`; what else it is made of stands in files of its own:

=================== ======================================================================
``drive``           how strongly the field moves momenta: the mean energy of the charge
``extents``         which box the grid covers, and the gradient through it
``core``            the extent with a second box about the core of the charge
``named``           extents by name
``levels``          the field by one grid, or by two
``beyond``          a wider one for particles without charge beyond all of it
``mesh``            particles on the grid that covers the charge
``gridded``         one grid as a linear map, from charges to the field at the particles
``particles``       what happens to each particle on its own
``planes``          where a kick is made: at fixed s, or at the time of the reference, and back
``validity``        where the model ends
``transforms``      coordinates at fixed s and at fixed t
``green``           potential of a uniformly charged cell
``steep``           a grid where there is no float64, and
``steep_green``     differences of the Green function, for it
``poisson``         convolution with it by FFT
``stencil``         difference quotients
``field``           potential and field of a charged grid, and the way back
=================== ======================================================================
"""

from __future__ import annotations

from backbeam.effects.space_charge.base import SpaceCharge
from backbeam.effects.space_charge.core import AutoExtent
from backbeam.effects.space_charge.extents import BeamExtent, Extent, FixedExtent, RmsExtent
from backbeam.effects.space_charge.kick import Fields, SpaceCharge3D
from backbeam.effects.space_charge.long_beam import SpaceCharge25D
from backbeam.effects.space_charge.pipe import SpaceCharge2DPipe

__all__ = [
    "AutoExtent",
    "BeamExtent",
    "Extent",
    "Fields",
    "FixedExtent",
    "RmsExtent",
    "SpaceCharge",
    "SpaceCharge2DPipe",
    "SpaceCharge3D",
    "SpaceCharge25D",
]
