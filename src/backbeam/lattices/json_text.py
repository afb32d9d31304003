"""JSON files of lattices: read with limits, and where in the file a name is defined."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from backbeam.lattices.description import LatticeError, Location
from backbeam.lattices.sources import Sources

KEY = re.compile(r'"((?:[^"\\\n]|\\.)*)"\s*:\s*[\[{]')


class JsonFile:
    """The tree of a file, and the places of what it holds.

    Raises
    ------
    LatticeError
        For what is no JSON, with the line, or holds no mapping.
    """

    def __init__(self, sources: Sources, path: Path) -> None:
        self.name = sources.shown(path)
        text = sources.text(path)
        try:
            tree = json.loads(text)  # NaN and Infinity, too: xtrack writes them
        except json.JSONDecodeError as error:
            raise LatticeError(Location(self.name, error.lineno), f"no JSON: {error.msg}") from None
        except (ValueError, RecursionError) as error:
            raise LatticeError(self.name, f"no JSON: {error}") from None
        if not isinstance(tree, dict):
            raise LatticeError(self.name, "a mapping is expected")
        self.tree: dict[str, Any] = tree
        self._lines: dict[str, int] = {}
        at = line = 0
        for found in KEY.finditer(text):
            line += text.count("\n", at, found.start())
            at = found.start()
            self._lines.setdefault(found[1], line + 1)

    def place(self, name: str = "") -> Location:
        """Where the mapping or list of that name stands, the first time."""
        return Location(self.name, self._lines.get(name, 0))

    def mapping(self, tree: dict[str, Any], key: str) -> dict[str, Any]:
        """A mapping below a key; `LatticeError` if it is something else."""
        found = tree.get(key)
        if not isinstance(found, dict):
            raise LatticeError(self.place(key), f"a mapping is expected below {key!r}")
        return found


def number(value: Any, place: Location, what: str) -> float:
    """A finite number; `LatticeError` for anything else. A list of one is the number in it."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, bool):
        return float(value)
    if not isinstance(value, int | float) or not abs(value) < 1e300:
        raise LatticeError(place, f"{what} is {str(value)[:60]!r}, not a number")
    return float(value)
