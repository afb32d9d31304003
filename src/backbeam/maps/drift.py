"""Exact drift: free flight with the full square root of the Hamiltonian."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backbeam.arrays import join, over_particles, per_particle, rows
from backbeam.maps.base import Map
from backbeam.maps.kinematics import delay, delta_pz

if TYPE_CHECKING:
    from backbeam.arrays import Array
    from backbeam.maps.base import Cotangents, Parameters
    from backbeam.reference import Reference


def drift(X: Array, reference: Reference, length: Array) -> Array:
    """Let particles fly freely over a length [m] of the reference path.

    With e = pt + 1/beta0 and pz in units of P0 (design of the coordinates: Forest, *Beam Dynamics*, 1998, ch. 4)::

        x   += L px/pz                y += L py/pz
        tau += L (e/pz - 1/beta0)   =  L/beta0 (px^2 + py^2 - a/gamma0^2)/(pz (beta0 e + pz))
    """
    x, px, y, py, tau, pt = rows(X)
    L, beta, inverse_beta = map(per_particle, (length, reference.beta, reference.inverse_beta))
    pz = 1.0 + delta_pz(px, py, pt, inverse_beta)
    f = L / pz
    return join(x + f * px, px, y + f * py, py, tau + f * delay(px, py, pt, pz, reference, beta), pt)


def drift_pullback(X: Array, reference: Reference, length: Array, X1_bar: Array) -> tuple[Array, Array, Array]:
    """Cotangents of X, beta_gamma and length for `drift` at X (the momenta are the same before and after)."""
    _, px, _, py, _, pt = rows(X)
    xb, pxb, yb, pyb, taub, ptb = rows(X1_bar)
    L, beta, inverse_beta = map(per_particle, (length, reference.beta, reference.inverse_beta))
    dpz = delta_pz(px, py, pt, inverse_beta)
    pz, e = 1.0 + dpz, pt + inverse_beta
    f = L / pz
    g = f / (pz * pz)
    along = px * xb + py * yb
    gs, ge = g * along, g * e * taub
    # e^2 - pz^2 = (m c/P0)^2 + px^2 + py^2
    transverse = 1.0 / per_particle(reference.beta_gamma) ** 2 + px * px + py * py
    X_bar = join(
        xb,
        pxb + f * xb + px * (gs + ge),
        yb,
        pyb + f * yb + py * (gs + ge),
        taub,
        ptb - e * gs - g * transverse * taub,
    )
    inverse_beta_bar = -over_particles(pt * (gs + ge) + f * dpz * taub)
    length_bar = over_particles((along + delay(px, py, pt, pz, reference, beta) * taub) / pz)
    return X_bar, reference.pull_back(inverse_beta=inverse_beta_bar), length_bar


@dataclass(frozen=True)
class DriftMap(Map):
    """Exact drift over a fraction of an element's length."""

    fraction: float = 1.0

    @property
    def parameters(self) -> tuple[str, ...]:
        """The element's length [m]."""
        return ("length",)

    def forward(self, X: Array, reference: Reference, p: Parameters) -> Array:
        """See `drift`."""
        return drift(X, reference, self.fraction * p["length"])

    def inverse(self, X1: Array, reference: Reference, p: Parameters) -> Array:
        """Drift back."""
        return drift(X1, reference, -self.fraction * p["length"])

    def pullback(self, X: Array, reference: Reference, p: Parameters, X1_bar: Array) -> tuple[Array, Array, Cotangents]:
        """See `drift_pullback`."""
        X_bar, beta_gamma_bar, length_bar = drift_pullback(X, reference, self.fraction * p["length"], X1_bar)
        return X_bar, beta_gamma_bar, {"length": self.fraction * length_bar}
