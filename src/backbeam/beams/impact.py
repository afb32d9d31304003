"""IMPACT-T's ``partcl.data``: the number of particles, then rows x gbx y gby z gbz, in m and gamma beta.

It is a list at fixed t, and says neither species nor charge: both are arguments.
"""

from __future__ import annotations

from pathlib import Path

from backbeam.beam import Beam
from backbeam.beams.asked import Asked
from backbeam.beams.group import write_by
from backbeam.beams.particles import ParticleList
from backbeam.beams.text import numbers_of_line, read_rows
from backbeam.errors import InputError

NAME = "impact"
SUFFIXES = ("partcl.data",)


def recognises(path: Path, head: bytes) -> bool:
    """Whether rows of six numbers stand below a first line with one."""
    return len(numbers_of_line(head, 0)) == 1 and len(numbers_of_line(head, 1)) == 6


def load(path: Path, asked: Asked) -> Beam:
    """Read the list; ``fort.40`` and its like, which have no first line, too."""
    if asked.iteration is not None:
        raise InputError("beam.iteration", asked.iteration, "left out: the file holds one beam")
    with path.open("rb") as file:
        first = numbers_of_line(file.readline(4096), 0)
    rows = read_rows(path, 6, skip=1 if len(first) == 1 else 0)
    if len(first) == 1 and first[0] != len(rows):
        raise InputError("beam.file", str(path), f"{first[0]:g} particles, as its first line says, not {len(rows)}")
    species = asked.species_or(None, str(path))
    x, ux, y, uy, z, uz = rows.T
    m = species.mass
    found = ParticleList(species=species, x=x, y=y, z=z, px=ux * m, py=uy * m, pz=uz * m, t=0.0, charges=None)
    return found.beam(asked, str(path))


def save(beam: Beam, path: Path) -> None:
    """Write the list at fixed t, by openpmd-beamphysics."""
    write_by("write_impact", beam, path, at="t", even=True)
