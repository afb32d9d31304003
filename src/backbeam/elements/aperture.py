"""Aperture: particles outside it (or inside it, for an absorber) are lost and frozen where they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from backbeam.elements.base import Bound, Element
from backbeam.errors import InputError

if TYPE_CHECKING:
    from backbeam.arrays import Array


@dataclass(frozen=True)
class Opening:
    """The test of an aperture: which particles pass."""

    shape: str
    half_x: float
    half_y: float
    absorbs: bool

    def passes(self, x: Array, y: Array) -> Array:
        """Boolean row ``(..., n)``; a particle on the border passes."""
        u, v = x / self.half_x, y / self.half_y
        inside = (abs(u) <= 1.0) & (abs(v) <= 1.0) if self.shape == "rectangular" else u * u + v * v <= 1.0
        return ~inside if self.absorbs else inside


@dataclass(frozen=True, eq=False)
class Aperture(Element):
    """Thin aperture.

    Parameters
    ----------
    half_x, half_y:
        Half width and half height, or half-axes of the ellipse [m].
    shape:
        "rectangular" or "elliptical".
    action:
        "transmit": what is outside is lost. "absorb": what is inside is lost.
    """

    half_x: float = 0.0
    half_y: float = 0.0
    shape: str = "rectangular"
    action: str = "transmit"

    kind: ClassVar[str] = "aperture"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("half_x", "half_y"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
                raise InputError(self._label(name), value, "a number in m, greater than 0")
        if self.shape not in ("rectangular", "elliptical"):
            raise InputError(self._label("shape"), self.shape, "rectangular or elliptical")
        if self.action not in ("transmit", "absorb"):
            raise InputError(self._label("action"), self.action, "transmit or absorb")

    def body(self, fraction: float) -> tuple[Bound, ...]:
        """The test of who passes."""
        return (Bound(Opening(self.shape, self.half_x, self.half_y, self.action == "absorb"), ()),)
