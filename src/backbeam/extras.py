"""What is optional: libraries that only the command line or the plots need, and how to get them."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from backbeam.errors import BackbeamError


class MissingExtraError(BackbeamError, ImportError):
    """A library that belongs to an extra of backbeam is not installed; the message names the extra."""


def need(extra: str, *libraries: str, purpose: str) -> tuple[ModuleType, ...]:
    """Import libraries of an extra.

    Raises
    ------
    MissingExtraError
        If one of them is not installed.
    """
    found = []
    for library in libraries:
        try:
            found.append(import_module(library))
        except ModuleNotFoundError as error:
            raise MissingExtraError(
                f"{purpose} needs {library}, which cannot be imported ({error}); pip install 'backbeam[{extra}]'"
            ) from error
    return tuple(found)
