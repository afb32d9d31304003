"""Objectives by their names: ``sigma_x``, ``reading:bpm1.x``, ``tune_x``; and formulas of them, see `grammar`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from backbeam.arrays import COORDINATES
from backbeam.beam import PLANES
from backbeam.errors import InputError
from backbeam.observables.algebra import WeightedSum
from backbeam.observables.base import Objective
from backbeam.observables.coordinates import Mean, Sigma, energy_spread
from backbeam.observables.grammar import parse
from backbeam.observables.lattice import optics
from backbeam.observables.planes import Emittance, NormalizedEmittance, TwissAlpha, TwissBeta
from backbeam.observables.readings import reading
from backbeam.observables.whole import MeanSquareSize, TransmittedCharge


def catalogue() -> Mapping[str, Objective]:
    """Return every objective that has a name of its own, by that name."""
    of_planes = (Emittance, NormalizedEmittance, TwissBeta, TwissAlpha)
    objectives: list[Objective] = [
        *(Sigma(c) for c in COORDINATES),
        *(Mean(c) for c in COORDINATES),
        *(kind(plane) for kind in of_planes for plane in PLANES),
        MeanSquareSize(),
        energy_spread(),
        TransmittedCharge(),
    ]
    return {objective.name: objective for objective in objectives}


_READING = re.compile(r"reading:(\S+?)(?:\[(\d+)\])?\.([xy])")
OF_OPTICS = "optics."
"""Before what the beam and the optics both have: ``beta_x`` is the beam's, ``optics.beta_x`` the line's."""


def named(text: str, at: str | None = None) -> Objective:
    """Objective by its name: ``sigma_x``, ``mean_tau``, ``normalized_emittance_y``, ``charge``, ``reading:bpm1.x``, ...

    ``reading:bpm1[2].x`` is the third reading of a monitor that is passed several times. What is of the optics alone
    goes by its own name, ``tune_x``, or ``mu_x`` at a place; what the beam has too is ``optics.beta_x`` there.

    Raises
    ------
    InputError
        If there is none of that name; it lists them all.
    """
    found = catalogue()
    if text in found:
        return found[text].at(at)
    match = _READING.fullmatch(text)
    if match is not None:
        element, passage, component = match.groups()
        return reading(element, component, None if passage is None else int(passage)).at(at)
    what = text.removeprefix(OF_OPTICS)
    if what != text or what in of_optics_alone(found):
        return optics(what, at)
    allowed = f"one of {', '.join(found)}, reading:MONITOR.x, reading:MONITOR.y; optics.beta_x, ..., tune_x, ..."
    raise InputError("objective", text, allowed)


def of_optics_alone(of_beam: Mapping[str, Objective]) -> tuple[str, ...]:
    """Names of the optics that no objective of a beam has."""
    from backbeam.lattice_functions.functions import DISPERSIONS, PHASES
    from backbeam.lattice_functions.table import OF_A_RING

    names = (*OF_A_RING, *(f"mu_{plane}" for plane in PHASES), *DISPERSIONS)
    return tuple(name for name in names if name not in of_beam)


def expression(text: str) -> Objective:
    """Objective by its name, or a formula, ``2 sigma_x + (sigma_y @ m1)**2``; see `backbeam.observables.grammar`.

    Raises
    ------
    InputError
        For what is no such formula, or a name that is not known.
    """
    return parse(str(text), named)


def weighted(weights: Mapping[str, float]) -> Objective:
    """Weighted sum of objectives by their names: ``{"sigma_x": 1.0, "sigma_y": 2.0}``.

    Raises
    ------
    InputError
        For no terms, a weight that is no finite number, or a name that is not known.
    """
    if not weights:
        raise InputError("objective", weights, "at least one objective with its weight")
    for name, weight in weights.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not math.isfinite(weight):
            raise InputError(f"objective.{name}", weight, "a finite weight")
    return WeightedSum(tuple((float(weight), expression(name)) for name, weight in weights.items()))
