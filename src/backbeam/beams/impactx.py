"""ImpactX's beam monitors: openPMD with its own records, which BeamPhysics cannot read.

``position/t`` is c (t - t0) [m] and ``momentum/t`` is -pt, in units of P0 c; the reference particle is in the
group's attributes (its documentation, "Beam Monitor").
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from backbeam.beam import Beam
from backbeam.beams.asked import Asked
from backbeam.beams.hdf5 import MAGIC, number, opened, series
from backbeam.errors import InputError
from backbeam.reference import Reference
from backbeam.species import ELEMENTARY_CHARGE, SPEED_OF_LIGHT, Species, species_like

NAME = "impactx"
SUFFIXES = ()


def recognises(path: Path, head: bytes) -> bool:
    """Whether it is openPMD whose first particles have a ``beta_gamma_ref``."""
    if not head.startswith(MAGIC):
        return False
    with opened(path) as file:
        if "openPMD" not in file.attrs or "particlesPath" not in file.attrs:
            return False
        names, where = series(file)
        place = f"{where.replace('%T', names[0])}/beam" if names else ""
        return place in file and "beta_gamma_ref" in file[place].attrs


def load(path: Path, asked: Asked) -> Beam:
    """Read the beam of one pass by the monitor."""
    if asked.reference_momentum is not None:
        raise InputError("beam.reference_momentum", asked.reference_momentum, "left out: the file holds it")
    with opened(path) as file:
        names, where = series(file)
        group = file[f"{where.replace('%T', asked.one_of(names, 'iterations', path))}/beam"]
        said = {k: number(group.attrs[k]) for k in ("beta_gamma_ref", "mass_ref", "charge_ref", "s_ref")}
        rows = [group[f"{record}/{axis}"][:] for axis in "xyt" for record in ("position", "momentum")]
        numbers = group["weighting"][:]
    X = np.stack([np.asarray(row, dtype=np.float64) for row in rows])
    X[5] = -X[5]
    species = asked.species_or(_species(said["mass_ref"], said["charge_ref"]), str(path))
    u0, charges = said["beta_gamma_ref"], numbers * said["charge_ref"]
    beam = Beam.from_arrays(X, species=species, reference_momentum=u0 * species.mass, charges=charges)
    beam = beam.replace(reference=Reference(beam.as_mine(u0), species), s=said["s_ref"])
    return beam if asked.charge is None else beam.with_parameters(charge=abs(float(asked.charge)))


def _species(mass: float, charge: float) -> Species:
    """Species of a mass [kg] and a charge [C]."""
    return species_like(mass * SPEED_OF_LIGHT**2 / ELEMENTARY_CHARGE, charge / ELEMENTARY_CHARGE)
