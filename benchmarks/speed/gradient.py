"""Time of a gradient through a drift with space-charge kicks, over that of the same line without, and over Cheetah's.

The value is sigma_x, the derivatives are those with respect to the length of the drift and the charge of the beam; they
cost the same for any number of parameters. Cheetah's primal is without a graph, its gradient forward and backward.
"differs" is the largest relative difference of value and derivatives from those of the first row.

    python benchmarks/speed gradient --cheetah PYTHON
    python benchmarks/speed gradient --particles 20000 --grid 16 --kicks 5 --threads 1
"""

from __future__ import annotations

import numpy as np

from speed.beams import WORDS, write_beam
from speed.racing import Entry, Racer, interpreters, race
from speed.table import Report, in_threads, milliseconds, parser, ratio, scratch, variants

LENGTH = 2.0
PEERS_TOLERANCE = 0.2
BUDGETS = {"reversible": 3.3, "store": 2.5}
"""A gradient's time over its own primal."""
OF_CHEETAH = 0.15
"""A reversible gradient's time over that of Cheetah's forward and backward."""


def deviation(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest relative difference."""
    return float(np.max(np.abs(found / expected - 1.0)))


def main(arguments: list[str]) -> int:
    options = parser(__doc__, rounds=5)
    options.add_argument("--particles", type=int, default=100_000)
    options.add_argument("--grid", type=int, default=32)
    options.add_argument("--kicks", type=int, default=20)
    options.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    options.add_argument("--dtypes", nargs="+", default=["float64"], choices=["float64", "float32"])
    options.add_argument("--adjoints", nargs="+", default=["reversible", "store"])
    given = options.parse_args(arguments)
    pythons = interpreters(vars(given))
    report = Report("speed-gradient", "Time of a gradient")
    report.say(
        f"{WORDS}. A drift of {LENGTH:g} m with {given.kicks} kicks, {given.particles} particles, {given.grid}³ nodes. "
        f"Medians of {given.rounds} rounds, in each of which every code has one turn; ratios are of the times in the "
        "same round. JAX compiles the whole; that is not counted."
    )
    races: dict[tuple[str, int], list[Racer]] = {}
    with scratch() as folder:
        task = {"kind": "gradient", "beam": write_beam(folder, given.particles), "grid": given.grid,
                "kicks": given.kicks, "length": LENGTH, "adjoints": given.adjoints}  # fmt: skip
        for dtype in given.dtypes:
            tolerance = 1e-7 if dtype == "float64" else 1e-2
            own = {**task, "dtype": dtype}
            own_variants = variants(given.libraries, plain=False).items()
            contest = [Entry(label, "backbeam", {**own, **chosen}, tolerance) for label, chosen in own_variants]
            contest.append(Entry("Cheetah", "cheetah", own, PEERS_TOLERANCE))
            for threads in given.threads:
                racers = races[dtype, threads] = race(contest, pythons, threads, given.rounds, deviation)
                report.keep({**{k: v for k, v in own.items() if k != "beam"}, "threads": threads}, racers)
                show(report, f"{dtype}, {in_threads(threads)}", racers, given.adjoints)
    report.say(f"\nBudgets: reversible {BUDGETS['reversible']} and store {BUDGETS['store']} of the primal; reversible "
               f"{OF_CHEETAH} of Cheetah's gradient.")  # fmt: skip
    report.finish(picture(races), not given.no_results)
    return int(any(racer.problem for racers in races.values() for racer in racers))


def show(report: Report, title: str, racers: list[Racer], adjoints: list[str]) -> None:
    cheetah = next((racer for racer in racers if racer.label == "Cheetah" and not racer.problem), None)
    report.say(f"\n## {title}\n")
    report.head("", "adjoint", "primal [ms]", "gradient [ms]", "of the primal", "of Cheetah's gradient", "differs")
    for racer in racers:
        if racer.problem:
            report.row(racer.label, racer.problem, *[None] * 5)
            continue
        for run in ("tape",) if racer is cheetah else adjoints:
            of_cheetah = ratio(racer.ratio(run, cheetah, "tape")) if cheetah else None
            report.row(racer.label, run, milliseconds(racer.median("primal")), milliseconds(racer.median(run)),
                       ratio(racer.ratio(run, racer, "primal")), of_cheetah, f"{racer.deviation:.1e}")  # fmt: skip


def picture(races: dict[tuple[str, int], list[Racer]]) -> object:
    """Bars: primal and gradients."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.0 * len(races), 3.6), layout="constrained")
    for ax, ((dtype, threads), racers) in zip(np.ravel(figure.subplots(1, len(races))), races.items(), strict=True):
        bars = [
            (f"{racer.label}, {run}", racer.median(run), run)
            for racer in racers if not racer.problem for run in racer.seconds
        ][::-1]  # fmt: skip
        ax.barh([label for label, _, _ in bars], [1e3 * time for _, time, _ in bars],
                color=["0.6" if run == "primal" else "C0" for _, _, run in bars])  # fmt: skip
        ax.set(xscale="log", xlabel="time [ms]", title=f"{dtype}, {in_threads(threads)}")
    return figure
