"""A matched bunch over a thousand kicks: what the grid and the number of particles do to its emittance.

The bunch is in thermal equilibrium with its own field and an isotropic, linear focusing (Ryne et al., EPAC 2004), so
that nothing may change: each growth of its emittance is the work of particles that are too few, cells that are too
coarse, and kicks that are too far apart. Space charge takes 37 % off its phase advance. Orders 2 and 4 get
the same particles.

    python benchmarks/matched.py                     # prints a table; writes results/matched.json, .md and .png
    python benchmarks/matched.py --cases 10000:16 --kicks 200 --no-write
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from common import machine, versions, write

import backbeam as bb

K, KT, CHARGE, ENERGY = 2.0 * np.pi, 1e-6, 1e-11, 10e6
"""Focusing [1/m], mean square of a momentum over P0, charge [C] and kinetic energy [eV] of protons."""
PERIOD = 25
"""Kicks in an oscillation without space charge, of 1 m."""
ORDERS = (2, 4)
CASES = ("10000:16", "10000:32", "100000:32", "100000:64")


def emittances(beam: bb.Beam) -> np.ndarray:
    """Rms emittances (x, y, tau) [m]."""
    X = np.asarray(beam.coordinates)
    return np.array([np.sqrt(np.linalg.det(np.cov(X[2 * k : 2 * k + 2]))) for k in range(3)])


def growth(n: int, grid: int, order: int, kicks: int) -> list[float]:
    """Mean relative growth of the three emittances, once an oscillation."""
    beam = bb.Beam.thermal(n=n, species="proton", kinetic_energy=ENERGY, charge=CHARGE, k=K, kT=KT, seed=1)
    line = bb.Line([bb.ConstantFocusing(1.0, kx=K, ky=K, kt=K)])
    space_charge = bb.SpaceCharge3D(grid=(grid,) * 3, order=order)
    first, found = emittances(beam), [0.0]
    for _ in range(kicks // PERIOD):
        beam = bb.track(line, beam, space_charge=space_charge, slices=PERIOD)
        found.append(float(np.mean(emittances(beam) / first) - 1.0))
    return found


def a_cell(n: int, grid: int) -> float:
    """Particles in a cell of the middle of the bunch, on a box of ten rms sizes."""
    return n * (10.0 / (grid - 5)) ** 3 / (2.0 * np.pi) ** 1.5


def draw(rows: list[dict[str, Any]]) -> Any:
    """Growth along the way, a picture for each case."""
    from matplotlib.figure import Figure

    cases = list(dict.fromkeys((row["particles"], row["grid"]) for row in rows))
    figure = Figure(figsize=(3.2 * len(cases), 2.9), layout="constrained")
    for ax, case in zip(figure.subplots(1, len(cases), squeeze=False)[0], cases, strict=True):
        for row in rows:
            if (row["particles"], row["grid"]) == case:
                percent = 100.0 * np.asarray(row["growth"])
                ax.plot(PERIOD * np.arange(percent.size), percent, label=f"order {row['order']}")
        ax.set_title(f"{case[0]:.0e} particles, {case[1]}³", fontsize=9)
        ax.set(xlabel="kicks", ylabel="growth of emittance [%]")
        ax.legend(frameon=False, fontsize=8)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", default=CASES, help="particles:nodes of a side")
    parser.add_argument("--kicks", type=int, default=1000)
    parser.add_argument("--write", action=argparse.BooleanOptionalAction, default=True)
    given = parser.parse_args()
    table = ["| particles | nodes | a cell | order 2 [%] | order 4 [%] |", "|---" * 5 + "|"]
    print("\n".join(table), flush=True)
    rows = []
    for case in given.cases:
        n, grid = map(int, case.split(":"))
        cells = [f"{n:g}", f"{grid}³", f"{a_cell(n, grid):.2g}"]
        for order in ORDERS:
            found = growth(n, grid, order, given.kicks)
            rows.append({"particles": n, "grid": grid, "order": order, "growth": [round(a, 7) for a in found]})
            cells.append(f"{100 * found[-1]:.2f}")
        table.append(f"| {' | '.join(cells)} |")
        print(table[-1], flush=True)
    if given.write:
        head = (
            f"Growth of the emittance (mean of the three planes) of a bunch in thermal equilibrium over {given.kicks} "
            f"kicks, {PERIOD} an oscillation; a cell: particles in one in the middle of the bunch. "
            "Printed by `python benchmarks/matched.py`."
        )
        data = {"settings": vars(given), "machine": machine(), "versions": versions("backbeam", "numpy"), "rows": rows}
        write("matched", data, draw(rows), "\n".join(["# A matched bunch over a thousand kicks\n", head, "", *table]))


if __name__ == "__main__":
    main()
