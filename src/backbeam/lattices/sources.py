"""The files of a lattice: read once, with limits, and never from beyond the folder of the first."""

from __future__ import annotations

from pathlib import Path

from backbeam.lattices.description import LatticeError, Location
from backbeam.reference import Reference

LARGEST = 64 * 2**20
"""All files together have at most so many bytes."""
DEEPEST = 20
"""Files call each other at most so deep."""
MOST = 1000
"""At most so many files are read, one that is called twice counted twice."""


class Sources:
    """Files that a user named, and those that they call.

    Parameters
    ----------
    paths:
        What the user named; these may be anywhere.
    reference:
        The reference particle, for files that need one and do not say it.
    """

    def __init__(self, paths: list[Path], reference: Reference | None = None) -> None:
        self.paths, self.reference = paths, reference
        self.root = paths[0].resolve().parent
        self.bytes, self.count = 0, 0

    def text(self, path: Path, place: Location | str | None = None) -> str:
        """Text of a file, in UTF-8 or else Latin-1.

        Raises
        ------
        LatticeError
            For what is no file, or too large; at the place from which it was called, if that is given.
        """
        where = place or str(path)
        said = f"{path.name}: " if place else ""
        self.count += 1
        if self.count > MOST:
            raise LatticeError(where, f"more than {MOST} files are called")
        try:
            if not path.is_file():
                raise LatticeError(where, f"{said}{'a folder' if path.is_dir() else 'no such file'}")
            self.bytes += path.stat().st_size
            if self.bytes > LARGEST:
                raise LatticeError(where, f"{said}more than {LARGEST // 2**20} MiB are too many for a lattice")
            data = path.read_bytes()
        except OSError as error:
            raise LatticeError(where, f"{said}{(error.strerror or str(error)).lower()}") from None
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError:
            return data.decode("latin-1")

    def called(self, name: str, beside: Path, place: Location, depth: int = 0) -> Path:
        """Path of a file that another calls, relative to it or to the first file's folder.

        Raises
        ------
        LatticeError
            For a path that leaves that folder, a file that there is not, or calls that are too deep.
        """
        if depth > DEEPEST:
            raise LatticeError(place, f"files call each other more than {DEEPEST} deep")
        if not name or "\0" in name:
            raise LatticeError(place, f"{name!r} is no name of a file")
        for folder in dict.fromkeys((beside.resolve().parent, self.root)):
            path = folder / name
            try:
                found = path.resolve()
                inside = found.is_relative_to(self.root)
                if inside and found.is_file():
                    return found
            except (OSError, RuntimeError):
                continue
            if not inside:
                raise LatticeError(place, f"{name} is outside the folder of the first file, and is not read")
        raise LatticeError(place, f"{name}: no such file below {self.root.name or self.root}")

    def shown(self, path: Path) -> str:
        """A file's name as the user knows it."""
        resolved = path.resolve()
        return str(resolved.relative_to(self.root)) if resolved.is_relative_to(self.root) else str(path)
