"""Solenoid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from backbeam.elements.base import REQUIRED, Bound, Element, bind, parameter, steps_over
from backbeam.errors import InputError
from backbeam.maps.linear import LinearSolenoid
from backbeam.maps.multipole import Component
from backbeam.maps.solenoid import SolenoidMap
from backbeam.maps.solenoid_multipole import SolenoidMultipole

if TYPE_CHECKING:
    from backbeam.arrays import Array


@dataclass(frozen=True, eq=False)
class Solenoid(Element):
    """Solenoid with hard edges, with or without a quadrupole on top.

    Parameters
    ----------
    length:
        Length [m].
    ks:
        Bz/(B rho) [1/m]; a positive one turns x towards -y, at ks/2, whatever the sign of the charge.
    k1, k1s:
        Gradients of a quadrupole, normal and skew, over the same length [1/m^2].
    model:
        "exact" is the closed form of the full Hamiltonian, "linear" its matrix. With a quadrupole only "exact".
    order, steps:
        Order (2, 4, 6) of the splitting into solenoids and kicks of the quadrupole, and its steps over the length.

    Examples
    --------
    >>> bb.Solenoid(0.3, ks=0.5).ks
    0.5
    """

    length: Array | float = parameter(REQUIRED, unit="m")
    ks: Array | float = parameter(REQUIRED, unit="1/m")
    k1: Array | float | None = parameter(None, unit="1/m^2")
    k1s: Array | float | None = parameter(None, unit="1/m^2")
    model: str = "exact"
    order: int = 6
    steps: int = 4

    kind: ClassVar[str] = "solenoid"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.model == "linear" and self._gradients():
            raise InputError(self._label("model"), "linear", "exact, where there is a quadrupole")

    def _gradients(self) -> tuple[Component, ...]:
        return tuple(Component(k, 1, k == "k1s") for k in ("k1", "k1s") if getattr(self, k) is not None)

    def body(self, fraction: float) -> tuple[Bound, ...]:
        """Closed form, or the matrix, or solenoids and kicks in turn."""
        if gradients := self._gradients():
            return (bind(SolenoidMultipole(gradients, self.order, steps_over(self.steps, fraction), fraction)),)
        return (bind(SolenoidMap(fraction) if self.model == "exact" else LinearSolenoid(fraction)),)
