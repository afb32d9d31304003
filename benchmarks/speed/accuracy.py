"""Time at equal accuracy: the error of the field in the core of a bunch against the time of a kick, grid by grid.

Bunches of 1 nC at 250 MeV, cold, sizes in the rest frame: a Gaussian ball of 1 mm, a uniform ball, a flat one (y a
tenth) and a long one (z a hundred times). The error is the rms difference of the change of (px, py) from its closed
form over its rms, among the first particles within 1.5 rms sizes of the middle (of the uniform ball: 0.8 radii). The
time is that of the Gaussian ball, the least of several: shapes make no difference to it. Every code has a process for
each number of particles, alone on the machine; the grid covers the bunch, in a way that is each code's own.

    python benchmarks/speed accuracy --cheetah PYTHON --xsuite PYTHON --impactx PYTHON
    python benchmarks/speed accuracy --particles 10000 100000 --grids 16 32 --rounds 3 --no-results
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from closed_forms import VACUUM_PERMITTIVITY, gaussian_field

from speed.racing import PEERS, Racer, Worker, WorkerError, interpreters, note
from speed.table import Report, in_threads, milliseconds, parser, ratio, scratch

ENERGY, MASS, CHARGE, LENGTH = 250e6, 0.51099895069e6, 1e-9, 0.1
"""Kinetic and rest energy [eV], charge [C], and length of the kick [m]."""
SHAPES = {
    "Gaussian": (1e-3, 1e-3, 1e-3),
    "uniform ball": (1e-3,) * 3,
    "flat": (1e-3, 1e-4, 1e-3),
    "long": (1e-3, 1e-3, 0.1),
}
"""Rms sizes in the rest frame [m]; of the uniform ball, its radius."""
COMPARED = 20_000
CHEETAH_TO = 1_000_000
"""Most particles of Cheetah, which holds eight nodes and weights of each."""
ALL_TO = 1_000_000
"""Most particles of which all shapes are looked at; of more, the Gaussian ball and the long one."""
A_CELL = (1.0 / 30.0, 250.0)
"""Particles a node, fewer or more than which nobody would take."""
OURS = {"backbeam": 4, "backbeam, order 2": 2}
NEEDED = (0.05, 0.02, 0.01)
"""Errors for which the table says what they cost."""


def places(shape: str, n: int) -> np.ndarray:
    """Particles (3, n) in the rest frame [m]."""
    rng = np.random.default_rng(1)
    v = rng.standard_normal((3, n))
    if shape == "uniform ball":
        v *= rng.random(n) ** (1.0 / 3.0) / np.sqrt(np.sum(v * v, axis=0))
    return v * np.asarray(SHAPES[shape])[:, None]


def write_beam(folder: Path, shape: str, n: int) -> str:
    """The file of a bunch."""
    path = folder / f"{shape}-{n}.npz"
    X = np.zeros((6, n))
    X[0], X[2], X[4] = places(shape, n)
    X[4] /= -np.sqrt((1.0 + ENERGY / MASS) ** 2 - 1.0)
    np.savez(path, coordinates=X, species="electron", kinetic_energy=ENERGY, charge=CHARGE)
    return str(path)


def sensible(n: int, grids: list[int]) -> tuple[list[str], list[int]]:
    """Shapes and grids for so many particles."""
    shapes = list(SHAPES) if n <= ALL_TO else ["Gaussian", "long"]
    return shapes, [grid for grid in grids if A_CELL[0] <= n / grid**3 <= A_CELL[1]]


class Core:
    """Which of the first particles are in the core, and how they ought to be kicked."""

    def __init__(self, shape: str, n: int) -> None:
        at, sizes = places(shape, n)[:, :COMPARED], np.asarray(SHAPES[shape])
        uniform = shape == "uniform ball"
        self.inside = np.sum((at / sizes[:, None]) ** 2, axis=0) < (0.8 if uniform else 1.5) ** 2
        at = at[:, self.inside]
        per_length = CHARGE / (4.0 * np.pi * VACUUM_PERMITTIVITY * sizes[0] ** 3)
        field = per_length * at if uniform else gaussian_field(at, sizes, CHARGE)
        u = np.sqrt((1.0 + ENERGY / MASS) ** 2 - 1.0)
        self.wanted = field[:2] * LENGTH / (u * u * MASS)

    def error(self, momenta: np.ndarray) -> float:
        """Of (px, py), flat, of the first particles of a bunch that was cold."""
        found = np.reshape(momenta, (2, -1))[:, self.inside]
        return float(np.sqrt(np.mean((found - self.wanted) ** 2) / np.mean(self.wanted**2)))


def measured(label: str, python: str, code: str, task: dict[str, Any], cores: dict[str, Core], threads: int) -> Racer:
    """Seconds by grid, and errors by ``shape grid``, of a code for one number of particles."""
    racer = Racer(label)
    try:
        worker = Worker(python, code, task, threads)
        try:
            racer.versions = worker.ready()["versions"]
            found = worker.outcome()
        finally:
            worker.close()
    except WorkerError as error:
        racer.problem = str(error)
        note(f"{label}: {error}")
        return racer
    for k, grid in enumerate(task["grids"]):
        racer.seconds[str(grid)] = [float(found[0, k, 0])]
        for (shape, core), row in zip(cores.items(), found[:, k, 1:], strict=True):
            racer.errors[f"{shape} {grid}"] = core.error(row)
    return racer


def main(arguments: list[str]) -> int:
    options = parser(__doc__, rounds=3)
    options.add_argument("--particles", nargs="+", type=int, default=[10_000, 100_000, 1_000_000, 10_000_000])
    options.add_argument("--grids", nargs="+", type=int, default=[16, 32, 64, 128])
    options.add_argument("--threads", type=int, default=1)
    given = options.parse_args(arguments)
    pythons = interpreters(vars(given))
    report = Report("speed-accuracy", "Time at equal accuracy")
    report.say(
        "Error of the field in the core of a bunch of 1 nC at 250 MeV, at rest a Gaussian ball, a uniform ball, a flat "
        "bunch (y a tenth of x) and a long one (z a hundred times x), next to its closed form; time of a kick of the "
        f"Gaussian ball, the least of {given.rounds}. float64, {in_threads(given.threads)}; backbeam is NumPy with "
        "Numba."
    )
    races: dict[int, list[Racer]] = {}
    with scratch() as folder:
        for n in given.particles:
            shapes, grids = sensible(n, given.grids)
            beams = [write_beam(folder, shape, n) for shape in shapes]
            cores = {shape: Core(shape, n) for shape in shapes}
            task = {"kind": "kicks", "library": "numpy", "beams": beams, "grids": grids, "ds": LENGTH,
                    "reverse": False, "rounds": given.rounds, "compared": COMPARED}  # fmt: skip
            codes = [(label, "backbeam", {**task, "order": order}) for label, order in OURS.items()]
            codes += [(name, code, task) for code, name in PEERS.items() if code != "cheetah" or n <= CHEETAH_TO]
            races[n] = [
                measured(label, pythons[code], code, its, cores, given.threads)
                for label, code, its in codes
                if code in pythons
            ]
            for path in beams:
                Path(path).unlink()
            report.keep({"particles": n, "grids": grids, "threads": given.threads}, races[n])
            show(report, n, shapes, grids, races[n])
    show_needed(report, races, given.grids)
    report.finish(picture(races, given.grids), not given.no_results)
    return int(any(racer.problem for racers in races.values() for racer in racers))


def show(report: Report, n: int, shapes: list[str], grids: list[int], racers: list[Racer]) -> None:
    report.say(f"\n## {n} particles: time [ms]; error of the core [%], {', '.join(shapes)}\n")
    report.head("", *(f"{grid}³" for grid in grids))
    for racer in racers:
        if racer.problem:
            report.row(racer.label, racer.problem, *[None] * (len(grids) - 1))
            continue
        cells = []
        for grid in grids:
            errors = (f"{100 * racer.errors[f'{shape} {grid}']:.3g}" for shape in shapes)
            cells.append(f"{milliseconds(racer.median(str(grid)))}; {' '.join(errors)}")
        report.row(racer.label, *cells)


def cheapest(racers: dict[int, Racer], shape: str, grids: list[int], most: float) -> tuple[float, int, int] | None:
    """Seconds, particles and grid of the fastest kick whose error is no more than that."""
    found = [
        (racer.median(str(grid)), n, grid)
        for n, racer in racers.items()
        for grid in grids
        if racer.errors.get(f"{shape} {grid}", np.inf) <= most
    ]
    return min(found, default=None)


def show_needed(report: Report, races: dict[int, list[Racer]], grids: list[int]) -> None:
    """What an error costs each code at best, and that over backbeam's."""
    labels = list(dict.fromkeys(racer.label for racers in races.values() for racer in racers))
    by_label = {label: {n: r for n, rs in races.items() for r in rs if r.label == label} for label in labels}
    report.say("\n## Fastest kick within an error [ms], its particles and nodes; the first one's time over it\n")
    report.head("", "error [%]", *labels)
    for shape in SHAPES:
        for most in NEEDED:
            best = [cheapest(by_label[label], shape, grids, most) for label in labels]
            cells = []
            for found in best:
                if found is None:
                    cells.append(None)
                    continue
                seconds, n, grid = found
                share = f", {ratio(best[0][0] / seconds)}" if best[0] and found is not best[0] else ""
                cells.append(f"{milliseconds(seconds)} ({n:.0e}, {grid}³){share}")
            report.row(shape, f"{100 * most:g}", *cells)


def picture(races: dict[int, list[Racer]], grids: list[int]) -> object:
    """Error against time, a panel for each shape; a line goes through the grids, its strength is the particles."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * len(SHAPES), 4.0), layout="constrained")
    colours = dict(zip([*OURS, *PEERS.values()], ("C0", "C9", "C3", "C2", "C1"), strict=True))
    axes = figure.subplots(1, len(SHAPES), sharey=True)
    for ax, shape in zip(axes, SHAPES, strict=True):
        for k, (_, racers) in enumerate(sorted(races.items())):
            for racer in racers:
                done = [grid for grid in grids if f"{shape} {grid}" in racer.errors]
                times = [1e3 * racer.median(str(grid)) for grid in done]
                errors = [100 * racer.errors[f"{shape} {grid}"] for grid in done]
                strength = 0.35 + 0.65 * k / max(1, len(races) - 1)
                ax.plot(times, errors, "o-", ms=2 + k, lw=0.6 + 0.4 * k, color=colours[racer.label], alpha=strength)
        ax.set(xscale="log", yscale="log", xlabel="time of a kick [ms]", title=shape)
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("error of the field in the core [%]")
    shown = {racer.label for racers in races.values() for racer in racers if racer.errors}
    for label, colour in colours.items():
        if label not in shown:
            continue
        axes[0].plot([], [], "o-", color=colour, label=label)
    axes[0].legend(frameon=False, fontsize=8)
    last = ", ".join(f"{n:.0e}" for n in sorted(races))
    figure.suptitle(
        f"each line: grids {', '.join(f'{g}³' for g in grids)}; from thin to thick: {last} particles", fontsize=9
    )
    return figure
