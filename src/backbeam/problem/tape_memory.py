"""About how much memory a library's own tape takes: within a factor of two, enough to know when not to start it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backbeam.beam import Beam
from backbeam.line import Line
from backbeam.plan import Apply, Kick, Slicing, compile_line, unroll

PER_PARTICLE_AND_KICK = 130
"""Numbers that a kick leaves on a tape, each particle; measured with PyTorch 2.13, as those below."""
PER_CELL_AND_KICK = 95
"""The same, each cell of the grid."""
PER_PARTICLE_AND_MAP = 68
"""The same of a map, or of one kick in the splitting of a magnet."""
KICKS_OF_ORDER = {2: 1, 4: 3, 6: 7}


def tape_bytes(
    line: Line, beam: Beam, *, space_charge: Any = None, slices: int | None = None, step: float | None = None
) -> float:
    """Bytes, with the arguments of `backbeam.track`."""
    plan = unroll(compile_line(line, Slicing(slices, step), space_charge is not None))
    kicks = sum(isinstance(step, Kick) for step in plan)
    maps = sum(_substeps(step.map) for step in plan if isinstance(step, Apply))
    cells = 1
    for n in getattr(space_charge, "grid", ()):
        cells *= n
    numbers = beam.n * (kicks * PER_PARTICLE_AND_KICK + maps * PER_PARTICLE_AND_MAP) + kicks * cells * PER_CELL_AND_KICK
    return numbers * (8 if beam.dtype == "float64" else 4)


def _substeps(map: Any) -> int:
    return getattr(map, "steps", 1) * KICKS_OF_ORDER.get(getattr(map, "order", 2), 1)


def available_memory() -> int | None:
    """Bytes that this machine can still give; None where it does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        found = dict(line.split(":") for line in lines)
        return int(found["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError, IndexError):
        return None
