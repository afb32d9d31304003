"""What the particles of a beam are on average: moments weighted by charge, and the rows they are made of.

All are of the particles that are alive, and 0, never NaN, where none is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from backbeam import moments
from backbeam.arrays import COORDINATES, Array, namespace, over_particles
from backbeam.beam.slices import Slices, slices_of
from backbeam.errors import InputError
from backbeam.moments import Plane

if TYPE_CHECKING:
    from backbeam.reference import Reference
    from backbeam.species import Species

PLANES = {"x": 0, "y": 2, "z": 4}
"""First row of each plane's pair; z is (tau, pt)."""


class PlaneTwiss(NamedTuple):
    """Twiss parameters of a plane, each ``(...)``; all 0 where the emittance is."""

    beta: Array
    """<q^2>/emittance [m]"""
    alpha: Array
    """-<q p>/emittance"""
    gamma: Array
    """<p^2>/emittance [1/m]"""
    emittance: Array
    """rms geometric emittance [m]"""


class OfPlanes:
    """What follows from the second moments of a plane and the reference, for particles and for moments alike."""

    reference: Reference

    def plane(self, plane: str) -> Plane:
        """Second moments of plane x, y or z, which is (tau, pt)."""
        raise NotImplementedError

    @property
    def species(self) -> Species:
        """Kind of particle."""
        return self.reference.species

    @property
    def kinetic_energy(self) -> Array:
        """Of the reference [eV]."""
        return self.reference.kinetic_energy

    @property
    def gamma(self) -> Array:
        """Lorentz factor of the reference."""
        return self.reference.gamma

    @property
    def beta(self) -> Array:
        """Velocity of the reference over c."""
        return self.reference.beta

    def emittance(self, plane: str) -> Array:
        """Geometric rms emittance [m] of plane x, y or z, ``(...)``; never negative."""
        return self.plane(plane).emittance

    def normalized_emittance(self, plane: str) -> Array:
        """beta0 gamma0 times the geometric emittance [m], in plane z too, ``(...)``."""
        return self.reference.beta_gamma * self.emittance(plane)

    def twiss(self, plane: str) -> PlaneTwiss:
        """Twiss parameters of plane x, y or z."""
        p = self.plane(plane)
        return PlaneTwiss(p.beta, p.alpha, p.gamma, p.emittance)


class Measures(OfPlanes):
    """Rows and moments of what has coordinates, charges, a reference and losses."""

    coordinates: Array
    charges: Array
    lost_at: Array

    @property
    def x(self) -> Array:
        """Horizontal position [m], ``(..., n)``."""
        return self.coordinates[..., 0, :]

    @property
    def px(self) -> Array:
        """P_x/P0, ``(..., n)``."""
        return self.coordinates[..., 1, :]

    @property
    def y(self) -> Array:
        """Vertical position [m], ``(..., n)``."""
        return self.coordinates[..., 2, :]

    @property
    def py(self) -> Array:
        """P_y/P0, ``(..., n)``."""
        return self.coordinates[..., 3, :]

    @property
    def tau(self) -> Array:
        """Delay c (t - t0) [m], ``(..., n)``."""
        return self.coordinates[..., 4, :]

    @property
    def pt(self) -> Array:
        """(E - E0)/(P0 c), ``(..., n)``."""
        return self.coordinates[..., 5, :]

    @property
    def alive(self) -> Array:
        """Boolean ``(..., n)``."""
        return self.lost_at < 0

    @property
    def n(self) -> int:
        """Number of macroparticles, lost ones included."""
        return self.coordinates.shape[-1]

    @property
    def charge(self) -> Array:
        """Charge of all that is alive [C], signed, ``(...)``."""
        xp = namespace(self.charges)
        return over_particles(xp.astype(self.alive, self.charges.dtype) * self.charges)

    @property
    def lost(self) -> Array:
        """Number of lost particles, ``(...)``."""
        xp = namespace(self.lost_at)
        return xp.sum(xp.astype(self.lost_at >= 0, xp.int32), axis=-1)

    def mean(self, name: str | None = None) -> Array:
        """Mean of all coordinates ``(..., 6)``, or of one ``(...)``."""
        if name is None:
            return moments.centroid(self.coordinates, self.charges, self.alive)
        return moments.centroid(self._row(name), self.charges, self.alive)[..., 0]

    def sigma(self, name: str | None = None) -> Array:
        """Rms size about the mean of all coordinates ``(..., 6)``, or of one ``(...)``."""
        if name is None:
            return moments.sigma(self.coordinates, self.charges, self.alive)
        return moments.sigma(self._row(name), self.charges, self.alive)[..., 0]

    def cov(self) -> Array:
        """Covariance ``(..., 6, 6)``."""
        return moments.cov(self.coordinates, self.charges, self.alive)

    def moments(self) -> moments.Moments:
        """Mean ``(..., 6)`` and covariance ``(..., 6, 6)`` together, with ``sigma`` from them.

        For a batch of beams this is the quickest way to all of them.
        """
        return moments.mean_and_cov(self.coordinates, self.charges, self.alive)

    def plane(self, plane: str) -> Plane:
        """Second moments of plane x, y or z, which is (tau, pt)."""
        return moments.plane(self.pair(plane), self.charges, self.alive)

    def dispersion(self, plane: str) -> tuple[Array, Array]:
        """Dispersion and its slope in plane x or y, <q pt>/<pt^2> [m] and <p pt>/<pt^2>, each ``(...)``.

        They are with respect to pt; with respect to delta = P/P0 - 1 they are beta0 times that. Both are 0 in
        a beam without spread of pt.
        """
        q, p = self.pair(plane)[..., 0, :], self.pair(plane)[..., 1, :]
        stack = namespace(q).stack
        along = (moments.plane(stack([self.pt, row], axis=-2), self.charges, self.alive) for row in (q, p))
        first, second = (m.slope for m in along)
        return first, second

    def slices(self, count: int) -> Slices:
        """Current, emittances and energy spread of slices of equal length in tau, from the head to the tail."""
        return slices_of(self, count)

    def pair(self, plane: str) -> Array:
        """Rows (q, p) of plane x, y or z, ``(..., 2, n)``."""
        if not isinstance(plane, str) or plane not in PLANES:
            raise InputError("plane", plane, f"one of {', '.join(PLANES)}")
        first = PLANES[plane]
        return self.coordinates[..., first : first + 2, :]

    def _row(self, name: str) -> Array:
        if not isinstance(name, str) or name not in COORDINATES:
            raise InputError("coordinate", name, f"one of {', '.join(COORDINATES)}")
        k = COORDINATES.index(name)
        return self.coordinates[..., k : k + 1, :]
