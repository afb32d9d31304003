"""Files of problems: text in UTF-8, of a size that a person may have written."""

from __future__ import annotations

import stat
from pathlib import Path

from backbeam.problem.text import ProblemError

LARGEST_FILE = 16 * 2**20
"""A file of more bytes than this is taken for something else."""


def read_file(path: Path) -> str:
    """Text of a file; `ProblemError` if it is none."""
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            what = "a folder" if stat.S_ISDIR(about.st_mode) else "a device or a pipe"
            raise ProblemError(f"{path}: {what}, not a problem file")
        if about.st_size > LARGEST_FILE:
            raise ProblemError(f"{path}: {about.st_size} bytes are too many for a problem file")
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ProblemError(f"{path}: not a text file in UTF-8 (byte {error.start})") from None
    except OSError as error:
        raise ProblemError(f"{path}: {(error.strerror or str(error)).lower()}") from None
