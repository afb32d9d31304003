"""Read lattices of other codes: find the reader, let it describe what it finds, and build a line of that.

A reader is one file. It is found by the suffix of what is to be read, or by its name as ``format``, among the entry
points of the group ``backbeam.readers``; anybody can ship another. Each is an object with

``suffixes``
    endings of the files that it reads, ``(".madx", ".seq")``,
``recognises(head)``
    whether the first few thousand characters of a file look like its format,
``read(sources, line)``
    a `Description` of the line of that name, or of the one that the file itself uses where the name is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Protocol

from backbeam.errors import InputError
from backbeam.knobs import Knobs
from backbeam.lattices.description import Description, LatticeError, Report
from backbeam.lattices.mapping import Built, build
from backbeam.lattices.sources import Sources
from backbeam.line import Line
from backbeam.reference import Reference

GROUP = "backbeam.readers"
"""Entry-point group in which readers are found; the name is that of the format."""
HEAD = 4000
"""Characters that a reader is shown to recognise its format."""


class Reader(Protocol):
    """What a reader has."""

    suffixes: tuple[str, ...]

    def recognises(self, head: str) -> bool:
        """Whether the beginning of a file looks like this format."""

    def read(self, sources: Sources, line: str | None) -> Description:
        """Describe a line of these files."""


@dataclass(frozen=True, eq=False)
class Loaded:
    """What `load` returns."""

    line: Line
    reference: Reference | None
    """The reference particle, if the file says it."""
    report: Report
    """What was dropped, guessed, unused, replaced."""
    format: str

    @property
    def knobs(self) -> Knobs:
        """Variables that the line's parameters follow, by name."""
        return self.line.knobs

    def __repr__(self) -> str:
        return f"<Loaded {self.format}: {self.line!r}, {len(self.knobs)} knobs>"


def load(
    path: str | Path,
    *more: str | Path,
    line: str | None = None,
    format: str | None = None,
    replace: Mapping[str, str] | None = None,
    reference: Reference | None = None,
) -> Loaded:
    """Read a lattice of another code.

    Parameters
    ----------
    path, more:
        Files, read in this order as if they were one: ``load("ring.seq", "ring.str")``.
    line:
        Name of the line or sequence; None: the one that the file uses, or the only one.
    format:
        Name of the format; None: by the suffix of the first file.
    replace:
        What to put in the place of elements that there are not here, by the file's own word for the kind or by name:
        ``{"crabcavity": "drift"}``.
    reference:
        The reference particle, where the file does not say it.

    Raises
    ------
    LatticeError
        With file and line, for what cannot be read, or not without changing the optics.
    InputError
        For a format or a line that there is not.
    MissingExtraError
        If a library that the reader needs is not installed.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder) / "cell.seq"
    ...     _ = file.write_text("q: quadrupole, l=0.2, k1=3; s: sequence, l=1; q, at=0.5; endsequence;")
    ...     bb.load(file).line.length
    1.0
    """
    name, description, built = examine(path, *more, line=line, format=format, replace=replace, reference=reference)
    if built.line is None:
        first, *others = built.refusals
        further = f"; {len(others)} more of the kind" if others else ""
        way = f"replace={{{first.word!r}: 'drift'}} to go on without it"
        raise LatticeError(first.place, f"{first.word} {first.name}: {first.reason}; {way}{further}")
    return Loaded(built.line, description.reference, description.report, name)


def examine(
    path: str | Path,
    *more: str | Path,
    line: str | None = None,
    format: str | None = None,
    replace: Mapping[str, str] | None = None,
    reference: Reference | None = None,
) -> tuple[str, Description, Built]:
    """What `load` does, with the description and whatever is refused instead of an error."""
    sources = Sources([Path(p) for p in (path, *more)], reference)
    name = format or format_of(sources)
    try:
        description = reader(name).read(sources, line)
        built = build(description, replace)
    except RecursionError:
        raise LatticeError(str(path), "what it holds is nested too deeply") from None
    if not description.items and description.line is None:
        raise LatticeError(str(path), f"the line {description.name} holds no element")
    return name, description, built


@cache
def _entry_points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def formats() -> tuple[str, ...]:
    """Names of all formats that can be read."""
    return tuple(_entry_points())


def reader(format: str) -> Reader:
    """Return the reader of a format; `InputError` if there is none."""
    if format not in _entry_points():
        raise InputError("format", format, f"one of {', '.join(formats())}")
    found: Any = _entry_points()[format].load()
    return found


def format_of(sources: Sources) -> str:
    """Format of the first file, by its longest suffix and, where several formats share that, by how it begins."""
    path = sources.paths[0]
    readers = {name: reader(name) for name in formats()}
    ends = {name: [len(s) for s in r.suffixes if path.name.lower().endswith(s)] for name, r in readers.items()}
    longest = max(n for found in (*ends.values(), [0]) for n in found)
    fitting = {name: r for name, r in readers.items() if longest in ends[name]}
    if len(fitting) == 1:
        return next(iter(fitting))
    if path.is_file():
        head = path.read_bytes()[:HEAD].decode("latin-1")
        candidates = fitting or readers
        fitting = {name: r for name, r in candidates.items() if r.recognises(head)} or fitting
        if len(fitting) == 1:
            return next(iter(fitting))
    elif not fitting:
        raise LatticeError(str(path), "a folder" if path.is_dir() else "no such file")
    raise InputError("format", None, f"one of {', '.join(fitting or formats())}: the name {path.name} leaves it open")
