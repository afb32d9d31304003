"""What ``backbeam optimize --output`` writes: the best problem, what was found, every trial, and pictures."""

from __future__ import annotations

import io
import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backbeam.cli.folder import LIST
from backbeam.cli.origin import given_file, origin
from backbeam.cli.warned import with_warnings
from backbeam.errors import InputError

if TYPE_CHECKING:
    from backbeam.matching import Match
    from backbeam.problem import Problem

POINTS = 200
"""Places of the picture of sizes before and after."""
HISTORY = "history.csv"


class Kept:
    """Trials in a file beside the folder while a search lasts: what a kill leaves, and what --resume goes on from."""

    def __init__(self, folder: Path | None, resume: bool) -> None:
        self.path: Path | None = None
        self.resume = resume
        if folder is None:
            return
        folder = folder.resolve()
        self.path = folder.with_name(f"{folder.name}.{HISTORY}")
        if self.path.exists() and not resume:
            allowed = f"--resume {folder.name} to go on from {self.path.name}, or a folder beside which there is none"
            raise InputError("--output", str(folder), allowed)
        if resume and not self.path.exists():
            done = folder / HISTORY
            if not done.is_file() or not (folder / LIST).is_file():
                raise InputError("--resume", str(folder), f"the --output of a search; {self.path.name} is not there")
            self.path.write_bytes(done.read_bytes())
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def remove(self) -> None:
        """Remove it: the folder has all of it."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def optimize_files(problem: Problem, best: Problem, found: Match, name: str) -> dict[str, bytes]:
    """problem.yaml, summary.json, history.csv; with Matplotlib search.png and sizes.png."""
    summary: dict[str, Any] = {
        "problem": problem.name,
        "title": problem.title,
        **with_warnings(found.summary()),
        "file": given_file(name),
        **origin(problem, found.beam.backend),
    }
    files = {
        "problem.yaml": best.dump().encode(),
        "summary.json": (json.dumps(summary, indent=2, allow_nan=False) + "\n").encode(),
        HISTORY: found.history.csv().encode(),
    }
    if find_spec("matplotlib") is not None:
        from backbeam.matching.picture import draw_change, draw_search

        rows = [[moments for _, moments in one.run(points=POINTS).rows] for one in (problem, best)]
        files["search.png"] = _png(draw_search(found, problem.title))
        files["sizes.png"] = _png(draw_change(problem.line(), rows[0], rows[1], problem.title))
    return files


def _png(figure: Any) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()
