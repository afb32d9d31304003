"""Fast paths that could not be made: the plain one is taken instead, and that is said once.

A kernel saves time and decides nothing. Whatever goes wrong in making one (a compiler that is broken or half installed,
a folder that nobody may write to, a disk that is full, a processor that LLVM does not know) must not end a run.
"""

from __future__ import annotations

import warnings


class PlainPathWarning(RuntimeWarning):
    """A fast path cannot be had here: results are the same, and come slower."""


class Setbacks:
    """What went wrong in making fast paths, each with its reason; the first is warned of."""

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}
        """By the path that was given up."""

    def note(self, path: str, error: BaseException) -> None:
        """Remember why a path was given up."""
        if path in self.reasons:
            return
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
        first = not self.reasons
        self.reasons[path] = reason
        if first:
            message = f"no {path} here ({reason}): backbeam goes on without, with the same results, slower"
            warnings.warn(message, PlainPathWarning, stacklevel=2)

    @property
    def text(self) -> str:
        """All of it in one line, empty if nothing went wrong."""
        return "; ".join(f"no {path}: {reason}" for path, reason in self.reasons.items())
