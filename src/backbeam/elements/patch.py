"""Patch: from here on the line is described in other axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from backbeam.elements.base import ERRORS, Bound, Element, bind
from backbeam.errors import InputError
from backbeam.maps.drift import DriftMap
from backbeam.maps.misalignment import Misalign
from backbeam.maps.rigid import Rigid


@dataclass(frozen=True, eq=False)
class Patch(Element):
    """A change of the reference's own frame: displaced by (dx, dy, ds), then turned by yaw, pitch and roll about that.

    It is a misalignment that nobody comes back from: particles fly on to the plane of the new axes and are described
    in them, and all that follows stands there. The reference flies along ds in its time, as in a drift; its s does
    not count it. Like an error of alignment it is exact, and what is absent costs nothing.

    MAD-X's ``translation`` is ``Patch(dx, dy, ds)``, its ``srotation, angle`` ``Patch(roll=angle)``, its ``yrotation``
    ``Patch(yaw=angle)``, its ``xrotation`` ``Patch(pitch=-angle)``; its tau is later by ds/beta0.

    Parameters
    ----------
    dx, dy, ds:
        Displacement [m] of the new axes, along the old ones.
    pitch, yaw, roll:
        Their rotations [rad]: from s towards y, from s towards x, from x towards y, the roll made first.

    Examples
    --------
    >>> bb.Patch(dx=1e-3, yaw=0.01).dx
    0.001
    """

    kind: ClassVar[str] = "patch"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tilt is not None:
            raise InputError(self._label("tilt"), self.tilt, "roll")
        if self.pivot != "entrance":
            raise InputError(self._label("pivot"), self.pivot, "entrance: a patch turns about its own place")
        if not any(name in self.parameters() for name in ERRORS):
            raise InputError(self._label("dx"), None, f"at least one of {', '.join(ERRORS)}")

    def into(self) -> tuple[Bound, ...]:
        """None of its own: the new axes are what it makes."""
        return ()

    def out_of(self) -> tuple[Bound, ...]:
        """None."""
        return ()

    def backwards(self) -> Element:
        """The opposite patch, where there is only one thing to undo, or shifts alone."""
        there = [name for name in ERRORS if getattr(self, name) is not None]
        if len(there) > 1 and not set(there) <= {"dx", "dy", "ds"}:
            raise InputError(self.name or self.kind, ", ".join(there), "a patch of shifts or of one rotation alone")
        return self.replace(**{name: -getattr(self, name) for name in there})

    def body(self, fraction: float) -> tuple[Bound, ...]:
        """The drift, then the new axes."""
        way = () if self.ds is None else (bind(DriftMap(), length="ds"),)
        axes = tuple(n for n in ERRORS if n != "ds" and getattr(self, n) is not None)
        if not axes:
            return way
        in_plane = set(axes) <= {"dx", "dy", "roll"}
        return (*way, bind(Misalign(axes) if in_plane else Rigid(axes)))
