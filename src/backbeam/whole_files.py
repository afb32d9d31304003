"""Files that are written whole or not at all: beside their place first, then moved there at once.

What a link leads to is replaced, not the link; what is no file, a device or a pipe, is written into and never replaced.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir


@contextmanager
def part_of(path: Path) -> Iterator[Path]:
    """The name of a file to write, which then takes the place of another; gone if the writing fails."""
    target = path.resolve()
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    is_special = target.exists() and not target.is_file()
    if is_special:
        part = Path(gettempdir()) / part.name
    try:
        yield part
        with part.open("rb") as file:
            if is_special:
                target.write_bytes(file.read())
                return
            os.fsync(file.fileno())  # so that a move never comes before what it moves
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file, in place of an older one at once."""
    with part_of(path) as part:
        part.write_bytes(data)
