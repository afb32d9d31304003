"""OPAL's HDF5 phase-space files (H5hut), a group ``Step#k`` a snapshot, by openpmd-beamphysics."""

from __future__ import annotations

from pathlib import Path

from backbeam.beam import Beam
from backbeam.beams.asked import Asked
from backbeam.beams.group import beam_of, particle_group, write_by
from backbeam.beams.hdf5 import MAGIC, opened

NAME = "opal"
SUFFIXES = (".opal",)
STEP = "Step#"


def recognises(path: Path, head: bytes) -> bool:
    """Whether it is HDF5 with steps."""
    if not head.startswith(MAGIC):
        return False
    with opened(path) as file:
        return any(name.startswith(STEP) for name in file)


def load(path: Path, asked: Asked) -> Beam:
    """Read one step."""
    library = particle_group(f"reading {path}")
    from beamphysics.interfaces.opal import opal_to_data

    with opened(path) as file:
        steps = [name.removeprefix(STEP) for name in file if name.startswith(STEP)]
        group = library(data=opal_to_data(file[STEP + asked.one_of(steps, "steps", path)]))
    return beam_of(group, asked, str(path))


def save(beam: Beam, path: Path) -> None:
    """Write OPAL's text of a distribution, injected at fixed t, by openpmd-beamphysics."""
    write_by("write_opal", beam, path, at="t", even=True, dist_type="injected")
