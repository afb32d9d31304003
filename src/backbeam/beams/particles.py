"""Particles as most codes write them, places, momenta and times one by one, and the beam that they are.

A list may be of one place (fixed s: a screen) or of one time (a snapshot); backbeam's coordinates are those at
fixed s, so that particles at several z drift to one of them first. Taking a snapshot's times as they stand would
give every particle the same tau.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from backbeam.arrays import COORDINATES
from backbeam.beam import Beam
from backbeam.beams.asked import Asked, tell
from backbeam.errors import InputError
from backbeam.species import SPEED_OF_LIGHT, Species


@dataclass(frozen=True, eq=False)
class ParticleList:
    """Particles of a file, each row ``(n,)`` in float64.

    ``momentum`` P0 c and ``time`` t0 are those of the reference if the file knows it; None: the means of its
    particles, weighted by charge.
    """

    species: Species | None
    x: Any
    y: Any
    z: Any
    """m"""
    px: Any
    py: Any
    pz: Any
    """eV/c"""
    t: Any
    """s"""
    charges: Any
    """C, of either sign; None: the file does not say."""
    alive: Any = True
    """Boolean ``(n,)``"""
    momentum: float | None = None
    """eV/c"""
    time: float | None = None
    excess: Any = None
    """p - ``momentum`` [eV/c] where the file holds it, which is more exact than the difference."""
    s: float = 0.0

    def beam(self, asked: Asked, source: str) -> Beam:
        """The living particles as a beam at fixed s.

        Raises
        ------
        InputError
            If nobody is alive, or some do not go forward; and for what neither the file nor ``asked`` says.
        """
        species = asked.species_or(self.species, source)
        rows = [self.x, self.y, self.z, self.px, self.py, self.pz, self.t, 0.0 if self.excess is None else self.excess]
        n = np.size(self.x)
        alive = np.broadcast_to(np.asarray(self.alive, dtype=bool), (n,))
        if not alive.any():
            raise InputError("beam.file", source, f"a beam: none of its {n} particles is alive")
        if not alive.all():
            gone = int(n - alive.sum())
            tell(f"{source}: {gone} of {n} particles are lost, not yet emitted or probes, and left out")
        x, y, z, px, py, pz, t, excess = (np.broadcast_to(np.asarray(r, dtype=np.float64), (n,))[alive] for r in rows)
        if not all(np.isfinite(row).all() for row in (x, y, z, px, py, pz, t)):
            raise InputError("beam.file", source, "finite numbers")
        found = None if self.charges is None else np.broadcast_to(self.charges, (n,))[alive]
        q = _charges(found, species, asked, len(x))
        if not (pz > 0.0).all():
            stuck = f"{int((pz <= 0.0).sum())} of {len(x)} particles do not go forward, as at a cathode: {source}"
            raise InputError("beam.file", stuck, "a beam whose particles all have pz > 0")

        weights = np.abs(q) / np.abs(q).sum() if q.any() else np.full(len(x), 1.0 / len(x))
        p = np.sqrt(px * px + py * py + pz * pz)
        p0, t0 = self.momentum, self.time
        if asked.reference_momentum is not None:
            p0 = float(asked.reference_momentum)
        if p0 is None:
            p0 = float(weights @ p)
        if self.excess is None or p0 != self.momentum:
            excess = p - p0
        energy, e0 = np.hypot(p, species.mass), np.hypot(p0, species.mass)
        if (z != z[0]).any():
            step = weights @ z - z
            x, y, t = x + step * px / pz, y + step * py / pz, t + step * energy / (pz * SPEED_OF_LIGHT)
            t0 = None
        if t0 is None:
            t0 = float(weights @ t)
        pt = excess * (p + p0) / ((energy + e0) * p0)
        by_name = dict(x=x, px=px / p0, y=y, py=py / p0, tau=SPEED_OF_LIGHT * (t - t0), pt=pt)
        X = np.stack([by_name[name] for name in COORDINATES])
        return Beam.from_arrays(X, species=species, reference_momentum=p0, charges=q).replace(s=float(self.s))


def _charges(found: Any, species: Species, asked: Asked, n: int) -> Any:
    """Charges signed as the species, scaled to the total asked for; split evenly where the file has none."""
    magnitude = None if found is None else np.abs(np.asarray(found, dtype=np.float64))
    if asked.charge is not None:
        total = 0.0 if magnitude is None else magnitude.sum()
        if magnitude is None or not total > 0.0:
            return even_charges(species, asked.charge, n)
        magnitude = abs(float(asked.charge)) * (magnitude / total)
    if magnitude is None:
        raise InputError("beam.charge", None, "a total charge in C: the file does not say it")
    return np.sign(species.charge_number) * magnitude


def even_charges(species: Species, charge: float, n: int) -> Any:
    """A total charge [C], signed as the species, split evenly."""
    return np.full(n, np.sign(species.charge_number) * abs(float(charge)) / n)


def list_of(beam: Beam) -> dict[str, Any]:
    """Arrays of a beam as other codes have them: at z = 0, in m, s, eV/c and C, lost particles included.

    Also ``excess`` = p - P0 c, which loses no digits; and ``momentum`` = P0 c.

    Raises
    ------
    InputError
        For a batch of beams.
    """
    host = beam.backend.to_numpy
    X = np.asarray(host(beam.coordinates), dtype=np.float64)
    if X.ndim != 2:
        raise InputError("beam", f"a batch of shape {X.shape[:-2]}", "one beam, or a file of the format npz")
    u0 = float(host(beam.reference.beta_gamma))
    p0, inverse_beta = u0 * beam.species.mass, np.hypot(u0, 1.0) / u0
    x, px, y, py, tau, pt = X
    square = pt * (2.0 * inverse_beta + pt)
    alive = np.asarray(host(beam.lost_at)) < 0
    pz_squared = np.where(alive, 1.0 + square - px * px - py * py, 1.0)
    return {
        "x": x,
        "y": y,
        "z": np.zeros_like(x),
        "px": px * p0,
        "py": py * p0,
        "pz": np.sqrt(np.maximum(pz_squared, 0.0)) * p0,
        "t": tau / SPEED_OF_LIGHT,
        "weight": np.abs(np.asarray(host(beam.charges), dtype=np.float64)),
        "alive": alive,
        "excess": p0 * square / (1.0 + np.sqrt(np.maximum(1.0 + square, 0.0))),
        "momentum": p0,
        "s": float(host(beam.s) if hasattr(beam.s, "shape") else beam.s),
    }
