"""Time of a FODO line without space charge, for each particle and element, beside Cheetah, Xsuite and ImpactX.

40 elements: 20 quadrupoles and 20 drifts, all different objects. Rows of a kind compute the same map: "linear" applies
a matrix for each element, "merged" the product of all, "exact" keeps the full square root in drifts and quadrupoles.
Ours and ImpactX's exact quadrupoles are one step of order 6; Cheetah's drift_kick_drift is one step of order 2;
Xsuite's are its default (thick, expanded Hamiltonian) between exact drifts. "differs" is the rms difference of
(x, px, y, py) from those of the first row of the kind, each next to its rms.

    python benchmarks/speed line --cheetah PYTHON --xsuite PYTHON --impactx PYTHON
"""

from __future__ import annotations

import numpy as np

from speed.beams import WORDS, write_beam
from speed.racing import PEERS, Entry, Racer, interpreters, race
from speed.table import FUSED, Report, in_threads, milliseconds, parser, ratio, scratch, variants

GEOMETRY = {"quadrupole": 0.2, "drift": 0.8, "k1": 1.0}
PEERS_TOLERANCE = 2e-2
BUDGETS = {"linear": 4.0, "exact": 20.0}
"""ns for a particle and an element, NumPy with Numba, one thread."""


def deviation(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest, of the four transverse rows, of rms difference over rms."""
    off = np.mean((found - expected)[:4] ** 2, axis=-1) / np.mean(expected[:4] ** 2, axis=-1)
    return float(np.sqrt(np.max(off)))


def contests(libraries: list[str], task: dict[str, object]) -> dict[str, list[Entry]]:
    """Kinds, and who is in them."""

    def ours(model: str, merge: bool) -> list[Entry]:
        own = {**task, "model": model, "merge": merge}
        chosen = variants(libraries, plain=True)
        return [Entry(label, "backbeam", {**own, **task}, 1e-9) for label, task in chosen.items()]

    def peer(label: str, code: str, model: str, merge: bool = False) -> Entry:
        return Entry(label, code, {**task, "model": model, "merge": merge}, PEERS_TOLERANCE)

    return {
        "linear": [*ours("linear", False), peer("Cheetah", "cheetah", "linear"), peer("ImpactX", "impactx", "linear")],
        "linear, merged": [*ours("linear", True), peer("Cheetah", "cheetah", "linear", True)],
        "exact": [
            *ours("exact", False),
            peer("Cheetah", "cheetah", "drift_kick_drift"),
            peer("Xsuite", "xsuite", "exact"),
            peer("ImpactX", "impactx", "exact"),
        ],
    }


def main(arguments: list[str]) -> int:
    options = parser(__doc__, rounds=5)
    options.add_argument("--particles", type=int, default=1_000_000)
    options.add_argument("--cells", type=int, default=10, help="of 4 elements")
    options.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    given = options.parse_args(arguments)
    pythons = interpreters(vars(given))
    elements = 4 * given.cells
    report = Report("speed-line", "Time of a line without space charge")
    report.say(
        f"{WORDS}. {given.cells} cells of quadrupole, drift, quadrupole, drift ({GEOMETRY['quadrupole']:g} m, "
        f"{GEOMETRY['drift']:g} m, k1 = ±{GEOMETRY['k1']:g}/m²): {elements} elements; {given.particles} particles, "
        f"float64. Medians of {given.rounds} rounds, in each of which every code has one turn."
    )
    races: dict[tuple[str, int], list[Racer]] = {}
    with scratch() as folder:
        task = {"kind": "line", "beam": write_beam(folder, given.particles), "cells": given.cells, **GEOMETRY}
        for threads in given.threads:
            for kind, contest in contests(given.libraries, task).items():
                racers = races[kind, threads] = race(contest, pythons, threads, given.rounds, deviation)
                group = {"kind": kind, "threads": threads, "particles": given.particles, "elements": elements}
                report.keep(group, racers)
                show(report, f"{kind}, {in_threads(threads)}", racers, given.particles * elements)
    budgets = ", ".join(f"{kind} {ns:g} ns" for kind, ns in BUDGETS.items())
    report.say(f"\nBudgets, {FUSED}, one thread: {budgets}.")
    report.finish(picture(races, given.particles * elements), not given.no_results)
    return int(any(racer.problem for racers in races.values() for racer in racers))


def show(report: Report, title: str, racers: list[Racer], count: int) -> None:
    first = racers[0]
    report.say(f"\n## {title}\n")
    report.head("", "line [ms]", "ns for a particle and element", f"of {first.label}", "differs")
    for racer in racers:
        if racer.problem:
            report.row(racer.label, racer.problem, *[None] * 3)
            continue
        time = racer.median("track")
        report.row(racer.label, milliseconds(time), f"{1e9 * time / count:.2f}",
                   ratio(racer.ratio("track", first, "track")), f"{racer.deviation:.1e}")  # fmt: skip


def picture(races: dict[tuple[str, int], list[Racer]], count: int) -> object:
    """Bars for every race."""
    from matplotlib.figure import Figure

    kinds, threads = list(dict.fromkeys(k for k, _ in races)), list(dict.fromkeys(t for _, t in races))
    figure = Figure(figsize=(4.2 * len(kinds), 0.5 + 2.3 * len(threads)), layout="constrained")
    axes = figure.subplots(len(threads), len(kinds), squeeze=False)
    for (kind, thread), racers in races.items():
        ax = axes[threads.index(thread), kinds.index(kind)]
        timed = [racer for racer in racers if not racer.problem][::-1]
        times = [1e9 * racer.median("track") / count for racer in timed]
        colours = ["0.6" if racer.label in PEERS.values() else "C0" for racer in timed]
        ax.barh([racer.label for racer in timed], times, color=colours)
        for k, time in enumerate(times):
            ax.text(time, k, f" {time:.3g}", va="center", fontsize=8)
        ax.set_xlim(0.0, 1.15 * max(times, default=1.0))
        ax.set_title(f"{kind}, {in_threads(thread)}", fontsize=9)
        ax.set_xlabel("ns for a particle and element")
    return figure
