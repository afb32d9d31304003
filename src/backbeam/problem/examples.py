"""What comes with the package, by name: problem files, and programs that ask more of a line than one run."""

from __future__ import annotations

import ast
from importlib.resources import files

SUFFIX = ".yaml"
PROGRAM = ".py"


def example_names() -> tuple[str, ...]:
    """Names of the shipped problems."""
    return _names(SUFFIX)


def program_names() -> tuple[str, ...]:
    """Names of the shipped programs; ``python -m backbeam.examples.NAME`` runs one."""
    return _names(PROGRAM)


def example_text(name: str) -> str:
    """Text of a shipped problem or program."""
    suffix = PROGRAM if name in program_names() else SUFFIX
    return files("backbeam.examples").joinpath(name + suffix).read_text(encoding="utf-8")


def program_title(name: str) -> str:
    """First line of what a program says of itself."""
    said = ast.get_docstring(ast.parse(example_text(name))) or ""
    return said.partition("\n")[0].removesuffix(".")


def _names(suffix: str) -> tuple[str, ...]:
    found = (item.name for item in files("backbeam.examples").iterdir())
    return tuple(sorted(n.removesuffix(suffix) for n in found if n.endswith(suffix) and not n.startswith("_")))
