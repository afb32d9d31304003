"""How strongly the field moves momenta, and how far tau is at rest: what a kick takes from the energy of the beam.

The charges stand still in their rest frame, whose gamma_b is that of their mean energy,

    gamma_b = gamma_0 + u_0 <pt>,    u_b = u_0 sqrt(1 + <pt> (2/beta_0 + <pt>)),    u = beta gamma,

with the mean weighted by charge over the living. In that frame a delay tau is a length u_b tau, and with phi = sum q/r
of lengths there, charge number Z and the constants of the laboratory cancelled against each other,

    d(px, py, -pt) = -k d phi/d(x, y, tau),    k = Z ds/(4 pi epsilon_0 m c^2 u_0 u_b)          [m c^2 in eV]

`MeanEnergy` is that. `OfReference` has the reference's own gamma_0, for positions at fixed t, where z is a length.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from backbeam.arrays import namespace
from backbeam.species import VACUUM_PERMITTIVITY

if TYPE_CHECKING:
    from backbeam.arrays import Array
    from backbeam.reference import Reference

COULOMB = 1.0 / (4.0 * math.pi * VACUUM_PERMITTIVITY)
"""1/(4 pi epsilon_0) [V m/C]."""

CANCELLED = 1e-6
"""Charges of both signs whose sum is a smaller part of them than this have no mean: that of the reference serves."""


class Drive(NamedTuple):
    """All ``(B,)``."""

    stretch: Array
    """Length at rest for each length along the third axis."""
    strength: Array
    """Change of momentum for each C/m^2 of field [m^2/C]."""
    pace: Array
    """Length along the third axis for each length of the laboratory."""


class Sums(NamedTuple):
    """Over the living, ``(B,)``."""

    charge: Array
    """Of q [C]."""
    size: Array
    """Of the magnitude of q [C]."""
    energy: Array
    """Of q pt [C]."""


class DriveBars(NamedTuple):
    """Cotangents on the way back from a `Drive`."""

    beta_gamma: Array
    ds: Array
    energy: Array
    """Of the sum of q pt: what the mean energy of the beam hangs on."""


def sums_of(q: Array, pt: Array, alive: Array | None) -> Sums:
    """Of rows ``(B, n)``; the lost have no charge, and any energy."""
    xp = namespace(q, pt)
    weighted = q * (pt if alive is None else xp.where(alive, pt, xp.zeros_like(pt)))
    sums = xp.sum(xp.stack([q, xp.abs(q), weighted]), axis=-1)
    return Sums(*(sums[k, ...] for k in range(3)))


def mean_of(sums: Sums) -> Array:
    """<pt> ``(B,)``, 0 where there is no charge."""
    return _over_charge(sums.energy, sums)


def _over_charge(a: Array, sums: Sums) -> Array:
    """Per charge ``(B,)``, 0 where there is none."""
    xp, one = namespace(a), namespace(a).ones_like(a)
    some = xp.abs(sums.charge) > CANCELLED * sums.size
    return xp.where(some, a, xp.zeros_like(a)) / xp.where(some, sums.charge, one)


class MeanEnergy:
    """The beam's own mean energy, at fixed s: the third axis is tau."""

    def of(self, reference: Reference, ds: Array, sums: Sums) -> Drive:
        """Drive of a kick over ``ds``."""
        xp, u0, mean = namespace(ds), reference.beta_gamma, mean_of(sums)
        u = u0 * xp.sqrt(1.0 + mean * (2.0 * reference.inverse_beta + mean))
        return Drive(u, _constant(reference) * ds / (u0 * u), xp.sqrt(1.0 + u * u) / u)

    def pull_back(self, reference: Reference, ds: Array, sums: Sums, drive: Drive, bars: Drive) -> DriveBars:
        """Cotangents from those of the drive."""
        u0, gamma0, u = reference.beta_gamma, reference.gamma, drive.stretch
        gamma = drive.pace * u
        mean, root = mean_of(sums), u / u0
        by_strength = bars.strength * drive.strength
        u_bar = bars.stretch - by_strength / u - bars.pace / (u * u * gamma)
        # d u_b/d u_0 = root - <pt>/(u_0 gamma_0 root), d u_b/d<pt> = gamma_b/root
        beta_gamma = u_bar * (root - mean / (u0 * gamma0 * root)) - by_strength / u0
        energy = _over_charge(u_bar * gamma / root, sums)
        return DriveBars(beta_gamma, bars.strength * _constant(reference) / (u0 * u), energy)


class OfReference:
    """The energy of the reference, at fixed t: the third axis is a length."""

    def of(self, reference: Reference, ds: Array, sums: Sums) -> Drive:
        """Drive of a kick over ``ds``."""
        u0 = reference.beta_gamma
        return Drive(reference.gamma, _constant(reference) * ds / (u0 * u0), namespace(u0).ones_like(u0))

    def pull_back(self, reference: Reference, ds: Array, sums: Sums, drive: Drive, bars: Drive) -> DriveBars:
        """Cotangents from those of the drive."""
        u0 = reference.beta_gamma
        beta_gamma = bars.stretch * reference.beta - 2.0 * bars.strength * drive.strength / u0
        ds_bar = bars.strength * _constant(reference) / (u0 * u0)
        return DriveBars(beta_gamma, ds_bar, namespace(u0).zeros_like(u0))


def _constant(reference: Reference) -> float:
    """Z/(4 pi epsilon_0 m c^2) [m/C]."""
    return COULOMB * reference.species.charge_number / reference.species.mass
