"""Running a problem: the tracking and its time, and moments of the beam as plain numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from backbeam.arrays import COORDINATES, Array
from backbeam.beam import PLANES, Beam
from backbeam.errors import TrackingError
from backbeam.line import Line
from backbeam.tracking import count_kicks, trace, track

WARM_UP_PARTICLES = 1000


@dataclass(frozen=True, eq=False)
class Outcome:
    """A beam before and after a line, and what it took."""

    line: Line
    initial: Beam
    final: Beam
    space_charge: Any
    options: dict[str, Any]
    """``slices`` or ``step``, as `backbeam.track` takes them."""
    kicks: int
    seconds: float
    """Tracking alone: no import, no compilation, no drawing of particles."""

    @property
    def lost(self) -> int:
        """Number of particles lost."""
        return _count(self.final, ~self.final.alive)

    def summary(self) -> dict[str, Any]:
        """What ``backbeam run --json`` prints: plain numbers, with None where there is none."""
        beam = self.final
        return {
            "backend": beam.backend.name,
            "device": beam.backend.device_name(beam.coordinates),
            "dtype": beam.dtype,
            "particles": beam.n,
            "kicks": self.kicks,
            "seconds": self.seconds,
            "lost": self.lost,
            "initial": moments_of(self.initial),
            "final": moments_of(self.final),
        }

    def along(self, points: int = 200) -> Iterator[tuple[str, dict[str, Any]]]:
        """(element, moments) at the start and after every slice, of the beam tracked once more.

        Without space charge slices are only where to look: then elements are cut so finely that ``points``
        make up the line. For a library that compiles, NumPy stands in, with the same particles.
        """
        beam, options = self.initial, dict(self.options)
        if compiles(beam):
            beam = beam.to("numpy")
        if self.space_charge is None and float(self.line.length) > 0.0:
            options = {"step": float(self.line.length) / points}
        for _, element, at in trace(self.line, beam, space_charge=self.space_charge, **options):
            yield element, moments_of(at)


def run_problem(
    line: Line, beam: Beam, space_charge: Any, options: dict[str, Any], tell: Callable[[str], None]
) -> Outcome:
    """Track a beam through a line, warmed up before, and time it."""
    backend = beam.backend
    kicks = count_kicks(line, space_charge=space_charge, **options)
    if compiles(beam):
        tell("compiling")
        backend.synchronize(track(line, beam, space_charge=space_charge, **options).coordinates)
    else:
        _warm_up(line, beam, space_charge, options)
    tell(f"tracking {beam.n} particles" + (f" through {kicks} kicks" if kicks else ""))
    backend.synchronize(beam.coordinates)
    start = perf_counter()
    with quiet():
        final = track(line, beam, space_charge=space_charge, **options)
        backend.synchronize(final.coordinates)
    return Outcome(line, beam, final, space_charge, options, kicks, perf_counter() - start)


def quiet() -> Any:
    """Keep NumPy's warnings of NaN off the screen: particles that turn round end in `TrackingError`."""
    return np.errstate(divide="ignore", over="ignore", invalid="ignore")


def compiles(beam: Beam) -> bool:
    """Whether the beam's library compiles what it runs anew for each number of particles."""
    return beam.backend.recompiles


def _warm_up(line: Line, beam: Beam, space_charge: Any, options: dict[str, Any]) -> None:
    """Send a few particles through the line, so that what is loaded or compiled when first used is there."""
    with quiet(), suppress(TrackingError):  # the run itself will say it
        line, few, options = rehearsal(line, beam, options)
        track(line, few, space_charge=space_charge, **options)


def rehearsal(line: Line, beam: Beam, options: dict[str, Any]) -> tuple[Line, Beam, dict[str, Any]]:
    """What to run before a run that is timed: few particles, and the whole line only where its loops are compiled."""
    backend = beam.backend
    if backend.fuses and beam.n >= backend.fuse_from:
        return line, few_of(beam, backend.fuse_from), options
    return short_line(line), few_of(beam, WARM_UP_PARTICLES), {}


def few_of(beam: Beam, n: int) -> Beam:
    """The first n particles of a beam."""
    n = min(beam.n, n)
    return beam.replace(
        coordinates=beam.coordinates[..., :n], charges=beam.charges[..., :n], lost_at=beam.lost_at[..., :n]
    )


def short_line(line: Line) -> Line:
    """One slice of the first element of a line that has a length."""
    first = next((e for e in line.elements if e.is_thick), line.elements[0])
    return Line([first.replace(slices=1)])


# -- moments as plain numbers --------------------------------------------------------------------------------


def moments_of(beam: Beam) -> dict[str, Any]:
    """Place, number alive, charge, mean, rms sizes and emittances of a beam."""
    numbers = beam.backend.to_numpy
    mean, sigma = numbers(beam.mean()), numbers(beam.sigma())
    return {
        "s": _plain(beam, beam.s),
        "alive": _count(beam, beam.alive),
        "charge": _plain(beam, beam.charge),
        "mean": {name: finite(mean[k]) for k, name in enumerate(COORDINATES)},
        "sigma": {name: finite(sigma[k]) for k, name in enumerate(COORDINATES)},
        "emittance": {plane: _plain(beam, beam.emittance(plane)) for plane in PLANES},
        "normalized_emittance": {plane: _plain(beam, beam.normalized_emittance(plane)) for plane in PLANES},
    }


def _plain(beam: Beam, value: Array | float) -> float | None:
    return finite(beam.backend.to_numpy(value) if hasattr(value, "shape") else value)


def finite(value: Any) -> float | None:
    """Plain float; None for what is no finite number, which JSON has no word for."""
    number = float(value)
    return number if math.isfinite(number) else None


def _count(beam: Beam, where: Array) -> int:
    return int(beam.backend.to_numpy(where).sum())
