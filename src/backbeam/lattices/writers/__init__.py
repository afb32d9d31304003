"""Writers of lattices: text of a line in a format, with its knobs and its reference particle.

``ours``  YAML or JSON of problem files: nothing is lost
``madx``  a MAD-X sequence
``pals``  the Particle Accelerator Lattice Standard

A writer refuses what its format cannot say.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from backbeam.errors import InputError
from backbeam.line import Line
from backbeam.reference import Reference

FORMATS = {
    "yaml": ("ours", "to_yaml"),
    "json": ("ours", "to_json"),
    "madx": ("madx", "to_madx"),
    "pals": ("pals", "to_pals"),
}
"""Formats that can be written: the file here, and the function in it."""


def write(format: str, line: Line, reference: Reference | None = None) -> str:
    """Text of a line.

    Parameters
    ----------
    format:
        One of `FORMATS`.
    line:
        The line; its name is that of what is written.
    reference:
        The reference particle that it was made for, if that is known.

    Raises
    ------
    InputError
        For a format that there is not, and for what it cannot say.
    """
    if format not in FORMATS:
        raise InputError("format", format, f"one of {', '.join(FORMATS)}")
    file, function = FORMATS[format]
    writer: Callable[[Line, Reference | None], str] = getattr(import_module(f"{__name__}.{file}"), function)
    return writer(line, reference)
