"""Bends: sector and rectangular, with gradients, pole faces and fringes; and the pole face on its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from backbeam.elements.base import REQUIRED, Bound, Element, bind, parameter, steps_over
from backbeam.errors import InputError
from backbeam.maps.bend import Bend
from backbeam.maps.combined_bend import CombinedBend
from backbeam.maps.edge import BendEdge
from backbeam.maps.edge import DipoleEdge as EdgeMap
from backbeam.maps.linear import LinearBody
from backbeam.proportion import ANGLE

if TYPE_CHECKING:
    from backbeam.arrays import Array


def _check_fringe(element: Element) -> None:
    """A fringe needs both of its numbers."""
    for one, other, unit in (("fint", "hgap", "in m"), ("hgap", "fint", "without unit")):
        if getattr(element, one) is not None and getattr(element, other) is None:
            raise InputError(element._label(other), None, f"a number {unit}, where {one} is given")


@dataclass(frozen=True, eq=False)
class _Bend(Element):
    """Body and edges; ``_share`` is the part of the angle that each face angle begins with."""

    length: Array | float = parameter(REQUIRED, unit="m", positive=True)
    angle: Array | float = parameter(REQUIRED, unit="rad", usual=ANGLE)
    k1: Array | float | None = parameter(None, unit="1/m^2")
    k2: Array | float | None = parameter(None, unit="1/m^3")
    e1: Array | float | None = parameter(None, unit="rad", usual=ANGLE)
    e2: Array | float | None = parameter(None, unit="rad", usual=ANGLE)
    fint: Array | float | None = parameter(None, unit="1")
    hgap: Array | float | None = parameter(None, unit="m", minimum=0.0)
    model: str = "exact"
    order: int = 4
    steps: int = 4

    _share: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_fringe(self)

    def body(self, fraction: float) -> tuple[Bound, ...]:
        """Exact bend, split with kicks where there are gradients; or the matrix, which knows k1."""
        gradients = tuple(k for k in ("k1", "k2") if getattr(self, k) is not None)
        if self.model == "linear":
            return (bind(LinearBody(fraction, gradient="k1" in gradients, curvature=True)),)
        if not gradients:
            return (bind(Bend(fraction)),)
        return (bind(CombinedBend(gradients, self.order, steps_over(self.steps, fraction), fraction)),)

    def _edge(self, face: str) -> tuple[Bound, ...]:
        has_face, has_fringe = getattr(self, face) is not None, self.fint is not None
        if not (has_face or has_fringe or self._share):
            return ()
        edge = BendEdge(has_face, has_fringe, self._share)
        return (bind(edge, e=face) if has_face else bind(edge),)

    def entrance(self) -> tuple[Bound, ...]:
        """The pole face at the entrance, if there is anything to it."""
        return self._edge("e1")

    def exit(self) -> tuple[Bound, ...]:
        """The pole face at the exit, if there is anything to it."""
        return self._edge("e2")


@dataclass(frozen=True, eq=False)
class SectorBend(_Bend):
    """Sector bend, whose faces the reference crosses at right angles but for e1 and e2.

    Parameters
    ----------
    length:
        Length [m] along the arc, greater than 0.
    angle:
        Angle [rad]; a positive one bends towards -x. The field is that of the reference, k0 = angle/length.
    k1, k2:
        By on the plane of the bend is k0 + k1 x + k2 x^2/2, over (B rho) [1/m^2, 1/m^3], as in MAD-X.
    e1, e2:
        Angles of the faces at entrance and exit [rad]; of the angle's own sign, they defocus in its plane.
    fint, hgap:
        Fringe field integral and half gap [m], the same at both faces; both or neither.
    model, order, steps:
        "exact" is the closed form without gradients; with them it is split to an order (2, 4, 6) in steps
        over the whole length. "linear" is its matrix, without k2. The faces are linear kicks in both.
    """

    kind: ClassVar[str] = "sector_bend"


@dataclass(frozen=True, eq=False)
class RectangularBend(_Bend):
    """Rectangular bend: its faces are parallel, so each begins with half of the angle.

    As `SectorBend`, with ``length`` along the *arc*, not the chord, and e1 and e2 *added* to angle/2: both at
    0 or absent make an exact rectangle.
    """

    kind: ClassVar[str] = "rectangular_bend"
    _share: ClassVar[float] = 0.5


@dataclass(frozen=True, eq=False)
class DipoleEdge(Element):
    """A pole face that stands alone, for a bend that is written as three elements.

    Parameters
    ----------
    curvature:
        Curvature angle/length of the bend that it belongs to [1/m], positive towards -x.
    e:
        Angle of the face [rad].
    fint, hgap:
        Fringe field integral and half gap [m]; both or neither.
    """

    curvature: Array | float = parameter(REQUIRED, unit="1/m")
    e: Array | float | None = parameter(None, unit="rad", usual=ANGLE)
    fint: Array | float | None = parameter(None, unit="1")
    hgap: Array | float | None = parameter(None, unit="m", minimum=0.0)

    kind: ClassVar[str] = "dipole_edge"

    def __post_init__(self) -> None:
        """Check what is there."""
        super().__post_init__()
        _check_fringe(self)
        if self.e is None and self.fint is None:
            raise InputError(self._label("e"), None, "a number in rad, or fint and hgap")

    def body(self, fraction: float) -> tuple[Bound, ...]:
        """One kick."""
        return (bind(EdgeMap(self.e is not None, self.fint is not None)),)
