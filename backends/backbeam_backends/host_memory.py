"""Memory that this machine can still give, within what the process is allowed to take."""

from __future__ import annotations

from pathlib import Path

MACHINE, GROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


def free_memory() -> int | None:
    """Bytes that could be taken without swapping, capped by the control group; None where nobody says (no Linux)."""
    found = [free for free in (_of_machine(), _of_group()) if free is not None]
    return min(found) if found else None


def _of_machine() -> int | None:
    try:
        lines = dict(line.split(":") for line in MACHINE.read_text(encoding="ascii").splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError, IndexError):
        return None


def _of_group() -> int | None:
    """A container's limit, less what it holds; files that the kernel caches for it can go at any time."""
    try:
        limit = (GROUP / "memory.max").read_text(encoding="ascii").strip()
        if limit == "max":
            return None
        held = int((GROUP / "memory.current").read_text(encoding="ascii"))
        counts = dict(line.split() for line in (GROUP / "memory.stat").read_text(encoding="ascii").splitlines())
        return max(0, int(limit) - held + int(counts["inactive_file"]))
    except (OSError, KeyError, ValueError):
        return None
