"""ImpactX's envelope through a line, in an environment of its own: a case as JSON in, covariances as JSON out."""

from __future__ import annotations

import json
import sys

from impactx import ImpactX, distribution, elements

case = json.load(sys.stdin)
simulation = ImpactX()
simulation.omp_threads, simulation.verbose, simulation.tiny_profiler = 1, 0, False
simulation.space_charge = case["model"]
simulation.particle_shape = 1
simulation.diagnostics = simulation.slice_step_diagnostics = False
simulation.init_grids()
reference = simulation.beam.ref
reference.set_species(case["species"]).set_kin_energy_MeV(case["kinetic_energy"] * 1e-6)
names = ("lambdaX", "lambdaPx", "lambdaY", "lambdaPy", "lambdaT", "lambdaPt")
simulation.init_envelope(reference, distribution.Waterbag(**dict(zip(names, case["sizes"], strict=True))),
                         case["intensity"])  # fmt: skip
kinds = {"drift": elements.Drift, "quadrupole": elements.Quad}
simulation.lattice.extend(
    [
        kinds[kind](ds=length, nslice=case["slices"], **({} if k1 is None else {"k": k1}))
        for kind, length, k1 in case["line"]
    ]
)
simulation.track_envelope()
json.dump(simulation.envelope.envelope.to_numpy().tolist(), sys.stdout)
simulation.finalize()
