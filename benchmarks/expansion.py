"""A cold ball of electrons blows itself up: radius R along s, and dR/dR0 by the reversible adjoint, against mechanics.

250 MeV, a uniform ball of radius R0 = 1 mm in its rest frame, 1 nC (doubles at 6.0005 m) and 10 nC. Two truths:

envelope    R'' = K/R^2: motion in the rest frame is slow. With linear drifts the tracking has the same physics, and
            must come to it as slices, nodes and particles are added.
mechanics   relativistic motion of the shells, which are let go at once in the rest frame, seen at fixed s. With exact
            drifts the tracking knows how fast each particle is and when it passes s, but its kick is that of charges at
            rest to each other, and it lets them go at once in the laboratory. What lacks is of second order in the
            speed in the rest frame, which at 10 nC is up to half that of light.

Particles are Sobol points, so that one sample is enough. The derivative with respect to R0 is that with respect to all
coordinates, contracted with coordinates/R0.

    python benchmarks/expansion.py                       # prints tables; writes results/expansion.json, .md and .png
    python benchmarks/expansion.py --particles 16384 --grid 32 --backend torch
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from closed_forms import fast_ball, slow_ball, slow_ball_by_radius
from common import machine, versions, write
from scipy.stats import qmc

import backbeam as bb

RADIUS, LENGTH, CHARGES = 1e-3, 6.0005, (1e-9, 10e-9)


def ball(n: int, charge: float, backend: str) -> bb.Beam:
    """Cold uniform ball of ``n`` electrons, a power of 2."""
    u = qmc.Sobol(3, rng=np.random.default_rng(1)).random(n).T
    radius, cosine, phi = RADIUS * np.cbrt(u[0]), 2.0 * u[1] - 1.0, 2.0 * np.pi * u[2]
    across = radius * np.sqrt(1.0 - cosine**2)
    X = np.zeros((6, n))
    X[0], X[2], X[4] = across * np.cos(phi), across * np.sin(phi), radius * cosine
    beam = bb.Beam.from_arrays(X, species="electron", kinetic_energy=250e6, charge=charge)
    X[4] /= float(beam.reference.beta_gamma)
    return bb.Beam.from_arrays(X, species="electron", kinetic_energy=250e6, charge=charge, backend=backend)


def half_axes(beam: bb.Beam) -> dict[str, Any]:
    """Objectives: half-axes across and along, in the rest frame, as rms sizes of a uniform ball give them [m]."""
    sigma = bb.observables.sigma
    stretch = 5.0**0.5 * float(beam.reference.beta_gamma)
    return {"x": 0.5 * 5.0**0.5 * (sigma("x") + sigma("y")), "z": stretch * sigma("tau")}


def final(beam: bb.Beam, drift: str, slices: int, grid: int, length: float = LENGTH) -> list[float]:
    """Half-axes (x, z) at the end over R0."""
    line = bb.Line([bb.Drift(length, model=drift)])
    out = bb.track(line, beam, space_charge=bb.SpaceCharge3D(grid=(grid,) * 3), slices=slices)
    return [float(f(out)) / RADIUS for f in half_axes(beam).values()]


def along(beam: bb.Beam, drift: str, places: np.ndarray, slices: int, grid: int) -> dict[str, list[list[float]]]:
    """R/R0 and dR/dR0 at each place: for x and z a list of pairs."""
    xp, found = beam.backend.namespace, {}
    for name, objective in half_axes(beam).items():
        found[name] = []
        for s in places:
            value, grad = bb.value_and_grad(
                objective, bb.Line([bb.Drift(float(s), model=drift)]), beam, ["beam.coordinates"],
                space_charge=bb.SpaceCharge3D(grid=(grid,) * 3), slices=max(1, round(slices * s / LENGTH)),
            )  # fmt: skip
            by_radius = xp.sum(grad["beam.coordinates"] * beam.coordinates) / RADIUS
            found[name].append([float(value) / RADIUS, float(by_radius)])
    return found


def truth(beam: bb.Beam, charge: float, places: np.ndarray) -> dict[str, list[list[float]]]:
    """The same by the envelope equation, and by relativistic mechanics, whose derivative is a central difference."""
    given = {"charge": charge, "mass": beam.species.mass, "beta_gamma": float(beam.reference.beta_gamma)}
    step = 1e-3 * RADIUS
    slow = [
        [slow_ball(s, radius=RADIUS, **given) / RADIUS, slow_ball_by_radius(s, radius=RADIUS, **given)] for s in places
    ]
    here, more, less = (fast_ball(places, radius=RADIUS + d, **given) for d in (0.0, step, -step))
    fast = {
        name: np.stack([getattr(here, name) / RADIUS, (getattr(more, name) - getattr(less, name)) / (2.0 * step)], 1)
        for name in ("x", "z")
    }
    return {"envelope": slow, **{f"mechanics {name}": rows.tolist() for name, rows in fast.items()}}


def convergence(given: argparse.Namespace) -> tuple[list[dict[str, Any]], list[str]]:
    """R/R0 at the end with linear drifts, minus the envelope's, as each of slices, nodes and particles is changed."""
    base = {"slices": 96, "grid": given.grid, "n": given.particles}
    changes = [{"slices": k} for k in (3, 6, 12, 24, 48)]
    changes += [{"grid": k} for k in (16, 32, 64, 96) if k != given.grid]
    changes += [{"n": given.particles >> k} for k in (6, 4, 2)]
    rows = []
    table = ["| slices | nodes | particles | 1 nC: x | 1 nC: z | 10 nC: x | 10 nC: z |", "|---" * 7 + "|"]
    print("\n".join(table), flush=True)
    for change in [*changes, {}]:
        row = {**base, **change, "off": []}
        for charge in CHARGES:
            beam = ball(row["n"], charge, given.backend)
            ideal = slow_ball(LENGTH, charge, RADIUS, beam.species.mass, float(beam.reference.beta_gamma)) / RADIUS
            row["off"] += [r / ideal - 1.0 for r in final(beam, "linear", row["slices"], row["grid"])]
        rows.append(row)
        cells = " | ".join(f"{100 * off:+.3f} %" for off in row["off"])
        table.append(f"| {row['slices']} | {row['grid']}³ | {row['n']} | {cells} |")
        print(table[-1], flush=True)
    return rows, table


def converged(given: argparse.Namespace) -> tuple[list[dict[str, Any]], list[str]]:
    """R/R0 at the end on the finest of all grids, for both drifts, beside both truths."""
    slices, grid, n = 96, 2 * given.grid, 2 * given.particles
    table = [
        f"| {slices} slices, {grid}³, {n} | linear drift: x | z | envelope | exact drift: x | z | mechanics: x | z |",
        "|---" * 8 + "|",
    ]
    print("\n".join(table), flush=True)
    rows = []
    for charge in CHARGES:
        beam = ball(n, charge, given.backend)
        ideal = truth(beam, charge, np.asarray([LENGTH]))
        row = {drift: final(beam, drift, slices, grid) for drift in ("linear", "exact")}
        row |= {name: rows_[0][0] for name, rows_ in ideal.items()} | {"charge": charge}
        rows.append(row)
        numbers = [*row["linear"], row["envelope"], *row["exact"], row["mechanics x"], row["mechanics z"]]
        table.append(f"| {1e9 * charge:g} nC | " + " | ".join(f"{number:.4f}" for number in numbers) + " |")
        print(table[-1], flush=True)
    return rows, table


def by_speed(given: argparse.Namespace) -> tuple[list[dict[str, Any]], list[str]]:
    """What the speed in the rest frame changes where the envelope has doubled, for three charges."""
    head = (
        "| charge | s [m] | x: exact/linear drift | x: mechanics/envelope | z: exact/linear | z: mechanics/envelope |"
    )
    table = [head, "|---" * 6 + "|"]
    print("\n".join(table), flush=True)
    rows = []
    for charge in (1e-10, 1e-9, 1e-8):
        # Where the envelope is, depends on s sqrt(charge) alone.
        s = LENGTH * (1e-9 / charge) ** 0.5
        beam = ball(given.particles, charge, given.backend)
        found = {drift: final(beam, drift, 48, given.grid, s) for drift in ("linear", "exact")}
        ideal = truth(beam, charge, np.asarray([s]))
        row = {
            "charge": charge,
            "s": s,
            "tracking": [a / b - 1.0 for a, b in zip(found["exact"], found["linear"], strict=True)],
        }
        row["mechanics"] = [ideal[f"mechanics {name}"][0][0] / ideal["envelope"][0][0] - 1.0 for name in ("x", "z")]
        rows.append(row)
        numbers = [row[name][k] for k in (0, 1) for name in ("tracking", "mechanics")]
        cells = " | ".join(f"{100 * number:+.3f} %" for number in numbers)
        table.append(f"| {1e9 * charge:g} nC | {s:.3f} | {cells} |")
        print(table[-1], flush=True)
    return rows, table


def gradients(given: argparse.Namespace) -> tuple[list[dict[str, Any]], list[str]]:
    """R/R0 and dR/dR0 along s."""
    places = LENGTH * np.arange(1, given.places + 1) / given.places
    head = "| charge | s [m] | | envelope | linear: x | z | mechanics: x | exact: x | mechanics: z | exact: z |"
    rows, table = [], [head, "|---" * 10 + "|"]
    print("\n".join(table), flush=True)
    for charge in CHARGES:
        beam = ball(given.particles, charge, given.backend)
        ideal = truth(beam, charge, places)
        found = {drift: along(beam, drift, places, given.slices, given.grid) for drift in ("linear", "exact")}
        rows.append({"charge": charge, "s": places.tolist(), **ideal, **found})
        for k, s in enumerate(places):
            for j, what in enumerate(("R/R0", "dR/dR0")):
                columns = [
                    ideal["envelope"], found["linear"]["x"], found["linear"]["z"], ideal["mechanics x"],
                    found["exact"]["x"], ideal["mechanics z"], found["exact"]["z"],
                ]  # fmt: skip
                cells = " | ".join(f"{column[k][j]:.4f}" for column in columns)
                table.append(f"| {1e9 * charge:g} nC | {s:.3f} | {what} | {cells} |")
                print(table[-1], flush=True)
    return rows, table


def draw(rows: list[dict[str, Any]]) -> Any:
    """R/R0 and dR/dR0 along s for each charge."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 6.6), layout="constrained")
    fine = LENGTH * np.linspace(0.0, 1.0, 61)
    for column, row in zip(figure.subplots(2, len(rows)).T, rows, strict=True):
        ideal = truth(ball(2, row["charge"], "numpy"), row["charge"], fine)
        for j, (axes, label) in enumerate(zip(column, (r"$R/R_0$", r"$dR/dR_0$"), strict=True)):
            for (name, values), style in zip(ideal.items(), ("-", "--", ":"), strict=True):
                axes.plot(fine, np.asarray(values)[:, j], style, color="#22272e", lw=1.2, label=name)
            for drift, color in (("linear", "#1667b0"), ("exact", "#d1495b")):
                for plane, marker in (("x", "o"), ("z", "s")):
                    values = np.asarray(row[drift][plane])[:, j]
                    axes.plot(row["s"], values, marker, color=color, mfc="none", ms=5, label=f"{drift} drift, {plane}")
            axes.set_ylabel(label)
        column[0].set_title(f"{1e9 * row['charge']:g} nC")
        column[1].set_xlabel("s [m]")
    figure.axes[0].legend(frameon=False, fontsize=8)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--particles", type=int, default=2**16, help="a power of 2, which Sobol points ask for")
    parser.add_argument("--grid", type=int, default=48)
    parser.add_argument("--slices", type=int, default=48, help="of the whole length, where gradients are taken")
    parser.add_argument("--places", type=int, default=6, help="places along s")
    parser.add_argument("--backend", default="numpy")
    parser.add_argument("--write", action=argparse.BooleanOptionalAction, default=True)
    given = parser.parse_args()
    heads = (
        f"R/R0 after {LENGTH} m with linear drifts, relative to the envelope equation:",
        "R/R0 there with as much of everything as is worth while; two half-axes, across (x) and along (z), the latter "
        "β0γ0 √5 σ_tau:",
        "What the speed in the rest frame changes, where the envelope has doubled; 48 slices:",
        f"R/R0 and dR/dR0 along s; {given.particles} particles, {given.grid}³ nodes, {given.slices} slices in all, "
        "gradients by `Reversible`:",
    )
    found, text = [], ["# A cold ball of electrons blows itself up\n"]
    text.append("Printed by `python benchmarks/expansion.py`, which says what is compared.\n")
    for head, part in zip(heads, (convergence, converged, by_speed, gradients), strict=True):
        print(f"\n{head}\n")
        rows, table = part(given)
        found.append(rows)
        text += [head, "", *table, ""]
    if given.write:
        data = {
            "settings": {**vars(given), "length": LENGTH, "radius": RADIUS, "kinetic_energy": 250e6},
            "machine": machine(),
            "versions": versions("backbeam", "numpy", "scipy", given.backend),
            **dict(zip(("convergence", "converged", "by speed", "along"), found, strict=True)),
        }
        write("expansion", data, draw(found[-1]), "\n".join(text))


if __name__ == "__main__":
    main()
