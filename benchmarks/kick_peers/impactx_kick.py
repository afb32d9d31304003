"""ImpactX's kick of a beam in a drift: ``python impactx_kick.py BEAM.npz KICK.npy``."""

import sys

import numpy as np
from impactx import ImpactX, elements

beam = np.load(sys.argv[1])
simulation = ImpactX()
simulation.omp_threads, simulation.verbose, simulation.tiny_profiler = 1, 0, False
simulation.particle_shape, simulation.space_charge, simulation.poisson_solver = 1, "3D", "fft"
simulation.n_cell, simulation.dynamic_size, simulation.prob_relative = [int(beam["grid"])] * 3, True, [1.1]
simulation.diagnostics = simulation.slice_step_diagnostics = False
simulation.init_grids()
simulation.beam.ref.set_species(str(beam["species"])).set_kin_energy_MeV(float(beam["energy"]) * 1e-6)
# Particles move between ImpactX's boxes; a spin, which nothing looks at, says which is which.
which = np.arange(beam["x"].size, dtype=float)
simulation.beam.add_n_particles(
    beam["x"], beam["y"], beam["t"], beam["px"], beam["py"], 0.0 * which, float(beam["number"]) / float(beam["mass"]),
    float(beam["charge"]), sx=which, sy=0.0 * which, sz=0.0 * which,
)  # fmt: skip
simulation.lattice.extend([elements.Drift(ds=float(beam["length"]), nslice=1)])
simulation.track_particles()
found = {name: [] for name in ("spin_x", "momentum_x", "momentum_y")}
for tile in simulation.beam.iterator(level=0):
    real = tile.soa().to_numpy().real
    for name, parts in found.items():
        parts.append(np.array(real[name]))
spin, px, py = (np.concatenate(parts) for parts in found.values())
order = np.argsort(spin)
np.save(sys.argv[2], np.stack([px[order] - beam["px"], py[order] - beam["py"]]))
