"""Keys that a mapping of a problem file may have, and the one line that a wrong one gets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from backbeam.errors import InputError, Said


def unknown(path: str, name: str, allowed: Iterable[str], what: str = "an unknown key") -> InputError:
    """Error for a name that is not among those allowed: it offers the nearest, or else all."""
    allowed = tuple(allowed)
    close = get_close_matches(name, allowed, 3)
    return InputError(path, Said(what), " or ".join(close) if close else f"one of {', '.join(allowed)}")


def missing(path: str, allowed: str) -> InputError:
    """Error for a key that has to be given."""
    return InputError(path, Said("missing"), allowed)


def check_mapping(value: Any, path: str, allowed: str) -> Mapping[str, Any]:
    """Return a mapping with text as keys, or raise `InputError`; null is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InputError(path, value, allowed)
    return value


ELSEWHERE = {
    "l": "length", "lag": "phase, in rad from the crest", "gap": "hgap, half of the gap", "hgapx": "hgap",
    "volt": "voltage, in V", "freq": "frequency, in Hz", "harmon": "frequency, in Hz", "aper": "half_x and half_y",
    "angle_deg": "angle", "energy": "kinetic_energy, in eV", "momentum": "reference_momentum, P0 c in eV",
}  # fmt: skip
"""What other codes call a thing, and what it is called here."""


def check_keys(given: Mapping[str, Any], allowed: Iterable[str], required: Mapping[str, str], path: str) -> None:
    """Raise `InputError` for a key that is not allowed or a required one that is not there.

    ``required`` says of each required key what it may be.
    """
    allowed = tuple(allowed)
    for key in given:
        if key not in allowed:
            hint = ELSEWHERE.get(str(key).lower(), "")
            if hint.split(",")[0].split(" ")[0] in allowed:
                raise InputError(f"{path}.{key}" if path else str(key), Said("an unknown key"), hint)
            raise unknown(f"{path}.{key}" if path else str(key), str(key), allowed)
    for key, description in required.items():
        if given.get(key) is None:
            raise missing(f"{path}.{key}" if path else key, description)
