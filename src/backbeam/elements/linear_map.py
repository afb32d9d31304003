"""Linear map: any 6x6 matrix as an element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from backbeam.elements.base import REQUIRED, Bound, Element, bind, parameter
from backbeam.maps.linear import MatrixMap, inverse_of

if TYPE_CHECKING:
    from backbeam.arrays import Array


@dataclass(frozen=True, eq=False)
class LinearMap(Element):
    """Thin element that multiplies the coordinates (x, px, y, py, tau, pt) by a matrix.

    Parameters
    ----------
    matrix:
        Array ``(..., 6, 6)`` of any library, between coordinates in SI units. It need not be symplectic, but
        a gradient that undoes steps needs it to be invertible.

    Examples
    --------
    >>> import numpy as np
    >>> bb.LinearMap(np.eye(6), name="one").kind
    'linear_map'
    """

    matrix: Array = parameter(REQUIRED, unit="1", shape=(6, 6))

    kind: ClassVar[str] = "linear_map"

    def backwards(self) -> Element:
        """The inverse matrix."""
        return self.replace(matrix=inverse_of(self.matrix))

    def body(self, fraction: float) -> tuple[Bound, ...]:
        """The matrix."""
        return (bind(MatrixMap()),)
