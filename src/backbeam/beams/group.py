"""`beamphysics.ParticleGroup`: the door to every code that openpmd-beamphysics reads or writes."""

from __future__ import annotations

import warnings
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from backbeam.beam import Beam
from backbeam.beams.asked import Asked
from backbeam.beams.openpmd import ALIVE, OUR_NAME, THEIR_NAME
from backbeam.beams.particles import ParticleList, list_of
from backbeam.errors import InputError
from backbeam.extras import need
from backbeam.species import KNOWN


def particle_group(purpose: str) -> Any:
    """The class `beamphysics.ParticleGroup`, whose plots set up colours as they are imported, with warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        need("beams", "beamphysics.particles", purpose=purpose)
    from beamphysics import ParticleGroup

    return ParticleGroup


def group_of(beam: Beam) -> Any:
    """Living particles as a `beamphysics.ParticleGroup` at z = 0, with t = tau/c.

    Raises
    ------
    InputError
        For a species that the library does not know.
    """
    library = particle_group("a ParticleGroup")
    from beamphysics.species import MASS_OF

    name = THEIR_NAME.get(beam.species.name, beam.species.name)
    if name not in MASS_OF:
        known = ", ".join(OUR_NAME.get(theirs, theirs) for theirs in MASS_OF)
        raise InputError("beam.species", beam.species.name, f"one of {known} for openpmd-beamphysics")
    rows = list_of(beam)
    alive = rows["alive"]
    data = {k: rows[k][alive] for k in ("x", "y", "z", "px", "py", "pz", "t", "weight")}
    return library(data={**data, "status": np.full(int(alive.sum()), ALIVE), "species": name})


def beam_of(group: Any, asked: Asked, source: str, momentum: float | None = None) -> Beam:
    """Beam of a `beamphysics.ParticleGroup`."""
    name = OUR_NAME.get(group.species, group.species)
    rows = {k: getattr(group, k) for k in ("x", "y", "z", "px", "py", "pz", "t")}
    found = ParticleList(
        species=KNOWN.get(name), **rows, charges=group.weight, alive=group.status == ALIVE, momentum=momentum
    )
    return found.beam(asked, source)


def write_by(method: str, beam: Beam, target: Any, *, at: str = "s", even: bool = False, **arguments: Any) -> None:
    """Write a file by a method of `ParticleGroup`, which may print what it does.

    ``at`` is what its list shares, s or t; ``even``: it has no place for charges of single particles.

    Raises
    ------
    InputError
        For charges that it would drop.
    """
    group = group_of(beam)
    if even and np.ptp(group.weight) > 1e-9 * np.max(group.weight):
        raise InputError("beam.charges", "of different sizes", "equal charges in this format")
    if at == "t":
        group.drift_to_t()
    with redirect_stdout(StringIO()):
        getattr(group, method)(str(target) if isinstance(target, Path) else target, **arguments)
