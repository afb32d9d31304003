"""Solenoid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from backbeam.elements.base import REQUIRED, Bound, Element, bind, parameter
from backbeam.maps.linear import LinearSolenoid
from backbeam.maps.solenoid import Solenoid as SolenoidMap

if TYPE_CHECKING:
    from backbeam.arrays import Array


@dataclass(frozen=True, eq=False)
class Solenoid(Element):
    """Solenoid with hard edges.

    Parameters
    ----------
    length:
        Length [m].
    ks:
        Bz/(B rho) [1/m]; a positive one turns x towards -y, at ks/2, whatever the sign of the charge.
    model:
        "exact" is the closed form of the full Hamiltonian, "linear" its matrix.
    """

    length: Array | float = parameter(REQUIRED, unit="m", minimum=0.0)
    ks: Array | float = parameter(REQUIRED, unit="1/m")
    model: str = "exact"

    kind: ClassVar[str] = "solenoid"

    def body(self, fraction: float) -> tuple[Bound, ...]:
        """Closed form, or the matrix."""
        return (bind(SolenoidMap(fraction) if self.model == "exact" else LinearSolenoid(fraction)),)
