"""Amounts of memory, as people write them."""

from __future__ import annotations

import math
import re

from backbeam.errors import InputError

UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
UNITS |= {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}

_AMOUNT = re.compile(r"\s*([0-9.]+(?:[eE][+-]?[0-9]+)?)\s*([A-Za-z]*)\s*")


def parse_bytes(text: str | int | float, field: str = "budget") -> int:
    """Bytes of ``8GiB``, ``500 MB``, ``1e9``; upper and lower case are the same.

    Raises
    ------
    InputError
        For anything else, and for an amount that is not greater than 0.
    """
    allowed = f"an amount of memory greater than 0, such as 8GiB; units: {', '.join(UNITS)}"
    found = _AMOUNT.fullmatch(str(text))
    factors = {name.lower(): factor for name, factor in UNITS.items()}
    if found is None or isinstance(text, bool) or (found[2] or "B").lower() not in factors:
        raise InputError(field, text, allowed)
    try:
        size = float(found[1]) * factors[(found[2] or "B").lower()]
    except ValueError:
        raise InputError(field, text, allowed) from None
    if not 1.0 <= size < math.inf:
        raise InputError(field, text, allowed)
    return int(size)


def show_bytes(size: float) -> str:
    """Three digits and a unit of 1000: ``2.34 GB``."""
    sign, size = "-" if size < 0 else "", abs(size)
    for unit in ("TB", "GB", "MB", "kB"):
        if size >= UNITS[unit]:
            return f"{sign}{size / UNITS[unit]:.3g} {unit}"
    return f"{sign}{size:.0f} B"
