"""Order 2 or 4: error of the field in the core of a Gaussian ball, from the grid and from too few particles.

The field is that at Sobol points within 1.5 rms sizes of the middle, of several bunches of independent particles, next
to its closed form: "grid" is the error of their mean, "noise" the deviation from it of one of them, both rms over the
points and the three components, over the rms field. Particles a cell are those of the middle of the bunch.

    python benchmarks/orders.py                      # prints a table; writes results/orders.json and .md
    python benchmarks/orders.py --particles 10000 --grids 16 --seeds 3 --no-write
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from closed_forms import gaussian_field
from common import machine, versions, write
from scipy.special import ndtri
from scipy.stats import qmc

import backbeam as bb
from backbeam.effects import Bunch
from backbeam.reference import Reference
from backbeam.species import species_named

ORDERS, SIGMA, CHARGE, LENGTH, CORE = (2, 4), 1e-3, 1e-9, 0.1, 1.5
ELECTRON = species_named("electron")
REFERENCE = Reference.from_kinetic_energy(np.asarray(250e6), ELECTRON)


def points() -> np.ndarray:
    """Where the field is looked at, in the rest frame (3, k) [m]."""
    unit = ndtri(qmc.Sobol(3, rng=np.random.default_rng(1)).random(2**13).T)
    return SIGMA * unit[:, np.sum(unit**2, axis=0) < CORE**2]


def fields(n: int, grid: int, order: int, seed: int, at: np.ndarray) -> tuple[np.ndarray, float]:
    """Kick (3, k) of particles without charge at those places by n with charge, and the distance of nodes [m]."""
    u = float(REFERENCE.beta_gamma)
    r = np.concatenate([SIGMA * np.random.default_rng(seed).standard_normal((3, n)), at], axis=1)
    X = np.zeros((6, r.shape[1]))
    X[0], X[2], X[4] = r[0], r[1], -r[2] / u
    q = np.append(np.full(n, CHARGE / n), np.zeros(at.shape[1]))
    space_charge = bb.SpaceCharge3D(grid=(grid,) * 3, order=order)
    bunch = Bunch(X, q, None, REFERENCE)
    after = space_charge.forward(bunch, {"length": np.asarray(LENGTH)})
    kick = (after - X)[[1, 3, 5], n:] / np.array([[1.0], [1.0], [u]])  # dpt is u times what it would be across
    return kick, float(space_charge.fields(*bunch).spacing[0])


def errors(n: int, grid: int, order: int, seeds: int, at: np.ndarray) -> tuple[float, float, float]:
    """Of the grid, noise, and particles a cell."""
    # Of an electron in a positive bunch.
    wanted = (
        -gaussian_field(at, SIGMA * np.ones(3), CHARGE) * LENGTH / (float(REFERENCE.beta_gamma) ** 2 * ELECTRON.mass)
    )
    found = [fields(n, grid, order, seed, at) for seed in range(seeds)]
    kicks, size = np.stack([kick for kick, _ in found]), np.mean(wanted**2)
    noise = np.mean(np.var(kicks, axis=0, ddof=1)) / size
    of_mean = np.mean((np.mean(kicks, axis=0) - wanted) ** 2) / size - noise / seeds
    a_cell = n * float(np.mean([(h / SIGMA) ** 3 for _, h in found])) / (2.0 * np.pi) ** 1.5
    return float(np.sqrt(max(of_mean, 0.0))), float(np.sqrt(noise)), a_cell


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--particles", nargs="+", type=int, default=[3000, 10_000, 30_000, 100_000, 300_000, 1_000_000])
    parser.add_argument("--grids", nargs="+", type=int, default=[16, 32, 64])
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--write", action=argparse.BooleanOptionalAction, default=True)
    given = parser.parse_args()
    at = points()
    columns = [f"{what}, order {order}" for what in ("grid", "noise", "both") for order in ORDERS]
    table = [f"| nodes | particles | a cell | {' | '.join(columns)} | less with |", "|---" * 10 + "|"]
    print("\n".join(table), flush=True)
    rows: list[dict[str, Any]] = []
    for grid in given.grids:
        for n in given.particles:
            (of_grid, noise, a_cell), fourth = (errors(n, grid, order, given.seeds, at) for order in ORDERS)
            pairs = {"grid": (of_grid, fourth[0]), "noise": (noise, fourth[1])}
            pairs["both"] = tuple(float(np.hypot(a, b)) for a, b in zip(pairs["grid"], pairs["noise"], strict=True))
            rows.append({"grid": grid, "particles": n, "a cell": a_cell, "errors": pairs})
            percent = " | ".join(f"{100 * a:.2f}" for pair in pairs.values() for a in pair)
            better = ORDERS[int(np.argmin(pairs["both"]))]
            table.append(f"| {grid}³ | {n} | {a_cell:.2g} | {percent} | {better} |")
            print(table[-1], flush=True)
    if given.write:
        head = (
            "Error of the field in the core of a Gaussian ball [%]: of the grid, noise, and both; a cell: particles in "
            "one in the middle. Printed by `python benchmarks/orders.py`."
        )
        data = {"settings": vars(given), "machine": machine(), "versions": versions("backbeam", "numpy"), "rows": rows}
        write("orders", data, None, "\n".join(["# Order 2 or 4\n", head, "", *table]))


if __name__ == "__main__":
    main()
