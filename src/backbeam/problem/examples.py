"""Problems that come with the package, by name."""

from __future__ import annotations

from importlib.resources import files

SUFFIX = ".yaml"


def example_names() -> tuple[str, ...]:
    """Names of the shipped problems."""
    found = (item.name for item in files("backbeam.examples").iterdir())
    return tuple(sorted(name.removesuffix(SUFFIX) for name in found if name.endswith(SUFFIX)))


def example_text(name: str) -> str:
    """Text of a shipped problem."""
    return files("backbeam.examples").joinpath(name + SUFFIX).read_text(encoding="utf-8")
