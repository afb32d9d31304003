"""How far a search is, on one line of a terminal that is written over; nowhere else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

Tell = Callable[[str], None]


@contextmanager
def shown(wanted: bool) -> Iterator[Tell]:
    """Give a function that shows a text on stderr while the search lasts, if that is a terminal."""
    if not wanted or not sys.stderr.isatty() or find_spec("rich") is None:
        yield lambda text: None
        return
    from rich.console import Console

    with Console(stderr=True).status("searching") as status:
        yield status.update
