"""Hamilton's equations integrated numerically, and the derivative of a map: two judges of closed forms."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy.integrate import solve_ivp

from backbeam.maps.base import Map
from backbeam.reference import Reference
from backbeam.species import species_named


def electrons(kinetic_energy: float = 20e6) -> Reference:
    return Reference.from_kinetic_energy(np.asarray(kinetic_energy), species_named("electron"))


def particles(seed: int, size: float = 1e-3, n: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-size, size, (6, n))


def arrays(**p: float) -> dict[str, np.ndarray]:
    return {k: np.asarray(v, dtype=np.float64) for k, v in p.items()}


def integrate(
    slopes: Callable[..., tuple], X: np.ndarray, reference: Reference, length: float, **settings: float
) -> np.ndarray:
    """Coordinates after a length; ``slopes(x, px, y, py, pt, 1/beta0, ...)`` are those of all but pt."""
    b = float(reference.inverse_beta)
    out = []
    for x, px, y, py, tau, pt in X.T:
        fun = lambda s, u, pt=pt: slopes(u[0], u[1], u[2], u[3], pt, b, **settings)  # noqa: E731
        end = solve_ivp(fun, (0.0, length), (x, px, y, py, 0.0), method="DOP853", rtol=1e-13, atol=1e-17)
        out.append([*end.y[:4, -1], tau + end.y[4, -1], pt])
    return np.asarray(out).T


def jacobian(map: Map, x: np.ndarray, reference: Reference, p: dict[str, np.ndarray]) -> np.ndarray:
    """d X1/dX of one particle, by torch's automatic differentiation."""
    q = {k: torch.asarray(v) for k, v in p.items()}
    r = Reference(torch.asarray(reference.beta_gamma), reference.species)
    return torch.func.jacrev(lambda u: map.forward(u[:, None], r, q)[:, 0])(torch.asarray(x)).numpy()
