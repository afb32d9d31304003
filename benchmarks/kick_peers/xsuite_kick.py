"""Xsuite's kick of a beam: ``python xsuite_kick.py BEAM.npz KICK.npy``. Its grid covers all particles."""

import os
import sys

import numpy as np

os.environ.setdefault("XSUITE_ALLOW_KERNEL_COMPILATION", "1")

import xfields
import xobjects
import xtrack

beam = np.load(sys.argv[1])
context = xobjects.ContextCpu()
particles = xtrack.Particles(
    _context=context, mass0=float(beam["mass"]), q0=float(beam["number"]), p0c=float(beam["p0c"]), ptau=0.0,
    weight=float(beam["weight"]), **{k: beam[k] for k in ("x", "px", "y", "py", "zeta")},
)  # fmt: skip
axes = {"x_range": "x", "y_range": "y", "z_range": "zeta"}
ranges = {name: (1.02 * beam[axis].min(), 1.02 * beam[axis].max()) for name, axis in axes.items()}
element = xfields.SpaceCharge3D(
    _context=context, length=float(beam["length"]), update_on_track=True, apply_z_kick=True, solver="FFTSolver3D",
    gamma0=float(beam["gamma"]), **dict.fromkeys(("nx", "ny", "nz"), int(beam["grid"])), **ranges,
)  # fmt: skip
element.track(particles)
order = np.argsort(particles.particle_id)
np.save(sys.argv[2], np.stack([np.asarray(getattr(particles, k))[order] - beam[k] for k in ("px", "py")]))
