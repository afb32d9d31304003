"""``--checkpoint-every``, ``--resume``: one file beside the output folder, from which a run that was killed goes on.

It holds the place in the line with the state there, the readings and moments so far, and the digest of what was run;
the beam at the start is drawn again. Each one replaces the one before at once, so that a kill at any moment leaves a
whole one. What comes out has the same bits as a run that was never killed.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from glob import escape
from pathlib import Path
from typing import Any

import numpy as np

from backbeam.beam import Beam
from backbeam.cli.folder import write_whole
from backbeam.errors import BackbeamError, InputError
from backbeam.plan import State
from backbeam.problem import Problem
from backbeam.problem.journey import Halt
from backbeam.walking import Place


def checkpoint_of(folder: Path) -> Path:
    """``NAME.checkpoint.npz`` beside the folder."""
    folder = folder.resolve()
    return folder.with_name(f"{folder.name}.checkpoint.npz")


class SavedRun:
    """The checkpoint of a run that writes to a folder; ``every`` so many kicks, None for never."""

    def __init__(self, folder: Path, problem: Problem, every: int | None) -> None:
        if every is not None and every < 1:
            raise InputError("--checkpoint-every", every, "a number of kicks, at least 1")
        self.path, self.every, self.kicks = checkpoint_of(folder), every, 0
        self.problem = hashlib.sha256(problem.dump().encode()).hexdigest()

    def save(self, halt: Halt) -> None:
        """Write one, if enough kicks lie behind the last."""
        place = halt.place
        if self.every is None or place.kicks < self.kicks + self.every:
            return
        self.kicks = place.kicks
        from backbeam import backends

        host = backends.of(place.state.X).to_numpy
        words = {
            "backbeam": "checkpoint", "problem": self.problem, "library": backends.of(place.state.X).name,
            "parts": place.parts, "kicks": place.kicks, "watched": halt.watched, "rows": halt.rows,
        }  # fmt: skip
        arrays: dict[str, Any] = {name: host(value) for name, value in place.state._asdict().items()}
        arrays |= {f"reading_{k}": host(value) for k, value in enumerate(place.readings)}
        data = io.BytesIO()
        np.savez(data, words=np.asarray(json.dumps(words)), **arrays)
        try:
            write_whole(self.path, data.getvalue())
        except OSError as error:
            raise BackbeamError(f"--checkpoint-every: {self.path}: {(error.strerror or str(error)).lower()}") from None

    def load(self, beam: Beam) -> Halt:
        """The place where the run was, for the same beam drawn again.

        Raises
        ------
        InputError
            If there is no checkpoint, or if it is of another problem or library.
        """
        words, arrays = self._read()
        if (words["problem"], words["library"]) != (self.problem, beam.backend.name):
            raise InputError("--resume", str(self.path), "the checkpoint of this problem, with the same options")

        def mine(array: np.ndarray) -> Any:
            return beam.backend.asarray(array, dtype=str(array.dtype), device=beam.device)

        state = State(*(mine(arrays[name]) for name in State._fields))
        count = sum(name.startswith("reading_") for name in arrays)
        readings = tuple(mine(arrays[f"reading_{k}"]) for k in range(count))
        self.kicks = words["kicks"]
        rows = [(element, row) for element, row in words["rows"]]
        return Halt(Place(words["parts"], words["kicks"], state, readings), rows, words["watched"])

    def check(self) -> None:
        """Raise `InputError` if something that is no checkpoint has its name."""
        if self.path.exists():
            self._read()

    def remove(self) -> None:
        """When the run has ended, and its results are written."""
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
