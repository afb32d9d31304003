"""Keys that a mapping of a problem file may have, and the one line that a wrong one gets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from backbeam.errors import InputError, Said
from backbeam.words import unknown


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


def check_keys(given: Mapping[str, Any], allowed: Iterable[str], required: Mapping[str, str], path: str) -> None:
    """Raise `InputError` for a key that is not allowed or a required one that is not there.

    ``required`` says of each required key what it may be.
    """
    allowed = tuple(allowed)
    for key in given:
        if key not in allowed:
            raise unknown(f"{path}.{key}" if path else str(key), str(key), allowed)
    for key, description in required.items():
        if given.get(key) is None:
            raise missing(f"{path}.{key}" if path else key, description)
