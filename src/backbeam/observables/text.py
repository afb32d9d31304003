"""Objectives as they are written: ``sigma_x``, ``2 sigma_x + sigma_y``, ``reading:bpm1.x``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from backbeam.arrays import COORDINATES
from backbeam.beam import PLANES
from backbeam.errors import InputError
from backbeam.observables.base import Objective, WeightedSum
from backbeam.observables.coordinates import Mean, Sigma, energy_spread
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
_TERM = re.compile(r"(?:([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*[*\s]\s*)?(\S+)")


def named(text: str) -> Objective:
    """Objective by its name: ``sigma_x``, ``mean_tau``, ``normalized_emittance_y``, ``charge``, ``reading:bpm1.x``, ...

    ``reading:bpm1[2].x`` is the third reading of a monitor that is passed several times.

    Raises
    ------
    InputError
        If there is none of that name; it lists them all.
    """
    found = catalogue()
    if text in found:
        return found[text]
    match = _READING.fullmatch(text)
    if match is None:
        raise InputError("objective", text, f"one of {', '.join(found)}, reading:MONITOR.x, reading:MONITOR.y")
    element, passage, component = match.groups()
    return reading(element, component, None if passage is None else int(passage))


def expression(text: str) -> Objective:
    """Objective by its name, or a weighted sum: ``2 sigma_x + 0.5*sigma_y - mean_x``, with spaces around + and -.

    Raises
    ------
    InputError
        For what is no such sum, or a name that is not known.
    """
    parts = re.split(r"\s+([-+])\s+", str(text).strip())
    signs = [1.0, *(1.0 if sign == "+" else -1.0 for sign in parts[1::2])]
    terms: list[tuple[float, Objective]] = []
    for sign, part in zip(signs, parts[::2], strict=True):
        match = _TERM.fullmatch(part)
        if match is None:
            raise InputError("objective", text, "an objective, or a sum such as 2 sigma_x + 0.5 sigma_y")
        weight, name = match.groups()
        terms.append((sign * float(weight or 1.0), named(name)))
    return terms[0][1] if len(terms) == 1 and terms[0][0] == 1.0 else WeightedSum(tuple(terms))


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
    return WeightedSum(tuple((float(weight), named(name)) for name, weight in weights.items()))
