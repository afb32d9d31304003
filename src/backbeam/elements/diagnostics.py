"""What looks at the beam and leaves it as it is: marker, monitor, screen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from backbeam.elements.base import Bound, Element, bind, parameter
from backbeam.errors import InputError
from backbeam.maps.drift import DriftMap
from backbeam.observation import Centroid, Image
from backbeam.scalars import plain

if TYPE_CHECKING:
    from backbeam.arrays import Array

MOST_PIXELS = 16_384
"""Of a side: more are taken for a slip."""


@dataclass(frozen=True, eq=False)
class Marker(Element):
    """A name for a place.

    Examples
    --------
    >>> bb.Line([bb.Marker(name="start"), bb.Drift(1.0)]).sequence
    ('start', 'drift_1')
    """

    kind: ClassVar[str] = "marker"


@dataclass(frozen=True, eq=False)
class Monitor(Element):
    """Beam position monitor: reads the charge-weighted centroid (x, y) of what is alive, ``(..., 2)`` [m].

    A displaced monitor reads relative to its own centre and axes.

    Parameters
    ----------
    length:
        Length [m], or None for a thin one. It is a drift, and reads in its middle.

    Examples
    --------
    >>> line = bb.Line([bb.Drift(1.0), bb.Monitor(name="bpm")])
    >>> beam = bb.Beam.gaussian(n=1000, species="electron", kinetic_energy=50e6, charge=1e-9, sigma_x=1e-3)
    >>> bb.track(line, beam).readings["bpm"].shape
    (2,)
    """

    length: Array | float | None = parameter(None, unit="m")

    kind: ClassVar[str] = "monitor"

    def body(self, fraction: float) -> tuple[Bound, ...]:
        """The reading; where there is a length, a drift."""
        return (bind(DriftMap(fraction)),) if self.is_thick else self.middle()

    def middle(self) -> tuple[Bound, ...]:
        """The reading."""
        return (Bound(Centroid(), ()),)


@dataclass(frozen=True, eq=False)
class Screen(Element):
    """Screen: an image of the beam, its charge [C] on a grid of pixels by cloud-in-cell, ``(..., *pixels)``.

    Parameters
    ----------
    half_x, half_y:
        Half width and half height of the screen [m]; charge beyond it is not seen.
    pixels:
        Number of pixels in x and y.

    Examples
    --------
    >>> line = bb.Line([bb.Screen(half_x=5e-3, half_y=5e-3, pixels=(20, 20), name="yag")])
    >>> beam = bb.Beam.gaussian(n=1000, species="electron", kinetic_energy=50e6, charge=1e-9, sigma_x=1e-3)
    >>> bb.track(line, beam).readings["yag"].shape
    (20, 20)
    """

    half_x: float = 0.0
    half_y: float = 0.0
    pixels: tuple[int, int] = (64, 64)

    kind: ClassVar[str] = "screen"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("half_x", "half_y"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
                raise InputError(self._label(name), value, "a number in m, greater than 0")
        pixels = [plain(k) for k in self.pixels] if isinstance(self.pixels, Iterable) else self.pixels
        if not isinstance(pixels, list | tuple) or len(pixels) != 2 or any(type(k) is not int or k < 2 for k in pixels):
            raise InputError(self._label("pixels"), pixels, "two whole numbers, each at least 2")
        if max(pixels) > MOST_PIXELS:
            raise InputError(self._label("pixels"), pixels, f"two whole numbers, each at most {MOST_PIXELS}")
        object.__setattr__(self, "pixels", tuple(pixels))

    def body(self, fraction: float) -> tuple[Bound, ...]:
        """The image."""
        return (Bound(Image(self.half_x, self.half_y, self.pixels), ()),)
