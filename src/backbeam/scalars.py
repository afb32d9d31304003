"""Numbers that are not Python's own: what comes out of a sweep is NumPy's, a fraction or a decimal is a number too."""

from __future__ import annotations

from dataclasses import fields
from numbers import Number
from typing import Any


def plain(value: Any) -> Any:
    """A single number as Python's own; anything else as it is."""
    if type(value).__module__ == "numpy":
        return value.item() if getattr(value, "ndim", 1) == 0 else value
    own = type(value).__module__ == "builtins" or hasattr(value, "shape")
    given: Any = value
    return float(given) if isinstance(value, Number) and not own else value


def make_plain(settings: Any) -> None:
    """Make numbers plain in the fields of a frozen dataclass; arrays stay where a gradient can be asked for."""
    for field in fields(settings):
        value = getattr(settings, field.name)
        if not (field.metadata.get("parameter") and hasattr(value, "__setitem__")):
            changed = plain(value)
            if changed is not value:
                object.__setattr__(settings, field.name, changed)
