"""A beam: macroparticles about a reference particle, with their charges, in any array library.

``beam`` is what it holds and how it changes; ``constructors`` make one, of arrays, files or a distribution;
``measures`` are what its particles are on average; ``parameters`` what it was made from, to be made again; ``slices``
cut it along tau.
"""

from __future__ import annotations

from backbeam.beam.beam import Beam, BeamCotangent
from backbeam.beam.measures import PLANES, PlaneTwiss
from backbeam.beam.slices import Slices

__all__ = ["PLANES", "Beam", "BeamCotangent", "PlaneTwiss", "Slices"]
