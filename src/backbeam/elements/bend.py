"""Bends: sector and rectangular, with gradients, pole faces and fringes; and the pole face on its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from backbeam.elements.base import REQUIRED, Bound, Element, bind, parameter, steps_over
from backbeam.errors import InputError
from backbeam.maps.bend import Bend
from backbeam.maps.combined_bend import CombinedBend
from backbeam.maps.edge import BendEdge, DipoleEdgeMap
from backbeam.maps.hard_edge import HardEdge
from backbeam.maps.linear import LinearBody
from backbeam.proportion import ANGLE

if TYPE_CHECKING:
    from backbeam.arrays import Array


def _check_fringe(element: Element, fint: str = "fint", hgap: str = "hgap") -> None:
    """A fringe needs both of its numbers."""
    for one, other, unit in ((fint, hgap, "in m"), (hgap, fint, "without unit")):
        if getattr(element, one) is not None and getattr(element, other) is None:
            raise InputError(element._label(other), None, f"a number {unit}, where {one} is given")


def _minus(value: Any) -> Any:
    return None if value is None else -value


@dataclass(frozen=True, eq=False)
class _Bend(Element):
    """Body and edges; ``_share`` is the part of the angle that each face angle begins with."""

    length: Array | float = parameter(REQUIRED, unit="m", nonzero=True)
    angle: Array | float = parameter(REQUIRED, unit="rad", usual=ANGLE)
    k1: Array | float | None = parameter(None, unit="1/m^2")
    k2: Array | float | None = parameter(None, unit="1/m^3")
    e1: Array | float | None = parameter(None, unit="rad", usual=ANGLE)
    e2: Array | float | None = parameter(None, unit="rad", usual=ANGLE)
    fint: Array | float | None = parameter(None, unit="1")
    hgap: Array | float | None = parameter(None, unit="m", minimum=0.0)
    fint_exit: Array | float | None = parameter(None, unit="1", kw_only=True)
    hgap_exit: Array | float | None = parameter(None, unit="m", minimum=0.0, kw_only=True)
    k0: Array | float | None = parameter(None, unit="1/m", kw_only=True)
    fringe: str = field(default="linear", kw_only=True)
    model: str = "exact"
    order: int = 6
    steps: int = 2

    _share: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for end in ("entrance", "exit"):
            _check_fringe(self, *self._fringe_at(end))
        if self.fringe not in ("linear", "hard"):
            raise InputError(self._label("fringe"), self.fringe, "linear or hard")
        for needs, said in ((self.k0 is not None, "k0 is given"), (self.fringe == "hard", "a fringe is hard")):
            if self.model == "linear" and needs:
                raise InputError(self._label("model"), "linear", f"exact, where {said}")

    def _fringe_at(self, end: str) -> tuple[str, str]:
        """Which parameters hold the fringe at an end: those of the exit are the entrance's unless given."""
        names = ("fint", "hgap")
        if end == "entrance":
            return names
        own = tuple(f"{name}_exit" for name in names)
        return tuple(o if getattr(self, o) is not None else n for n, o in zip(names, own, strict=True))  # type: ignore[return-value]

    def backwards(self) -> Element:
        """The faces change places, and signs: what they defocused they focus."""
        if self.fringe == "hard":
            raise InputError(self._label("fringe"), "hard", "linear, to go back")
        changes: dict[str, Any] = {"e1": _minus(self.e2), "e2": _minus(self.e1)}
        (fint, hgap), (fint_exit, hgap_exit) = self._fringe_at("exit"), self._fringe_at("entrance")
        changes |= {"fint": _minus(getattr(self, fint)), "hgap": getattr(self, hgap)}
        if (fint, hgap) != (fint_exit, hgap_exit):
            changes |= {"fint_exit": _minus(getattr(self, fint_exit)), "hgap_exit": getattr(self, hgap_exit)}
        return super().backwards().replace(**changes)

    def body(self, fraction: float) -> tuple[Bound, ...]:
        """Exact bend, split with kicks where there are gradients; or the matrix, which knows k1."""
        strengths = tuple(k for k in ("k0", "k1", "k2") if getattr(self, k) is not None)
        if self.model == "linear":
            return (bind(LinearBody(fraction, gradient="k1" in strengths, curvature=True)),)
        if not strengths:
            return (bind(Bend(fraction)),)
        return (bind(CombinedBend(strengths, self.order, steps_over(self.steps, fraction), fraction)),)

    def _edge(self, end: str, face: str) -> tuple[Bound, ...]:
        fint, hgap = self._fringe_at(end)
        has_face, has_fringe = getattr(self, face) is not None, getattr(self, fint) is not None
        if not (has_face or has_fringe or self._share or self.fringe == "hard"):
            return ()
        what = (has_face, has_fringe, self._share, self.k0 is not None)
        turned = has_face or bool(self._share)
        hard = self.fringe == "hard"
        edge = HardEdge(*what, end, turned and self.k1 is not None) if hard else BendEdge(*what)
        return (bind(edge, e=face, fint=fint, hgap=hgap),)

    def entrance(self) -> tuple[Bound, ...]:
        """The pole face at the entrance, if there is anything to it."""
        return self._edge("entrance", "e1")

    def exit(self) -> tuple[Bound, ...]:
        """The pole face at the exit, if there is anything to it."""
        return self._edge("exit", "e2")


@dataclass(frozen=True, eq=False)
class SectorBend(_Bend):
    """Sector bend, whose faces the reference crosses at right angles but for e1 and e2.

    With k1 it is split into exact bends and what the quadrupole does beyond them, a matrix: for small amplitudes at the
    reference momentum it is exact in any number of steps. Largest error of px and py, next to the largest kick k1 L x
    that the quadrupole gives: 200 electrons of 250 MeV, uniform in 1 mm and 1 mrad, against 40 steps of order 6, by
    w = k1 L^2, the angle and the largest relative energy deviation d; positions, next to L times the kick, likewise::

        w     angle  d       order 6, 2 steps    6, 1       4, 2       2, 4
        0.3   0.3    1e-3    1e-9                9e-8       8e-7       1e-5
        0.45  0.07   1e-2    1e-8                7e-7       1e-5       9e-5
        1     0.1    1e-3    2e-8                1e-6       8e-6       2e-5
        1     0.1    1e-2    8e-8                4e-6       4e-5       1e-4
        2     0.3    1e-3    3e-7                2e-5       4e-5       5e-5
        2     0.05   1e-2    3e-7                2e-5       1e-4       3e-4
        3     0.3    1e-2    1e-6                1e-4       3e-4       4e-4
        5     0.05   1e-3    3e-6                5e-5       4e-4       2e-4

    Parameters
    ----------
    length:
        Length [m] along the arc, not 0.
    angle:
        Angle [rad]; a positive one bends towards -x.
    k0, k1, k2:
        By on the plane of the bend is k0 + k1 x + k2 x^2/2, over (B rho) [1/m, 1/m^2, 1/m^3], as in MAD-X. Without k0
        the field is that of the reference, k0 = angle/length; with it the faces are those of that field, too.
    e1, e2:
        Angles of the faces at entrance and exit [rad]; of the angle's own sign, they defocus in its plane.
    fint, hgap:
        Fringe field integral and half gap [m]; both or neither.
    fint_exit, hgap_exit:
        The same at the exit, where they differ.
    fringe:
        "linear": the faces are linear kicks. "hard": the field begins at the plane of the face, exactly crossed, with
        the nonlinear kick that this gives (`backbeam.maps.hard_edge`).
    model, order, steps:
        "exact" is the closed form without k0 and gradients; with them it is split to an order (2, 4, 6) in steps
        over the whole length (`backbeam.maps.combined_bend`). "linear" is its matrix, without k2.

    Examples
    --------
    >>> line = bb.Line([bb.SectorBend(0.5, angle=0.1, e1=0.05, e2=0.05, name="b1")])
    >>> line.get("b1.angle")
    0.1
    """

    kind: ClassVar[str] = "sector_bend"


@dataclass(frozen=True, eq=False)
class RectangularBend(_Bend):
    """Rectangular bend: its faces are parallel, so each begins with half of the angle.

    As `SectorBend`, with ``length`` along the *arc*, not the chord, and e1 and e2 *added* to angle/2: both at
    0 or absent make an exact rectangle.

    Examples
    --------
    >>> bb.RectangularBend(0.5, angle=0.1).angle
    0.1
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

    Examples
    --------
    >>> bb.DipoleEdge(curvature=0.5, e=0.1).kind
    'dipole_edge'
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

    def backwards(self) -> Element:
        """The same face, focusing what it defocused."""
        return super().backwards().replace(e=_minus(self.e), fint=_minus(self.fint))

    def body(self, fraction: float) -> tuple[Bound, ...]:
        """One kick."""
        return (bind(DipoleEdgeMap(self.e is not None, self.fint is not None)),)
