"""Our own ``.npz``: all that a beam is, bit for bit, so that tracking goes on where it ended.

``backbeam run --output`` writes one. What monitors saw is in it as ``reading_<name>``, and is not read back: it
belongs to the run that saw it.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from backbeam import losses
from backbeam.beam import Beam
from backbeam.beams.asked import Asked
from backbeam.errors import InputError
from backbeam.reference import Reference
from backbeam.species import KNOWN, Species

NAME = "npz"
SUFFIXES = (".npz",)
NEEDED = ("coordinates", "charges", "beta_gamma", "species", "mass", "charge_number")
LARGEST = 64 * 2**30
"""An archive that unpacks to more bytes is taken for something else."""


def arrays_of(beam: Beam) -> dict[str, Any]:
    """Arrays of a beam by name, in SI units; readings as ``reading_<name>``."""
    host = beam.backend.to_numpy
    readings = {
        f"reading_{name}": np.stack([host(r) for r in reading]) if isinstance(reading, list) else host(reading)
        for name, reading in beam.readings.items()
    }
    return {
        "coordinates": host(beam.coordinates),
        "charges": host(beam.charges),
        "lost_at": host(beam.lost_at),
        "beta_gamma": host(beam.reference.beta_gamma),
        "s": np.asarray(host(beam.s) if hasattr(beam.s, "shape") else beam.s),
        "species": np.asarray(beam.species.name),
        "mass": np.asarray(beam.species.mass),
        "charge_number": np.asarray(beam.species.charge_number),
        **losses.arrays_of(beam.ledger),
        **readings,
    }


def save(beam: Beam, path: Path) -> None:
    """Write the archive, batches too."""
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays_of(beam))


def recognises(path: Path, head: bytes) -> bool:
    """Whether it is a zip archive with the arrays of a beam."""
    if not head.startswith(b"PK") or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return "coordinates.npy" in archive.namelist()


def load(path: Path, asked: Asked) -> Beam:
    """Read the archive. What is asked for besides the species and the total charge contradicts it."""
    for name in ("reference_momentum", "iteration"):
        if getattr(asked, name) is not None:
            raise InputError(f"beam.{name}", getattr(asked, name), "left out: the archive holds it")
    with zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > LARGEST:
            raise InputError("beam.file", str(path), f"an archive that unpacks to at most {LARGEST} bytes")
    with np.load(path, allow_pickle=False) as found:
        missing = [name for name in NEEDED if name not in found]
        if missing:
            raise InputError("beam.file", str(path), f"an archive of a beam: this one has no {', '.join(missing)}")
        data = {k: found[k] for k in found.files if not k.startswith("reading_")}
    species = Species(str(data["species"]), float(data["mass"]), float(data["charge_number"]))
    if asked.species is not None:
        given = asked.species_or(None, str(path))
        if given.mass != species.mass or given.charge_number != species.charge_number:
            raise InputError("beam.species", given.name, f"left out, or {species.name} as the archive says")
    beam = restored(
        data["coordinates"],
        data["charges"],
        species,
        data["beta_gamma"],
        data.get("lost_at", np.asarray(-1)),
        data.get("s", np.asarray(0.0)),
        asked.charge,
    )
    return beam.replace(ledger=losses.ledger_of(data))


def restored(X: Any, charges: Any, species: Species, u0: Any, lost_at: Any, s: Any, charge: float | None) -> Beam:
    """Beam of what was written of one, with the bits of its reference; ``charge`` is another total, if given."""
    lost_at = np.asarray(lost_at).astype(np.int32)
    gone = np.broadcast_to(lost_at[..., None, :] if lost_at.ndim else lost_at, X.shape) >= 0
    going = np.where(gone, 0.0, X).astype(X.dtype)  # whether a lost particle could still fly is nobody's business
    species = KNOWN[species.name] if KNOWN.get(species.name) == species else species
    beam = Beam.from_arrays(going, species=species, reference_momentum=u0 * species.mass, charges=charges)
    if not np.isfinite(s).all():
        raise InputError("beam.s", s, "a finite position in m")
    beam = beam.replace(
        coordinates=np.broadcast_to(X, beam.coordinates.shape),
        reference=Reference(beam.as_mine(u0, "beam.beta_gamma"), species),
        lost_at=np.broadcast_to(lost_at, beam.charges.shape),
        s=float(s) if np.ndim(s) == 0 else s,
    )
    return beam if charge is None else beam.with_parameters(charge=abs(float(charge)))
