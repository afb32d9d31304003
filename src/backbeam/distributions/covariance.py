"""Gaussian of a full covariance matrix, which may be singular."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from backbeam import backends
from backbeam.arrays import Array, namespace, per_particle
from backbeam.distributions.base import Distribution
from backbeam.distributions.families import gaussian
from backbeam.distributions.inputs import MEANS, Home, check_names, rule_of
from backbeam.errors import BackendError, InputError

TOLERANCE = 1e-9
"""How far below 0 an eigenvalue of the correlation matrix may be, from rounding."""


@dataclass(frozen=True, eq=False)
class GaussianOfCovariance(Distribution):
    """X = mean + F u with F F^T = covariance, F lower triangular; the covariance itself has no gradient."""

    factor: Any = None
    """F ``(..., 6, 6)`` on the host."""

    fixed: ClassVar[tuple[str, ...]] = ("covariance",)

    @classmethod
    def of(cls, n: int, seed: int, home: Home, given: Mapping[str, Any]) -> GaussianOfCovariance:
        """Recipe from a ``covariance`` ``(..., 6, 6)`` [m^2, m, 1] and offsets.

        Raises
        ------
        InputError
            For a matrix that is not symmetric and positive semi-definite, one that wants a gradient, or other
            parameters.
        """
        given = {name: value for name, value in given.items() if value is not None}
        covariance = given.pop("covariance")
        check_names(given, MEANS, "a gaussian with a covariance")
        arrays = {name: home.array(f"beam.{name}", given.get(name, 0.0), rule_of(name)) for name in MEANS}
        return cls("gaussian", n, seed, arrays, cholesky(on_host(covariance)))

    def unit(self) -> np.ndarray:
        """Draw Gaussian variates."""
        return gaussian(np.random.default_rng(self.seed), self.n)

    def shape(self, unit: Array, parameters: Mapping[str, Array], beta_gamma: Array) -> list[Array]:
        """Rows of F u."""
        xp, backend = namespace(unit), backends.of(unit)
        dtype = "float32" if unit.dtype == xp.float32 else "float64"
        device = None if backend.traced([unit]) else backend.device_name(unit)
        made = []
        for i in range(6):
            row = xp.zeros_like(unit[0, :])
            for j in range(i + 1):
                if np.any(self.factor[..., i, j]):
                    F = backend.asarray(self.factor[..., i, j], dtype=dtype, device=device)
                    row = row + per_particle(F) * unit[j, :]
            made.append(row)
        return made

    def shape_pullback(
        self, unit: Array, parameters: Mapping[str, Array], beta_gamma: Array, X_bar: Array
    ) -> tuple[dict[str, Array], Array]:
        """Nothing in the shape has a gradient."""
        return {}, namespace(X_bar).zeros_like(X_bar[..., 0, 0])


def on_host(covariance: Any) -> np.ndarray:
    """Covariance as a NumPy array, or `InputError` where that would lose a gradient."""
    allowed = "a matrix of numbers (..., 6, 6), symmetric and positive semi-definite, that wants no gradient"
    if not isinstance(covariance, list | tuple):
        try:
            backend = backends.of(covariance)
        except (TypeError, BackendError):
            raise InputError("beam.covariance", covariance, allowed) from None
        if backend.traced([covariance]) or backend.records([covariance]):
            raise InputError("beam.covariance", "an array that wants a gradient", allowed)
        covariance = backend.to_numpy(covariance)
    try:
        matrix = np.asarray(covariance, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError("beam.covariance", covariance, allowed) from None
    if matrix.shape[-2:] != (6, 6):
        raise InputError("beam.covariance", f"an array of shape {matrix.shape}", allowed)
    return matrix


def cholesky(covariance: np.ndarray) -> np.ndarray:
    """Lower triangular F ``(..., 6, 6)`` with F F^T = covariance, of any positive semi-definite one.

    The correlations are factored, so that units do not matter to what counts as singular.

    Raises
    ------
    InputError
        If it is not symmetric and positive semi-definite.
    """
    allowed = "a symmetric, positive semi-definite matrix of finite numbers"
    if not np.isfinite(covariance).all():
        raise InputError("beam.covariance", "a matrix with NaN or inf", allowed)
    variance = np.diagonal(covariance, axis1=-2, axis2=-1)
    if (variance < 0).any():
        raise InputError("beam.covariance", f"a matrix with the variance {variance.min():.3g}", allowed)
    sigma = np.sqrt(variance)
    scale = np.where(sigma > 0, sigma, 1.0)
    R = covariance / scale[..., :, None] / scale[..., None, :]
    if np.abs(R - np.swapaxes(R, -1, -2)).max() > TOLERANCE:
        raise InputError("beam.covariance", "a matrix that is not symmetric", allowed)
    lowest = np.linalg.eigvalsh(R).min()
    if lowest < -TOLERANCE:
        raise InputError("beam.covariance", f"a matrix whose correlations have the eigenvalue {lowest:.3g}", allowed)
    F = np.zeros_like(R)
    for j in range(6):
        pivot = R[..., j, j] - np.sum(F[..., j, :j] ** 2, axis=-1)
        root = np.sqrt(np.where(pivot > 1e-14, pivot, 0.0))
        below = R[..., j + 1 :, j] - np.sum(F[..., j + 1 :, :j] * F[..., j : j + 1, :j], axis=-1)
        F[..., j, j] = root
        safe = np.where(root > 0, root, 1.0)[..., None]
        F[..., j + 1 :, j] = np.where(root[..., None] > 0, below / safe, 0.0)
    return sigma[..., :, None] * F
