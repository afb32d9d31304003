"""Cheetah on the same device, by its documented interface. Its primal is without a graph; its gradient stores all."""

from __future__ import annotations

import json
import sys
import warnings
from functools import partial
from typing import Any

import cheetah
import torch
from worker import DRAWN, KIND, LENGTH, SIGMAS, attempt, no_memory, tell

WIDTH = 6.0
"""Half the width of the grid in rms sizes: no charge is left out."""


def main() -> None:
    warnings.simplefilter("ignore")
    task = json.loads(sys.argv[1])
    device, on_gpu = torch.device(task["device"]), task["device"] != "cpu"
    tell(device={"name": torch.cuda.get_device_name(device) if on_gpu else "cpu"})

    def sync(_: Any) -> None:
        if on_gpu:
            torch.cuda.synchronize()

    def peak() -> int:
        return torch.cuda.max_memory_allocated() if on_gpu else 0

    for name in task["dtypes"]:
        try:
            one = Setup(task, device, getattr(torch, name))
        except Exception as error:
            tell(run="kick", dtype=name, problem="does not fit" if no_memory(error) else f"{error}"[:200])
            continue
        element = one.space_charge(one.number(0.1))
        with torch.no_grad():
            tell(run="kick", dtype=name, **attempt(partial(element.track, one.beam), sync, peak))
            tell(run="primal", dtype=name, **attempt(partial(one.sigma, one.number(LENGTH)), sync, peak))
        tell(run="gradient", dtype=name, **attempt(one.gradient, sync, peak))


class Setup:
    """Beam and elements; the distribution is that of the other libraries, its particles are others."""

    def __init__(self, task: dict[str, Any], device: torch.device, dtype: torch.dtype) -> None:
        self.task, self.kind = task, {"device": device, "dtype": dtype}
        n = task["particles"]
        generator = torch.Generator(device=device).manual_seed(1)
        drawn = torch.randn((min(n, DRAWN), 6), generator=generator, **self.kind)
        particles = torch.ones((n, 7), **self.kind)
        scale = self.number([SIGMAS[f"sigma_{row}"] for row in ("x", "px", "y", "py", "tau", "pt")])
        for k in range(0, n, DRAWN):
            part = drawn[: min(DRAWN, n - k)]
            particles[k : k + DRAWN, :6] = part * scale * (1.0 + 1e-4 * (k // DRAWN))
        species = cheetah.Species(KIND["species"], **self.kind)
        energy = self.number(KIND["kinetic_energy"] + species.mass_eV.item())
        charges = torch.full((n,), KIND["charge"] / n, **self.kind)
        more = {"particle_charges": charges, "species": species, **self.kind}
        self.beam = cheetah.ParticleBeam(particles, energy=energy, **more)

    def number(self, value: Any) -> torch.Tensor:
        return torch.as_tensor(value, **self.kind)

    def space_charge(self, length: torch.Tensor) -> cheetah.SpaceChargeKick:
        width = self.number(WIDTH)
        return cheetah.SpaceChargeKick(effect_length=length, grid_shape=(self.task["grid"],) * 3, grid_extent_x=width,
                                       grid_extent_y=width, grid_extent_tau=width, **self.kind)  # fmt: skip

    def gradient(self) -> torch.Tensor:
        length = self.number(LENGTH).requires_grad_()
        self.sigma(length).backward()
        return length.grad

    def sigma(self, length: torch.Tensor) -> torch.Tensor:
        kicks = self.task["kicks"]
        half, whole = (cheetah.Drift(length * part / kicks, **self.kind) for part in (0.5, 1.0))
        element = self.space_charge(length / kicks)
        return cheetah.Segment([half, element] + [whole, element] * (kicks - 1) + [half]).track(self.beam).sigma_x


if __name__ == "__main__":
    main()
