"""Whose a parameter is: ``owner.parameter``. The owner is all before the last dot, for names have dots themselves.

``beam.charge`` is the beam's. Where a line has an element called ``beam``, that element's parameters are its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backbeam.line import Line

BEAM = "beam"


def is_of_beam(path: str, line: Line) -> bool:
    """Whether a path is one of a parameter of the beam."""
    owner, _, field = path.rpartition(".")
    return owner == BEAM and not (BEAM in line and field in line[BEAM].parameter_names())


def of_line(paths: Iterable[str], line: Line) -> list[str]:
    """Paths that are not of the beam."""
    return [path for path in paths if not is_of_beam(path, line)]
