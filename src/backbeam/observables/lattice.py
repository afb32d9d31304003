"""What a line is judged by, of its optics."""

from __future__ import annotations

from typing import Any

from backbeam.observables.base import Objective


def optics(what: str, at: str | None = None, **options: Any) -> Objective:
    """A lattice function of the line, or a number of a ring: it judges the line, not the beam.

    Parameters
    ----------
    what:
        A column of the table of `backbeam.optics` (``beta_x``, ``mu_x``, ``dispersion_x``, ``x``, ...), or ``tune_x``,
        ``chromaticity_x``, ``momentum_compaction``, ...
    at:
        Element at whose end a column is meant, or "start" or "end"; None for the end, and for a number.
    options:
        ``start``, ``pt`` and ``per``, as in `backbeam.optics`.
    """
    from backbeam.lattice_functions.objectives import OfOptics

    return OfOptics(what, at, **options)
