"""Astra's particle files: ten columns of text, x y z px py pz t q index status, in m, eV/c, ns and nC.

The first row is the reference particle; z, pz and t of all others are relative to it. It is a macroparticle, too,
and carries its share of the charge. The list is one of fixed t, that of the reference; the particles' own clocks
count only where all are at one z. Astra's manual: index 1 electrons, 2 positrons, 3 protons, 4 hydrogen ions;
status 5 a standard particle, 3 and -3 a probe, negative at the cathode or lost.
"""

from __future__ import annotations

from pathlib import Path

from backbeam.beam import Beam
from backbeam.beams.asked import Asked
from backbeam.beams.group import write_by
from backbeam.beams.particles import ParticleList
from backbeam.beams.text import numbers_of_line, read_rows
from backbeam.errors import InputError
from backbeam.species import KNOWN

NAME = "astra"
SUFFIXES = (".astra", ".ini")
SPECIES = {1: "electron", 2: "positron", 3: "proton"}
STANDARD = 5


def recognises(path: Path, head: bytes) -> bool:
    """Whether the first line has ten numbers, the last two of them whole."""
    row = numbers_of_line(head, 0)
    return len(row) == 10 and all(value == int(value) for value in row[8:])


def load(path: Path, asked: Asked) -> Beam:
    """Read the standard particles."""
    if asked.iteration is not None:
        raise InputError("beam.iteration", asked.iteration, "left out: the file holds one beam")
    rows = read_rows(path, 10)
    reference = rows[0].copy()
    rows[1:, [2, 5, 6]] += reference[[2, 5, 6]]
    if reference[7] == 0.0 and len(rows) > 1:  # then it only says where the others are
        rows = rows[1:]
    x, y, z, px, py, pz, clock, q, index, status = rows.T
    alive = status == STANDARD
    kinds = {int(k) for k in index[alive]} if alive.any() else {int(index[0])}
    if len(kinds) > 1:
        raise InputError("beam.file", str(path), f"particles of one species, not of {sorted(kinds)}")
    (kind,) = kinds
    if not alive.any() and (status == -1).any():
        raise InputError("beam.file", f"{path}: all particles wait at the cathode", "a beam past its cathode")
    at_one_place = bool((z == z[0]).all())
    found = ParticleList(
        species=KNOWN.get(SPECIES.get(kind, "")),
        x=x, y=y, z=z, px=px, py=py, pz=pz,
        t=1e-9 * (clock if at_one_place else reference[6]),
        charges=q * 1e-9,
        alive=alive,
    )  # fmt: skip
    return found.beam(asked, str(path))


def save(beam: Beam, path: Path) -> None:
    """Write a list at fixed t, by openpmd-beamphysics, in twelve digits."""
    write_by("write_astra", beam, path, at="t")
