"""Constant focusing: a linear restoring force in all three planes, as in a smooth channel with RF."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backbeam.maps.base import Map
from backbeam.maps.linear import focusing_integrals, focusing_integrals_pullback
from backbeam.maps.matrices import SymplecticMatrix

if TYPE_CHECKING:
    from backbeam.arrays import Array
    from backbeam.maps.base import Cotangents, Parameters
    from backbeam.maps.matrices import Entries
    from backbeam.reference import Reference


def _strengths(p: Parameters) -> tuple[Array, Array, Array]:
    return p["kx"] * p["kx"], p["ky"] * p["ky"], p["kt"] * p["kt"]


@dataclass(frozen=True)
class ConstantFocusingMap(SymplecticMatrix, Map):
    """Three linear oscillators, over a fraction of a length [m], of wave numbers kx, ky, kt [1/m].

    With u = beta0 gamma0, so that tau'' = -kt^2 tau::

        x'' = -kx^2 x        y'' = -ky^2 y        tau' = -pt/u^2        pt' = kt^2 u^2 tau

    It is ImpactX's element ConstF, in the coordinates used here.
    """

    fraction: float = 1.0

    @property
    def parameters(self) -> tuple[str, ...]:
        """Length [m] and the wave numbers [1/m]."""
        return ("length", "kx", "ky", "kt")

    def entries(self, reference: Reference, p: Parameters) -> Entries:
        """Entries of the matrix."""
        L = self.fraction * p["length"]
        out: Entries = {}
        strengths = _strengths(p)
        for i, k, (C, S) in zip((0, 2, 4), strengths, focusing_integrals(strengths, L, 2), strict=True):
            out |= {(i, i): C, (i, i + 1): S, (i + 1, i): -k * S, (i + 1, i + 1): C}
        slip = reference.beta_gamma * reference.beta_gamma
        return out | {(4, 5): -out[4, 5] / slip, (5, 4): -out[5, 4] * slip}

    def entries_pullback(self, reference: Reference, p: Parameters, B: Entries) -> tuple[Array, Cotangents]:
        """Cotangents of ``beta_gamma`` and of each parameter, from those of the entries."""
        L, u = self.fraction * p["length"], reference.beta_gamma
        # The longitudinal plane is as the others, but for factors -1/u^2 and -u^2 off the diagonal.
        B = B | {(4, 5): -B[4, 5] / (u * u), (5, 4): -B[5, 4] * (u * u)}
        bars: Cotangents = {}
        length_bar = 0.0
        strengths = _strengths(p)
        integrals = focusing_integrals(strengths, L, 4)
        for i, name, k, I in zip((0, 2, 4), ("kx", "ky", "kt"), strengths, integrals, strict=True):
            up, down = B[i, i + 1], B[i + 1, i]
            k_bar, L_bar = focusing_integrals_pullback(k, L, I, (B[i, i] + B[i + 1, i + 1], up - k * down))
            bars[name] = 2.0 * p[name] * (k_bar - I[1] * down)
            length_bar = length_bar + L_bar
        u_bar = -2.0 / u * integrals[2][1] * (B[4, 5] + strengths[2] * B[5, 4])
        return u_bar, bars | {"length": self.fraction * length_bar}
