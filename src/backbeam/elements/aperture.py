"""Aperture: particles outside it (or inside it, for an absorber) are lost and frozen where they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from backbeam.elements.base import Bound, Element
from backbeam.elements.openings import Ellipse, Opening, Outside, Rectangle, opening_of
from backbeam.errors import InputError

__all__ = ["Aperture", "Opening"]


@dataclass(frozen=True, eq=False)
class Aperture(Element):
    """Thin aperture. The pipe of a thick element is its ``aperture`` instead.

    Parameters
    ----------
    half_x, half_y:
        Half width and half height, or half-axes of the ellipse [m].
    shape:
        "rectangular" or "elliptical".
    action:
        "transmit": what is outside is lost. "absorb": what is inside is lost.
    opening:
        Any other cross-section, instead of the sizes and the shape: see `backbeam.openings`.

    Examples
    --------
    >>> line = bb.Line([bb.Aperture(half_x=1e-3, half_y=1e-3, name="iris")])
    >>> beam = bb.Beam.gaussian(n=1000, species="electron", kinetic_energy=50e6, charge=1e-9, sigma_x=1e-3)
    >>> int(bb.track(line, beam).lost)
    316
    """

    half_x: float = 0.0
    half_y: float = 0.0
    shape: str = "rectangular"
    action: str = "transmit"
    opening: Any = None

    kind: ClassVar[str] = "aperture"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.opening is not None:
            object.__setattr__(self, "opening", opening_of(self.opening, self._label("opening")))
            if self.half_x or self.half_y:
                raise InputError(self._label("half_x"), self.half_x, "left out, where an opening is given")
        for name in ("half_x", "half_y") if self.opening is None else ():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
                raise InputError(self._label(name), value, "a number in m, greater than 0")
        if self.shape not in ("rectangular", "elliptical"):
            raise InputError(self._label("shape"), self.shape, "rectangular or elliptical")
        if self.action not in ("transmit", "absorb"):
            raise InputError(self._label("action"), self.action, "transmit or absorb")

    def _opening(self) -> Opening:
        shape = Rectangle if self.shape == "rectangular" else Ellipse
        opening = shape(self.half_x, self.half_y) if self.opening is None else self.opening
        return Outside(opening) if self.action == "absorb" else opening

    def body(self, fraction: float) -> tuple[Bound, ...]:
        """The test of who passes."""
        return (Bound(self._opening(), ()),)
