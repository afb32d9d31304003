"""Constant focusing: the smooth channel of theory, in all three planes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from backbeam.elements.base import REQUIRED, Bound, Element, bind, parameter
from backbeam.maps.constant_focusing import ConstantFocusingMap

if TYPE_CHECKING:
    from backbeam.arrays import Array


@dataclass(frozen=True, eq=False)
class ConstantFocusing(Element):
    """Linear focusing of constant strength in all planes: x'' = -kx^2 x, y'' = -ky^2 y, tau'' = -kt^2 tau.

    Parameters
    ----------
    length:
        Length [m].
    kx, ky, kt:
        Wave numbers of the oscillations: phase advance per metre, horizontal, vertical, longitudinal [1/m].

    Examples
    --------
    >>> bb.ConstantFocusing(1.0, kx=2.0, ky=2.0, kt=0.0).kx
    2.0
    """

    length: Array | float = parameter(REQUIRED, unit="m")
    kx: Array | float = parameter(REQUIRED, unit="1/m")
    ky: Array | float = parameter(REQUIRED, unit="1/m")
    kt: Array | float = parameter(REQUIRED, unit="1/m")

    kind: ClassVar[str] = "constant_focusing"

    def body(self, fraction: float) -> tuple[Bound, ...]:
        """Its matrix over a fraction of the length."""
        return (bind(ConstantFocusingMap(fraction)),)
