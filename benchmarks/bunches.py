"""One space-charge kick over its closed form, for bunches of real machines' kind, beside ImpactX and Xsuite.

Each number is kick times closed form over closed form squared, summed over the particles within 1.5 sigma of the axis
and a tenth of sigma_z, at the middle of the bunch and one sigma_z ahead of it, in x and y. Round bunches: line density
times the field of a round Gaussian; flat ones: Bassetti & Erskine (CERN-ISR-TH/80-06); bunches that are not long at
rest: the Gaussian's integral.

    python benchmarks/bunches.py                                    # prints a table; writes results/bunches.json and
    .md python benchmarks/bunches.py --particles 200000 --grid 32 --no-write python benchmarks/bunches.py --impactx
    /opt/impactx/bin/python --xsuite /opt/xsuite/bin/python

ImpactX and Xsuite run in interpreters of their own, on the same particles: ImpactX's kick by its own transformation to
fixed t, in the middle of a drift of 1 um; Xsuite's `SpaceCharge3D` with its own FFT solver.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from closed_forms import gaussian_field
from common import machine, versions, write
from scipy.special import wofz

import backbeam as bb
from backbeam.effects import Bunch
from backbeam.species import VACUUM_PERMITTIVITY

BUNCHES: dict[str, dict[str, Any]] = {
    "ball 250 MeV": {"species": "electron", "energy": 250e6, "charge": 1e-9, "sizes": (4.47e-4, 4.47e-4, 9.1e-7)},
    "PSB 0.4 m": {"species": "proton", "energy": 160e6, "charge": 1e-8, "sizes": (5.5e-3, 5.5e-3, 0.4), "slope": 9e-4},
    "PSB 4 m": {"species": "proton", "energy": 160e6, "charge": 1e-8, "sizes": (5.5e-3, 5.5e-3, 4.0), "slope": 9e-4},
    "ring 20 m": {"species": "proton", "energy": 160e6, "charge": 1e-8, "sizes": (5.5e-3, 5.5e-3, 20.0), "slope": 9e-4},
    "light source 3 GeV": {"species": "electron", "energy": 3e9, "charge": 1e-9, "sizes": (5e-5, 5e-6, 5e-3)},
    "damping ring 1.3 GeV": {"species": "electron", "energy": 1.3e9, "charge": 1.6e-9, "sizes": (7e-5, 7e-6, 8e-3)},
    "compressed 10 GeV": {"species": "electron", "energy": 10e9, "charge": 1e-9, "sizes": (2e-5, 2e-5, 2e-5)},
    "collider 450 GeV": {"species": "proton", "energy": 450e9, "charge": 1.8e-8, "sizes": (1e-3, 1e-3, 0.1)},
    "collider 7 TeV": {"species": "proton", "energy": 7e12, "charge": 1.8e-8, "sizes": (2.5e-4, 2.5e-4, 0.0755)},
    "RFQ 2.5 MeV": {
        "species": "proton",
        "energy": 2.5e6,
        "charge": 1.4e-10,
        "sizes": (2e-3, 2e-3, 3e-3),
        "slope": 2e-3,
    },
}
"""Species, kinetic energy [eV], charge [C], rms sizes x, y, z at fixed s [m], and rms px and py where they matter."""
LONG = 50.0
"""Rest-frame length over width from which on the field of a slice is two-dimensional: to 1e-3."""
PROGRAMS = Path(__file__).parent / "kick_peers"
LENGTH = 1e-6
"""Of the kick [m]."""


def particles(bunch: dict[str, Any], n: int, seed: int = 2) -> bb.Beam:
    """The bunch, uncorrelated, all with the reference's energy."""
    sx, sy, sz = bunch["sizes"]
    zero = dict.fromkeys(("sigma_px", "sigma_py"), bunch.get("slope", 0.0))
    beam = bb.Beam.gaussian(
        n=n, species=bunch["species"], kinetic_energy=bunch["energy"], charge=bunch["charge"], seed=seed,
        sigma_x=sx, sigma_y=sy, sigma_tau=1.0, sigma_pt=0.0, **zero,
    )  # fmt: skip
    return beam.replace(
        coordinates=beam.coordinates * np.array([1, 1, 1, 1, sz / float(beam.beta), 1])[:, None], recipe=None
    )


def across(x: np.ndarray, y: np.ndarray, sx: float, sy: float) -> np.ndarray:
    """Field (2, n) of a Gaussian line of unit density times 2 pi epsilon_0: round, or flat with sx > sy."""
    if sx == sy:
        square = x * x + y * y
        return -np.expm1(-0.5 * square / sx**2) / square * np.stack([x, y])
    root = np.sqrt(2.0 * (sx * sx - sy * sy))
    a, b = np.abs(x), np.abs(y)
    shade = np.exp(-0.5 * (x / sx) ** 2 - 0.5 * (y / sy) ** 2)
    w = wofz((a + 1j * b) / root) - shade * wofz((a * sy / sx + 1j * b * sx / sy) / root)
    return np.sqrt(np.pi) / root * np.stack([w.imag * np.sign(x), w.real * np.sign(y)])


def wanted(bunch: dict[str, Any], beam: bb.Beam, at: np.ndarray) -> np.ndarray:
    """Closed form of (dpx, dpy) at places (x, y, z) for the kick of `LENGTH`."""
    sizes, gamma, beta = np.asarray(bunch["sizes"]), float(beam.gamma), float(beam.beta)
    if gamma * sizes[2] > LONG * sizes[0]:
        density = bunch["charge"] / (np.sqrt(2.0 * np.pi) * sizes[2]) * np.exp(-0.5 * (at[2] / sizes[2]) ** 2)
        field = density / (2.0 * np.pi * VACUUM_PERMITTIVITY) * across(at[0], at[1], sizes[0], sizes[1])
        return field * LENGTH / (beta**2 * gamma**3 * beam.species.mass)
    stretch = np.array([1.0, 1.0, gamma])
    field = gaussian_field(at * stretch[:, None], sizes * stretch, bunch["charge"], np.inf)[:2]
    return field * LENGTH / ((beta * gamma) ** 2 * beam.species.mass)


def kicked(beam: bb.Beam, grid: int, dtype: str) -> np.ndarray:
    """(dpx, dpy) of ours."""
    X, q, u = (np.array(a, dtype=dtype) for a in (beam.coordinates, beam.charges, beam.reference.beta_gamma))
    bunch = Bunch(X, q, None, beam.reference.with_beta_gamma(u))
    X[[1, 3]] = 0.0  # the kick does not look at them, and in float32 they would swallow it
    after = bb.SpaceCharge3D(grid=(grid,) * 3).forward(bunch, {"length": np.asarray(LENGTH, dtype)})
    return (after - X)[[1, 3]].astype(float)


PEERS = ("xsuite", "impactx")
"""Other codes, whose programs ``kick_peers/NAME_kick.py`` turn a beam into (dpx, dpy)."""


def of_peer(name: str, python: str, beam: bb.Beam, grid: int) -> np.ndarray | None:
    """(dpx, dpy) of another code; None if it does not do it."""
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "beam.npz", Path(folder) / "kick.npy"
        x, px, y, py, tau, _ = np.asarray(beam.coordinates)
        species = beam.species
        np.savez(
            given, x=x, px=px, y=y, py=py, t=tau, zeta=-float(beam.beta) * tau, grid=grid, length=LENGTH,
            mass=species.mass, number=species.charge_number, p0c=float(beam.reference.momentum),
            energy=float(beam.kinetic_energy), species=species.name, gamma=float(beam.gamma),
            charge=abs(float(beam.charge)),
            weight=abs(float(beam.charge)) / beam.n / 1.602176634e-19 / abs(species.charge_number),
        )  # fmt: skip
        run = subprocess.run(
            [python, str(PROGRAMS / f"{name}_kick.py"), str(given), str(made)], capture_output=True, text=True
        )
        if run.returncode or not made.exists():
            print(f"{name}: {(run.stderr.strip() or run.stdout.strip()).splitlines()[-1:]}")
            return None
        return np.load(made)


def over_closed_form(bunch: dict[str, Any], beam: bb.Beam, kick: np.ndarray | None) -> list[float] | None:
    """x and y at the middle, x and y one sigma ahead."""
    if kick is None:
        return None
    sx, sy, sz = bunch["sizes"]
    x, y, z = beam.x, beam.y, -float(beam.beta) * beam.tau
    found = []
    for place in (0.0, 1.0):
        near = np.flatnonzero((np.abs(z / sz - place) < 0.1) & (np.abs(x) < 1.5 * sx) & (np.abs(y) < 1.5 * sy))[:20_000]
        target = wanted(bunch, beam, np.stack([x, y, z])[:, near])
        found += list(np.sum(kick[:, near] * target, axis=1) / np.sum(target**2, axis=1))
    return [round(float(a), 4) for a in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--particles", type=int, default=1_000_000)
    parser.add_argument("--grid", type=int, default=64)
    parser.add_argument("--only", nargs="*", default=list(BUNCHES))
    for peer in PEERS:
        parser.add_argument(f"--{peer}", metavar="PYTHON", help=f"an interpreter that has {peer}")
    parser.add_argument("--write", action=argparse.BooleanOptionalAction, default=True)
    given = parser.parse_args()
    peers = {name: getattr(given, name) for name in PEERS if getattr(given, name)}
    columns = ["float64", "float32", *peers]
    table = ["| bunch | γσz/σx | " + " | ".join(columns) + " |", "|---" * (2 + len(columns)) + "|"]
    print("\n".join(table), flush=True)
    rows = []
    for name in given.only:
        bunch = BUNCHES[name]
        beam = particles(bunch, given.particles)
        kicks = {dtype: kicked(beam, given.grid, dtype) for dtype in ("float64", "float32")}
        kicks |= {peer: of_peer(peer, python, beam, given.grid) for peer, python in peers.items()}
        row = {c: over_closed_form(bunch, beam, kick) for c, kick in kicks.items()}
        ratio = float(beam.gamma) * bunch["sizes"][2] / bunch["sizes"][0]
        rows.append({"bunch": name, "ratio": ratio, **row})
        cells = (" ".join(f"{a:.3f}" for a in row[c]) if row[c] else "-" for c in columns)
        table.append(f"| {name} | {ratio:.2g} | " + " | ".join(cells) + " |")
        print(table[-1], flush=True)
    if given.write:
        head = (
            f"{given.particles} particles, {given.grid}³ nodes: kick over closed form in x and y at the middle, "
            "then one sigma_z ahead. Printed by `python benchmarks/bunches.py`."
        )
        data = {
            "settings": {k: v for k, v in vars(given).items() if k not in PEERS},
            "machine": machine(),
            "rows": rows,
        }
        data["versions"] = versions("backbeam", "numpy", "scipy")
        write("bunches", data, None, "\n".join(["# One kick over its closed form\n", head, "", *table]))


if __name__ == "__main__":
    main()
