"""Find the adapter of an array library: by name, or from an array. The adapters live in ``backbeam_backends``."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, wraps
from typing import TYPE_CHECKING, Any, TypeVar

from backbeam import registry
from backbeam.arrays import Array, namespace
from backbeam.errors import BackendError, InputError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from backbeam_backends import Backend

R = TypeVar("R")

GROUP = "backbeam.backends"
"""Entry-point group in which adapters are found."""
EXTRAS = {
    "torch": ("torch",),
    "jax": ("jax",),
    "cupy": ("cupy-cuda12", "cupy-cuda13"),
    "array_api_strict": ("test",),
}
"""Which extras of backbeam install the library of an adapter that cannot be imported: one of them."""


@cache
def _entry_points() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points  # half of what backbeam without it takes to be imported

    return {point.name: point for point in entry_points(group=GROUP)}


@cache
def get(name: str) -> Backend:
    """Return the adapter called ``name``.

    Raises
    ------
    InputError
        If there is no such adapter.
    BackendError
        If its library is not installed; the message names the extra that brings it.
    """
    points = _entry_points()
    if not isinstance(name, str) or name not in points:
        raise InputError("backend", name, f"one of {', '.join(points)}")
    try:
        backend = points[name].load()()
    except ImportError as error:
        extras = EXTRAS.get(name, ())
        advice = " or ".join(f"pip install 'backbeam[{extra}]'" for extra in extras)
        advice = advice or f"install what {points[name].value} needs"
        raise BackendError(f"backend {name!r} is not installed ({error}); {advice}") from error
    registry.watch(lambda tree: backend.register_tree(*tree))
    return backend


def introduce() -> None:
    """Load the adapters of libraries that are already imported, so that they know lines as trees; import no library.

    One that cannot be used says so when it is asked for, not here.
    """
    for name in _entry_points():
        if name in sys.modules:
            with suppress(BackendError):
                get(name)


def of(*arrays: Array) -> Backend:
    """Return the adapter of the library that the arrays belong to."""
    parts = namespace(*arrays).__name__.split(".")
    for name in _entry_points():
        if name in parts and (name != "numpy" or "jax" not in parts):
            return get(name)
    raise BackendError(f"no adapter for arrays of {'.'.join(parts)}; allowed: {', '.join(_entry_points())}")


def as_one(function: Callable[..., R]) -> Callable[..., R]:
    """Let a function whose first argument is an array be one program, see `backbeam_backends.Backend.as_one`."""

    @wraps(function)
    def run(*arguments: Any) -> R:
        return of(arguments[0]).as_one(function)(*arguments)

    return run


@dataclass(frozen=True)
class Availability:
    """What is known of one adapter on this machine."""

    name: str
    version: str = ""
    devices: list[str] = field(default_factory=list)
    problem: str = ""
    """Why it cannot be used; empty if it can."""
    setback: str = ""
    """Why it is slower than it could be; empty if it is not."""


def report() -> list[Availability]:
    """Look at every adapter: version, devices, and why one is not usable."""
    found = []
    for name in _entry_points():
        try:
            backend: Any = get(name)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what it would warn of is in the report
                found.append(Availability(name, backend.version, backend.devices(), setback=backend.setback()))
        except Exception as error:
            found.append(Availability(name, problem=" ".join(str(error).split()) or type(error).__name__))
    return found
