"""A folder of the user's own for machine code, which is as good as the program itself: who writes there, runs here.

So the folder belongs to the user and nobody else may write to it, no link is followed, and every file is bound to the
key that it is asked for by. Where there is no such folder (no home, no right to write, a disk that is full) nothing is
kept. What has not been used for longest goes when there is too much.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

MOST_BYTES = 256 * 2**20
"""Bytes of files that are kept."""
SWEEP_EVERY = 64
"""Files are looked through for old ones when this many, on average, were written."""


class KernelFolder:
    """Files by key. Nothing that goes wrong with them is an error: there is no file, then."""

    def __init__(self, path: Path | None, most_bytes: int = MOST_BYTES) -> None:
        self.path, self.most_bytes = path, most_bytes

    def read(self, key: bytes) -> bytes | None:
        """What was kept for a key."""
        if self.path is None or not _is_own_folder(self.path):
            return None
        place = self._place(key)
        try:
            number = os.open(place, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
            with os.fdopen(number, "rb") as file:
                if not _is_own(os.fstat(number), stat.S_ISREG):
                    return None
                stored = file.read()
        except OSError:
            return None
        code = stored[32:]
        if stored[:32] != _seal(key, code):
            return None
        with suppress(OSError):
            os.utime(place)  # it is of use
        return code

    def write(self, key: bytes, code: bytes) -> None:
        """Keep it, whole or not at all."""
        if self.path is None:
            return
        with suppress(OSError):
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not _is_own_folder(self.path):
            return
        written = None
        try:
            with tempfile.NamedTemporaryFile(dir=self.path, suffix=".part", delete=False) as file:
                written = file.name
                file.write(_seal(key, code) + code)
            os.replace(written, self._place(key))
        except OSError:
            if written is not None:
                with suppress(OSError):
                    os.unlink(written)
            return
        if hashlib.sha256(key).digest()[0] % SWEEP_EVERY == 0:
            self.sweep()

    def sweep(self) -> None:
        """Let the files that have not been used for longest go, until the rest is small enough."""
        found = []
        with suppress(OSError), os.scandir(self.path) as entries:
            for entry in entries:
                with suppress(OSError):
                    about = entry.stat(follow_symlinks=False)
                    found.append((about.st_mtime, about.st_size, entry.path))
        total = 0
        for _, size, path in sorted(found, reverse=True):
            total += size
            if total > self.most_bytes:
                with suppress(OSError):
                    os.unlink(path)

    def _place(self, key: bytes) -> Path:
        assert self.path is not None
        return self.path / f"{hashlib.sha256(key).hexdigest()}.o"


def users_folder(*names: str) -> Path | None:
    """A folder in the user's cache (``$XDG_CACHE_HOME`` or ``~/.cache``); None for a user without a home."""
    base = os.environ.get("XDG_CACHE_HOME")
    if base and os.path.isabs(base):
        return Path(base).joinpath(*names)
    try:
        return (Path.home() / ".cache").joinpath(*names)
    except RuntimeError:  # HOME is not set, and nobody knows the user
        return None


def _seal(key: bytes, code: bytes) -> bytes:
    """Binds the code to its key: a file under another one's name is none."""
    return hashlib.sha256(hashlib.sha256(key).digest() + code).digest()


def _is_own_folder(path: Path) -> bool:
    try:
        return _is_own(os.lstat(path), stat.S_ISDIR)
    except OSError:
        return False


def _is_own(about: os.stat_result, kind: object) -> bool:
    """Whether it is of that kind, belongs to the user, and can be written to by nobody else."""
    if not kind(about.st_mode):  # type: ignore[operator]
        return False
    if not hasattr(os, "getuid"):  # Windows: a user's cache is the user's
        return True
    return about.st_uid == os.getuid() and not about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
