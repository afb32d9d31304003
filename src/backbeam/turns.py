"""What is recorded of a beam turn by turn: `Record` says what, `Turns` is what comes out.

A record is a few readings at the start of the ring, before the first and after every turn. They have pullbacks as all
readings have, so that an objective may be of any turn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from array_api_compat import device

from backbeam import backends, moments
from backbeam.arrays import COORDINATES, Array, namespace
from backbeam.errors import InputError
from backbeam.observation import Observation
from backbeam.scalars import plain

TURNS = "turns"
"""What a record is called among the readings of a beam."""
MOMENTS, PARTICLES = "turns.moments", "turns.particles"
"""Its readings, of each time: see `BeamMoments` and `Particles`."""


def number_of_turns(turns: Any) -> int:
    """A number of turns as a whole number; `InputError` if it is none."""
    turns = plain(turns)
    if isinstance(turns, bool) or not isinstance(turns, int) or turns < 1:
        raise InputError("track.turns", turns, "a whole number, at least 1")
    return turns


@dataclass(frozen=True)
class Record:
    """What is noted before the first and after every turn: the beam's moments, and particles that are named.

    Parameters
    ----------
    particles:
        Indices of those whose coordinates are noted.

    Examples
    --------
    >>> ring = bb.Line([bb.Drift(1.0)])
    >>> beam = bb.Beam.gaussian(n=1000, species="electron", kinetic_energy=50e6, charge=1e-9, sigma_x=1e-3)
    >>> out = bb.track(ring, beam, turns=3, record=bb.Record(particles=[0]))
    >>> out.readings["turns"].mean.shape
    (6, 4)
    """

    particles: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        given = self.particles
        try:
            chosen = tuple(int(k) for k in given)
            whole = all(k == one and k >= 0 for k, one in zip(chosen, given, strict=True))
        except (TypeError, ValueError):
            whole = False
        if not whole:
            raise InputError("record.particles", given, "indices of particles, from 0")
        object.__setattr__(self, "particles", chosen)

    def readings(self) -> tuple[tuple[Observation, str], ...]:
        """What is read each time, and its name."""
        of_particles = ((Particles(self.particles), PARTICLES),) if self.particles else ()
        return ((BeamMoments(), MOMENTS), *of_particles)

    def check(self, n: int) -> None:
        """Raise `InputError` for a particle that a beam of n has not."""
        for k in self.particles:
            if k >= n:
                raise InputError("record.particles", k, f"indices from 0 to {n - 1}")


class Turns(NamedTuple):
    """A beam at the start of the ring, before the first and after every turn: T + 1 times."""

    mean: Array
    """``(..., 6, T + 1)`` [m, 1], of those alive."""
    cov: Array
    """Covariance ``(..., 6, 6, T + 1)``."""
    alive: Array
    """Number of particles alive ``(..., T + 1)``."""
    particles: Array | None
    """Coordinates of the chosen particles ``(..., 6, k, T + 1)``."""

    @property
    def sigma(self) -> Array:
        """Rms sizes ``(..., 6, T + 1)``."""
        xp = namespace(self.cov)
        return moments.safe_sqrt(xp.stack([self.cov[..., k, k, :] for k in range(len(COORDINATES))], axis=-2))

    def emittance(self, plane: str) -> Array:
        """Geometric rms emittance [m] of plane x, y or z ``(..., T + 1)``."""
        k = 2 * "xyz".index(plane)
        qq, qp, pp = self.cov[..., k, k, :], self.cov[..., k, k + 1, :], self.cov[..., k + 1, k + 1, :]
        slope = moments.safe_divide(qp, qq)
        return moments.safe_sqrt(qq) * moments.safe_sqrt(pp - slope * qp)


def recorded(readings: Mapping[str, Any]) -> dict[str, Any]:
    """Readings of a beam, those of a record as `Turns`."""
    if MOMENTS not in readings:
        return dict(readings)
    xp = namespace(readings[MOMENTS][0])
    numbers = xp.stack(readings[MOMENTS], axis=-1)
    cov = xp.reshape(numbers[..., 6:42, :], (*numbers.shape[:-2], 6, 6, numbers.shape[-1]))
    chosen = xp.stack(readings[PARTICLES], axis=-1) if PARTICLES in readings else None
    found = Turns(numbers[..., :6, :], cov, numbers[..., 42, :], chosen)
    return {TURNS: found, **{name: reading for name, reading in readings.items() if name not in (MOMENTS, PARTICLES)}}


@dataclass(frozen=True)
class BeamMoments(Observation):
    """Mean, covariance row by row, and number alive: ``(..., 43)``."""

    def read(self, X: Array, q: Array, alive: Array) -> Array:
        """Of those alive."""
        xp, (mean, cov) = namespace(X), moments.mean_and_cov(X, q, alive)
        count = xp.sum(xp.astype(xp.broadcast_to(alive, q.shape), X.dtype), axis=-1, keepdims=True)
        return xp.concat([mean, xp.reshape(cov, (*mean.shape[:-1], 36)), count], axis=-1)

    def pullback(self, X: Array, q: Array, alive: Array, reading_bar: Array) -> tuple[Array, Array]:
        """Of the moments; a number of particles has no slope."""
        cov_bar = namespace(X).reshape(reading_bar[..., 6:42], (*reading_bar.shape[:-1], 6, 6))
        return moments.pullback(X, q, alive, reading_bar[..., :6], cov_bar)


@dataclass(frozen=True)
class Particles(Observation):
    """Coordinates of some particles ``(..., 6, k)``, the lost where they were lost."""

    index: tuple[int, ...]

    def _index(self, X: Array) -> Array:
        xp = namespace(X)
        return xp.asarray(list(self.index), dtype=xp.int32, device=device(X))

    def read(self, X: Array, q: Array, alive: Array) -> Array:
        """Their columns."""
        return namespace(X).take(X, self._index(X), axis=-1)

    def pullback(self, X: Array, q: Array, alive: Array, reading_bar: Array) -> tuple[Array, Array]:
        """Into their columns."""
        xp = namespace(X)
        flat = xp.reshape(reading_bar, (-1, len(self.index)))
        found = backends.of(X).scatter_add(flat, self._index(X), X.shape[-1])
        return xp.reshape(found, X.shape), xp.zeros_like(q)
