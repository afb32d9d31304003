"""Genesis 1.3 version 4: its ``.par.h5`` of slices and its distribution files, by openpmd-beamphysics."""

from __future__ import annotations

from pathlib import Path

from backbeam.beam import Beam
from backbeam.beams.asked import Asked
from backbeam.beams.elegant import COLUMNS, list_of_slopes
from backbeam.beams.group import beam_of, particle_group, write_by
from backbeam.beams.hdf5 import MAGIC, opened
from backbeam.errors import InputError
from backbeam.extras import need
from backbeam.species import KNOWN

NAME = "genesis4"
SUFFIXES = (".genesis4",)


def recognises(path: Path, head: bytes) -> bool:
    """Whether it is HDF5 with slices."""
    if not head.startswith(MAGIC):
        return False
    with opened(path) as file:
        return ("slicecount" in file and "slicelength" in file) or all(name in file for name in COLUMNS)


def load(path: Path, asked: Asked) -> Beam:
    """Read all slices, as they stand; or a distribution, which says no charge."""
    if asked.iteration is not None:
        raise InputError("beam.iteration", asked.iteration, "left out: the file holds one beam")
    with opened(path) as file:
        if "slicecount" not in file:
            rows = {name: file[name][:] for name in COLUMNS}
            return list_of_slopes(rows, asked.species_or(KNOWN["electron"], str(path))).beam(asked, str(path))
    library = particle_group(f"reading {path}")

    return beam_of(library.from_genesis4(str(path)), asked, str(path))


def save(beam: Beam, path: Path) -> None:
    """Write a distribution for Genesis to import."""
    (h5py,) = need("beams", "h5py", purpose=f"writing {path}")
    with h5py.File(path, "w") as file:
        write_by("write_genesis4_distribution", beam, file, even=True)
