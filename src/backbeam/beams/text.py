"""Text files of numbers in columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from backbeam.errors import InputError


def numbers_of_line(head: bytes, k: int) -> list[float]:
    """Numbers of the k-th line of a file's first bytes; none if it is not one of numbers alone."""
    lines = head.decode("ascii", "replace").splitlines()
    try:
        return [float(word) for word in lines[k].split()]
    except (IndexError, ValueError):
        return []


def read_rows(path: Path, columns: int, skip: int = 0) -> Any:
    """Rows of a text file ``(n, columns)``.

    Raises
    ------
    InputError
        If it has another number of columns or none.
    """
    rows = np.loadtxt(path, skiprows=skip, ndmin=2, encoding="ascii")
    if rows.shape[0] < 1 or rows.shape[1] != columns:
        raise InputError("beam.file", str(path), f"rows of {columns} numbers, not of {rows.shape[1]}")
    return rows
