"""Bayesian optimisation that begins with what a line would do: backbeam as the prior mean of a Gaussian process.

A section like ARES's experimental area, five settings, the spot on its screen to be small and centred. The machine has
offsets, an orbit that comes in and errors of strengths, others for each seed, which the line behind the mean does not
know. BoTorch's expected improvement climbs through the line by its gradients, a batch of settings at a time. Beside it,
from the same first points, the same search with a constant mean.

    pip install 'backbeam[bayesian]'
    python -m backbeam_torch.examples.bayesian_optimisation --seeds 3 --plot bayesian-optimisation.png
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

import backbeam as bb

SETTINGS = {
    "q1.k1": (-30.0, 30.0), "q2.k1": (-30.0, 30.0), "q3.k1": (-30.0, 30.0),
    "cv.vkick": (-6e-3, 6e-3), "ch.hkick": (-6e-3, 6e-3),
}  # fmt: skip
ORBIT, OFFSET, STRENGTH = 1e-4, 3e-4, 0.05
"""Errors of a machine at most: angles of the beam that comes in, offsets of quadrupoles [m], shares of strengths."""
FIRST = 3
MEANS = ("constant", "backbeam")


def section() -> bb.Line:
    """Three quadrupoles and two correctors in 2 m; an orbit that comes in wrong is a kick at the start."""

    def drift(length: float) -> bb.Drift:
        return bb.Drift(length, model="linear")

    def quadrupole(name: str) -> bb.Quadrupole:
        return bb.Quadrupole(0.122, k1=0.0, name=name, model="linear")

    return bb.Line([
        bb.Corrector(hkick=0.0, vkick=0.0, name="gun"), drift(0.175), quadrupole("q1"), drift(0.428), quadrupole("q2"),
        drift(0.204), bb.Corrector(vkick=0.0, name="cv"), drift(0.224), quadrupole("q3"), drift(0.179),
        bb.Corrector(hkick=0.0, name="ch"), drift(0.47),
    ])  # fmt: skip


def incoming(particles: int = 200) -> bb.Beam:
    """Electrons of 107 MeV."""
    return bb.Beam.gaussian(
        n=particles, seed=1, species="electron", kinetic_energy=107e6, charge=5e-12, backend="torch",
        sigma_x=1.75e-4, sigma_px=3e-5, sigma_y=1.75e-4, sigma_py=3e-5, sigma_tau=8e-6, sigma_pt=2.3e-3,
    )  # fmt: skip


class Line(torch.nn.Module):
    """What a line says of settings: minus the log of the rms distance of a particle from the screen's centre [mm].

    Settings are ``(..., 5)``, each between 0 and 1 of its range; the answer is ``(...)``.
    """

    def __init__(self, hidden: Mapping[str, float] | None = None, strengths: Sequence[float] = (1.0, 1.0, 1.0)) -> None:
        super().__init__()
        self.line = section().replace(dict(hidden or {}))
        self.beam = incoming()
        self.factors = (*strengths, 1.0, 1.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Track; leading axes are a batch."""
        changes = {
            name: factor * (low + (high - low) * x[..., k])
            for k, ((name, (low, high)), factor) in enumerate(zip(SETTINGS.items(), self.factors, strict=True))
        }
        out = bb.track(self.line.replace(changes), self.beam)
        return -0.5 * torch.log(1e6 * bb.observables.mean_square_size()(out))


class Mean(torch.nn.Module):
    """A line as the mean of a process of values that were shifted and scaled."""

    def __init__(self, shift: float, scale: float) -> None:
        super().__init__()
        self.line, self.shift, self.scale = Line(), shift, scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Of settings ``(..., 5)``, shape ``(...)``."""
        return (self.line(x) - self.shift) / self.scale


def machine(seed: int) -> Line:
    """The machine of a seed, with errors that nobody is told."""
    rng = np.random.default_rng(seed)
    most = {"gun.hkick": ORBIT, "gun.vkick": ORBIT} | {f"q{k}.{d}": OFFSET for k in (1, 2, 3) for d in ("dx", "dy")}
    hidden = {name: rng.uniform(-size, size) for name, size in most.items()}
    return Line(hidden, rng.uniform(1.0 - STRENGTH, 1.0 + STRENGTH, 3).tolist())


def search(mean: str, seed: int, steps: int) -> np.ndarray:
    """Best value so far, after each of the first points and of so many steps; ``mean`` is one of `MEANS`."""
    from botorch.acquisition import LogExpectedImprovement
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from botorch.optim import optimize_acqf
    from botorch.utils.sampling import draw_sobol_samples
    from gpytorch.kernels import MaternKernel, ScaleKernel
    from gpytorch.mlls import ExactMarginalLogLikelihood

    torch.manual_seed(seed)
    real = machine(seed)
    bounds = torch.stack([torch.zeros(5, dtype=torch.float64), torch.ones(5, dtype=torch.float64)])
    x = draw_sobol_samples(bounds, n=FIRST, q=1, seed=seed).squeeze(1)
    with torch.no_grad():
        y = real(x)[:, None]
        for _ in range(steps):
            shift, scale = float(y.mean()), float(y.std())
            kernel = ScaleKernel(MaternKernel(nu=2.5, ard_num_dims=5))
            chosen = Mean(shift, scale) if mean == "backbeam" else None
            scaled = (y - shift) / scale
            with torch.enable_grad():
                process = SingleTaskGP(x, scaled, covar_module=kernel, mean_module=chosen, outcome_transform=None)
                fit_gpytorch_mll(ExactMarginalLogLikelihood(process.likelihood, process))
                better = LogExpectedImprovement(process, scaled.max())
                options = {"maxiter": 25}
                new, _ = optimize_acqf(better, bounds, q=1, num_restarts=3, raw_samples=48, options=options)
            x, y = torch.cat([x, new]), torch.cat([y, real(new)[:, None]])
    return np.maximum.accumulate(y[:, 0].numpy())


def draw(found: Mapping[str, Sequence[np.ndarray]]) -> Any:
    """Rms distance on the screen of the best settings so far, a line a seed, and the medians."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, 3.8), layout="constrained")
    ax = figure.subplots()
    for (mean, searches), color in zip(found.items(), ("#8a929c", "#1667b0"), strict=True):
        sizes = np.exp(-np.asarray(searches))
        k = np.arange(1, sizes.shape[1] + 1)
        ax.semilogy(k, sizes.T, color=color, linewidth=0.6, alpha=0.5)
        ax.semilogy(k, np.median(sizes, axis=0), color=color, linewidth=2.0, label=f"{mean} mean")
    ax.set(xlabel="settings tried", ylabel="rms distance from the centre [mm]")
    ax.legend(frameon=False)
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    """Search on some machines with either mean."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1, help="machines, from seed 0")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--plot", metavar="FILE")
    given = parser.parse_args(arguments)
    found: dict[str, list[np.ndarray]] = {mean: [] for mean in MEANS}
    for seed in range(given.seeds):
        for mean in MEANS:
            found[mean].append(search(mean, seed, given.steps))
        ends = ", ".join(f"{1e3 * np.exp(-found[mean][-1][-1]):.0f} µm with the {mean} mean" for mean in MEANS)
        print(f"machine {seed}: {ends}", flush=True)
    if given.plot:
        draw(found).savefig(given.plot, dpi=120)


if __name__ == "__main__":
    main()
