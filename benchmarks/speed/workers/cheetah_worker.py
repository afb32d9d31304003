"""Cheetah, by its documented interface. Its coordinates are ours: (tau, p) = (tau, pt)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import cheetah
import numpy as np
import torch
from serve import Work, beam_of, kicks, serve

Task = Mapping[str, Any]
VERSIONS = {"cheetah": version("cheetah-accelerator"), "torch": torch.__version__}
MARGIN = 1.02


class Setup:
    """The beam as Cheetah takes it, and its type."""

    def __init__(self, task: Task) -> None:
        warnings.simplefilter("ignore")
        self.dtype = getattr(torch, task.get("dtype", "float64"))
        given = beam_of(task["beam"])
        n = given["coordinates"].shape[-1]
        particles = torch.ones((n, 7), dtype=self.dtype)
        particles[:, :6] = torch.as_tensor(given["coordinates"].T)
        species = cheetah.Species(given["species"], dtype=self.dtype)
        self.charges = torch.full((n,), given["charge"] / n, dtype=self.dtype)
        self.energy = self.number(given["kinetic_energy"] + species.mass_eV.item())
        self.particles, self.species = particles, species
        self.beam = self.beam_with(self.charges)
        # Half the width of the grid in rms sizes, so that no charge is left out.
        self.widths = [MARGIN * float(np.max(np.abs(a)) / np.std(a)) for a in given["coordinates"][[0, 2, 4]]]

    def beam_with(self, charges: torch.Tensor) -> cheetah.ParticleBeam:
        return cheetah.ParticleBeam(self.particles, energy=self.energy, particle_charges=charges, species=self.species,
                                    dtype=self.dtype)  # fmt: skip

    def number(self, value: Any) -> torch.Tensor:
        return torch.as_tensor(value, dtype=self.dtype)

    def space_charge(self, length: Any, grid: int) -> cheetah.SpaceChargeKick:
        widths = zip(("grid_extent_x", "grid_extent_y", "grid_extent_tau"), map(self.number, self.widths), strict=True)
        return cheetah.SpaceChargeKick(effect_length=self.number(length), grid_shape=(grid,) * 3, dtype=self.dtype,
                                       **dict(widths))  # fmt: skip

    def drift(self, length: Any, method: str = "linear") -> cheetah.Drift:
        return cheetah.Drift(self.number(length), tracking_method=method, dtype=self.dtype)


def coordinates(beam: cheetah.ParticleBeam) -> np.ndarray:
    return np.swapaxes(beam.particles.detach().numpy()[..., :6], -1, -2)


def kick(task: Task) -> Work:
    setup = Setup(task)
    element = setup.space_charge(task["ds"], task["grid"])

    @torch.no_grad()
    def forward() -> cheetah.ParticleBeam:
        return element.track(setup.beam)

    return Work({"forward": forward}, lambda: coordinates(forward()), VERSIONS)


def gradient(task: Task) -> Work:
    """Half drift, kick, half drift, as often as there are kicks; neighbouring half drifts are one."""
    setup = Setup(task)
    kicks = task["kicks"]

    def sigma(length: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        half, whole = setup.drift(0.5 * length / kicks), setup.drift(length / kicks)
        element = setup.space_charge(length / kicks, task["grid"])
        elements = [half, element] + [whole, element] * (kicks - 1) + [half]
        return cheetah.Segment(elements).track(setup.beam_with(setup.charges * scale)).sigma_x

    def leaves() -> tuple[torch.Tensor, torch.Tensor]:
        return setup.number(task["length"]).requires_grad_(), setup.number(1.0).requires_grad_()

    def primal() -> None:
        with torch.no_grad():
            sigma(setup.number(task["length"]), setup.number(1.0))

    def value_and_grad() -> np.ndarray:
        length, scale = leaves()
        value = sigma(length, scale)
        value.backward()
        return np.array([value.item(), length.grad.item(), scale.grad.item() / setup.charges.sum().item()])

    return Work({"primal": primal, "tape": value_and_grad}, value_and_grad, VERSIONS)


def line(task: Task) -> Work:
    """``model`` is Cheetah's tracking method. A segment merges linear elements by itself: else, one by one."""
    setup = Setup(task)
    method = task["model"]
    elements = []
    for _ in range(task["cells"]):
        for sign in (1.0, -1.0):
            elements.append(cheetah.Quadrupole(setup.number(task["quadrupole"]), k1=setup.number(sign * task["k1"]),
                                               tracking_method=method, dtype=setup.dtype))  # fmt: skip
            elements.append(setup.drift(task["drift"], method))
    segment = cheetah.Segment(elements)

    @torch.no_grad()
    def track() -> cheetah.ParticleBeam:
        if task["merge"]:
            return segment.track(setup.beam)
        beam = setup.beam
        for element in segment.elements:
            beam = element.track(beam)
        return beam

    return Work({"track": track}, lambda: coordinates(track()), VERSIONS)


def batch(task: Task) -> Work:
    setup = Setup(task)
    strengths = task["k1"] * np.linspace(0.9, 1.1, task["settings"])
    strengths = setup.number(strengths if task["settings"] > 1 else strengths[0])
    elements = []
    for _ in range(task["cells"]):
        for sign in (1.0, -1.0):
            half = setup.number(0.5 * task["quadrupole"])
            magnet = cheetah.Quadrupole(half, k1=sign * strengths, dtype=setup.dtype)
            elements += [magnet, setup.space_charge(task["quadrupole"], task["grid"]), magnet]
            space = setup.drift(0.5 * task["drift"])
            elements += [space, setup.space_charge(task["drift"], task["grid"]), space]
    segment = cheetah.Segment(elements)

    @torch.no_grad()
    def track() -> cheetah.ParticleBeam:
        return segment.track(setup.beam)

    return Work({"track": track}, lambda: coordinates(track()), VERSIONS)


def fodo(setup: Setup, task: Task, strength: torch.Tensor | list[torch.Tensor]) -> cheetah.Segment:
    """Cells of quadrupole, drift, quadrupole, drift; a list gives each quadrupole a strength of its own."""
    strengths = iter(strength if isinstance(strength, list) else [])
    elements = []
    for _ in range(task["cells"]):
        for sign in (1.0, -1.0):
            k1 = next(strengths, setup.number(0.0)) if isinstance(strength, list) else sign * strength
            elements.append(cheetah.Quadrupole(setup.number(task["quadrupole"]), k1=k1, dtype=setup.dtype))
            elements.append(setup.drift(task["drift"]))
    return cheetah.Segment(elements[: task.get("elements")])


def small(task: Task) -> Work:
    """Value and gradient of sigma_x by all strengths."""
    setup = Setup(task)
    signs = ([1.0, -1.0] * task["cells"])[: (task["elements"] + 1) // 2]

    def value_and_grad() -> np.ndarray:
        strengths = [setup.number(sign * task["k1"]).requires_grad_() for sign in signs]
        value = fodo(setup, task, strengths).track(setup.beam).sigma_x
        value.backward()
        return np.array([value.item(), *(k1.grad.item() for k1 in strengths)])

    def again() -> None:
        """In the same segment: what it has kept of its maps belongs to the strengths before."""
        for magnet in magnets:
            magnet.k1 = magnet.k1.detach().clone().requires_grad_()
        segment.track(setup.beam).sigma_x.backward()

    segment = fodo(setup, task, setup.number(task["k1"]))
    magnets = [element for element in segment.elements if isinstance(element, cheetah.Quadrupole)]
    return Work({"gradient": again}, value_and_grad, VERSIONS)


def settings(task: Task) -> Work:
    """Many settings of the quadrupoles at once; sigma_x of each is read."""
    setup = Setup(task)
    strengths = setup.number(task["k1"] * np.linspace(0.9, 1.1, task["settings"]))
    segment = fodo(setup, task, strengths)

    @torch.no_grad()
    def track() -> torch.Tensor:
        return segment.track(setup.beam).sigma_x

    return Work({"track": track}, lambda: track().numpy(), VERSIONS)


if __name__ == "__main__":
    found = {"kick": kick, "kicks": kicks(kick, VERSIONS), "gradient": gradient, "line": line, "batch": batch}
    serve({**found, "small": small, "settings": settings})
