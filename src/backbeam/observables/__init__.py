"""What a beam is judged by: objectives that give a number and pull a cotangent of it back to the beam.

``objective(beam)`` is the value, of the beam's batch shape; ``objective.pullback(beam, bar)`` is the transpose of its
derivative, by hand, so that a gradient needs no automatic differentiation. They are written as numbers are,
``(sigma("x") - 1e-3)**2 + log(emittance("y"))``, and may be of the beam behind an element, ``sigma("x", at="m1")``;
`expression` reads the same from a text, ``(sigma_x @ m1 - 1e-3)**2``. A `Target` is what one should be.

========================  ======================================================================================
``base`` ``algebra``      what an objective is, and what operators make of several
``coordinates`` ``planes``  of a beam: means and sizes, emittances and Twiss parameters
``whole`` ``within``      of a beam: its charge, its size about the axis, its charge within an opening
``quantiles``             of a beam: where a part of the charge lies
``readings`` ``images``   of what monitors and screens saw
``lattice``               of the line: its optics
``own``                   any function of a beam
``places``                any of them on the way
``target``                a value, or bounds, that one should have
``text`` ``grammar``      by names, and in formulas
========================  ======================================================================================

All moments are weighted by charge among the particles that are alive. Where a slope does not exist (a size or
an emittance of exactly 0, a beam that is all lost) it is 0.
"""

from __future__ import annotations

from backbeam.observables.algebra import WeightedSum, log, sqrt
from backbeam.observables.base import Objective
from backbeam.observables.coordinates import Mean, Sigma, energy_spread, mean, sigma
from backbeam.observables.images import ImageDistance, image_distance
from backbeam.observables.lattice import optics
from backbeam.observables.own import Own, own
from backbeam.observables.places import END, START
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
from backbeam.observables.quantiles import Quantile, quantile
from backbeam.observables.readings import MonitorReading, Reading, reading
from backbeam.observables.target import Target
from backbeam.observables.text import catalogue, expression, named, weighted
from backbeam.observables.whole import MeanSquareSize, TransmittedCharge, mean_square_size, transmitted_charge
from backbeam.observables.within import ChargeWithin, charge_within

__all__ = [
    "END",
    "START",
    "ChargeWithin",
    "Emittance",
    "ImageDistance",
    "Mean",
    "MeanSquareSize",
    "Mismatch",
    "MonitorReading",
    "NormalizedEmittance",
    "Objective",
    "Own",
    "Quantile",
    "Reading",
    "Sigma",
    "Target",
    "TransmittedCharge",
    "TwissAlpha",
    "TwissBeta",
    "WeightedSum",
    "catalogue",
    "charge_within",
    "emittance",
    "energy_spread",
    "expression",
    "image_distance",
    "log",
    "mean",
    "mean_square_size",
    "mismatch",
    "named",
    "normalized_emittance",
    "optics",
    "own",
    "quantile",
    "reading",
    "sigma",
    "sqrt",
    "transmitted_charge",
    "twiss_alpha",
    "twiss_beta",
    "weighted",
]
