"""What comes with the package, by name: problem files, and programs that ask more of a line than one run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

SUFFIX = ".yaml"
PROGRAM = ".py"
PACKAGES = ("backbeam", "backbeam_torch")
"""Whose ``examples`` are shown; the second has those that need PyTorch, and is found without being imported."""


def example_names() -> tuple[str, ...]:
    """Names of the shipped problems."""
    return _names(SUFFIX)


def program_names() -> tuple[str, ...]:
    """Names of the shipped programs; ``python -m`` `program_module` runs one."""
    return _names(PROGRAM)


def example_text(name: str) -> str:
    """Text of a shipped problem or program."""
    return example_path(name).read_text(encoding="utf-8")


def example_path(name: str) -> Path:
    """Where the file of a shipped problem or program lies."""
    suffix = PROGRAM if name in program_names() else SUFFIX
    return next(path for _, path in _files() if path.name == name + suffix)


def program_module(name: str) -> str:
    """Module of a program."""
    package = next(package for package, path in _files() if path.name == name + PROGRAM)
    return f"{package}.examples.{name}"


def program_title(name: str) -> str:
    """First line of what a program says of itself."""
    said = ast.get_docstring(ast.parse(example_text(name))) or ""
    return said.partition("\n")[0].removesuffix(".")


def _names(suffix: str) -> tuple[str, ...]:
    names = (path.name for _, path in _files())
    return tuple(sorted(n.removesuffix(suffix) for n in names if n.endswith(suffix) and not n.startswith("_")))


def _files() -> Iterator[tuple[str, Path]]:
    """Package and path of everything that lies in an ``examples``."""
    for package in PACKAGES:
        spec = find_spec(package)
        for place in (spec.submodule_search_locations or ()) if spec else ():
            yield from ((package, path) for path in sorted((Path(place) / "examples").glob("*.*")))
