"""GPSR on Cheetah and on backbeam: the same generator, data, loss and steps; time, and the emittances that come out.

    OMP_NUM_THREADS=1 python benchmarks/applications/gpsr --epochs 400

in an environment with gpsr 0.2, cheetah-accelerator and backbeam. Each lattice is taught by images of its own making,
from one known beam: a quadrupole scan, 4D. Cheetah has its kernel density estimate for images, backbeam cloud-in-cell.
The last row has the space charge of 200 pC, two kicks an element.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import cheetah
import torch
from common import machine, versions, write
from gpsr.beams import NNParticleBeamGenerator, NNTransform
from gpsr.losses import mae_loss, normalize_images
from gpsr.modeling import GPSR, GPSRQuadScanLattice

import backbeam as bb
from backbeam_torch.examples import phase_space
from backbeam_torch.gpsr_lattice import BackbeamLattice

PIXELS, HALF, QUADRUPOLE, DRIFT = 48, 4e-3, 0.12, 1.2
"""Of the screen, and of the line [m]."""


def cheetah_lattice(particles: int) -> Any:
    """GPSR's own."""
    screen = cheetah.Screen(
        resolution=(PIXELS, PIXELS), pixel_size=torch.full((2,), 2.0 * HALF / PIXELS), method="kde",
        kde_bandwidth=torch.tensor(HALF / PIXELS), is_active=True,
    )  # fmt: skip
    return GPSRQuadScanLattice(QUADRUPOLE, DRIFT, screen)


def our_lattice(space_charge: bool) -> BackbeamLattice:
    """The same line."""
    screen = bb.Screen(half_x=HALF, half_y=HALF, pixels=(PIXELS, PIXELS), name="screen")
    line = bb.Line([
        bb.Quadrupole(QUADRUPOLE, k1=0.0, name="scan", model="linear"), bb.Drift(DRIFT, model="linear"), screen,
    ])  # fmt: skip
    effects: dict[str, Any] = (
        {"space_charge": bb.SpaceCharge3D(grid=(16, 16, 16)), "slices": 2, "adjoint": "store"} if space_charge else {}
    )
    return BackbeamLattice(line, ["scan.k1"], charge=phase_space.CHARGE, **effects)


def beam(particles: int) -> Any:
    """The true beam, in Cheetah's words."""
    X = phase_space.truth(particles).float().mT
    ones = torch.ones_like(X[:, :1])
    energy = torch.tensor(40e6 + 0.51099895e6)
    return cheetah.ParticleBeam(
        torch.cat([X, ones], dim=1), energy=energy, particle_charges=torch.tensor(1.0 / particles)
    )


def run(lattice: Any, epochs: int, particles: int) -> dict[str, float]:
    """Teach GPSR's generator, and look at what it makes."""
    torch.manual_seed(3)
    x = torch.linspace(*phase_space.STRENGTHS, 9)[:, None]
    with torch.no_grad():
        lattice.set_lattice_parameters(x)
        measured = [normalize_images(image) for image in lattice.track_and_observe(beam(50_000))]
    network = NNTransform(2, 32, activation=torch.nn.SiLU(), output_scale=1e-3)
    generator = NNParticleBeamGenerator(particles, 40e6 + 0.51099895e6, transformer=network)
    model = GPSR(generator, lattice)
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
    seconds = []
    for _ in range(epochs):
        begin = time.process_time()
        optimiser.zero_grad()
        loss = sum(mae_loss(a, normalize_images(b)) for a, b in zip(measured, model(x), strict=True))
        loss.backward()
        optimiser.step()
        seconds.append(time.process_time() - begin)
    model.beam_generator.set_base_particles(50_000)
    with torch.no_grad():
        X = model.beam_generator.transformer(model.beam_generator.base_particles).double().mT
    made, real = phase_space.beam_of(X), phase_space.beam_of(phase_space.truth(50_000))
    errors = {f"emittance_{p}": float(made.emittance(p)) / float(real.emittance(p)) - 1.0 for p in "xy"}
    return {"ms_a_step": 1e3 * sorted(seconds)[len(seconds) // 2], "seconds": sum(seconds), **errors}


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--epochs", type=int, default=400)
    parser.add_argument("--particles", type=int, default=10_000)
    parser.add_argument("--write", action=argparse.BooleanOptionalAction, default=True)
    given = parser.parse_args(arguments)
    cases = {
        "GPSR on Cheetah": cheetah_lattice(given.particles),
        "GPSR on backbeam": our_lattice(False),
        "GPSR on backbeam, space charge": our_lattice(True),
    }
    table = ["| | ms a step (processor) | emittance x | emittance y |", "|---|---|---|---|"]
    rows = {}
    for name, lattice in cases.items():
        rows[name] = found = run(lattice, given.epochs, given.particles)
        errors = " | ".join(f"{100.0 * found[f'emittance_{p}']:+.1f} %" for p in "xy")
        table.append(f"| {name} | {found['ms_a_step']:.1f} | {errors} |")
        print(table[-1], flush=True)
    if given.write:
        text = f"""# GPSR on Cheetah and on backbeam

`{" ".join(["python benchmarks/applications gpsr", *arguments])}`:
the generator, data, loss and steps are GPSR's; a quadrupole scan of nine images, {given.particles:,} particles.
Emittances are those of what the network makes, over the true ones. Time of one thread.

{chr(10).join(table)}
"""
        found = versions("gpsr", "cheetah-accelerator", "torch", "backbeam")
        write("applications-gpsr", {"machine": machine(), "versions": found, "rows": rows}, text=text)


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
