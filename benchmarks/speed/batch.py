"""Time of many settings of a line at once, over as many single ones, beside Cheetah.

A FODO line with a space-charge kick in every element, linear maps; a setting is a strength of the quadrupoles. Each
setting has its own grid. "differs" is the rms difference of (x, px, y, py) of all settings from those of the first row.

    python benchmarks/speed batch --cheetah PYTHON
"""

from __future__ import annotations

import numpy as np

from speed.beams import WORDS, write_beam
from speed.racing import Entry, Racer, interpreters, race
from speed.table import Report, in_threads, milliseconds, parser, ratio, scratch, variants

GEOMETRY = {"quadrupole": 0.2, "drift": 0.8, "k1": 1.0}
PEERS_TOLERANCE = 2e-2


def deviation(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest, of the four transverse rows, of rms difference over rms."""
    off = np.mean((found - expected)[..., :4, :] ** 2, axis=-1) / np.mean(expected[..., :4, :] ** 2, axis=-1)
    return float(np.sqrt(np.max(off)))


def main(arguments: list[str]) -> int:
    options = parser(__doc__, rounds=5)
    options.add_argument("--particles", type=int, default=10_000)
    options.add_argument("--grid", type=int, default=16)
    options.add_argument("--cells", type=int, default=2, help="of 4 elements, a kick in each")
    options.add_argument("--settings", nargs="+", type=int, default=[1, 8, 64])
    options.add_argument("--threads", type=int, default=2)
    given = options.parse_args(arguments)
    pythons = interpreters(vars(given))
    report = Report("speed-batch", "Time of a batch of settings")
    report.say(
        f"{WORDS}. {given.cells} FODO cells, {4 * given.cells} kicks; {given.particles} particles and {given.grid}³ "
        f"nodes for each setting, float64, {in_threads(given.threads)}. Medians of {given.rounds} rounds."
    )
    races: dict[int, list[Racer]] = {}
    with scratch() as folder:
        common = {"kind": "batch", "beam": write_beam(folder, given.particles), "grid": given.grid,
                  "cells": given.cells, **GEOMETRY}  # fmt: skip
        for settings in given.settings:
            task = {**common, "settings": settings}
            own_variants = variants(given.libraries, plain=False).items()
            contest = [Entry(label, "backbeam", {**task, **chosen}, 1e-8) for label, chosen in own_variants]
            contest.append(Entry("Cheetah", "cheetah", task, PEERS_TOLERANCE))
            races[settings] = race(contest, pythons, given.threads, given.rounds, deviation)
            report.keep({"settings": settings, "threads": given.threads, "particles": given.particles}, races[settings])
    show(report, races)
    report.finish(picture(races), not given.no_results)
    return int(any(racer.problem for racers in races.values() for racer in racers))


def show(report: Report, races: dict[int, list[Racer]]) -> None:
    report.say()
    report.head("", "settings", "all [ms]", "a setting [ms]", "of a single one", "of Cheetah", "differs")
    alone: dict[str, float] = {}
    for settings, racers in races.items():
        cheetah = next((racer for racer in racers if racer.label == "Cheetah" and not racer.problem), None)
        for racer in racers:
            if racer.problem:
                report.row(racer.label, settings, racer.problem, *[None] * 4)
                continue
            time = racer.median("track")
            each = time / settings
            if settings == 1:
                alone[racer.label] = each
            single = ratio(each / alone[racer.label]) if racer.label in alone else None
            of_cheetah = ratio(racer.ratio("track", cheetah, "track")) if cheetah else None
            report.row(racer.label, settings, milliseconds(time), milliseconds(each), single, of_cheetah,
                       f"{racer.deviation:.1e}")  # fmt: skip


def picture(races: dict[int, list[Racer]]) -> object:
    """Time of a setting against how many there are."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, 3.8), layout="constrained")
    ax = figure.subplots()
    for label in dict.fromkeys(racer.label for racers in races.values() for racer in racers):
        points = [
            (settings, 1e3 * racer.median("track") / settings)
            for settings, racers in races.items() for racer in racers if racer.label == label and not racer.problem
        ]  # fmt: skip
        if points:
            ax.plot(*zip(*points, strict=True), "s--" if label == "Cheetah" else "o-", label=label,
                    color="0.5" if label == "Cheetah" else None)  # fmt: skip
    ax.set(xscale="log", yscale="log", xlabel="settings", ylabel="time of a setting [ms]")
    ax.legend()
    ax.grid(alpha=0.3)
    return figure
