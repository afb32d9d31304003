"""What a person says beside a file: how to read it, and what it does not say itself."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

from backbeam.errors import BackbeamWarning, InputError
from backbeam.species import Species, species_named


class BeamFileWarning(BackbeamWarning):
    """Something in a file of particles that was left out or taken for granted."""


def tell(message: str) -> None:
    """Warn, in one line, of what was left out of a beam or taken for granted."""
    warnings.warn(message, BeamFileWarning, stacklevel=5)


@dataclass(frozen=True)
class Asked:
    """Arguments of `backbeam.beams.load` besides the path; what is None is as the file says."""

    species: str | Species | None = None
    reference_momentum: float | None = None
    """P0 c [eV]"""
    iteration: int | str | None = None
    charge: float | None = None
    """Total [C]: the file's charges are scaled to it, or it is split evenly where the file has none."""

    def __post_init__(self) -> None:
        for name in ("reference_momentum", "charge"):
            value = getattr(self, name)
            if value is not None and (
                isinstance(value, bool | str | list | tuple | dict) or not abs(float(value)) < float("inf")
            ):
                raise InputError(f"beam.{name}", value, "a finite number")
        if self.reference_momentum is not None and not self.reference_momentum > 0:
            raise InputError("beam.reference_momentum", self.reference_momentum, "a momentum P0 c in eV, above 0")

    def species_or(self, found: Species | None, source: str) -> Species:
        """The species asked for, or that of the file; an error if neither says one."""
        if self.species is not None:
            return species_named(self.species)
        if found is None:
            raise InputError("beam.species", None, f"the name of a species: {source} does not say which")
        return found

    def one_of(self, names: list[str], what: str, path: Any) -> str:
        """The iteration asked for, or the only one; an error that lists them if there are several."""
        if not names:
            raise InputError("beam.file", str(path), f"a file with particles: this one has no {what}")
        names = sorted(names, key=_by_number)
        if self.iteration is None:
            if len(names) > 1:
                raise InputError("beam.iteration", None, f"one of {_few(names)}: {path} holds {len(names)}")
            return names[0]
        for name in names:
            if name == str(self.iteration) or (name.isdigit() and int(name) == _whole(self.iteration)):
                return name
        raise InputError("beam.iteration", self.iteration, f"one of {_few(names)}")


def _by_number(name: str) -> tuple[int, str]:
    return (int(name) if name.isdigit() else -1, name)


def _whole(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def _few(names: list[str]) -> str:
    return ", ".join(names if len(names) <= 12 else [*names[:10], "...", names[-1]])
