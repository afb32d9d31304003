"""What the tables share: their options, their lines of markdown, and what is written."""

from __future__ import annotations

import argparse
import importlib.util
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from common import machine, versions, write

from speed.racing import PEERS, Racer

LIBRARIES = ("numpy", "torch", "jax")


FUSED = "numpy + numba"
"""Label of NumPy where Numba is installed."""


def variants(libraries: Sequence[str], plain: bool) -> dict[str, dict[str, Any]]:
    """Label and task of each library; NumPy as it is installed here, and if ``plain`` without Numba too."""
    found: dict[str, dict[str, Any]] = {}
    for library in libraries:
        if library == "numpy" and importlib.util.find_spec("numba"):
            found[FUSED] = {"library": library}
            if plain:
                found[library] = {"library": library, "numba": False}
        elif library == "numpy":
            found[library] = {"library": library, "numba": False}
        else:
            found[library] = {"library": library}
    return found


def parser(doc: str, rounds: int) -> argparse.ArgumentParser:
    """Options that every table has."""
    found = argparse.ArgumentParser(description=doc.splitlines()[0])
    for code, name in PEERS.items():
        found.add_argument(f"--{code}", metavar="PYTHON", help=f"interpreter of a virtual environment with {name}")
    found.add_argument("--rounds", type=int, default=rounds, help="each code is timed once a round")
    found.add_argument("--libraries", nargs="+", default=list(LIBRARIES), choices=LIBRARIES)
    found.add_argument("--no-results", action="store_true", help="print only; write nothing to benchmarks/results")
    return found


@contextmanager
def scratch() -> Iterable[Path]:
    """A folder for the beams."""
    with TemporaryDirectory() as folder:
        yield Path(folder)


class Report:
    """A text that grows while it is printed, and the data behind it."""

    def __init__(self, name: str, title: str) -> None:
        self.name, self.lines = name, []
        self.found_versions: dict[str, str] = {}
        self.data: dict[str, Any] = {"command": command(), "machine": machine(), "groups": []}
        self.say(f"# {title}\n\nPrinted by `{command()}`\n")

    def say(self, text: str = "") -> None:
        """Print a line, and keep it."""
        print(text, flush=True)
        self.lines.append(text)

    def head(self, *columns: str) -> None:
        """Begin a table."""
        self.row(*columns)
        self.row(*["---"] * len(columns))

    def row(self, *cells: Any) -> None:
        """A row; None is a dash."""
        self.say("| " + " | ".join("–" if cell is None else str(cell) for cell in cells) + " |")

    def keep(self, group: Mapping[str, Any], racers: Sequence[Racer]) -> None:
        """Data of a race."""
        for racer in racers:
            self.found_versions |= racer.versions
        self.data["groups"].append({**group, "codes": [asdict(racer) for racer in racers]})

    def finish(self, figure: Any = None, write_it: bool = True) -> None:
        """Say on what it ran, and write it."""
        self.data["versions"] = {**versions(), **self.found_versions}
        on = self.data["machine"]
        names = ", ".join(f"{name} {version}" for name, version in self.data["versions"].items() if version)
        self.say(f"\n{on['cpu']}, {on['cores']} cores, {on['system']}. {names}.")
        if write_it:
            write(self.name, self.data, figure, "\n".join(self.lines))


def command() -> str:
    """What was typed, without where the peers' interpreters are."""
    shown, words = [], iter(sys.argv[1:])
    for word in words:
        option, _, value = word.partition("=")
        if option.removeprefix("--") in PEERS:
            value or next(words, None)
        elif word != "--no-results":
            shown.append(word)
    return shlex.join(["python", "benchmarks/speed", *shown])


def in_threads(threads: int) -> str:
    """``1 thread``, ``2 threads``."""
    return f"{threads} thread{'s' * (threads > 1)}"


def milliseconds(seconds: float | None) -> str | None:
    """To three digits."""
    return None if seconds is None else f"{1e3 * seconds:.3g}" if seconds < 1.0 else f"{1e3 * seconds:.0f}"


def ratio(number: float | None) -> str | None:
    """To two digits after the point; three where it is small."""
    return None if number is None else f"{number:.2f}" if number >= 0.1 else f"{number:.3f}"
