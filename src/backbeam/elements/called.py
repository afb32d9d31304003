"""What a `Function` element puts into a plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Called:
    """A function of the beam that stands in a line, and the one that undoes it."""

    function: Callable[..., Any]
    inverse: Callable[..., Any] | None
    weights: tuple[str, ...]
    """Names of the parameters that it is called with."""
    module_names: tuple[str, ...]
    """What a module calls them itself; empty for a plain function."""
