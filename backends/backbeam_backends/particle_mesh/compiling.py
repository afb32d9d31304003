"""Loops compiled by Numba, which keeps them on disk where there is a place for it, and compiles anew where not."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any

from numba import njit

OPTIONS = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}


class Loop:
    """A function as machine code. Calls from within other loops need Numba's own object: ``loop.compiled``."""

    def __init__(self, function: Callable[..., None]) -> None:
        update_wrapper(self, function)
        self.function = function
        try:
            self.compiled = njit(cache=True, **OPTIONS)(function)
        except RuntimeError:  # neither beside the source nor in the user's cache can anything be written
            self.compiled = njit(**OPTIONS)(function)

    def __call__(self, *arguments: Any) -> None:
        """Run it. What Numba keeps may be broken, or the disk full: it says so before the loop begins."""
        try:
            self.compiled(*arguments)
        except Exception:
            self.compiled = njit(**OPTIONS)(self.function)
            self.compiled(*arguments)
