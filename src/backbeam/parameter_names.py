"""Parameters of a course and its beam by name: what a pattern stands for, their values, units, and usual sizes."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import numpy as np

from backbeam.beam import Beam
from backbeam.course import Course
from backbeam.distributions.inputs import UNITS
from backbeam.errors import InputError
from backbeam.paths import is_of_beam

ARRAYS_OF_BEAM = ("beam.coordinates", "beam.charges")
"""What of a beam has as many numbers as there are particles."""
TYPICAL = {"m": 1e-3, "rad": 1e-3, "1": 1e-3, "C": 1e-9, "eV": 1e6, "V": 1e6, "Hz": 1e9}
"""Scale of a parameter that is 0, by unit. That of a strength 1/m^k is a kick of 1 mrad/m at 1 mm."""


def expand(patterns: Sequence[str], course: Course, beam: Beam) -> tuple[str, ...]:
    """Names of single numbers that a gradient is asked for, each once, in order.

    Parameters
    ----------
    patterns:
        Names, ``qf.k1`` or ``beam.charge``; and patterns, ``*.k1``, ``q?.*``, ``beam.sigma_*``, which stand for all
        parameters present that they fit, or else for all knobs. Those of the beam are meant only where a pattern begins
        with ``beam.``.

    Raises
    ------
    InputError
        For a name that is not known, a pattern that fits nothing, or a parameter that is an array.
    """
    found: dict[str, None] = {}
    mine = [name for name, value in course.parameters.items() if not np.shape(value)]
    for pattern in _joined(patterns, course):
        known = [f"beam.{name}" for name in beam.parameters()] if pattern.startswith("beam.") else mine
        if pattern in known or not set(pattern) & set("*?[") or _has_owner(pattern, course):
            _check_number(pattern, course)
            found[pattern] = None
            continue
        fitting = [name for name in known if fnmatchcase(name, pattern)]
        fitting = fitting or [name for name in course.line.knobs if fnmatchcase(name, pattern)]
        if not fitting:
            fields = dict.fromkeys(name.rpartition(".")[2] for name in known)
            raise InputError("wrt", pattern, f"a pattern that a parameter fits; those here end in {', '.join(fields)}")
        found.update(dict.fromkeys(fitting))
    return tuple(found)


def _has_owner(path: str, course: Course) -> bool:
    """Whether what is before the last dot of a path is the name of an element or an effect."""
    owner, dot, _ = path.rpartition(".")
    return bool(dot) and (owner in course.line or owner in course.effects)


def _joined(patterns: Sequence[str], course: Course) -> list[str]:
    """Patterns, of which those are one again that were cut at a comma within the name of an element."""
    found = list(patterns)
    for start in range(len(found)):
        for stop in range(start + 2, len(found) + 1):
            path = ",".join(found[start:stop])
            if _has_owner(path, course):
                return [*found[:start], path, *_joined(found[stop:], course)]
    return found


def _check_number(name: str, course: Course) -> None:
    array = name in ARRAYS_OF_BEAM if is_of_beam(name, course.line) else np.shape(course.get(name)) != ()
    if array:
        raise InputError("wrt", name, "parameters that are one number; value_and_grad of Python gives arrays")


def value_of(name: str, course: Course, beam: Beam) -> float:
    """Value of a parameter of the course or the beam; 0 for one that its owner leaves out."""
    field = name.rpartition(".")[2]
    if not is_of_beam(name, course.line):
        return float(course.get(name) or 0.0)
    value = beam.reference.beta_gamma if field == "beta_gamma" else beam.parameters()[field]
    return float(beam.backend.to_numpy(value))


def unit_of(name: str, course: Course) -> str:
    """Unit of a parameter; ``1`` for a number without."""
    field = name.rpartition(".")[2]
    if is_of_beam(name, course.line):
        return next((unit for start, unit in UNITS if field.startswith(start)), "1")
    return course.unit(name)


def scale_of_parameter(value: float, unit: str) -> float:
    """Size that changes of a parameter are measured against: its own, or a typical one where it is 0."""
    if value:
        return abs(value)
    if unit.startswith("1/m"):
        return 1e-3 * 1e3 ** (int(unit.partition("^")[2] or 1) - 1)
    return TYPICAL.get(unit, 1.0)
