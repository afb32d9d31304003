"""Mean and rms size of a coordinate."""

from __future__ import annotations

from dataclasses import dataclass

from backbeam import moments
from backbeam.arrays import COORDINATES, Array
from backbeam.beam import Beam, BeamCotangent
from backbeam.errors import InputError
from backbeam.observables.base import Objective, among_six


@dataclass(frozen=True)
class OfCoordinate(Objective):
    """An objective of one coordinate."""

    coordinate: str

    def __post_init__(self) -> None:
        """Refuse what is no coordinate."""
        if self.coordinate not in COORDINATES:
            raise InputError("coordinate", self.coordinate, f"one of {', '.join(COORDINATES)}")

    def _row(self, beam: Beam) -> Array:
        k = COORDINATES.index(self.coordinate)
        return beam.coordinates[..., k : k + 1, :]

    def _cotangent(self, beam: Beam, row_bar: Array, q_bar: Array) -> BeamCotangent:
        return among_six(COORDINATES.index(self.coordinate), row_bar, q_bar)


@dataclass(frozen=True)
class Mean(OfCoordinate):
    """Mean of a coordinate."""

    @property
    def name(self) -> str:
        """``mean_x``."""
        return f"mean_{self.coordinate}"

    def __call__(self, beam: Beam) -> Array:
        """Mean [m or 1]."""
        return beam.mean(self.coordinate)

    def pullback(self, beam: Beam, bar: Array) -> BeamCotangent:
        """See `backbeam.moments.pullback`."""
        return self._cotangent(beam, *moments.pullback(self._row(beam), beam.charges, beam.alive, bar[..., None], None))


@dataclass(frozen=True)
class Sigma(OfCoordinate):
    """Rms size of a coordinate about its mean."""

    label: str = "sigma"

    @property
    def name(self) -> str:
        """``sigma_x``."""
        return self.label if self.label != "sigma" else f"sigma_{self.coordinate}"

    def __call__(self, beam: Beam) -> Array:
        """Rms size [m or 1]."""
        return beam.sigma(self.coordinate)

    def pullback(self, beam: Beam, bar: Array) -> BeamCotangent:
        """See `backbeam.moments.sigma_pullback`."""
        return self._cotangent(beam, *moments.sigma_pullback(self._row(beam), beam.charges, beam.alive, bar))


def sigma(coordinate: str, *, at: str | None = None) -> Objective:
    """Rms size of x, px, y, py, tau or pt about its mean [m or 1]."""
    return Sigma(coordinate).at(at)


def mean(coordinate: str, *, at: str | None = None) -> Objective:
    """Mean of x, px, y, py, tau or pt [m or 1]."""
    return Mean(coordinate).at(at)


def energy_spread(*, at: str | None = None) -> Objective:
    """Rms of pt = (E - E0)/(P0 c)."""
    return Sigma("pt", "energy_spread").at(at)
