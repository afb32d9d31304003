"""How beams are drawn: unit variates from a seed on the host, then a smooth function of the parameters.

The same seed gives the very same particles on every array library, because `numpy.random.default_rng` draws
them. What makes a beam of them is linear in the variates and runs in the beam's own library, so that
gradients with respect to sizes, Twiss parameters and offsets follow, by hand
(`Distribution.assemble_pullback`) or by the library's own differentiation.

Every distribution has unit variates of mean 0 and covariance 1, and takes its shape plane by plane, (x, px),
(y, py) and (tau, pt), in one of these ways:

- ``sigma_x, sigma_px, correlation_x``: rms sizes [m, 1] and correlation, each 0 if left out;
  ``correlation_tau`` is that of (tau, pt);
- ``radius_x, sigma_px, correlation_x``: the half-axis of the edge [m] instead of the rms size, of a
  distribution that has an edge in space;
- ``radius``, with ``sigma_px`` ...: in all planes, a ball of that radius [m] in the rest frame, so that
  radius_x = radius_y = radius and radius_tau = radius/(beta0 gamma0); of one that is a ball in space;
- ``beta_x, alpha_x, emittance_x``: Twiss parameters [m, 1] and rms geometric emittance [m], or
  ``normalized_emittance_x`` = beta0 gamma0 emittance_x; ``_z`` is (tau, pt);
- ``covariance``: all of it, 6 x 6, of a gaussian.

``dispersion_x, dispersion_px, dispersion_y, dispersion_py`` [m, 1 per pt] and ``chirp`` [1/m of tau] are added to
that, and ``mean_x`` ... ``mean_pt``, offsets; see `backbeam.distributions.shears`.

ImpactX's (lambda_q, lambda_p, mu) are sigma_q = lambda_q/sqrt(1 - mu^2), sigma_p = lambda_p/sqrt(1 - mu^2)
and correlation = -mu; in the longitudinal plane +mu, because its pt is the negative of ours.
"""

from __future__ import annotations

from backbeam.distributions.base import Distribution
from backbeam.distributions.covariance import GaussianOfCovariance
from backbeam.distributions.families import FAMILIES, Family
from backbeam.distributions.planar import PlanarDistribution
from backbeam.distributions.thermal import ThermalDistribution

__all__ = [
    "FAMILIES",
    "Distribution",
    "Family",
    "GaussianOfCovariance",
    "PlanarDistribution",
    "ThermalDistribution",
    "kinds",
]


def kinds() -> tuple[str, ...]:
    """Every kind of distribution that `Beam.draw` knows."""
    return (*FAMILIES, "thermal")
