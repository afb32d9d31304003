"""`MomentBeam`: a beam that is known by its first and second moments alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backbeam import backends, moments
from backbeam.arrays import COORDINATES, Array, namespace
from backbeam.beam import PLANES, Beam
from backbeam.beam.measures import OfPlanes
from backbeam.errors import InputError
from backbeam.reference import Reference

if TYPE_CHECKING:
    from backbeam.lattice_functions import Optics
    from backbeam.line import Line
    from backbeam.moment_beam.linear_space_charge import LinearSpaceCharge

ROUNDING = 4.0
"""Rounding units of a plane's <p^2> that are no emittance: what it is a difference of is known to these."""


@dataclass(frozen=True, eq=False, repr=False)
class MomentBeam(OfPlanes):
    """First and second moments of a beam about its reference. It goes through the same lines as particles do.

    Its centroid is tracked by the exact maps, its covariance by their matrices about the centroid: exact for linear
    maps, and to first order in the beam's size otherwise. Some microseconds a map, whatever the beam.

    Parameters
    ----------
    mean:
        Mean of x, px, y, py, tau, pt ``(..., 6)`` [m, 1].
    cov:
        Covariance ``(..., 6, 6)``.
    reference:
        Species and momentum.
    charge:
        Magnitude of the total charge [C], ``(...)``.
    s:
        Position along the line [m].
    readings:
        What monitors (centroid) and screens (image of a Gaussian) saw, by name.

    Examples
    --------
    >>> import numpy as np
    >>> reference = bb.Reference.from_kinetic_energy(50e6, "electron")
    >>> beam = bb.MomentBeam(np.zeros(6), np.eye(6) * 1e-6, reference, 1e-9)
    >>> f"{float(bb.track(bb.Line([bb.Drift(1.0)]), beam).sigma('x')):.6f}"
    '0.001414'
    """

    mean_: Array
    cov_: Array
    reference: Reference
    charge: Array | float = 0.0
    s: Array | float = 0.0
    readings: Mapping[str, Any] = field(default_factory=dict)

    def __init__(
        self,
        mean: Array,
        cov: Array,
        reference: Reference,
        charge: Array | float = 0.0,
        s: Array | float = 0.0,
        readings: Mapping[str, Any] | None = None,
    ) -> None:
        """Check shapes."""
        for name, array, own in (("mean", mean, (6,)), ("cov", cov, (6, 6))):
            if not hasattr(array, "shape") or tuple(array.shape[-len(own) :]) != own:
                shown = f"an array of shape {tuple(array.shape)}" if hasattr(array, "shape") else array
                raise InputError(f"beam.{name}", shown, f"shape (..., {', '.join(map(str, own))})")
        if not isinstance(reference, Reference):
            raise InputError("beam.reference", reference, "a Reference")
        for name, value in (
            ("mean_", mean), ("cov_", cov), ("reference", reference), ("charge", charge), ("s", s),
            ("readings", {} if readings is None else readings),
        ):  # fmt: skip
            object.__setattr__(self, name, value)

    @classmethod
    def of(cls, beam: Beam) -> MomentBeam:
        """Moments of the particles of a beam that are alive."""
        sign = 1.0 if beam.species.charge_number >= 0 else -1.0
        return cls(beam.mean(), beam.cov(), beam.reference, sign * beam.charge, beam.s)

    @classmethod
    def matched(cls, optics: Optics, **sizes: Any) -> MomentBeam:
        """The beam that is matched to the optics of a line: see `backbeam.moment_beam.matched`."""
        from backbeam.moment_beam.matched import matched

        return matched(optics, **sizes)

    def to_particles(self, n: int, seed: int = 0) -> Beam:
        """A Gaussian beam of n particles, drawn from a density with this mean and covariance."""
        host = backends.of(self.cov_).to_numpy
        if self.cov_.ndim > 2:
            raise InputError("beam", f"a batch of shape {tuple(self.cov_.shape[:-2])}", "one beam")
        means = {f"mean_{name}": float(value) for name, value in zip(COORDINATES, host(self.mean_), strict=True)}
        charge = self.charge if isinstance(self.charge, int | float) else float(host(self.charge))
        return Beam.gaussian(
            n=n, species=self.species, charge=charge, reference_momentum=float(host(self.reference.momentum)),
            seed=seed, covariance=host(self.cov_), backend=backends.of(self.cov_).name, **means,
        )  # fmt: skip

    # -- looking at it, in the words of `Beam` -----------------------------------------------------------------------

    def mean(self, name: str | None = None) -> Array:
        """Mean of all coordinates ``(..., 6)``, or of one ``(...)``."""
        return self.mean_ if name is None else self.mean_[..., _row(name)]

    def cov(self) -> Array:
        """Covariance ``(..., 6, 6)``."""
        return self.cov_

    def sigma(self, name: str | None = None) -> Array:
        """Rms size of all coordinates ``(..., 6)``, or of one ``(...)``."""
        xp = namespace(self.cov_)
        if name is not None:
            k = _row(name)
            return moments.safe_sqrt(self.cov_[..., k, k])
        return moments.safe_sqrt(xp.stack([self.cov_[..., k, k] for k in range(6)], axis=-1))

    def plane(self, plane: str) -> moments.Plane:
        """Second moments of plane x, y or z, which is (tau, pt)."""
        if plane not in PLANES:
            raise InputError("plane", plane, f"one of {', '.join(PLANES)}")
        k, xp = PLANES[plane], namespace(self.cov_)
        size, both, square = self.cov_[..., k, k], self.cov_[..., k, k + 1], self.cov_[..., k + 1, k + 1]
        slope = moments.safe_divide(both, size)
        rest = square - slope * both
        is_rounding = rest <= ROUNDING * float(xp.finfo(rest.dtype).eps) * square
        return moments.Plane(size, slope, xp.where(is_rounding, xp.zeros_like(rest), rest))

    # -- moving it ---------------------------------------------------------------------------------------------------

    def track(
        self,
        line: Line,
        *,
        space_charge: LinearSpaceCharge | None = None,
        effects: Iterable[LinearSpaceCharge] = (),
        slices: int | None = None,
        step: float | None = None,
        on_turn: str = "lose",
        turns: int = 1,
        record: None = None,
    ) -> MomentBeam:
        """The beam at the end of a line, or after so many turns; `backbeam.track` does the same.

        With space charge, a kick a slice. The centroid turns round or not: ``on_turn`` is of particles.
        """
        from backbeam.moment_beam.tracking import Passage

        given: dict[str, Any] = {"slices": slices, "step": step, "on_turn": on_turn, "turns": turns, "record": record}
        return Passage.on(line, self, space_charge=space_charge, effects=effects, **given).final()

    def replace(self, **changes: Any) -> MomentBeam:
        """Same beam with other ``mean``, ``cov``, ``reference``, ``charge``, ``s`` or ``readings``."""
        return replace_moments(self, changes)

    def __repr__(self) -> str:
        """One line."""
        batch = f"batch={tuple(self.cov_.shape[:-2])}, " if self.cov_.ndim > 2 else ""
        return f"MomentBeam({batch}species={self.species.name!r}, {backends.of(self.cov_).name})"


def replace_moments(beam: MomentBeam, changes: Mapping[str, Any]) -> MomentBeam:
    """Same beam with other fields."""
    now = {"mean": beam.mean_, "cov": beam.cov_, "reference": beam.reference, "charge": beam.charge, "s": beam.s,
           "readings": beam.readings}  # fmt: skip
    for name, value in changes.items():
        if name not in now:
            raise InputError(f"beam.{name}", value, f"one of {', '.join(now)}")
    return MomentBeam(**{**now, **changes})


def _row(name: str) -> int:
    if name not in COORDINATES:
        raise InputError("coordinate", name, f"one of {', '.join(COORDINATES)}")
    return COORDINATES.index(name)
