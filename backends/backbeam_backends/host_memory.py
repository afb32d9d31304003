"""Memory that this machine can still give, within what the process is allowed to take; and the most it has taken.

A process is bound by the machine, by its control group and all groups around that one (version 2, or version 1 as older
systems have it), and by ``ulimit -v`` and ``-d``. The tightest counts, and is named.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

MACHINE, GROUPS, OWN_GROUPS = Path("/proc/meminfo"), Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
STATUS = Path("/proc/self/status")

UNLIMITED = 1 << 60
"""A limit from here on is none: version 1 writes the largest number of pages."""


class Free(NamedTuple):
    """What can still be taken, and what says so."""

    bytes: int
    limit: str
    """In words: the machine, the control group with its place, or ulimit."""


def free_memory() -> int | None:
    """Bytes that could be taken without swapping, within every limit; None where nobody says (no Linux)."""
    found = tightest()
    return None if found is None else found.bytes


def tightest() -> Free | None:
    """The limit that leaves least."""
    return min((*_of_machine(), *_of_groups(), *_of_process()), default=None)


def peak_memory() -> int:
    """The most bytes of this process that were resident at once; 0 where the system does not count (Windows)."""
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, others kB


def _of_machine() -> Iterator[Free]:
    try:
        lines = dict(line.split(":") for line in MACHINE.read_text(encoding="ascii").splitlines())
        yield Free(int(lines["MemAvailable"].split()[0]) * 1024, "the machine")
    except (OSError, KeyError, ValueError, IndexError):
        return


def _of_groups() -> Iterator[Free]:
    """Each group's limit, less what it holds; files that the kernel caches for it can go at any time."""
    try:
        rows = [line.split(":", 2) for line in OWN_GROUPS.read_text(encoding="utf-8").splitlines()]
    except OSError:
        rows = []
    for _, controllers, path in (row for row in rows if len(row) == 3):
        if controllers == "":
            yield from _within((GROUPS, GROUPS / "unified"), path, _VERSION_2)
        elif "memory" in controllers.split(","):
            yield from _within((GROUPS / "memory",), path, _VERSION_1)


_VERSION_2 = ("memory.max", "memory.current", "inactive_file")
_VERSION_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def _within(roots: tuple[Path, ...], path: str, names: tuple[str, str, str]) -> Iterator[Free]:
    """A group and all around it. In a container the path may be the host's: then only its root is there."""
    limit_name, held_name, cached = names
    for root in roots:
        place = root / path.lstrip("/")
        for group in (place, *place.parents):
            if group != root and root not in group.parents:
                break
            try:
                limit = int((group / limit_name).read_text(encoding="ascii"))  # ValueError for "max"
                held = int((group / held_name).read_text(encoding="ascii"))
                counts = dict(line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines())
            except (OSError, ValueError):
                continue
            if limit < UNLIMITED:
                where = "/" + str(group.relative_to(root)).removeprefix(".")
                yield Free(max(0, limit - held + int(counts.get(cached, 0))), f"its control group {where}")


def _of_process() -> Iterator[Free]:
    """``ulimit``: of all that is mapped, and of data."""
    try:
        import resource

        taken = dict(line.split(":") for line in STATUS.read_text(encoding="ascii").splitlines())
        for kind, mark, name in ((resource.RLIMIT_AS, "VmSize", "-v"), (resource.RLIMIT_DATA, "VmData", "-d")):
            most, _ = resource.getrlimit(kind)
            if 0 <= most < UNLIMITED:
                yield Free(max(0, most - int(taken[mark].split()[0]) * 1024), f"ulimit {name}")
    except (ImportError, OSError, KeyError, ValueError, IndexError):
        return
