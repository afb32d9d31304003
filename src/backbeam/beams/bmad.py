"""Bmad's text of particles about a reference, by openpmd-beamphysics. Its HDF5 files are openPMD."""

from __future__ import annotations

from pathlib import Path

from backbeam.beam import Beam
from backbeam.beams.group import write_by

NAME = "bmad"
SUFFIXES = (".beam0",)


def save(beam: Beam, path: Path) -> None:
    """Write the text, in coordinates about the reference momentum."""
    p0 = float(beam.backend.to_numpy(beam.reference.momentum))
    write_by("write_bmad", beam, path, p0c=p0)
