"""The FODO cell of JuTrack (arXiv 2409.20522) with 2D space charge: emittance gradients and their scatter over seeds.

Prints a markdown table: derivatives of both emittance ratios with respect to the seven parameters, as mean and standard
deviation over twelve seeds of 5000 particles for both places of the pipe, beside what was read from the paper's figure.

    python benchmarks/jutrack_fodo.py
"""

from __future__ import annotations

import numpy as np

import backbeam as bb

WRT = ("d1.length", "q1.length", "q1.k1", "d2.length", "q2.length", "q2.k1", "d3.length")
FIGURE = {
    "x": (0.060, -0.341, 0.0, -0.013, -0.013, 0.0, -0.010),
    "y": (0.081, 0.480, 0.0, 0.088, -0.003, 0.0, 0.039),
}
"""Read from Figure 1 of the published repository, to about 0.003."""
PIPE_LENGTH = 1.0


def line() -> bb.Line:
    """The cell: 24 kicks, fourth-order quadrupoles of 40 steps a slice."""
    quadrupole = {"order": 4, "steps": 160, "slices": 4, "splitting": "drift-kick"}
    return bb.Line(
        [
            bb.Drift(0.2, name="d1", slices=4),
            bb.Quadrupole(0.1, k1=29.6, name="q1", **quadrupole),
            bb.Drift(0.4, name="d2", slices=8),
            bb.Quadrupole(0.1, k1=-29.6, name="q2", **quadrupole),
            bb.Drift(0.2, name="d3", slices=4),
        ]
    )


def beam(seed: int) -> bb.Beam:
    """5000 protons of 1 GeV, 200 A: normal deviates made of twelve uniform ones, as the original does."""
    rng = np.random.default_rng(seed)
    x, y = (rng.random((12, 2, 5000)).sum(0) - 6.0 for _ in range(2))
    rows = []
    for u, sigma, sigma_p, mu in (
        (x, 0.0003677529920673089, 0.00084289255322765, -0.828277121044551),
        (y, 0.0003677529304933903, 0.0008428931246578997, 0.828276927537804),
    ):
        rows += [sigma * u[0] / np.sqrt(1 - mu**2), sigma_p * (-mu * u[0] / np.sqrt(1 - mu**2) + u[1])]
    rows += [np.zeros(5000), np.zeros(5000)]
    gamma = 1.0 + 1e9 / 938272088.16
    beta = np.sqrt(1.0 - gamma**-2)
    charge = 200.0 * PIPE_LENGTH / (beta * 299792458.0)
    return bb.Beam.from_arrays(np.stack(rows), species="proton", kinetic_energy=1e9, charge=charge)


def gradients(seed: int, origin: str) -> np.ndarray:
    """Derivatives (2, 7) of emittance over initial emittance, x and y."""
    start = beam(seed)
    pipe = bb.SpaceCharge2DPipe(width=0.013, height=0.013, length=PIPE_LENGTH, modes=(12, 12), origin=origin)
    found = []
    for plane in "xy":
        objective = bb.observables.emittance(plane)
        _, grad = bb.value_and_grad(objective, line(), start, WRT, space_charge=pipe)
        found.append([float(grad[name]) / float(start.emittance(plane)) for name in WRT])
    return np.asarray(found)


def main() -> None:
    scatter = {origin: np.stack([gradients(s, origin) for s in range(12)]) for origin in ("corner", "centre")}
    print("| plane | parameter | figure | JuTrack's origin: mean ± std | pipe centred: mean ± std |")
    print("|---|---|---|---|---|")
    for k, plane in enumerate("xy"):
        for j, name in enumerate(WRT):
            cells = [
                f"{s[:, k, j].mean():.4f} ± {s[:, k, j].std():.4f}" for s in (scatter["corner"], scatter["centre"])
            ]
            print(f"| {plane} | {name} | {FIGURE[plane][j]:.3f} | {cells[0]} | {cells[1]} |")


if __name__ == "__main__":
    main()
