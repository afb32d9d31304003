"""A neural network in the place of a section that nobody has a model of, taught through the rest of the line.

Between two quadrupoles stands something unknown: here a sextupole that the model of the line lacks. A `Function` is a
drift of its length and a network that adds to it. What is known are the moments
of the beam at the end, for some ways on which it comes in and settings of the quadrupole behind the section. Their
error goes back through that quadrupole into the network's weights. The test is another way in, another setting, and
particles one by one.

    python -m backbeam_torch.examples.surrogate --plot surrogate.png
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

import backbeam as bb
from backbeam_torch import LineModule

LENGTH, K2 = 0.4, 600.0
"""Of the unknown section [m], and of the sextupole in it [1/m^3]."""
TAUGHT = (-8.0, 0.0, 8.0)
"""Settings of the quadrupole behind it [1/m^2]."""
ORBITS = 8
"""Ways on which the beam comes in, drawn at random."""
UNIT, ADDED = 1e-3, 3e-4
"""What the network counts coordinates in, and what it adds to them."""


class Network(torch.nn.Module):
    """A drift, and what four coordinates before it add to them: nothing to begin with."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        layers = (torch.nn.Linear(4, width), torch.nn.Tanh(), torch.nn.Linear(width, width), torch.nn.Tanh())
        self.added = torch.nn.Sequential(*layers, torch.nn.Linear(width, 4)).double()
        torch.nn.init.zeros_(self.added[-1].weight)
        torch.nn.init.zeros_(self.added[-1].bias)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Coordinates ``(..., 6, n)`` behind the section."""
        x, px, y, py, tau, pt = X.unbind(-2)
        more = ADDED * self.added(torch.stack([x, px, y, py], dim=-1) / UNIT)
        after = (x + LENGTH * px + more[..., 0], px + more[..., 1], y + LENGTH * py + more[..., 2], py + more[..., 3])
        return torch.stack([*after, tau, pt], dim=-2)


def around(*section: bb.Element) -> bb.Line:
    """The line with a section in its middle."""
    return bb.Line([
        bb.Quadrupole(0.1, k1=6.0, name="q1"), bb.Drift(0.5), *section,
        bb.Quadrupole(0.1, k1=0.0, name="q2"), bb.Drift(0.8),
    ])  # fmt: skip


def machine() -> bb.Line:
    """As it is."""
    gap = 0.5 * (LENGTH - 0.2)
    return around(bb.Drift(gap), bb.Sextupole(0.2, k2=K2, name="unknown"), bb.Drift(gap))


def model(network: torch.nn.Module) -> bb.Line:
    """As it is modelled."""
    return around(bb.Function(network, length=LENGTH, name="surrogate"))


def beam(n: int, **more: Any) -> bb.Beam:
    """Electrons of 80 MeV; a batch of them if means are."""
    return bb.Beam.gaussian(
        n=n, species="electron", kinetic_energy=80e6, charge=1e-11, backend="torch", seed=2, sigma_x=8e-4,
        sigma_px=1e-4, sigma_y=6e-4, sigma_py=1e-4, sigma_tau=1e-4, sigma_pt=1e-4, **more,
    )  # fmt: skip


def orbits(count: int, seed: int) -> dict[str, torch.Tensor]:
    """Means on ways that are drawn at random ``(count, 1)``."""
    rng = np.random.default_rng(seed)
    sizes = {"mean_x": 1e-3, "mean_px": 5e-4, "mean_y": 1e-3, "mean_py": 5e-4}
    return {name: torch.as_tensor(rng.uniform(-size, size, (count, 1))) for name, size in sizes.items()}


def moments(out: bb.Beam) -> torch.Tensor:
    """Mean of x and y, their second and third moments about it, in millimetres ``(..., 14)``."""
    u = torch.stack([out.x, out.y], dim=-2) / UNIT
    mean = u.mean(-1)
    u = u - mean[..., None]
    second = torch.einsum("...in,...jn->...ij", u, u) / out.n
    third = torch.einsum("...in,...jn,...kn->...ijk", u, u, u) / out.n
    return torch.cat([mean, second.flatten(-2), third.flatten(-3)], dim=-1)


@dataclass(frozen=True, eq=False)
class Taught:
    """The network, and how it was taught."""

    network: Network
    history: np.ndarray
    """Mean square error of the moments, step by step."""

    def errors(self) -> dict[str, tuple[float, float]]:
        """Rms error of x at the end for a new setting and a new beam, without and with the network [m]."""
        found = {}
        for label, start in (("on the axis", beam(4000)), ("on another way", beam(4000, **orbits(1, seed=99)))):
            with torch.no_grad():
                real, with_network, without = (
                    bb.track(line.replace({"q2.k1": 3.0}), start).x
                    for line in (machine(), model(self.network), model(Network()))
                )
            off = [float((x - real).square().mean().sqrt()) for x in (without, with_network)]
            found[label] = (off[0], off[1])
        return found


def teach(steps: int = 400, n: int = 300, rate: float = 1e-2, seed: int = 6) -> Taught:
    """Teach a network by the moments at the end, of every way in at every setting ``(8, 3)``."""
    torch.manual_seed(seed)
    k1, start, network = torch.tensor(TAUGHT, dtype=torch.float64), beam(n, **orbits(ORBITS, seed)), Network()
    with torch.no_grad():
        real = moments(bb.track(machine().replace({"q2.k1": k1}), start))
    # Of a short line PyTorch's own tape is the fastest: pullbacks by hand take the network once for each of the batch.
    module = LineModule(model(network).replace({"q2.k1": k1}), beam=start, read=moments, adjoint="tape")
    optimiser = torch.optim.Adam(module.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    history = []
    for _ in range(steps):
        optimiser.zero_grad()
        loss = (module() - real).square().mean()
        loss.backward()
        optimiser.step()
        schedule.step()
        history.append(loss.item())
    return Taught(network, np.asarray(history))


def draw(taught: Taught) -> Any:
    """The kick in x of section and network over x, and the history."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    x = torch.linspace(-2.4e-3, 2.4e-3, 61, dtype=torch.float64)
    X = torch.stack([x, *[torch.zeros_like(x)] * 5])
    probe = bb.Beam.from_arrays(X, species="electron", kinetic_energy=80e6, charge=0.0)
    real = bb.track(bb.Line(list(machine())[2:5]), probe).px
    with torch.no_grad():
        found = taught.network(X)[1]
    left.plot(1e3 * x, 1e3 * real, color="#8a929c", linewidth=3.0, label="section")
    left.plot(1e3 * x, 1e3 * found, color="#d1495b", label="network")
    left.set(xlabel="x before the section [mm]", ylabel="px behind it [10⁻³]")
    left.legend(frameon=False)
    right.semilogy(taught.history, color="#1667b0", linewidth=1.0)
    right.set(xlabel="step", ylabel="mean square error of the moments")
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    """Teach, test on what was not taught, and draw."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--particles", type=int, default=300)
    parser.add_argument("--plot", metavar="FILE")
    given = parser.parse_args(arguments)
    taught = teach(given.steps, given.particles)
    print(f"mean square error of the moments: {taught.history[0]:.3g}, {taught.history[-1]:.3g} at last")
    for label, (without, with_network) in taught.errors().items():
        print(f"{label}: x at the end is off by {1e6 * without:.0f} µm rms without the network, "
              f"{1e6 * with_network:.0f} µm with it")  # fmt: skip
    if given.plot:
        draw(taught).savefig(given.plot, dpi=120)


if __name__ == "__main__":
    main()
