"""What a beam is judged by: objectives that give a number and pull a cotangent of it back to the beam.

``objective(beam)`` is the value, of the beam's batch shape; ``objective.pullback(beam, bar)`` is the transpose of its
derivative, by hand, so that a gradient needs no automatic differentiation. They add, subtract and scale,
``2 * sigma("x") + sigma("y")``, and `expression` reads such a sum from a text, ``2 sigma_x + sigma_y``.

All moments are weighted by charge among the particles that are alive. Where a slope does not exist (a size or
an emittance of exactly 0, a beam that is all lost) it is 0.
"""

from __future__ import annotations

from backbeam.observables.base import Objective, WeightedSum
from backbeam.observables.coordinates import Mean, Sigma, energy_spread, mean, sigma
from backbeam.observables.lattice import optics
from backbeam.observables.planes import (
    Emittance,
    Mismatch,
    NormalizedEmittance,
    TwissAlpha,
    TwissBeta,
    emittance,
    mismatch,
    normalized_emittance,
    twiss_alpha,
    twiss_beta,
)
from backbeam.observables.readings import MonitorReading, Reading, reading
from backbeam.observables.text import catalogue, expression, named, weighted
from backbeam.observables.whole import MeanSquareSize, TransmittedCharge, mean_square_size, transmitted_charge

__all__ = [
    "Emittance",
    "Mean",
    "MeanSquareSize",
    "Mismatch",
    "MonitorReading",
    "NormalizedEmittance",
    "Objective",
    "Reading",
    "Sigma",
    "TransmittedCharge",
    "TwissAlpha",
    "TwissBeta",
    "WeightedSum",
    "catalogue",
    "emittance",
    "energy_spread",
    "expression",
    "mean",
    "mean_square_size",
    "mismatch",
    "named",
    "normalized_emittance",
    "optics",
    "reading",
    "sigma",
    "transmitted_charge",
    "twiss_alpha",
    "twiss_beta",
    "weighted",
]
