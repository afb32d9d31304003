"""Slices of a bunch along tau: what a figure of current, slice emittance and slice energy spread is drawn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backbeam import moments
from backbeam.arrays import Array, namespace
from backbeam.errors import InputError
from backbeam.species import SPEED_OF_LIGHT

if TYPE_CHECKING:
    from backbeam.beam.measures import Measures


@dataclass(frozen=True, eq=False)
class Slices:
    """Moments by slice, each ``(..., n)``; 0 in a slice without particles."""

    tau: Array
    """Middle of each slice [m]."""
    charge: Array
    """Signed [C]."""
    current: Array
    """Magnitude of charge over the time that a slice takes to pass [A]."""
    particles: Array
    """Number of macroparticles."""
    emittance_x: Array
    """Geometric [m], as is ``emittance_y``."""
    emittance_y: Array
    sigma_pt: Array
    """Spread of pt about the slice's own mean."""
    mean_pt: Array


def slices_of(beam: Measures, count: int) -> Slices:
    """Cut the living of a beam into slices of equal length in tau, from the head to the tail.

    Raises
    ------
    InputError
        For a number of slices below 1.
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise InputError("slices", count, "a whole number, at least 1")
    xp, tau, alive = namespace(beam.coordinates), beam.tau, beam.alive
    large = xp.full_like(tau, float("inf"))
    head = xp.min(xp.where(alive, tau, large), axis=-1)
    tail = xp.max(xp.where(alive, tau, -large), axis=-1)
    some = xp.any(alive, axis=-1)
    head, tail = (xp.where(some, end, xp.zeros_like(end)) for end in (head, tail))
    width = (tail - head) / count
    found: dict[str, list[Array]] = {name: [] for name in Slices.__dataclass_fields__}
    for k in range(count):
        low, high = head + k * width, head + (k + 1) * width
        inside = alive & (tau >= low[..., None])
        inside = inside & ((tau <= tail[..., None]) if k + 1 == count else (tau < high[..., None]))
        X, q = beam.coordinates, beam.charges
        one = xp.astype(inside, q.dtype)
        charge = xp.sum(one * q, axis=-1)
        energy = X[..., 5:6, :]
        values = {
            "tau": 0.5 * (low + high),
            "charge": charge,
            "current": moments.safe_divide(xp.abs(charge) * SPEED_OF_LIGHT, width),
            "particles": xp.sum(xp.astype(inside, xp.int32), axis=-1),
            "emittance_x": moments.plane(X[..., 0:2, :], q, inside).emittance,
            "emittance_y": moments.plane(X[..., 2:4, :], q, inside).emittance,
            "sigma_pt": moments.sigma(energy, q, inside)[..., 0],
            "mean_pt": moments.centroid(energy, q, inside)[..., 0],
        }
        for name, value in values.items():
            found[name].append(value)
    return Slices(**{name: xp.stack(values, axis=-1) for name, values in found.items()})
