"""What is asked of the whole beam: its size about the axis, its charge."""

from __future__ import annotations

from dataclasses import dataclass

from backbeam import moments
from backbeam.arrays import Array, namespace, per_particle
from backbeam.beam import Beam, BeamCotangent
from backbeam.distributions.inputs import sign_of
from backbeam.observables.base import Objective


@dataclass(frozen=True)
class MeanSquareSize(Objective):
    """<x^2 + y^2> about the axis [m^2]: offsets count."""

    @property
    def name(self) -> str:
        """``mean_square_size``."""
        return "mean_square_size"

    def _squares(self, beam: Beam) -> Array:
        return (beam.x * beam.x + beam.y * beam.y)[..., None, :]

    def __call__(self, beam: Beam) -> Array:
        """Mean of the squares."""
        return moments.centroid(self._squares(beam), beam.charges, beam.alive)[..., 0]

    def pullback(self, beam: Beam, bar: Array) -> BeamCotangent:
        """d<x^2 + y^2> = 2<x dx + y dy>."""
        squares_bar, q_bar = moments.pullback(self._squares(beam), beam.charges, beam.alive, bar[..., None], None)
        xp = namespace(beam.coordinates)
        position = xp.where(beam.alive[..., None, :], beam.coordinates, xp.zeros_like(beam.coordinates))
        both = 2.0 * squares_bar[..., 0, :]
        zero = xp.zeros_like(both)
        rows = (both * position[..., 0, :], zero, both * position[..., 2, :], zero, zero, zero)
        return BeamCotangent(xp.stack(rows, axis=-2), q_bar, xp.zeros_like(bar))


@dataclass(frozen=True)
class TransmittedCharge(Objective):
    """Magnitude of the charge [C] of all that is alive; by steps in the positions, whose slope is 0."""

    @property
    def name(self) -> str:
        """``charge``."""
        return "charge"

    def __call__(self, beam: Beam) -> Array:
        """Sum of the charges, of positive sign."""
        return sign_of(beam.species) * beam.charge

    def pullback(self, beam: Beam, bar: Array) -> BeamCotangent:
        """The same for every particle that is alive."""
        xp = namespace(beam.coordinates)
        alive = xp.astype(beam.alive, beam.charges.dtype)
        q_bar = sign_of(beam.species) * per_particle(bar) * alive
        zero = per_particle(per_particle(xp.zeros_like(bar)))
        return BeamCotangent(xp.zeros_like(beam.coordinates) + zero, q_bar, xp.zeros_like(bar))


def mean_square_size(*, at: str | None = None) -> Objective:
    """<x^2 + y^2> about the axis [m^2]."""
    return MeanSquareSize().at(at)


def transmitted_charge(*, at: str | None = None) -> Objective:
    """Magnitude of the charge of all that is alive [C]."""
    return TransmittedCharge().at(at)
