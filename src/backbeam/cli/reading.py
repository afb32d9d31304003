"""Options of commands that read a lattice of any format."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from backbeam.errors import InputError

_OPTIONS = (
    click.argument("files", metavar="FILES...", nargs=-1, required=True, type=click.Path(path_type=Path)),
    click.option("--line", metavar="NAME", help="Line or sequence; else the one that the files use."),
    click.option("--format", metavar="NAME", help="Format of the files; else by the suffix of the first."),
    click.option(
        "--replace", "replacements", metavar="KIND=DRIFT", multiple=True,
        help="What to put in the place of elements that there are not here, by the file's word or by name: "
        "wire=drift. May be given several times.",
    ),
)  # fmt: skip


def lattice_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add FILES, --line, --format and --replace to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def located(files: Iterable[Path]) -> list[Path]:
    """The files, those of shipped problems in the place of their names."""
    from backbeam.problem.examples import example_names, example_path

    shipped = example_names()
    return [example_path(str(f)) if str(f) in shipped and not f.exists() else f for f in files]


def read_replacements(given: Iterable[str]) -> dict[str, str]:
    """``replace`` of `backbeam.load` from options."""
    found = {}
    for text in given:
        name, equals, kind = text.partition("=")
        if not equals or not name.strip() or not kind.strip():
            raise InputError("--replace", text, "kind=drift, such as wire=drift")
        found[name.strip()] = kind.strip()
    return found
