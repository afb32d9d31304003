"""Extents by name, as settings and problem files say them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from backbeam.effects.space_charge.core import AutoExtent
from backbeam.effects.space_charge.extents import BeamExtent, Extent, FixedExtent, RmsExtent
from backbeam.errors import InputError

EXTENTS: dict[str, type[Extent]] = {"auto": AutoExtent, "beam": BeamExtent, "rms": RmsExtent}
"""Extents that can be called by name."""


def extent_named(extent: Any) -> Extent:
    """Return the extent of that name, or of ``{name: {fields}}``; an `Extent` is returned as it is.

    Raises
    ------
    InputError
        For anything else.
    """
    if isinstance(extent, Extent):
        return extent
    if isinstance(extent, Mapping) and len(extent) == 1:
        return _with_fields(*next(iter(extent.items())))
    if isinstance(extent, str) and extent in EXTENTS:
        return EXTENTS[extent]()
    raise InputError("space_charge.extent", extent, f"{', '.join(EXTENTS)}, or an Extent (FixedExtent, ...)")


def _with_fields(name: Any, values: Any) -> Extent:
    """The extent of that name with these fields."""
    kinds = {**EXTENTS, "fixed": FixedExtent}
    if name not in tuple(kinds):
        raise InputError(f"space_charge.extent.{name}", name, f"one of {', '.join(kinds)}")
    values = {} if values is None else values
    known = [f.name for f in fields(kinds[name])]
    if not isinstance(values, Mapping) or not set(values) <= set(known):
        raise InputError(f"space_charge.extent.{name}", values, f"a mapping with {', '.join(known) or 'nothing'}")
    missing = [f.name for f in fields(kinds[name]) if f.default is MISSING and f.name not in values]
    if missing:
        raise InputError(f"space_charge.extent.{name}", values, f"{' and '.join(missing)}, too")
    return kinds[name](**values)
