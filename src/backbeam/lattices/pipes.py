"""Apertures as other codes say them, as openings (`backbeam.elements.openings`)."""

from __future__ import annotations

from typing import Any

from backbeam.elements.openings import Ellipse, Opening, Rectangle

FAR = 1e3
"""Where a border is that is not given [m]."""


def opening(elliptical: bool, half_x: Any, half_y: Any) -> Opening | None:
    """Opening of these half-widths, of which 0 means no border; None without borders, or with formulas for them."""
    if not all(isinstance(h, int | float) for h in (half_x, half_y)):
        return None
    x, y = (float(h) if 0.0 < h < FAR else FAR for h in (half_x, half_y))
    if x == y == FAR:
        return None
    return Ellipse(x, y) if elliptical else Rectangle(x, y)


def kept(found: Opening | None, tests: int | None = None) -> dict[str, Any]:
    """Attributes of an element with this opening; ``tests`` is how often along it."""
    if found is None:
        return {}
    return {"aperture": found} | ({"aperture_tests": tests} if tests is not None else {})
