"""Warnings of a command: each in one line on stderr, once, and kept for JSON."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click


@contextmanager
def saying_warnings() -> Iterator[list[str]]:
    """Say what is warned of meanwhile as ``backbeam: warning: ...``; the list holds the lines so far."""
    lines: list[str] = []
    shown = warnings.showwarning

    def show(message: Any, category: type[Warning], *where: Any, **more: Any) -> None:
        if not issubclass(category, UserWarning):
            shown(message, category, *where, **more)
            return
        line = " ".join(str(message).split())
        if line not in lines:
            lines.append(line)
            click.echo(f"backbeam: warning: {line}", err=True)

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = show
        yield lines


def with_warnings(summary: dict[str, Any]) -> dict[str, Any]:
    """A command's JSON with what it has warned of so far, under ``warnings``."""
    context = click.get_current_context(silent=True)
    return {**summary, "warnings": list(context.obj or ()) if context else []}
