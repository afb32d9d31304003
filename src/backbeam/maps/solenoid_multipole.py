"""Solenoid with multipoles on top: exact solenoids and thin kicks in turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backbeam.maps.multipole import ThickMultipole
from backbeam.maps.solenoid import solenoid, solenoid_pullback

if TYPE_CHECKING:
    from backbeam.arrays import Array
    from backbeam.maps.base import Cotangents, Parameters
    from backbeam.reference import Reference


@dataclass(frozen=True)
class SolenoidMultipole(ThickMultipole):
    """A multipole magnet inside a solenoid of the same length.

    As `backbeam.maps.multipole.ThickMultipole`, with the closed form of the solenoid where that has drifts. The momenta
    are canonical, so a kick in the solenoid's field is the same kick.
    """

    @property
    def parameters(self) -> tuple[str, ...]:
        """Length [m], ks = Bz/(B rho) [1/m] and the names of the strengths."""
        return ("length", "ks", *dict.fromkeys(c.parameter for c in self.components))

    def _fly(self, X: Array, reference: Reference, p: Parameters, length: Array) -> Array:
        return solenoid(X, reference, length, p["ks"])

    def _fly_pullback(
        self, X: Array, reference: Reference, p: Parameters, length: Array, X1_bar: Array
    ) -> tuple[Array, Array, Array, Cotangents]:
        X_bar, beta_gamma_bar, length_bar, ks_bar = solenoid_pullback(X, reference, length, p["ks"], X1_bar)
        return X_bar, beta_gamma_bar, length_bar, {"ks": ks_bar}
