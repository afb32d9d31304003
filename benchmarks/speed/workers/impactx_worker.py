"""ImpactX. Its (t, pt) = (tau, -pt)."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from time import perf_counter
from typing import Any

import numpy as np
from impactx import ImpactX, elements
from serve import Work, beam_of, kicks, serve

Task = Mapping[str, Any]
VERSIONS = {"impactx": version("impactx-noacc")}
CHARGE_NUMBER, MASS = {"electron": -1, "proton": 1}, {"electron": 0.51099895069e6, "proton": 938.27208943e6}


def simulation(task: Task, grid: int | None, lattice: list[Any]) -> ImpactX:
    """A beam in a lattice; space charge where there is a grid: box of the beam and a tenth more, IGF, linear shapes."""
    given = beam_of(task["beam"])
    sim = ImpactX()
    sim.omp_threads = task["threads"]
    sim.verbose = 0
    sim.tiny_profiler = False
    sim.particle_shape = 1
    sim.space_charge = False if grid is None else "3D"
    if grid is not None:
        sim.n_cell = [grid] * 3
        sim.poisson_solver = "fft"
        sim.dynamic_size = True
        sim.prob_relative = [1.1]
    sim.diagnostics = False
    sim.slice_step_diagnostics = False
    sim.init_grids()
    sim.beam.ref.set_species(given["species"]).set_kin_energy_MeV(given["kinetic_energy"] * 1e-6)
    x, px, y, py, tau, pt = given["coordinates"]
    ratio = CHARGE_NUMBER[given["species"]] / MASS[given["species"]]
    # Particles move between ImpactX's boxes; a spin, which nothing looks at, says which is which.
    which = np.arange(x.size, dtype=np.float64)
    spin = {"sx": which, "sy": 0.0 * which, "sz": 0.0 * which}
    sim.beam.add_n_particles(x, y, tau, px, py, -pt, ratio, given["charge"], **spin)
    sim.lattice.extend(lattice)
    return sim


def coordinates(sim: ImpactX) -> np.ndarray:
    names = ("spin_x", "position_x", "momentum_x", "position_y", "momentum_y", "position_t", "momentum_t")
    found: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for tile in sim.beam.iterator(level=0):
        real = tile.soa().to_numpy().real
        for name, parts in found.items():
            parts.append(np.array(real[name]))
    which, *rows = (np.concatenate(parts) for parts in found.values())
    rows[5] = -rows[5]
    return np.stack(rows)[:, np.argsort(which)]


def kick(task: Task) -> Work:
    """The kick alone: a drift with space charge, less the same drift without."""
    sim = simulation(task, task["grid"], [elements.Drift(ds=task["ds"], nslice=1)])
    sim.track_particles()
    outcome = coordinates(sim)

    def seconds(model: Any) -> float:
        sim.space_charge = model
        start = perf_counter()
        sim.track_particles()
        return perf_counter() - start

    return Work({"forward": lambda: seconds("3D") - seconds(False)}, lambda: outcome, VERSIONS, sim.finalize)


def line(task: Task) -> Work:
    """``model``: linear, or exact with quadrupoles of the order and steps of ours."""
    lattice = []
    for _ in range(task["cells"]):
        for sign in (1.0, -1.0):
            k = sign * task["k1"]
            if task["model"] == "exact":
                lattice.append(elements.ExactQuad(ds=task["quadrupole"], k=k, int_order=6, mapsteps=1))
                lattice.append(elements.ExactDrift(ds=task["drift"]))
            else:
                lattice.append(elements.Quad(ds=task["quadrupole"], k=k))
                lattice.append(elements.Drift(ds=task["drift"]))
    sim = simulation(task, None, lattice)
    sim.track_particles()
    outcome = coordinates(sim)
    return Work({"track": sim.track_particles}, lambda: outcome, VERSIONS)


if __name__ == "__main__":
    serve({"kick": kick, "kicks": kicks(kick, VERSIONS), "line": line})
