"""Folders that ``--output`` writes. A folder is that of one run, whole; or it is not there.

All files are written into a hidden folder beside it, ``.NAME.PID.part``, which at the end is renamed. A list of what
was written and its digests, ``.backbeam.json``, is how a folder is known again: one of ours is replaced as a whole, and
one that holds anything else, or a file that was changed since, is never touched.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from backbeam.errors import BackbeamError, InputError

LIST = ".backbeam.json"
"""Names of the files that were written, and their SHA-256."""


def check_targets(plot: Path | None, output: Path | None) -> None:
    """Find out before anything runs whether its results could be written."""
    if plot is not None:
        from backbeam.plotting import check_target

        check_target(plot, "--plot")
    if output is not None:
        check_folder(output)


def check_folder(folder: Path) -> None:
    """Raise `InputError` for what is no folder, and for a folder with anything in it that we did not write."""
    try:
        parents = [p for p in (folder, *folder.parents) if p.exists()]
        if parents and not parents[0].is_dir():
            raise InputError("--output", str(folder), "a folder, or the name of a new one")
        foreign = foreign_file(folder) if folder.exists() else None
    except InputError:
        raise
    except (OSError, ValueError) as error:  # a name too long, or with a NUL
        raise InputError("--output", str(folder), f"a folder: {_reason(error)}") from None
    if foreign is not None:
        raise InputError("--output", str(folder), f"a new or empty folder, or one of ours: {foreign} in it is not")


def foreign_file(folder: Path) -> str | None:
    """Name of something in a folder that was not written by us, or was changed since; None if there is nothing."""
    names = sorted(path.name for path in folder.iterdir())
    if not names:
        return None
    try:
        listed = json.loads((folder / LIST).read_text())["files"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        listed = {}
    for name in names:
        path = folder / name
        if name == LIST and listed:
            continue
        if name not in listed or path.is_symlink() or not path.is_file() or _digest(path) != listed[name]:
            return name
    return None


def write_folder(folder: Path, contents: Mapping[str, bytes | str]) -> None:
    """Write files by their names as a folder, in place of an older one of ours.

    Raises
    ------
    InputError
        If something not written by us has come to be in the folder.
    BackbeamError
        If it cannot be written; then an older one is as it was.
    """
    check_folder(folder)
    data = {name: one.encode() if isinstance(one, str) else one for name, one in contents.items()}
    listed = {name: hashlib.sha256(one).hexdigest() for name, one in data.items()}
    data[LIST] = (json.dumps({"files": listed}, indent=2) + "\n").encode()
    target = folder.resolve()
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        part.mkdir(parents=True)
        for name, one in data.items():
            _write(part / name, one)
        _put(part, target)
    except OSError as error:
        raise BackbeamError(f"--output {folder}: {_reason(error)}") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _put(part: Path, target: Path) -> None:
    """Rename a folder to its name, where nothing, an empty folder or an older one of ours may be."""
    if not target.exists() or not any(target.iterdir()):
        part.rename(target)
        return
    old = part.with_suffix(".old")
    target.rename(old)
    try:
        part.rename(target)
    except BaseException:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _write(path: Path, data: bytes) -> None:
    """Write a file and wait until it is on the disk, so that a rename never comes before what it names."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _reason(error: OSError | ValueError) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()
