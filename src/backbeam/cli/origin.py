"""Where a result comes from: the command, versions, seed, threads, and the problem file."""

from __future__ import annotations

import hashlib
import platform
import shlex
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from backbeam.cli.app import COMMAND
from backbeam.problem import Problem

if TYPE_CHECKING:
    from backbeam_backends import Backend

PACKAGES = ("backbeam", "numpy", "scipy", "numba")
"""Beside the array library that was used."""


def origin(problem: Problem, backend: Backend) -> dict[str, Any]:
    """What a result is to be made again from, as plain data."""
    beam = problem.tree["beam"]
    drawn = "file" not in beam
    context = click.get_current_context(silent=True)
    return {
        "command": shlex.join(context.meta.get(COMMAND, ())) if context else None,
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version(), **versions(backend)},
        "platform": f"{sys.platform} {platform.machine()}",
        "threads": backend.threads,
        "seed": beam.get("seed", 0) if drawn else None,
    }


def versions(backend: Backend) -> dict[str, str]:
    """Of the packages that are there."""
    found = {backend.name: backend.version}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def given_file(name: str) -> dict[str, str] | None:
    """Path and digest of the file that was named on the command line; None for a shipped example."""
    path = Path(name)
    if not path.is_file():
        return None
    return {"path": str(path.absolute()), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
