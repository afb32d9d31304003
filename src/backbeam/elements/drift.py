"""Field-free space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from backbeam.elements.base import REQUIRED, Bound, Element, bind, parameter
from backbeam.maps.drift import DriftMap
from backbeam.maps.linear import LinearBody

if TYPE_CHECKING:
    from backbeam.arrays import Array


@dataclass(frozen=True, eq=False)
class Drift(Element):
    """Field-free space of a length [m].

    Examples
    --------
    >>> line = bb.Line([bb.Drift(1.5, name="d1")])
    >>> line.get("d1.length")
    1.5
    """

    length: Array | float = parameter(REQUIRED, unit="m")
    model: str = "exact"

    kind: ClassVar[str] = "drift"

    def body(self, fraction: float) -> tuple[Bound, ...]:
        """Exact drift, or its matrix."""
        return (bind(DriftMap(fraction) if self.model == "exact" else LinearBody(fraction)),)
