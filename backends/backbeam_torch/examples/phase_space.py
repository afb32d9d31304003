"""The phase space of a beam from images of it, with a neural network that makes the beam, on PyTorch.

A quadrupole is scanned before a screen. For all six dimensions a deflecting cavity, off and with either sign, turns tau
into y, and a dipole, off and on, turns the energy into x, in every combination. A network makes particles out of noise;
they go through the line, with space charge if it matters, and what the network is taught by is the charge that arrives
in the wrong pixels (generative phase-space reconstruction: Roussel et al., PRL 130 (2023) 145001; PRAB 27 (2024)
094601).

    python -m backbeam_torch.examples.phase_space --plot phase-space.png
    python -m backbeam_torch.examples.phase_space --dimensions 6 --space-charge
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch.nn.functional import avg_pool2d

import backbeam as bb
from backbeam_torch import LineModule

ELECTRONS: dict[str, Any] = {"species": "electron", "kinetic_energy": 40e6}
CHARGE = 2e-10
SIZES = (4e-4, 1.5e-4, 4e-4, 1.5e-4, 3e-4, 1.5e-3)
"""What a coordinate that the network calls 1 is in m and 1: guessed, not known."""
STRENGTHS = (-12.0, 12.0)
VOLTAGE, ANGLE = 3e6, 0.6
HALF = 5e-3
"""Of the screen [m]."""
POOLS = (1, 2, 4, 8)
"""Pixels a side of what is compared: coarse ones tell charge that is far off where to go."""


def line(dimensions: int, pixels: int = 48) -> bb.Line:
    """What is set stands at the values of the first image; 6 dimensions: with a cavity and a dipole."""
    screen = bb.Screen(half_x=HALF, half_y=HALF, pixels=(pixels, pixels), name="screen")
    quadrupole = bb.Quadrupole(0.12, k1=0.0, name="scan")
    if dimensions == 4:
        return bb.Line([bb.Drift(0.2), quadrupole, bb.Drift(1.2), screen])
    return bb.Line([
        bb.Drift(0.2), quadrupole, bb.Drift(0.2),
        bb.CrabCavity(None, voltage=0.0, frequency=2.856e9, tilt=np.pi / 2.0, name="crab"),
        bb.Drift(0.3), bb.SectorBend(0.2, angle=0.0, name="bend"), bb.Drift(0.8), screen,
    ])  # fmt: skip


def settings(dimensions: int, strengths: int, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """What is set for every image ``(images,)``."""
    k1 = torch.linspace(*STRENGTHS, strengths, dtype=dtype)
    if dimensions == 4:
        return {"scan.k1": k1}
    states = [torch.tensor(values, dtype=dtype) for values in ((0.0, VOLTAGE, -VOLTAGE), (0.0, ANGLE))]
    k1, voltage, angle = (part.reshape(-1) for part in torch.meshgrid(k1, *states, indexing="ij"))
    return {"scan.k1": k1, "crab.voltage": voltage, "bend.angle": angle}


class Generator(torch.nn.Module):
    """From a standard normal in six dimensions to coordinates ``(6, n)``: a matrix, and what a network adds to it.

    Its layers grow without bound (SiLU): the tails of a bent beam are out of the reach of tanh, and its emittance too.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        layers = (torch.nn.Linear(6, width), torch.nn.SiLU(), torch.nn.Linear(width, width), torch.nn.SiLU())
        self.network = torch.nn.Sequential(*layers, torch.nn.Linear(width, 6))
        self.matrix = torch.nn.Parameter(torch.eye(6))
        self.register_buffer("sizes", torch.tensor(SIZES))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Coordinates of noise ``(n, 6)``."""
        return self.sizes[:, None] * (z @ self.matrix.mT + self.network(z)).mT


def truth(n: int, seed: int = 7) -> torch.Tensor:
    """A beam that no ellipsoid is: bent in x and px, coupled in x and y, chirped and bent in tau and pt."""
    z = torch.randn((6, n), dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    z[1] = z[1] + 0.5 * (z[0] ** 2 - 1.0) - 0.8 * z[0]
    z[3] = 0.7 * z[3] + 0.8 * z[2] + 0.4 * z[0]
    z[5] = 0.4 * z[5] - 0.7 * z[4] + 0.3 * (z[4] ** 2 - 1.0)
    return torch.tensor(SIZES, dtype=torch.float64)[:, None] * z


@dataclass(frozen=True, eq=False)
class Found:
    """What came out of a reconstruction."""

    generator: Generator
    measured: torch.Tensor
    """Images ``(images, nx, ny)``, as parts of the charge."""
    history: np.ndarray
    """Part of the charge in wrong pixels, step by step."""
    seconds: float
    """A step."""

    def beam(self, n: int = 50_000, seed: int = 1) -> bb.Beam:
        """Particles that the network makes now."""
        z = torch.randn((n, 6), generator=torch.Generator().manual_seed(seed))
        with torch.no_grad():
            return beam_of(self.generator(z).double())


def beam_of(coordinates: torch.Tensor) -> bb.Beam:
    """A beam of these coordinates."""
    return bb.Beam.from_arrays(coordinates, charge=CHARGE, **ELECTRONS)


def misplaced(found: torch.Tensor, measured: torch.Tensor) -> torch.Tensor:
    """Part of the charge in the wrong pixels, fine and coarse: 0 to 1."""
    parts = []
    for size in POOLS:
        off = size**2 * avg_pool2d((found - measured)[:, None], size)
        parts.append(0.5 * off.abs().sum((1, 2, 3)).mean())
    return torch.stack(parts).mean()


def reconstruct(
    dimensions: int = 4,
    *,
    particles: int = 8_000,
    steps: int = 200,
    strengths: int | None = None,
    space_charge: bool = False,
    rate: float = 0.02,
    seed: int = 3,
) -> Found:
    """Measure images of the true beam, of ten times as many particles, and let a network find it."""
    strengths = strengths or {4: 9, 6: 5}[dimensions]
    torch.manual_seed(seed)
    effects: dict[str, Any] = {"space_charge": bb.SpaceCharge3D(grid=(16, 16, 16)), "slices": 2} if space_charge else {}
    # In float32 a way back through kicks may be refused, in the middle of a training; what is kept instead is little.
    effects["adjoint"] = "store"
    scan = line(dimensions).replace(settings(dimensions, strengths, torch.float32))

    def images(out: bb.Beam) -> torch.Tensor:
        return out.readings["screen"] / out.charge[..., None, None]

    real = beam_of(truth(10 * particles))
    with torch.no_grad():
        measured = LineModule(scan, beam=real.to(dtype=torch.float32), read=images, **effects)()
    generator = Generator()
    model = torch.nn.Sequential(generator, LineModule(scan, beam=real, read=images, **effects))
    optimiser = torch.optim.Adam(generator.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    history, begin = [], perf_counter()
    for _ in range(steps):
        optimiser.zero_grad()
        loss = misplaced(model(torch.randn((particles, 6))), measured)
        loss.backward()
        optimiser.step()
        schedule.step()
        history.append(loss.item())
    return Found(generator, measured, np.asarray(history), (perf_counter() - begin) / steps)


def planes(dimensions: int) -> str:
    """Planes in which an emittance can be seen."""
    return "xyz" if dimensions == 6 else "xy"


def emittances(dimensions: int, found: Found) -> dict[str, tuple[float, float]]:
    """Emittance found and true by plane [m]."""
    real, made = beam_of(truth(50_000)), found.beam()
    return {plane: (float(made.emittance(plane)), float(real.emittance(plane))) for plane in planes(dimensions)}


def draw(dimensions: int, found: Found) -> Any:
    """True and found particles, two projections each, and the history."""
    from matplotlib.figure import Figure

    names = dict(zip(("x", "px", "y", "py", "tau", "pt"), range(6), strict=True))
    pairs = [("x", "px"), ("y", "py"), ("x", "py")] + ([("tau", "pt")] if dimensions == 6 else [])
    real, made = (beam.to(backend="numpy").coordinates for beam in (beam_of(truth(50_000)), found.beam()))
    figure = Figure(figsize=(2.6 * len(pairs) + 2.8, 4.8), layout="constrained")
    axes = figure.subplots(2, len(pairs) + 1)
    for column, (a, b) in enumerate(pairs):
        limits = [[-1e3 * 4.0 * SIZES[names[c]], 1e3 * 4.0 * SIZES[names[c]]] for c in (a, b)]
        for row, X in enumerate((real, made)):
            axes[row, column].hist2d(1e3 * X[names[a]], 1e3 * X[names[b]], bins=80, range=limits, cmap="magma")
            axes[row, column].set(xlabel=a, ylabel=b if column else f"{('true', 'found')[row]}\n{b}")
    axes[0, -1].semilogy(found.history, color="#1667b0", linewidth=1.0)
    axes[0, -1].set(xlabel="step", ylabel="charge in wrong pixels")
    image = found.measured[len(found.measured) // 2 if dimensions == 4 else 3]
    axes[1, -1].imshow(image.numpy().T, origin="lower", cmap="magma", extent=[1e3 * HALF * s for s in (-1, 1, -1, 1)])
    axes[1, -1].set(xlabel="x on the screen [mm]", ylabel="y")
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    """Reconstruct, print emittances beside the true ones, and draw both beams."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--dimensions", type=int, choices=(4, 6), default=4)
    parser.add_argument("--space-charge", action="store_true")
    parser.add_argument("--particles", type=int, default=8_000)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--plot", metavar="FILE")
    given = parser.parse_args(arguments)
    options = {"particles": given.particles, "steps": given.steps, "space_charge": given.space_charge}
    found = reconstruct(given.dimensions, **options)
    print(f"{1e3 * found.seconds:.0f} ms a step; charge in wrong pixels {found.history[0]:.3f}, "
          f"{found.history[-10:].mean():.3f} at last")  # fmt: skip
    for plane, (made, real) in emittances(given.dimensions, found).items():
        print(f"emittance {plane}: found {made:.4g} m, true {real:.4g} m: {100.0 * (made / real - 1.0):+.1f} %")
    if given.plot:
        draw(given.dimensions, found).savefig(given.plot, dpi=120)


if __name__ == "__main__":
    main()
