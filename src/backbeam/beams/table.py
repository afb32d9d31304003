"""Our own CSV: a comment with the reference, the names of the coordinates, a row a particle.

::

    # backbeam beam: species=electron mass=510998.95 charge_number=-1.0 beta_gamma=490.2 s=1.5
    x,px,y,py,tau,pt,charge,lost_at

Without the comment, species and momentum come from the arguments; ``charge`` and ``lost_at`` may be left out.
Where and why particles were lost is in ``.npz`` alone.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from backbeam.arrays import COORDINATES
from backbeam.beam import Beam
from backbeam.beams.archive import restored
from backbeam.beams.asked import Asked
from backbeam.beams.particles import even_charges
from backbeam.errors import InputError
from backbeam.species import Species

NAME = "csv"
SUFFIXES = (".csv",)
MARK = "# backbeam beam:"
COLUMNS = (*COORDINATES, "charge", "lost_at")


def save(beam: Beam, path: Path) -> None:
    """Write the table with every digit; of one beam, not of a batch."""
    host = beam.backend.to_numpy
    X = host(beam.coordinates)
    if X.ndim != 2:
        raise InputError("beam", f"a batch of shape {X.shape[:-2]}", "one beam, or a file of the format npz")
    s = float(host(beam.s) if hasattr(beam.s, "shape") else beam.s)
    mass, number = beam.species.mass, beam.species.charge_number
    head = (
        f"{MARK} species={beam.species.name.replace(' ', '_')} mass={mass!r} charge_number={number!r} "
        f"beta_gamma={float(host(beam.reference.beta_gamma))!r} s={s!r}\n{','.join(COLUMNS)}"
    )
    rows = np.vstack([X, host(beam.charges), host(beam.lost_at)]).T
    np.savetxt(path, rows, fmt=["%.17g"] * 7 + ["%d"], delimiter=",", header=head, comments="", encoding="utf-8")


def recognises(path: Path, head: bytes) -> bool:
    """Whether a first line that is no comment names x, px, y, py, tau and pt."""
    lines = [line for line in head.decode("utf-8-sig", "replace").splitlines() if not line.startswith("#")]
    return bool(lines) and set(COORDINATES) <= set(_names(lines[0]))


def load(path: Path, asked: Asked) -> Beam:
    """Read the table."""
    if asked.iteration is not None:
        raise InputError("beam.iteration", asked.iteration, "left out: a table holds one beam")
    said: dict[str, str] = {}
    with path.open(encoding="utf-8-sig") as file:
        for line in file:
            if not line.startswith("#"):
                break
            if line.startswith(MARK):
                said = dict(word.split("=", 1) for word in line[len(MARK) :].split() if "=" in word)
        names = _names(line)
        for name in names:
            if name not in COLUMNS:
                raise InputError("beam.file", name, f"a table with the columns {', '.join(COLUMNS)}")
        missing = [name for name in COORDINATES if name not in names]
        if missing or len(set(names)) != len(names):
            raise InputError("beam.file", str(path), f"a table with each of the columns {', '.join(COORDINATES)} once")
        rows = np.loadtxt(file, delimiter=",", ndmin=2)
    if rows.shape[0] < 1 or rows.shape[1] != len(names):
        raise InputError("beam.file", str(path), "at least one row, as long as the first line")
    columns = dict(zip(names, rows.T, strict=True))
    species = None
    if "species" in said:
        species = Species(said["species"], float(said["mass"]), float(said["charge_number"]))
    species = asked.species_or(species, str(path))
    u0 = float(said["beta_gamma"]) if "beta_gamma" in said else None
    if asked.reference_momentum is not None:
        if u0 is not None:
            raise InputError("beam.reference_momentum", asked.reference_momentum, "left out: the table holds it")
        u0 = float(asked.reference_momentum) / species.mass
    if u0 is None:
        raise InputError("beam.reference_momentum", None, f"a momentum P0 c in eV: {path} does not say it")
    X = np.stack([columns[name] for name in COORDINATES])
    charges, charge = columns.get("charge"), asked.charge
    if charges is None:
        if charge is None:
            raise InputError("beam.charge", None, f"a total charge in C: {path} does not say it")
        charges, charge = even_charges(species, charge, X.shape[1]), None
    lost_at = columns.get("lost_at", np.asarray(-1))
    return restored(X, charges, species, np.asarray(u0), lost_at, float(said.get("s", 0.0)), charge)


def _names(line: str) -> list[str]:
    return [name.strip() for name in line.split(",")]
