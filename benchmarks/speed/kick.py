"""Time of one space-charge kick, transforms between fixed s and fixed t included, beside Xsuite, ImpactX and Cheetah.

"reverse" is the kick undone and its pullback in one: what a reversible gradient does for each kick. "differs" is the
rms difference of the change of (px, py) from that of the first row, next to the rms change: peers' grids are others.

    python benchmarks/speed kick --cheetah PYTHON --xsuite PYTHON --impactx PYTHON
    python benchmarks/speed kick --cases 100000:32 --threads 1 --dtypes float64 --rounds 5
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from speed.beams import WORDS, read_beam, write_beam
from speed.racing import PEERS, Entry, Racer, interpreters, race
from speed.table import FUSED, Report, in_threads, milliseconds, parser, ratio, scratch, variants

STEP = 0.1
"""Length of the kick [m]."""
BUDGETS = [
    # case, row, at most this part of, row
    ("1000000:64", FUSED, 0.65, "Xsuite"),
    ("1000000:64", FUSED, 0.35, "ImpactX"),
    ("1000000:64", FUSED, 0.08, "Cheetah"),
    ("1000000:64", "torch", 0.15, "Cheetah"),
    ("1000000:64", "jax", 0.15, "Cheetah"),
    ("100000:32", FUSED, 0.5, "Xsuite"),
]
"""For float64 and one thread."""


def peers_tolerance(grid: int) -> float:
    """A cell of 5 sigma/(grid/2), over sigma: Cheetah 0.8.4 gathers half a cell from where it deposits."""
    return 8.0 / grid


def deviation_of_kick(before: np.ndarray) -> Callable[[np.ndarray, np.ndarray], float]:
    """Rms difference of the change of (px, py) over the rms change, from coordinates ``before``."""

    def deviation(found: np.ndarray, expected: np.ndarray) -> float:
        kick, other = (found - before)[[1, 3]], (expected - before)[[1, 3]]
        return float(np.sqrt(np.mean((kick - other) ** 2) / np.mean(other**2)))

    return deviation


def entries(libraries: list[str], task: dict[str, Any], dtype: str, reverse: bool) -> list[Entry]:
    """Every code that can do this, the reference first."""
    tolerance = 1e-8 if dtype == "float64" else 1e-2
    peers = peers_tolerance(int(task["grid"]))
    own = {**task, "dtype": dtype, "reverse": reverse}
    own_variants = variants(libraries, plain=True).items()
    found = [Entry(label, "backbeam", {**own, **chosen}, tolerance) for label, chosen in own_variants]
    found.append(Entry("Cheetah", "cheetah", {**task, "dtype": dtype}, peers))
    if dtype == "float64":
        found.append(Entry("Xsuite", "xsuite", task, peers))
        found.append(Entry("ImpactX", "impactx", task, peers))
    return found


def main(arguments: list[str]) -> int:
    options = parser(__doc__, rounds=7)
    options.add_argument("--cases", nargs="+", default=["100000:32", "1000000:64"], help="particles:nodes of a side")
    options.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    options.add_argument("--dtypes", nargs="+", default=["float64", "float32"], choices=["float64", "float32"])
    options.add_argument("--no-reverse", action="store_true", help="time the kick alone")
    given = options.parse_args(arguments)
    pythons = interpreters(vars(given))
    report = Report("speed-kick", "Time of a space-charge kick")
    report.say(
        f"{WORDS}. Medians of {given.rounds} rounds, in each of which every code has one turn; ratios are of the times "
        "in the same round."
    )
    races: dict[tuple[str, str, int], list[Racer]] = {}
    with scratch() as folder:
        for case in given.cases:
            n, grid = map(int, case.split(":"))
            beam = write_beam(folder, n)
            task = {"kind": "kick", "beam": beam, "grid": grid, "ds": STEP}
            deviation = deviation_of_kick(read_beam(beam))
            for dtype in given.dtypes:
                for threads in given.threads:
                    contest = entries(given.libraries, task, dtype, not given.no_reverse)
                    racers = race(contest, pythons, threads, given.rounds, deviation)
                    races[case, dtype, threads] = racers
                    report.keep({"particles": n, "grid": grid, "dtype": dtype, "threads": threads}, racers)
                    show(report, f"{n} particles, {grid}³ nodes, {dtype}, {in_threads(threads)}", racers)
    show_budgets(report, races)
    report.finish(picture(races), not given.no_results)
    return int(any(racer.problem for racers in races.values() for racer in racers))


def show(report: Report, title: str, racers: list[Racer]) -> None:
    by_label = {racer.label: racer for racer in racers}
    peers = [name for name in ("Xsuite", "ImpactX", "Cheetah") if name in by_label]
    report.say(f"\n## {title}\n")
    report.head("", "kick [ms]", *(f"of {name}" for name in peers), "reverse [ms]", "of its kick", "differs")
    for racer in racers:
        if racer.problem:
            report.row(racer.label, racer.problem, *[None] * (len(peers) + 3))
            continue
        ratios = (ratio(racer.ratio("forward", by_label[name], "forward")) for name in peers)
        differs = None if racer.deviation is None else f"{racer.deviation:.1e}"
        report.row(racer.label, milliseconds(racer.median("forward")), *ratios, milliseconds(racer.median("reverse")),
                   ratio(racer.ratio("reverse", racer, "forward")), differs)  # fmt: skip


def show_budgets(report: Report, races: dict[tuple[str, str, int], list[Racer]]) -> None:
    rows = []
    for case, label, most, peer in BUDGETS:
        by_label = {racer.label: racer for racer in races.get((case, "float64", 1), [])}
        if label in by_label and peer in by_label:
            rows.append((case, label, peer, ratio(by_label[label].ratio("forward", by_label[peer], "forward")), most))
    if rows:
        report.say("\n## Budgets: float64, one thread\n")
        report.head("particles:nodes", "", "of", "is", "to be at most")
        for row in rows:
            report.row(*row)


def picture(races: dict[tuple[str, str, int], list[Racer]]) -> object:
    """Bars for every race."""
    from matplotlib.figure import Figure

    columns = 2 if len(races) > 1 else 1
    lines = -(-len(races) // columns)
    figure = Figure(figsize=(5.0 * columns, 0.6 + 2.4 * lines), layout="constrained")
    axes = np.ravel(figure.subplots(lines, columns, squeeze=False))
    for ax, ((case, dtype, threads), racers) in zip(axes, races.items(), strict=False):
        timed = [racer for racer in racers if not racer.problem][::-1]
        times = [1e3 * racer.median("forward") for racer in timed]
        colours = ["0.6" if racer.label in PEERS.values() else "C0" for racer in timed]
        ax.barh([racer.label for racer in timed], times, color=colours)
        for k, time in enumerate(times):
            ax.text(time, k, f" {time:.3g}", va="center", fontsize=8)
        ax.set(xscale="log", xlabel="kick [ms]")
        ax.set_xlim(0.5 * min(times), 3.0 * max(times))
        n, grid = case.split(":")
        ax.set_title(f"{int(n):.0e} particles, {grid}³, {dtype}, {in_threads(threads)}", fontsize=9)
    for ax in axes[len(races) :]:
        ax.set_axis_off()
    return figure
