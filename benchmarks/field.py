"""The Lorentz force in a relativistic Gaussian bunch against its closed form, from gamma = 10 to 1e4.

Each row is one space-charge kick of a bunch with sigma_x = sigma_y = 1 mm. The error is the rms, over particles, of
found minus exact force of a component, over the largest exact force of that component: across the bunch (the worse of x
and y) and along it. Aspect ratios sigma_z/sigma_x are of the laboratory, or of the rest frame, where gamma cannot
matter. Four samples of the same bunch tell apart what the grid does and what the sample does:

random      independent particles
Sobol       scrambled Sobol points: a quiet start
cut         either of them, without the 0.11 % of the charge beyond the ellipsoid of 4 sigma: the box, which reaches
            from the first to the last particle, is smaller, and so are its cells

    python benchmarks/field.py                       # prints a table; writes results/field.json, .md and .png
    python benchmarks/field.py --gammas 10 100 --grid 32 --particles 65536
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from closed_forms import gaussian_field, gaussian_peaks
from common import machine, versions, write
from scipy.special import ndtri
from scipy.stats import chi, qmc

import backbeam as bb
from backbeam.reference import Reference
from backbeam.species import species_named

ELECTRON = species_named("electron")
CHARGE, SIGMA_X, CUT = 1e-9, 1e-3, 4.0
RATIOS = (0.01, 0.1, 1.0, 10.0)
SAMPLES = ("random", "Sobol", "random, cut", "Sobol, cut")
COMPARED = 2**14
"""Particles whose force is compared; the first of a Sobol sequence are one themselves."""
PROBES = np.linspace(-3.8, 3.8, 39)
"""Places on an axis [sigma] of particles without charge, for the picture."""


def normals(sample: str, n: int, seed: int = 1) -> np.ndarray:
    """Places (3, n) of a Gaussian of unit size."""
    rng = np.random.default_rng(seed)
    u = qmc.Sobol(3, rng=rng).random(n).T if sample.startswith("Sobol") else rng.random((3, n))
    if "cut" not in sample:
        return ndtri(u)
    radius = chi(3).ppf(u[0] * chi(3).cdf(CUT))
    cosine, phi = 2.0 * u[1] - 1.0, 2.0 * np.pi * u[2]
    across = radius * np.sqrt(1.0 - cosine**2)
    return np.stack([across * np.cos(phi), across * np.sin(phi), radius * cosine])


def forces(at: np.ndarray, q: np.ndarray, reference: Reference, space_charge: bb.SpaceCharge3D) -> np.ndarray:
    """Force (3, n) [eV/m] on particles at rest to each other, at lab positions (x, y, z) of one instant."""
    X = np.zeros((6, at.shape[1]))
    X[0], X[2], X[4] = at[0], at[1], -at[2] / float(reference.beta)
    ds = 1e-6  # so short that energy is linear in the kick to 1e-8
    kicked = space_charge.forward(bb.effects.Bunch(X, q, None, reference), {"length": np.asarray(ds)})
    # dP = F ds/(beta0 c), and dE = F ds along the motion
    momentum = float(reference.momentum) / ds
    return momentum * np.stack([kicked[1] * float(reference.beta), kicked[3] * float(reference.beta), kicked[5]])


def to_lab(gamma: float) -> np.ndarray:
    """Force in the laboratory over the field at rest: across, E is gamma times larger and 1/gamma^2 of it is left."""
    return np.asarray([1.0 / gamma, 1.0 / gamma, 1.0])


def rounded(values: np.ndarray) -> list[float]:
    """Five digits are more than the sample is good for, and make small files."""
    return [float(f"{value:.5g}") for value in values]


def measure(unit: np.ndarray, cut: float, gamma: float, lab_ratio: float, grid: tuple[int, ...]) -> dict[str, Any]:
    """Error of each component (3,), peak forces [eV/m], and forces along the axes over their peaks."""
    reference = Reference.from_kinetic_energy(np.asarray((gamma - 1.0) * ELECTRON.mass), ELECTRON)
    gamma = float(reference.gamma)
    sigma = SIGMA_X * np.asarray([1.0, 1.0, lab_ratio])
    rest = np.asarray([1.0, 1.0, gamma])
    probes = np.concatenate([np.eye(3)[:, [k]] * PROBES for k in (0, 2)], axis=1)
    at = np.concatenate([unit, probes], axis=1) * sigma[:, None]
    n = unit.shape[1]
    q = np.concatenate([np.full(n, -CHARGE / n), np.zeros(probes.shape[1])])
    found = forces(at, q, reference, bb.SpaceCharge3D(grid=grid))
    # Like charges: the force points where the field of a positive charge does.
    peaks = to_lab(gamma) * gaussian_peaks(sigma * rest, CHARGE, cut)

    def exact(places: np.ndarray) -> np.ndarray:
        return to_lab(gamma)[:, None] * gaussian_field(places * rest[:, None], sigma * rest, CHARGE, cut)

    off = found[:, :COMPARED] - exact(at[:, :COMPARED])
    on_axes = {"x": found[0, n : n + PROBES.size] / peaks[0], "z": found[2, n + PROBES.size :] / peaks[2]}
    return {
        "error": rounded(np.sqrt(np.mean(off**2, axis=1)) / peaks),
        "peak": rounded(peaks),
        "axes": {k: rounded(v) for k, v in on_axes.items()},
    }


def cases(gammas: list[float]) -> Iterator[tuple[str, float, float, float]]:
    """Frame of the ratio, ratio, gamma, and the ratio in the laboratory."""
    for ratio in RATIOS:
        for gamma in gammas:
            yield "lab", ratio, gamma, ratio
    for ratio in RATIOS:
        for gamma in sorted({min(gammas), max(gammas)}):
            yield "rest", ratio, gamma, ratio / gamma


def per_cent(error: list[float]) -> str:
    """Worse of x and y, and z."""
    return f"{100 * max(error[:2]):.2f} / {100 * error[2]:.2f}"


def sweep(units: dict[str, np.ndarray], gammas: list[float], grid: int) -> tuple[list[dict[str, Any]], list[str]]:
    """All cases with all samples, and their table."""
    rows, table = [], ["| σz/σx | frame | γ | σz/σx at rest | " + " | ".join(SAMPLES) + " |", "|---" * 8 + "|"]
    print("\n".join(table), flush=True)
    for frame, ratio, gamma, lab_ratio in cases(gammas):
        row = {"frame": frame, "ratio": ratio, "gamma": gamma}
        row |= {s: measure(units[s], CUT if "cut" in s else math.inf, gamma, lab_ratio, (grid,) * 3) for s in SAMPLES}
        rows.append(row)
        cells = " | ".join(per_cent(row[s]["error"]) for s in SAMPLES)
        table.append(f"| {ratio:g} | {frame} | {gamma:g} | {lab_ratio * gamma:g} | {cells} |")
        print(table[-1], flush=True)
    return rows, table


def refine(units: dict[str, np.ndarray], grids: list[int]) -> tuple[list[dict[str, Any]], list[str]]:
    """The same for finer grids, where the ratio is worst: a flat, a round and a long bunch at gamma = 100."""
    samples = ("random", "Sobol", "Sobol, cut")
    rows, table = [], ["| σz/σx at rest | nodes | " + " | ".join(samples) + " |", "|---" * 5 + "|"]
    for rest_ratio in (0.01, 1.0, 1000.0):
        for grid in grids:
            row = {"ratio": rest_ratio, "grid": grid}
            for s in samples:
                cut = CUT if "cut" in s else math.inf
                row[s] = measure(units[s], cut, 100.0, rest_ratio / 100.0, (grid,) * 3)["error"]
            rows.append(row)
            table.append(f"| {rest_ratio:g} | {grid}³ | {' | '.join(per_cent(row[s]) for s in samples)} |")
    print("\n".join(table), flush=True)
    return rows, table


def reshape(units: dict[str, np.ndarray]) -> tuple[list[dict[str, Any]], list[str]]:
    """The whole Gaussian on no more than 64^3 nodes, with fewer of them across a long bunch, and along a flat one."""
    rows, table = [], ["| σz/σx at rest | nodes | random | Sobol |", "|---" * 4 + "|"]
    for ratio in (0.01, 0.1, 1.0, 10.0, 100.0, 1e3, 1e5):
        grid = (70, 70, 50) if ratio < 1.0 else (64, 64, 64) if ratio == 1.0 else (56, 56, 80)
        found = {s: measure(units[s], math.inf, 100.0, ratio / 100.0, grid)["error"] for s in ("random", "Sobol")}
        rows.append({"ratio": ratio, "grid": grid, **found})
        cells = " | ".join(per_cent(error) for error in found.values())
        table.append(f"| {ratio:g} | {' × '.join(map(str, grid))} | {cells} |")
    print("\n".join(table), flush=True)
    return rows, table


def worst(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Largest error of any component and any case, by sample."""
    return {s: max(max(row[s]["error"]) for row in rows) for s in SAMPLES}


def draw(rows: list[dict[str, Any]]) -> Any:
    """Force along the axes of a bunch of sigma_z = sigma_x/100, and errors against gamma."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.5, 3.9), layout="constrained")
    along_x, along_z, errors = figure.subplots(1, 3)
    short_ones = [row for row in rows if row["frame"] == "lab" and row["ratio"] == 0.01]
    fine = np.linspace(-4.0, 4.0, 401)
    colors = ["#1667b0", "#d1495b", "#3f8f5f", "#e0a030", "#7a4fa3"]
    for axes, k, name in ((along_x, 0, "x"), (along_z, 2, "z")):
        for color, row in zip(colors, short_ones, strict=False):
            sigma = SIGMA_X * np.asarray([1.0, 1.0, 0.01 * row["gamma"]])
            inside = np.abs(fine) < CUT
            line = gaussian_field(np.eye(3)[:, [k]] * sigma[k] * fine[inside], sigma, CHARGE, CUT)[k]
            axes.plot(fine[inside], line / gaussian_peaks(sigma, CHARGE, CUT)[k], color=color, lw=1.0)
            axes.plot(
                PROBES, row["Sobol, cut"]["axes"][name], "o", ms=3.2, color=color, label=f"$\\gamma$ = {row['gamma']:g}"
            )
        axes.set_xlabel(rf"${name}/\sigma_{name}$")
        axes.set_ylabel(rf"$F_{name}$ / its peak")
        axes.set_title(rf"$\sigma_z = \sigma_x/100$, on the {name} axis; lines: closed form", fontsize=10)
    along_x.legend(frameon=False, fontsize=8)
    for color, ratio in zip(colors, RATIOS, strict=False):
        mine = [row for row in rows if row["frame"] == "lab" and row["ratio"] == ratio]
        gammas = [row["gamma"] for row in mine]
        found = 100 * np.asarray([row["Sobol, cut"]["error"] for row in mine])
        label = rf"$\sigma_z/\sigma_x$ = {ratio:g}"
        errors.plot(gammas, found[:, :2].max(axis=1), "o-", color=color, ms=4, lw=1.2, label=label)
        errors.plot(gammas, found[:, 2], "s--", color=color, ms=4, lw=1.2)
    errors.axhline(1.0, color="#22272e", lw=0.8)
    errors.set(xscale="log", ylim=(0.0, 1.2), xlabel=r"$\gamma$", ylabel="rms error of force [% of peak]")
    errors.set_title("Sobol, cut at 4 σ; solid: across, dashed: along", fontsize=10)
    errors.legend(frameon=False, fontsize=8, ncols=2)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gammas", nargs="+", type=float, default=[1e1, 1e2, 1e3, 1e4])
    parser.add_argument("--particles", type=int, default=2**20, help="a power of 2, which Sobol points ask for")
    parser.add_argument("--grid", type=int, default=64)
    parser.add_argument("--grids", nargs="*", type=int, default=[32, 64, 96, 128], help="for the second table")
    parser.add_argument("--write", action=argparse.BooleanOptionalAction, default=True)
    given = parser.parse_args()
    units = {sample: normals(sample, given.particles) for sample in SAMPLES}
    head = (
        f"{given.particles} electrons of {CHARGE:g} C, {given.grid}³ nodes, box from the first to the last particle. "
        "Error of the force across / along the bunch, rms over particles, in % of the largest force of that component:"
    )
    print(head + "\n")
    rows, table = sweep(units, given.gammas, given.grid)
    found = worst(rows)
    last = "Worst of all: " + "; ".join(f"{s} {100 * e:.2f} %" for s, e in found.items()) + "."
    print(f"\n{last}\n\nThe same at gamma = 100 with other grids:\n")
    refined, more = refine(units, given.grids)
    shapes = "The whole Gaussian, with no more nodes than 64³, but shared out as the bunch is shaped:"
    print(f"\n{shapes}\n")
    reshaped, last_table = reshape(units)
    if given.write:
        data = {
            "settings": {**vars(given), "charge": CHARGE, "sigma_x": SIGMA_X, "cut": CUT},
            "machine": machine(),
            "versions": versions("backbeam", "numpy", "scipy"),
            "worst": found,
            "rows": rows,
            "grids": refined,
            "shapes": reshaped,
            "probes": PROBES.tolist(),
        }
        text = [
            "# The Lorentz force in a relativistic Gaussian bunch\n",
            "Printed by `python benchmarks/field.py`. σx = σy = 1 mm. random: independent particles; Sobol: a quiet "
            "start; cut: without the 0.11 % of the charge beyond 4 σ, whose field inside is zero, so that the box is "
            "smaller.\n",
            head, "", *table, "", last, "", "The same at γ = 100 with other grids:", "", *more, "",
            shapes, "", *last_table,
        ]  # fmt: skip
        figure = draw(rows)
        for row in rows:
            for sample in SAMPLES:
                if row["frame"] != "lab" or sample != "Sobol, cut":
                    del row[sample]["axes"]
        write("field", data, figure, "\n".join(text))


if __name__ == "__main__":
    main()
