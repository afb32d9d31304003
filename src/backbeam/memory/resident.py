"""Resident memory of this process, as the kernel counts it: what `top` shows, and its high-water mark.

Linux only: other kernels do not set the mark back. Not `getrusage`: its mark outlives an exec, so that a small child of
a large process seems large.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from backbeam.errors import BackbeamError

STATUS, MARKS = Path("/proc/self/status"), Path("/proc/self/clear_refs")

STEADY_HEAP = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1", "MKL_DISABLE_FAST_MM": "1"}
"""Environment of a process in which each array has pages of its own, which go back to the kernel when it is freed.

Without it glibc keeps freed memory for later and MKL a pool of its own: then the mark tells what they hold, too.
"""


class Resident(NamedTuple):
    """What `watch` saw."""

    before: int
    """Bytes that were resident when the function was called."""
    peak: int
    """The most bytes that were resident at once while it ran."""

    @property
    def own(self) -> int:
        """The peak beyond what was there before."""
        return self.peak - self.before


def can_watch() -> bool:
    """Whether this kernel tells and sets back the peak of a process."""
    return MARKS.exists()


def watch(function: Callable[[], Any]) -> Resident:
    """Call a function and see how far resident memory rises.

    Counts pages that were touched, of all libraries and of Python itself, in steps of 4 kB. In a process with
    `STEADY_HEAP` it is good to a few hundred kB.

    Raises
    ------
    BackbeamError
        If the kernel does not keep such a mark.
    """
    if not can_watch():
        raise BackbeamError("this system does not tell the peak memory of a process: it takes Linux")
    gc.collect()
    with suppress(AttributeError):  # another libc has nothing to trim
        ctypes.CDLL(None).malloc_trim(0)
    before = status("VmRSS")
    MARKS.write_text("5", encoding="ascii")
    function()
    return Resident(before, status("VmHWM"))


def status(mark: str) -> int:
    """VmRSS (now) or VmHWM (the most so far) [bytes]."""
    for line in STATUS.read_text(encoding="ascii").splitlines():
        if line.startswith(mark + ":"):
            return int(line.split()[1]) * 1024
    raise BackbeamError(f"this kernel does not say {mark}")
