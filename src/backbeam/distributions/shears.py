"""Chirp and dispersion of a drawn beam: what is added to some rows in proportion to others.

First pt gains ``chirp`` tau, then x, px, y and py gain their dispersion times pt, all about the means. So sigma_pt is
the energy spread of a slice where there is a chirp, sigma_x the size without dispersion, and `Beam.dispersion` of the
beam is the one asked for. As everywhere, dispersion is per pt [m, 1]: one per delta = P/P0 - 1 is beta0 times that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from backbeam.arrays import COORDINATES, Array, over_particles, per_particle, rows

DISPERSIONS = tuple(f"dispersion_{name}" for name in COORDINATES[:4])
SHEARS = ("chirp", *DISPERSIONS)
"""Names of the parameters."""


def sheared(rows_: Sequence[Array], parameters: Mapping[str, Array]) -> list[Array]:
    """The six rows with chirp and dispersion."""
    *transverse, tau, pt = rows_
    pt = pt + per_particle(parameters["chirp"]) * tau
    moved = (q + per_particle(parameters[name]) * pt for q, name in zip(transverse, DISPERSIONS, strict=True))
    return [*moved, tau, pt]


def sheared_pullback(
    rows_: Sequence[Array], parameters: Mapping[str, Array], X_bar: Array
) -> tuple[dict[str, Array], list[Array]]:
    """Cotangents of the parameters and of the six rows before, of the batch shape of X_bar ``(..., 6, n)``."""
    *_, tau, pt = rows_
    chirp = per_particle(parameters["chirp"])
    pt = pt + chirp * tau
    *transverse, tau_bar, pt_bar = rows(X_bar)
    own = {}
    for q_bar, name in zip(transverse, DISPERSIONS, strict=True):
        own[name] = over_particles(q_bar * pt)
        pt_bar = pt_bar + per_particle(parameters[name]) * q_bar
    own["chirp"] = over_particles(pt_bar * tau)
    return own, [*transverse, tau_bar + chirp * pt_bar, pt_bar]
