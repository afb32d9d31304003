"""HDF5 files: how they are opened, and what their attributes say as plain text and numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backbeam.extras import need

MAGIC = b"\x89HDF\r\n\x1a\n"


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The file, open for reading."""
    (h5py,) = need("beams", "h5py", purpose=f"reading {path}")
    with h5py.File(path, "r") as file:
        yield file


def text(value: Any) -> str:
    """An attribute as text, whether bytes, text or an array of one of them."""
    if hasattr(value, "shape") and value.shape:
        value = value.ravel()[0]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def number(value: Any) -> float:
    """An attribute as a float, whether a number or an array of one."""
    return float(value.ravel()[0]) if hasattr(value, "ravel") else float(value)


def series(file: Any) -> tuple[list[str], str]:
    """Names of an openPMD file's iterations, and the path of particles with ``%T`` in the iteration's place."""
    base, particles = (text(file.attrs[key]) for key in ("basePath", "particlesPath"))
    if "%T" not in base:
        return [""], base + "/" + particles
    parent = base.partition("%T")[0]
    return (list(file[parent]) if parent in file else []), base + "/" + particles
