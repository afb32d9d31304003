"""``--checkpoint-every``, ``--resume``: one file beside the output folder, from which a job that was killed goes on.

It holds the place in the line with all that is needed there, and the digest of what was asked; the beam at the start is
drawn again. Each one replaces the one before at once, so that a kill at any moment leaves a whole one. What comes out
has the same bits as of a job that was never killed.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from glob import escape
from pathlib import Path
from typing import Any

import numpy as np

from backbeam import backends
from backbeam.adjoint.journal import Mark
from backbeam.beam import Beam
from backbeam.cli.nested import put_together, taken_apart
from backbeam.errors import BackbeamError, InputError
from backbeam.plan import State
from backbeam.problem import Problem, Question
from backbeam.problem.journey import Halt
from backbeam.walking import Waypoint
from backbeam.whole_files import write_whole


def checkpoint_of(folder: Path) -> Path:
    """``NAME.checkpoint.npz`` beside the folder."""
    folder = folder.resolve()
    return folder.with_name(f"{folder.name}.checkpoint.npz")


def asked_of(problem: Problem) -> str:
    """What a problem says, and the digest of the file of particles that it names; lattices of files are in it."""
    name = problem.tree["beam"].get("file")
    path = None if name is None else Path(name)
    there = path is not None and path.is_file()  # where it is not, reading the beam says so
    digest = hashlib.sha256(path.read_bytes()).hexdigest() if path and there else ""
    return f"{problem.dump()}\n{digest}"


class SavedJob:
    """The checkpoint of a job that writes to a folder; ``every`` so many kicks, None for never.

    ``asked`` is all of what the job is, as text: a checkpoint of another one is refused.
    """

    def __init__(self, folder: Path, asked: str, every: int | None) -> None:
        if every is not None and every < 1:
            raise InputError("--checkpoint-every", every, "a number of kicks, at least 1")
        self.path, self.every, self.last = checkpoint_of(folder), every, 0
        self.asked = hashlib.sha256(asked.encode()).hexdigest()

    def is_due(self, kicks: int) -> bool:
        """Whether enough kicks lie behind the last one."""
        if self.every is None or kicks < self.last + self.every:
            return False
        self.last = kicks
        return True

    def write(self, value: Any, library: str) -> None:
        """Write nested data with arrays, of a job on that library."""
        plain, arrays = taken_apart(value, lambda array: backends.of(array).to_numpy(array))
        words = {"backbeam": "checkpoint", "asked": self.asked, "library": library, "value": plain}
        data = io.BytesIO()
        np.savez(data, words=np.asarray(json.dumps(words)), **arrays)  # type: ignore[arg-type]
        try:
            write_whole(self.path, data.getvalue())
        except OSError as error:
            raise BackbeamError(f"--checkpoint-every: {self.path}: {(error.strerror or str(error)).lower()}") from None

    def read(self, library: str, made: Callable[[np.ndarray], Any]) -> Any:
        """What was written by a job on that library, with each array as it is made of NumPy's.

        Raises
        ------
        InputError
            If there is no checkpoint, or if it is of another job or library.
        """
        words, arrays = self._read()
        if (words["asked"], words["library"]) != (self.asked, library):
            raise InputError("--resume", str(self.path), "the checkpoint of this problem, with the same options")
        return put_together(words["value"], arrays, made)

    def check(self) -> None:
        """Raise `InputError` if something that is no checkpoint has its name."""
        if self.path.exists():
            self._read()

    def remove(self) -> None:
        """When the job has ended, and its results are written."""
        if self.path.exists():
            self._read()
            self.path.unlink()
        for part in self.path.parent.glob(f".{escape(self.path.name)}.*.part"):  # of a kill while one was written
            part.unlink()

    def _read(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        try:
            with np.load(self.path, allow_pickle=False) as found:
                arrays = {name: found[name] for name in found.files}
            words = json.loads(str(arrays.pop("words")))
            if words["backbeam"] != "checkpoint":
                raise KeyError
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
            raise InputError("--resume", str(self.path), "a checkpoint, as --checkpoint-every writes it") from None
        return words, arrays


class SavedRun(SavedJob):
    """Of ``backbeam run``: the state at a place, the readings and moments so far."""

    def __init__(self, folder: Path, problem: Problem, every: int | None) -> None:
        super().__init__(folder, asked_of(problem), every)

    def save(self, halt: Halt) -> None:
        """Write one, if it is time."""
        place = halt.place
        if self.is_due(place.kicks):
            at = (place.parts, place.kicks, tuple(place.state), place.readings)
            self.write((at, halt.rows, halt.watched), backends.of(place.state.X).name)

    def load(self, beam: Beam) -> Halt:
        """The place where the run was."""
        made = beam.backend.asarray
        found = self.read(beam.backend.name, lambda a: made(a, dtype=str(a.dtype), device=beam.device))
        (parts, kicks, state, readings), rows, is_watched = found
        self.last = kicks
        place = Waypoint(parts, kicks, State(*state), tuple(readings))
        return Halt(place, [(element, row) for element, row in rows], is_watched)


class SavedGradient(SavedJob):
    """Of ``backbeam gradient``: where it was, there or back."""

    def __init__(self, folder: Path, problem: Problem, asked: Question, every: int | None) -> None:
        words = (asked.objective.name, ",".join(asked.wrt), asked.adjoint.describe())
        super().__init__(folder, "\n".join((asked_of(problem), *words)), every)
        self.back = False

    def save(self, beam: Beam, back: bool, kicks: int, mark: Callable[[], Mark]) -> None:
        """Write one, if it is time: the way back counts its kicks anew."""
        if back != self.back:
            self.back, self.last = back, 0
        if self.is_due(kicks):
            self.write(tuple(mark()), beam.backend.name)

    def load(self, beam: Beam) -> Mark:
        """The place where the gradient was."""
        found = Mark(*self.read(beam.backend.name, lambda array: array))
        self.back, self.last = found.back, found.kicks
        return found
