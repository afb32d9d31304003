"""GPT's text of particles, for its ``asci2gdf``, by openpmd-beamphysics. What GPT writes is binary: LUME reads it."""

from __future__ import annotations

from pathlib import Path

from backbeam.beam import Beam
from backbeam.beams.group import write_by

NAME = "gpt"
SUFFIXES = (".gpt",)


def save(beam: Beam, path: Path) -> None:
    """Write the text."""
    write_by("write_gpt", beam, path)
