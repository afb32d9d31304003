"""Xsuite (xtrack, xfields). Its (zeta, ptau) = (-beta0 tau, pt).

Its grid is fixed, with a Green function that was computed once, so its kick does less than the others'. Its FFT is
NumPy's: xfields 0.27.5 stops with an AssertionError where pyfftw is installed. One thread is its serial context, two
its OpenMP context.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np

# Only the serial context comes with kernels that are compiled already.
os.environ.setdefault("XSUITE_ALLOW_KERNEL_COMPILATION", "1")

import xfields
import xobjects
import xtrack
from serve import Work, beam_of, kicks, serve

Task = Mapping[str, Any]
VERSIONS = {name: version(name) for name in ("xtrack", "xfields", "xobjects")}
ELEMENTARY_CHARGE, CHARGE_NUMBER = 1.602176634e-19, {"electron": -1, "proton": 1}
MASS = {"electron": 0.51099895069e6, "proton": 938.27208943e6}
MARGIN = 1.02


@cache
def context(threads: int) -> xobjects.ContextCpu:
    """One for all: it keeps what has been compiled."""
    return xobjects.ContextCpu(omp_num_threads=0 if threads == 1 else threads)


class Setup:
    """The beam as Xsuite takes it."""

    def __init__(self, task: Task) -> None:
        threads = task["threads"]
        self.context = context(threads)
        given = beam_of(task["beam"])
        self.X, mass = given["coordinates"], MASS[given["species"]]
        energy = given["kinetic_energy"] + mass
        momentum = np.sqrt(energy**2 - mass**2)
        self.beta0, self.gamma0 = momentum / energy, energy / mass
        x, px, y, py, tau, pt = self.X
        self.reference = {"mass0": mass, "q0": CHARGE_NUMBER[given["species"]], "p0c": momentum}
        self.particles = xtrack.Particles(
            _context=self.context, **self.reference, x=x, px=px, y=y, py=py, zeta=-self.beta0 * tau, ptau=pt,
            weight=given["charge"] / ELEMENTARY_CHARGE / x.size,
        )  # fmt: skip

    def once(self, track: Callable[[Any], None]) -> np.ndarray:
        """What becomes of a copy of the beam, in backbeam's convention and order."""
        particles = self.particles.copy()
        track(particles)
        host = self.context.nparray_from_context_array
        rows = [host(getattr(particles, name)) for name in ("x", "px", "y", "py", "zeta", "ptau")]
        rows[4] = -rows[4] / self.beta0
        return np.stack(rows)[:, np.argsort(host(particles.particle_id))]


def kick(task: Task) -> Work:
    setup = Setup(task)
    x, _, y, _, tau, _ = setup.X
    ranges = [(MARGIN * a.min(), MARGIN * a.max()) for a in (x, y, -setup.beta0 * tau)]
    element = xfields.SpaceCharge3D(
        _context=setup.context, length=task["ds"], update_on_track=True, apply_z_kick=True, solver="FFTSolver3D",
        gamma0=setup.gamma0, **dict(zip(("x_range", "y_range", "z_range"), ranges, strict=True)),
        **dict.fromkeys(("nx", "ny", "nz"), task["grid"]),
    )  # fmt: skip
    outcome = setup.once(element.track)
    return Work({"forward": lambda: element.track(setup.particles)}, lambda: outcome, VERSIONS)


def line(task: Task) -> Work:
    """``model`` is that of the drifts; quadrupoles are Xsuite's own choice: thick."""
    setup = Setup(task)
    elements = []
    for _ in range(task["cells"]):
        for sign in (1.0, -1.0):
            # Xsuite's k1 is that of its particle's own charge, as ours: positive focuses x.
            elements.append(xtrack.Quadrupole(length=task["quadrupole"], k1=sign * task["k1"]))
            elements.append(xtrack.Drift(length=task["drift"]))
    beamline = xtrack.Line(elements)
    beamline.particle_ref = xtrack.Particles(**setup.reference)
    beamline.configure_drift_model(task["model"])
    beamline.build_tracker(_context=setup.context)
    outcome = setup.once(beamline.track)
    return Work({"track": lambda: beamline.track(setup.particles)}, lambda: outcome, VERSIONS)


def ring_of(task: Task, setup: Setup) -> Any:
    """A ring of cells of seven elements with names of their own."""
    elements, angle = {}, np.pi / task["cells"]
    for c in range(task["cells"]):
        elements |= {
            f"qf{c}": xtrack.Quadrupole(length=0.2, k1=task["k1"]),
            f"a{c}": xtrack.Drift(length=0.3),
            f"b{c}": xtrack.Bend(length=1.0, angle=angle, k0_from_h=True),
            f"c{c}": xtrack.Drift(length=0.3),
            f"qd{c}": xtrack.Quadrupole(length=0.2, k1=-task["k1"]),
            f"d{c}": xtrack.Bend(length=1.0, angle=angle, k0_from_h=True),
            f"e{c}": xtrack.Drift(length=0.6),
        }
    ring = xtrack.Line(list(elements.values()), element_names=list(elements))
    ring.particle_ref = xtrack.Particles(**setup.reference)
    return ring


def turns(task: Task) -> Work:
    """Turns of that ring."""
    setup = Setup(task)
    ring, count = ring_of(task, setup), task["turns"]
    ring.configure_drift_model("exact")
    ring.build_tracker(_context=setup.context)
    outcome = setup.once(lambda particles: ring.track(particles, num_turns=count))
    return Work({"turns": lambda: ring.track(setup.particles, num_turns=count)}, lambda: outcome, VERSIONS)


def optics(task: Task) -> Work:
    """4D lattice functions of that ring."""
    setup = Setup(task)
    ring = ring_of(task, setup)
    ring.build_tracker(_context=setup.context)
    found = ring.twiss4d()
    return Work({"optics": ring.twiss4d}, lambda: np.array([found.qx % 1.0, found.qy % 1.0]), VERSIONS)


if __name__ == "__main__":
    serve({"kick": kick, "kicks": kicks(kick, VERSIONS), "line": line, "optics": optics, "turns": turns})
