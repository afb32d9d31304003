"""Which format a file has: found by its content when it is read, by its suffix when it is written."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from backbeam.beam import Beam
from backbeam.beams.asked import Asked
from backbeam.errors import BackbeamError, InputError
from backbeam.extras import MissingExtraError
from backbeam.species import Species
from backbeam.whole_files import part_of

FORMATS = {
    "npz": "archive",
    "csv": "table",
    "impactx": "impactx",
    "openpmd": "openpmd",
    "genesis4": "genesis4",
    "opal": "opal",
    "elegant": "elegant",
    "astra": "astra",
    "impact": "impact",
    "gpt": "gpt",
    "bmad": "bmad",
}
"""Module of each format that comes with backbeam, in the order in which a file is tried."""
GROUP = "backbeam.beams"
HEAD = 4096


def load(
    path: str | Path,
    format: str | None = None,
    species: str | Species | None = None,
    reference_momentum: float | None = None,
    iteration: int | str | None = None,
    charge: float | None = None,
) -> Beam:
    """Beam that a file holds, in NumPy and float64. See `backbeam.Beam.load`."""
    path = Path(path)
    asked = Asked(species, reference_momentum, iteration, charge)
    try:
        if path.is_dir():
            raise InputError("beam.file", str(path), "a file, not a folder")
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise InputError("beam.file", str(path), f"a file that can be read ({_reason(error)})") from None
    chosen = _named(format, "load") if format is not None else _recognised(path, head)
    try:
        return chosen.load(path, asked)
    except (BackbeamError, Warning):
        raise
    except Exception as error:  # of the format's library: a file can break it in any way
        what = f"a whole file of the format {chosen.NAME} ({_reason(error)})"
        raise InputError("beam.file", str(path), what) from error


def save(beam: Beam, path: str | Path, format: str | None = None) -> None:
    """Write a beam to a file, which appears whole or not at all. See `backbeam.Beam.save`."""
    path = Path(path)
    chosen = check_save(path, format)
    try:
        with part_of(path) as part:
            chosen.save(beam, part)
    except OSError as error:
        raise InputError("beam.save", str(path), f"a file that can be written ({_reason(error)})") from None


def check_save(path: str | Path, format: str | None = None) -> Any:
    """The format in which a file would be written.

    Raises
    ------
    InputError
        For a suffix or a format that is not known, or a folder that is not there.
    """
    path = Path(path)
    if format is not None:
        chosen = _named(format, "save")
    else:
        known = [f for f in _all() if hasattr(f, "save")]
        chosen = next((f for f in known if path.name.endswith(tuple(f.SUFFIXES))), None) if path.suffix else None
        if chosen is None:
            suffixes = ", ".join(suffix for f in known for suffix in f.SUFFIXES)
            raise InputError("beam.save", str(path), f"a name that ends in {suffixes}, or a format beside it")
    if not path.parent.is_dir() or path.is_dir():
        raise InputError("beam.save", str(path), "a file in a folder that is there")
    return chosen


def _all() -> Iterator[Any]:
    for module in FORMATS.values():
        yield import_module(f"backbeam.beams.{module}")
    for point in entry_points(group=GROUP):
        yield point.load()


def _named(name: str, verb: str) -> Any:
    chosen: Any
    if name in FORMATS:
        chosen = import_module(f"backbeam.beams.{FORMATS[name]}")
    else:
        chosen = next((point.load() for point in entry_points(group=GROUP) if point.name == name), None)
    if not hasattr(chosen, verb):
        able = [f.NAME for f in _all() if hasattr(f, verb)]
        raise InputError("beam.format", name, f"one of {', '.join(able)}")
    return chosen


def _recognised(path: Path, head: bytes) -> Any:
    readable = [f for f in _all() if hasattr(f, "load")]
    names, broken = ", ".join(f.NAME for f in readable), ""
    for chosen in readable:
        try:
            if chosen.recognises(path, head):
                return chosen
        except MissingExtraError:
            raise
        except Exception as error:  # a container that is damaged where its kind would stand
            broken = f" ({_reason(error)})"
    raise InputError("beam.file", str(path), f"a whole file that one of the formats knows as its own: {names}{broken}")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    text = " ".join(str(error)[:200].split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
