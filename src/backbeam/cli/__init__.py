"""The command line, ``backbeam``: one file a command; `backbeam.cli.app` finds them and words errors."""

from __future__ import annotations

import gc
import io
import sys

SELDOM = (100_000, 20, 50)
"""After how many new objects garbage is looked for: what a command imports stays, and there is much of it."""


def main() -> None:
    """Entry point of the command ``backbeam``."""
    gc.set_threshold(*SELDOM)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without these characters gets the others
    try:
        import click  # noqa: F401
    except ModuleNotFoundError as error:
        print(
            f"backbeam: error: the command line needs {error.name}; pip install 'backbeam[cli]'",
            file=sys.stderr,
        )
        raise SystemExit(2) from None
    try:
        from backbeam.cli.app import app

        app()
    except KeyboardInterrupt:  # before a command could take care of it
        print("backbeam: interrupted", file=sys.stderr)
        raise SystemExit(130) from None
