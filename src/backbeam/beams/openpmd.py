"""openPMD with the BeamPhysics extension: what Bmad, Tao, distgen and LUME's wrappers of Astra, GPT, IMPACT write.

Its units and its constant records are read by openpmd-beamphysics. A file that knows its reference momentum
(``totalMomentumOffset``, as Bmad's do and ours) keeps it, and its reference time; others get the means of their
particles. Bmad's times are deviations of picoseconds from a reference of microseconds: they are read apart.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from backbeam.beam import Beam
from backbeam.beams.asked import Asked
from backbeam.beams.hdf5 import MAGIC, number, opened, series, text
from backbeam.beams.particles import ParticleList, list_of
from backbeam.errors import InputError
from backbeam.extras import need
from backbeam.species import ELEMENTARY_CHARGE, KNOWN, SPEED_OF_LIGHT, Species

NAME = "openpmd"
SUFFIXES = (".h5", ".hdf5")

THEIR_NAME = {"muon-": "muon", "muon+": "antimuon"}
"""Species that the standard calls otherwise than we do; Bmad has its own name for an alpha particle."""
OUR_NAME = {theirs: ours for ours, theirs in THEIR_NAME.items()} | {"He++": "alpha", "#4He++": "alpha"}
ALIVE, LOST = 1, 2


def recognises(path: Path, head: bytes) -> bool:
    """Whether it is HDF5 with the mark of openPMD."""
    if not head.startswith(MAGIC):
        return False
    with opened(path) as file:
        return "openPMD" in file.attrs


def load(path: Path, asked: Asked) -> Beam:
    """Read the particles of one iteration and species."""
    need("beams", "beamphysics", purpose=f"reading {path}")
    with opened(path) as file:
        if "openPMD" not in file.attrs:
            raise InputError("beam.file", str(path), "a file of openPMD")
        names, where = series(file)
        group = file[where.replace("%T", asked.one_of(names, "iterations", path))]
        return _list(_species_group(group, asked, path), asked, path).beam(asked, str(path))


def _species_group(group: Any, asked: Asked, path: Path) -> Any:
    """The group with the records: this one, or one a species, of which there may be several."""
    if "position" in group:
        return group
    found = [name for name in group if "position" in group[name]]
    if len(found) > 1 and asked.species is not None:
        wanted = asked.species if isinstance(asked.species, str) else asked.species.name
        found = [name for name in found if _our_name(group[name], name) == wanted] or found
    if not found:
        raise InputError("beam.file", str(path), "a file with particles")
    if len(found) > 1:
        raise InputError("beam.species", None, f"one of {', '.join(found)}: {path} holds several")
    return group[found[0]]


def _our_name(group: Any, default: str = "") -> str:
    name = text(group.attrs.get("speciesType", default))
    return OUR_NAME.get(name, name)


def _species(group: Any, asked: Asked, path: Path) -> Species:
    name = _our_name(group)
    found = KNOWN.get(name)
    if found is None and "speciesMass" in group.attrs:  # ours: see `save`
        found = Species(name, number(group.attrs["speciesMass"]), number(group.attrs["speciesChargeNumber"]))
    return asked.species_or(found, f"{path}, with its {name or 'nameless particles'},")


def _check_shapes(group: Any, n: int, path: Path) -> None:
    """Raise `InputError` for a record that claims another number of particles, before memory is taken for it."""

    def look(name: str, record: Any) -> None:
        shape = getattr(record, "shape", record.attrs.get("shape"))
        if shape is not None and tuple(np.ravel(shape)) not in ((n,), (1,), ()):
            raise InputError("beam.file", str(path), f"{n} particles in each record: {name} has another shape")

    group.visititems(look)


def _list(group: Any, asked: Asked, path: Path) -> ParticleList:
    from beamphysics.readers import component_data, particle_array

    n = int(number(group.attrs["numParticles"])) if "numParticles" in group.attrs else len(group["position/x"])

    _check_shapes(group, n, path)

    def array(name: str, default: Any = None, per_si: float = 1.0) -> Any:
        """A record in our units, as ``(n,)``."""
        if name not in group:
            return default
        return np.broadcast_to(np.asarray(component_data(group[name], unit_factor=per_si), dtype=np.float64), (n,))

    to_ev = SPEED_OF_LIGHT / ELEMENTARY_CHARGE
    offset = array("totalMomentumOffset", per_si=to_ev)
    momentum = float(offset[0]) if offset is not None and (offset == offset[0]).all() else None
    t, t_ref = array("time"), array("timeOffset")
    time = None
    if t_ref is not None and (t_ref == t_ref[0]).all():
        time = 0.0 if momentum is not None else None
    elif t_ref is not None:
        t = t + t_ref
    status = array("particleStatus", np.full(n, ALIVE))
    charges = array("weight")
    if charges is None and "totalCharge" in group.attrs:
        total = number(group.attrs["totalCharge"]) * number(group.attrs.get("chargeUnitSI", 1.0))
        charges = np.full(n, total / n)
    s = array("sPosition")
    return ParticleList(
        species=_species(group, asked, path),
        **{name: particle_array(group, name) for name in ("x", "y", "z", "px", "py", "pz")},
        t=t,
        charges=charges,
        alive=status == ALIVE,
        momentum=momentum,
        time=time,
        excess=array("totalMomentum", per_si=to_ev) if momentum is not None else None,
        s=float(s[0]) if s is not None and (s == s[0]).all() else 0.0,
    )


def save(beam: Beam, path: Path) -> None:
    """Write one iteration at z = 0, with the reference momentum, its time (0) and s; the lost as ``status`` 2."""
    h5py, _ = need("beams", "h5py", "beamphysics", purpose=f"writing {path}")
    from beamphysics.units import pg_units, write_unit_h5
    from beamphysics.writers import component_from_alias, pmd_init, write_component_data

    rows = list_of(beam)
    n, species = beam.n, beam.species
    with h5py.File(path, "w") as file:
        pmd_init(file, basePath="/data/%T/", particlesPath="particles/")
        file.attrs["software"] = np.bytes_("backbeam")
        group = file.create_group("data/00001/particles").create_group(THEIR_NAME.get(species.name, species.name))
        group.attrs["speciesType"] = np.bytes_(THEIR_NAME.get(species.name, species.name))
        group.attrs["speciesMass"], group.attrs["speciesChargeNumber"] = species.mass, species.charge_number
        group.attrs["numParticles"], group.attrs["chargeUnitSI"] = n, 1.0
        group.attrs["totalCharge"] = rows["weight"].sum()
        group.attrs["chargeLive"] = rows["weight"][rows["alive"]].sum()
        rows["status"] = np.where(rows["alive"], ALIVE, LOST)
        for name in ("x", "px", "y", "py", "z", "pz", "t", "status", "weight"):
            write_component_data(group, component_from_alias[name], rows[name], unit=pg_units(name))
        for record, value, like in (
            ("totalMomentum", rows["excess"], "px"),
            ("totalMomentumOffset", np.full(n, rows["momentum"]), "px"),
            ("timeOffset", np.zeros(n), "t"),
            ("sPosition", np.full(n, rows["s"]), "z"),
        ):
            write_component_data(group, record, value, unit=pg_units(like))
        for record, like in (("position", "x"), ("momentum", "px")):
            write_unit_h5(group[record], pg_units(like))
