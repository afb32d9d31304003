"""Emittance, Twiss parameters and mismatch of a plane, from its second moments."""

from __future__ import annotations

import math
from dataclasses import dataclass

from backbeam import moments
from backbeam.arrays import Array
from backbeam.beam import PLANES, Beam, BeamCotangent
from backbeam.errors import InputError
from backbeam.observables.base import Objective, among_six
from backbeam.scalars import make_plain


@dataclass(frozen=True)
class OfPlane(Objective):
    """An objective of the second moments of a plane."""

    plane: str

    def __post_init__(self) -> None:
        """Refuse what is no plane."""
        if self.plane not in tuple(PLANES):
            raise InputError("plane", self.plane, f"one of {', '.join(PLANES)}")

    def value(self, p: moments.Plane) -> Array:
        """Value of the second moments."""
        raise NotImplementedError

    def moments_pullback(self, p: moments.Plane, bar: Array) -> moments.Plane:
        """Cotangents of the second moments."""
        raise NotImplementedError

    def __call__(self, beam: Beam) -> Array:
        """Value from the plane's moments."""
        return self.value(beam.plane(self.plane))

    def pullback(self, beam: Beam, bar: Array) -> BeamCotangent:
        """See `backbeam.moments.plane_pullback`."""
        plane_bar = self.moments_pullback(beam.plane(self.plane), bar)
        pair_bar, q_bar = moments.plane_pullback(beam.pair(self.plane), beam.charges, beam.alive, plane_bar)
        return among_six(PLANES[self.plane], pair_bar, q_bar)


@dataclass(frozen=True)
class Emittance(OfPlane):
    """Geometric rms emittance [m]."""

    @property
    def name(self) -> str:
        """``emittance_x``."""
        return f"emittance_{self.plane}"

    def value(self, p: moments.Plane) -> Array:
        """Value of the second moments."""
        return p.emittance

    def moments_pullback(self, p: moments.Plane, bar: Array) -> moments.Plane:
        """Cotangents of the second moments."""
        return p.emittance_pullback(bar)


@dataclass(frozen=True)
class NormalizedEmittance(Emittance):
    """beta0 gamma0 times the geometric rms emittance [m]."""

    @property
    def name(self) -> str:
        """``normalized_emittance_x``."""
        return f"normalized_emittance_{self.plane}"

    def __call__(self, beam: Beam) -> Array:
        """Value [m]."""
        return beam.normalized_emittance(self.plane)

    def pullback(self, beam: Beam, bar: Array) -> BeamCotangent:
        """The reference's momentum counts too."""
        bars = super().pullback(beam, beam.reference.beta_gamma * bar)
        return BeamCotangent(bars.coordinates, bars.charges, bar * beam.emittance(self.plane))


@dataclass(frozen=True)
class TwissBeta(OfPlane):
    """Twiss beta [m]."""

    @property
    def name(self) -> str:
        """``beta_x``."""
        return f"beta_{self.plane}"

    def value(self, p: moments.Plane) -> Array:
        """Value of the second moments."""
        return p.beta

    def moments_pullback(self, p: moments.Plane, bar: Array) -> moments.Plane:
        """Cotangents of the second moments."""
        return p.beta_pullback(bar)


@dataclass(frozen=True)
class TwissAlpha(OfPlane):
    """Twiss alpha."""

    @property
    def name(self) -> str:
        """``alpha_x``."""
        return f"alpha_{self.plane}"

    def value(self, p: moments.Plane) -> Array:
        """Value of the second moments."""
        return p.alpha

    def moments_pullback(self, p: moments.Plane, bar: Array) -> moments.Plane:
        """Cotangents of the second moments."""
        return p.alpha_pullback(bar)


@dataclass(frozen=True)
class Mismatch(OfPlane):
    """Mismatch (beta gamma' - 2 alpha alpha' + gamma beta')/2 with wanted Twiss parameters (primed).

    1 where they agree, else more (Sands, SLAC-AP-85, 1991). With t = beta/beta' it is (t + 1/t + (alpha -
    alpha' t)^2/t)/2.
    """

    beta: float
    alpha: float

    def __post_init__(self) -> None:
        """Refuse a beta that is not positive."""
        super().__post_init__()
        make_plain(self)
        for field, allowed in (("beta", "a Twiss beta in m, greater than 0"), ("alpha", "a Twiss alpha")):
            value = getattr(self, field)
            is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            if not is_number or (field == "beta" and value <= 0.0):
                raise InputError(f"mismatch.{field}", value, allowed)

    @property
    def name(self) -> str:
        """``mismatch(x, beta=3, alpha=-1)``."""
        return f"mismatch({self.plane}, beta={self.beta:g}, alpha={self.alpha:g})"

    def value(self, p: moments.Plane) -> Array:
        """Value of the second moments."""
        t = p.beta / self.beta
        difference = p.alpha - self.alpha * t
        return 0.5 * (t + moments.safe_divide(1.0 + difference * difference, t))

    def moments_pullback(self, p: moments.Plane, bar: Array) -> moments.Plane:
        """Cotangents of the second moments."""
        t = p.beta / self.beta
        difference = p.alpha - self.alpha * t
        t_bar = 0.5 * bar * (1.0 - moments.safe_divide(1.0 + difference * difference, t * t))
        difference_bar = bar * moments.safe_divide(difference, t)
        from_beta = p.beta_pullback((t_bar - self.alpha * difference_bar) / self.beta)
        from_alpha = p.alpha_pullback(difference_bar)
        return moments.Plane(*(a + b for a, b in zip(from_beta, from_alpha, strict=True)))


def emittance(plane: str, *, at: str | None = None) -> Objective:
    """Geometric rms emittance of plane x, y or z, which is (tau, pt) [m]."""
    return Emittance(plane).at(at)


def normalized_emittance(plane: str, *, at: str | None = None) -> Objective:
    """beta0 gamma0 times the geometric rms emittance of plane x, y or z [m]."""
    return NormalizedEmittance(plane).at(at)


def twiss_beta(plane: str, *, at: str | None = None) -> Objective:
    """Twiss beta of plane x, y or z [m]."""
    return TwissBeta(plane).at(at)


def twiss_alpha(plane: str, *, at: str | None = None) -> Objective:
    """Twiss alpha of plane x, y or z."""
    return TwissAlpha(plane).at(at)


def mismatch(plane: str, *, beta: float, alpha: float = 0.0, at: str | None = None) -> Objective:
    """Mismatch of a plane with wanted Twiss parameters: 1 where they agree, else more."""
    return Mismatch(plane, beta, alpha).at(at)
