"""Elegant's SDDS files of particles: x, xp, y, yp, t [s], p = beta gamma; parameters ``pCentral`` and ``Charge``.

They are read by pysdds, ASCII and binary of either byte order. p is the whole momentum and xp = px/pz, so
px = p xp/sqrt(1 + xp^2 + yp^2). ``Charge`` may be 0 or missing: then the total is an argument. The species is the
electron unless another is asked for.
"""

from __future__ import annotations

from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from backbeam.beam import Beam
from backbeam.beams.asked import Asked
from backbeam.beams.group import write_by
from backbeam.beams.particles import ParticleList
from backbeam.errors import InputError
from backbeam.extras import need
from backbeam.species import KNOWN, Species

NAME = "elegant"
SUFFIXES = (".sdds",)
COLUMNS = ("x", "xp", "y", "yp", "t", "p")


def recognises(path: Path, head: bytes) -> bool:
    """Whether it says that it is SDDS."""
    return head.startswith(b"SDDS")


def load(path: Path, asked: Asked) -> Beam:
    """Read one page; of several, ``iteration`` says which, from 1."""
    (pysdds,) = need("beams", "pysdds", purpose=f"reading {path}")
    with path.open("rb") as file:  # pysdds would leave it open if it cannot be read
        with redirect_stdout(StringIO()):  # it prints what it cannot read
            sdds = pysdds.read(file)
    missing = [name for name in COLUMNS if name not in sdds.column_names]
    if missing:
        raise InputError("beam.file", str(path), f"columns {', '.join(COLUMNS)}: there is no {', '.join(missing)}")
    page = int(asked.one_of([str(k + 1) for k in range(sdds.n_pages)], "pages", path)) - 1
    rows = {name: sdds.col(name).data[page] for name in COLUMNS}
    species = asked.species_or(KNOWN["electron"], str(path))
    total, central = _parameter(sdds, "Charge", page), _parameter(sdds, "pCentral", page)
    found = list_of_slopes(rows, species)
    found = replace(
        found,
        charges=np.full(len(found.x), total / len(found.x)) if total else None,
        momentum=central * species.mass if central else None,
        s=_parameter(sdds, "s", page) or 0.0,
    )
    return found.beam(asked, str(path))


def list_of_slopes(rows: dict[str, Any], species: Species) -> ParticleList:
    """Particles of x, xp, y, yp, t and p = beta gamma, without charge."""
    x, xp, y, yp, t, u = (np.asarray(rows[name], dtype=np.float64) for name in COLUMNS)
    pz = species.mass * u / np.sqrt(1.0 + xp * xp + yp * yp)
    return ParticleList(species=species, x=x, y=y, z=0.0, px=xp * pz, py=yp * pz, pz=pz, t=t, charges=None)


def _parameter(sdds: Any, name: str, page: int) -> float | None:
    if name not in sdds.parameter_names:
        return None
    value = float(sdds.par(name).data[page])
    return value if np.isfinite(value) else None


def save(beam: Beam, path: Path) -> None:
    """Write SDDS in ASCII, by openpmd-beamphysics."""
    write_by("write_elegant", beam, path, even=True)
