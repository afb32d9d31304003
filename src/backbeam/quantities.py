"""Numbers with a unit, as a person writes them: ``30 deg``, ``1.3 GHz``, ``5 mm``, ``100 MeV``.

A quantity is a number, perhaps a space, and one unit with one SI prefix; nothing is guessed: case counts (``mm`` and
``Mm``), and a unit of another kind is an error.
"""

from __future__ import annotations

import re
from math import pi

from backbeam.errors import InputError

_PREFIXES = {
    "T": 1e12, "G": 1e9, "M": 1e6, "k": 1e3, "": 1.0, "c": 1e-2, "m": 1e-3, "u": 1e-6, "\u00b5": 1e-6, "\u03bc": 1e-6,
    "n": 1e-9, "p": 1e-12, "f": 1e-15,
}  # fmt: skip
_PREFIXED = {"m": "kcmu\u00b5\u03bcnpf", "eV": "TGMkm", "V": "TGMkm", "Hz": "TGMk", "C": "mu\u00b5\u03bcnpf",
             "rad": "mu\u00b5\u03bcn", "T": "m"}  # fmt: skip
_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(\S.*?)\s*")


def units_of(unit: str) -> dict[str, float]:
    """Every way to write a unit, and its size in it."""
    found = {prefix + unit: _PREFIXES[prefix] for prefix in ("", *_PREFIXED.get(unit, ""))}
    if unit == "rad":
        found |= {"deg": pi / 180.0, "\u00b0": pi / 180.0}
    if match := re.fullmatch(r"1/m(?:\^(\d))?", unit):
        found |= {f"m^-{match[1] or 1}": 1.0, f"m**-{match[1] or 1}": 1.0}
    return {} if unit == "1" else found


def looks_like_quantity(text: str) -> bool:
    """Whether a text begins as a number and goes on."""
    return _NUMBER.fullmatch(text) is not None


def quantity(text: str, unit: str, field: str) -> float:
    """Return the value of a text in a unit.

    Raises
    ------
    InputError
        If it is not a number with one of the ways to write that unit.
    """
    match, units = _NUMBER.fullmatch(text), units_of(unit)
    if match is None or match[2] not in units:
        allowed = "a number without unit" if not units else f"a number in {unit}, alone or with {', '.join(units)}"
        raise InputError(field, text, allowed)
    # By division where that is exact: 5 mm are 0.005 to the last bit.
    size = units[match[2]]
    value = float(match[1])
    return value * size if size >= 1.0 or match[2] in ("deg", "\u00b0") else value / round(1.0 / size)
