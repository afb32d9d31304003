"""What a search has tried: every point in order, as a list, as comma-separated values, and as a file that grows."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np

from backbeam.errors import BackbeamError, InputError
from backbeam.matching.aim import Score

HEAD = ("trial", "violation", "value")
"""First columns of a file; then the variables by their names, in their own units."""


class Trial(NamedTuple):
    """A point that was tried."""

    number: int
    values: np.ndarray
    """Of the free variables, in their own units."""
    score: Score | None
    """None: it could not be tracked."""


class History(Sequence[Trial]):
    """Trials in order; with a file each is written as soon as it is known."""

    def __init__(self, names: Sequence[str], path: Path | None = None, resume: bool = False) -> None:
        self.names = tuple(names)
        self.trials: list[Trial] = []
        self._file: TextIO | None = None
        if path is not None:
            self._open(Path(path), resume)

    def _open(self, path: Path, resume: bool) -> None:
        try:
            if path.exists() and not resume:
                raise InputError("history", str(path), "a new file, or resume=True to go on from it")
            if path.exists():
                self.trials = read_history(path, self.names)
                _without_torn_end(path)
            self._file = path.open("a", newline="", buffering=1)
            if not self.trials and not path.stat().st_size:
                csv.writer(self._file, lineterminator="\n").writerow((*HEAD, *self.names))
        except OSError as error:
            raise BackbeamError(f"history {path}: {(error.strerror or str(error)).lower()}") from None

    def add(self, values: np.ndarray, score: Score | None) -> Trial:
        """Note a trial."""
        trial = Trial(len(self.trials) + 1, values, score)
        self.trials.append(trial)
        if self._file is not None:
            csv.writer(self._file, lineterminator="\n").writerow(_row(trial))
        return trial

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def best(self) -> Trial | None:
        """The best trial; None if none could be tracked."""
        good = [trial for trial in self.trials if trial.score is not None]
        return min(good, key=lambda trial: trial.score or Score(np.inf, np.inf), default=None)

    def csv(self) -> str:
        """All trials as comma-separated values; an empty cell is what could not be tracked."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow((*HEAD, *self.names))
        writer.writerows(_row(trial) for trial in self.trials)
        return out.getvalue()

    def __getitem__(self, k):
        return self.trials[k]

    def __len__(self) -> int:
        return len(self.trials)

    def __iter__(self) -> Iterator[Trial]:
        return iter(self.trials)

    def __repr__(self) -> str:
        """How many, and the best value."""
        best = self.best
        value = "" if best is None or best.score is None else f", best {best.score.value:.6g}"
        return f"<History: {len(self)} trials{value}>"


def _row(trial: Trial) -> list[object]:
    score = ("", "") if trial.score is None else tuple(map(repr, map(float, trial.score)))
    return [trial.number, *score, *(repr(float(value)) for value in trial.values)]


def read_history(path: Path, names: Sequence[str]) -> list[Trial]:
    """Trials of a file; a last line that was cut off is left out, for a part of a number is a number too.

    Raises
    ------
    InputError
        For a file that is none, or of other variables.
    """
    text = path.read_bytes().decode(errors="replace")
    rows = list(csv.reader(io.StringIO(text[: text.rfind("\n") + 1])))
    if tuple(rows[0] if rows else text.split(",") if text else (*HEAD, *names)) != (*HEAD, *names):
        raise InputError("history", str(path), f"a file of trials of {', '.join(names)}")
    found: list[Trial] = []
    for number, row in enumerate(rows[1:], start=1):
        try:
            score = None if row[1] == "" else Score(float(row[1]), float(row[2]))
            values = np.asarray([float(cell) for cell in row[len(HEAD) :]])
            if len(values) != len(names):
                raise ValueError(row)
        except (ValueError, IndexError):
            raise InputError("history", str(path), f"{len(names)} numbers in line {number + 1}") from None
        found.append(Trial(number, values, score))
    return found


def _without_torn_end(path: Path) -> None:
    """Cut off what stands behind the last whole line."""
    data = path.read_bytes()
    if data and not data.endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(data.rfind(b"\n") + 1)
