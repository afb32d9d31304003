"""Files of particles as other codes write them: by the format's own library, or by its description."""

from __future__ import annotations

import io

import h5py
import numpy as np
import pandas
import pysdds

from backbeam.beam import Beam
from backbeam.species import ELEMENTARY_CHARGE, SPEED_OF_LIGHT


def beam_of(species="electron", kinetic_energy=5e6, n=200, seed=1, **more):
    """A beam with correlations, means and different charges."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(6, n)) * np.asarray([1e-3, 2e-3, 0.5e-3, 1e-3, 2e-3, 1e-3])[:, None]
    X[1] += 0.3 * X[0]
    X[4] += 0.2 * X[5] + 1e-4
    beam = Beam.from_arrays(X, species=species, kinetic_energy=kinetic_energy, charge=1e-9, **more)
    return beam.replace(charges=beam.charges * rng.uniform(0.5, 1.5, n), s=1.25)


def momenta(beam):
    """(px, py, pz) in eV/c and the velocity along z in m/s."""
    p0, mass = float(beam.reference.momentum), beam.species.mass
    energy = float(beam.gamma) * mass + beam.pt * p0
    px, py = beam.px * p0, beam.py * p0
    pz = np.sqrt(energy**2 - mass**2 - px**2 - py**2)
    return px, py, pz, SPEED_OF_LIGHT * pz / energy


def at_one_time(beam):
    """x, y, z of the particles when the reference passes: each has flown on since, or has yet to come."""
    px, py, pz, v = momenta(beam)
    z = -v * beam.tau / SPEED_OF_LIGHT
    return beam.x + z * px / pz, beam.y + z * py / pz, z


def astra(path, beam, status=None, clock=0.0):
    """Astra's ten columns, by its manual: the first particle is the reference of z, pz and t."""
    x, y, z = at_one_time(beam)
    px, py, pz, _ = momenta(beam)
    z, t = z + 2.5, np.full(beam.n, 4.0) + clock
    rows = np.stack([x, y, z, px, py, pz, t, beam.charges * 1e9, np.ones(beam.n), np.full(beam.n, 5.0)], axis=1)
    if status is not None:
        rows[:, 9] = status
    rows[1:, [2, 5, 6]] -= rows[0, [2, 5, 6]]
    np.savetxt(path, rows, fmt=["%.17g"] * 8 + ["%d"] * 2)


def impact(path, beam, head=True):
    """IMPACT-T's partcl.data."""
    x, y, z = at_one_time(beam)
    ux, uy, uz = (p / beam.species.mass for p in momenta(beam)[:3])
    np.savetxt(
        path, np.stack([x, ux, y, uy, z, uz], axis=1), fmt="%.17g", header=str(beam.n) if head else "", comments=""
    )


def elegant(path, *beams, mode="binary", endianness="little", **parameters):
    """Elegant's SDDS, a page a beam, by pysdds."""
    frames = []
    for beam in beams:
        px, py, pz, _ = momenta(beam)
        u = np.sqrt(px**2 + py**2 + pz**2) / beam.species.mass
        t = beam.tau / SPEED_OF_LIGHT + 3e-9
        frames.append(pandas.DataFrame(dict(x=beam.x, xp=px / pz, y=beam.y, yp=py / pz, t=t, p=u)))
    said = {"Charge": [float(abs(b.charge)) for b in beams], "pCentral": [float(b.reference.beta_gamma) for b in beams]}
    said = {name: value for name, value in {**said, **parameters}.items() if value is not None}
    buffer = io.BytesIO()  # to a path it would leave the file open
    pysdds.write(pysdds.SDDSFile.from_df(frames, said, mode=mode, endianness=endianness), buffer)
    path.write_bytes(buffer.getvalue())


def impactx(path, passes):
    """ImpactX's beam monitor: an iteration a pass, records position/xyt, momentum/xyt, weighting."""
    with h5py.File(path, "w") as file:
        for name, text in (("basePath", "/data/%T/"), ("particlesPath", "particles/"), ("openPMD", "1.1.0")):
            file.attrs[name] = np.bytes_(text)
        for step, beam in passes.items():
            group = file.create_group(f"data/{step}/particles/beam")
            mass = beam.species.mass * ELEMENTARY_CHARGE / SPEED_OF_LIGHT**2
            charge = beam.species.charge_number * ELEMENTARY_CHARGE
            said = dict(beta_gamma_ref=float(beam.reference.beta_gamma), mass_ref=mass, charge_ref=charge, s_ref=beam.s)
            group.attrs.update(said)
            for record, rows in (("position", (beam.x, beam.y, beam.tau)), ("momentum", (beam.px, beam.py, -beam.pt))):
                for axis, row in zip("xyt", rows, strict=True):
                    group[f"{record}/{axis}"] = row
                    group[f"{record}/{axis}"].attrs["unitSI"] = 1.0
            group["weighting"] = beam.charges / charge


def opal(path, beam, steps=(0,)):
    """OPAL's H5hut file: momenta in gamma beta, places about RefPartR, the mass in GeV."""
    x, y, z = at_one_time(beam)
    px, py, pz, _ = momenta(beam)
    with h5py.File(path, "w") as file:
        for step in steps:
            group = file.create_group(f"Step#{step}")
            said = dict(MASS=beam.species.mass * 1e-9, CHARGE=float(beam.charge), TIME=2e-9)
            group.attrs.update({name: [value] for name, value in said.items()})
            group.attrs["RefPartR"] = [0.0, 0.0, 1.0]
            rows = dict(x=x, y=y, z=z - 1.0, px=px, py=py, pz=pz)
            for name, row in rows.items():
                group[name] = row / beam.species.mass if name.startswith("p") else row
            group["ptype"] = np.zeros(beam.n, dtype=np.int32)
