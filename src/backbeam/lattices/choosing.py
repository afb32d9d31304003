"""Which line of a file is meant, and how much a line may grow."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from backbeam.errors import InputError
from backbeam.lattices.description import LatticeError, Location

LARGEST = 1_000_000
"""A line of more elements, or of more parts that come to nothing, is refused."""


def the_line(asked: str | None, known: Collection[str], inside: Collection[str], file: Any) -> str:
    """Name of the line that is asked for; without one, of the only line that is not part of another.

    Raises
    ------
    InputError
        If there is no such line, or several could be meant.
    LatticeError
        If the file has none.
    """
    if not known:
        raise LatticeError(str(file), "it holds no line")
    if asked is not None:
        if asked not in known:
            raise InputError("line", asked, f"one of {some(known)}")
        return asked
    tops = [name for name in known if name not in inside]
    if len(tops) != 1:
        raise InputError("line", None, f"one of {some(tops or known)}")
    return tops[0]


def some(names: Iterable[str], most: int = 20) -> str:
    """A few names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "nothing") + more


def check_size(count: int, place: Location | str) -> None:
    """Raise `LatticeError` if a line has too many elements."""
    if count > LARGEST:
        raise LatticeError(place, f"a line of more than {LARGEST} elements")


class Steps:
    """Counts the parts that the expansion of a line goes through: lines of empty lines grow, too."""

    def __init__(self) -> None:
        self.count = 0

    def step(self, place: Location | str) -> None:
        """One more; `LatticeError` if there are too many."""
        self.count += 1
        check_size(self.count, place)
