"""What measures memory: one meter a library, beside the adapter that computes (`Backend.meter`).

==================== ==========================================================================================
``peak_memory``      the device's high-water mark: memory reports
``free_memory``      what the device can still give: the choice of an adjoint
``deposit_grids``    grids that threads fill: memory that depends on the number of cores
``in_hand``          particles of the blocks that threads work on: memory that does not grow with the beam
``release``          what waits for use again is let go before memory is measured
``peak_of``          the library's own books of its arrays: a witness of what a gradient takes
``tape_bytes``       what automatic differentiation keeps for the way back: the memory of `Tape`
``compiled_memory``  what a compiler says that a step takes: a witness where nobody keeps books
==================== ==========================================================================================
"""

from __future__ import annotations

from backbeam_backends.meters.base import Meter

__all__ = ["Meter"]
