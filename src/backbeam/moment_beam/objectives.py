"""Observables of a beam of moments: the objects of `backbeam.observables`, pulled back to mean and covariance."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from backbeam import backends, moments
from backbeam.arrays import COORDINATES, Array, namespace
from backbeam.beam import PLANES
from backbeam.errors import InputError
from backbeam.observables import Mean, Objective, Sigma, WeightedSum
from backbeam.observables.planes import OfPlane

if TYPE_CHECKING:
    from backbeam.moment_beam.beam import MomentBeam


def bars_of(function: Callable[[MomentBeam], Any], beam: MomentBeam) -> tuple[Array, dict[str, Array]]:
    """Value, and cotangents of ``mean`` and ``cov``."""
    if isinstance(function, Objective):
        return _of_objective(function, beam)
    backend = backends.of(beam.cov_)
    if not backend.has_autodiff:
        found = function(beam)
        if not isinstance(found, tuple) or len(found) != 2:
            allowed = f"on {backend.name}: an observable, or a function that gives (value, cotangents)"
            raise InputError("objective", function, allowed)
        return found
    given: dict[str, Any] = {}

    def of_moments(mean: Array, cov: Array) -> Array:
        found = function(beam.replace(mean=mean, cov=cov))
        if isinstance(found, tuple):
            given.update(found[1])
            return found[0]
        return found

    value, pull = backend.pull(of_moments, [beam.mean_, beam.cov_])
    if given:
        return value, given
    mean_bar, cov_bar = pull(namespace(value).ones_like(value))
    return value, {"mean": mean_bar, "cov": cov_bar}


def _of_objective(objective: Objective, beam: MomentBeam) -> tuple[Array, dict[str, Array]]:
    xp = namespace(beam.cov_)
    if isinstance(objective, WeightedSum):
        parts = [(weight, *_of_objective(term, beam)) for weight, term in objective.terms]
        value = sum(weight * found for weight, found, _ in parts)
        mean, cov = (sum(weight * bars[name] for weight, _, bars in parts) for name in ("mean", "cov"))
        return value, {"mean": mean, "cov": cov}
    if not isinstance(objective, Mean | Sigma | OfPlane):
        raise InputError("objective", objective.name, "a size, mean, emittance or Twiss parameter of a MomentBeam")
    of_moments: Any = objective  # which asks a beam for what a beam of moments has
    value = of_moments(beam)
    one, nothing = xp.ones_like(value), xp.zeros_like(beam.mean_)
    unit = xp.eye(6, dtype=beam.cov_.dtype)
    zero = xp.zeros_like(beam.cov_)
    if isinstance(objective, Mean):
        return value, {"mean": nothing + one[..., None] * unit[COORDINATES.index(objective.coordinate), :], "cov": zero}
    if isinstance(objective, Sigma):
        k = COORDINATES.index(objective.coordinate)
        share = moments.safe_divide(0.5 * one, value)[..., None, None]
        return value, {"mean": nothing, "cov": zero + share * unit[:, k : k + 1] * unit[k : k + 1, :]}
    k = PLANES[objective.plane]
    plane = beam.plane(objective.plane)
    size_bar, slope_bar, rest_bar = objective.moments_pullback(plane, one)
    # slope = qp/qq, rest = pp - qp^2/qq
    qp_bar = moments.safe_divide(slope_bar, plane.size) - 2.0 * plane.slope * rest_bar
    qq_bar = size_bar - plane.slope * moments.safe_divide(slope_bar, plane.size) + plane.slope**2 * rest_bar
    terms = ((qq_bar, k, k), (0.5 * qp_bar, k, k + 1), (0.5 * qp_bar, k + 1, k), (rest_bar, k + 1, k + 1))
    for bar, i, j in terms:
        zero = zero + bar[..., None, None] * unit[:, i : i + 1] * unit[j : j + 1, :]
    return value, {"mean": nothing, "cov": zero}
