"""Time of a kick against the number of particles and of cells, and of a gradient against the number of kicks.

Beside Cheetah, Xsuite and ImpactX where they can do it. Cheetah's gradient is its forward and backward; it stores all.

    python benchmarks/speed scaling --cheetah PYTHON --xsuite PYTHON --impactx PYTHON
"""

from __future__ import annotations

from typing import Any

from speed import gradient, kick
from speed.beams import WORDS, read_beam, write_beam
from speed.racing import Entry, Racer, interpreters, race
from speed.table import Report, in_threads, milliseconds, parser, scratch, variants

AXES = {"particles": "particles", "grid": "nodes of a side", "kicks": "kicks"}
PEERS = ("Cheetah", "Xsuite", "ImpactX")


def main(arguments: list[str]) -> int:
    options = parser(__doc__, rounds=3)
    options.add_argument("--particles", nargs="*", type=int, default=[10_000, 100_000, 1_000_000], help="at 32³ nodes")
    options.add_argument("--grids", nargs="*", type=int, default=[16, 32, 64, 128], help="with 10^5 particles")
    options.add_argument("--kicks", nargs="*", type=int, default=[1, 4, 16, 64], help="10^4 particles, 16³ nodes")
    options.add_argument("--cheetah-kicks", type=int, default=16, help="most kicks of Cheetah, which stores all")
    options.add_argument("--threads", type=int, default=1)
    given = options.parse_args(arguments)
    pythons = interpreters(vars(given))
    report = Report("speed-scaling", "Time against particles, cells and kicks")
    report.say(f"{WORDS}. float64, {in_threads(given.threads)}. Medians of {given.rounds} rounds [ms].")
    found: dict[str, dict[int, list[Racer]]] = {"particles": {}, "grid": {}, "kicks": {}}
    with scratch() as folder:
        for axis, values in (("particles", given.particles), ("grid", given.grids)):
            for value in values:
                case = {"particles": 100_000, "grid": 32, axis: value}
                beam = write_beam(folder, case["particles"])
                task = {"kind": "kick", "beam": beam, "grid": case["grid"], "ds": kick.STEP}
                contest = kick.entries(given.libraries, task, "float64", False)
                deviation = kick.deviation_of_kick(read_beam(beam))
                found[axis][value] = race(contest, pythons, given.threads, given.rounds, deviation)
                report.keep({"axis": axis, **case, "threads": given.threads}, found[axis][value])
        for value in given.kicks:
            case = {"grid": 16, "kicks": value, "length": gradient.LENGTH, "adjoints": ["reversible"]}
            task = {"kind": "gradient", "beam": write_beam(folder, 10_000), **case}
            contest = gradients(given, task)
            found["kicks"][value] = race(contest, pythons, given.threads, given.rounds, gradient.deviation)
            report.keep({"axis": "kicks", "particles": 10_000, **case, "threads": given.threads}, found["kicks"][value])
    runs = {"particles": ["forward"], "grid": ["forward"], "kicks": ["primal", "reversible", "tape"]}
    titles = {
        "particles": "Kick against the number of particles, 32³ nodes",
        "grid": "Kick against nodes of a side, 10⁵ particles",
        "kicks": "Primal and gradient against the number of kicks, 10⁴ particles, 16³ nodes",
    }
    for axis, races in found.items():
        if races:
            show(report, titles[axis], races, runs[axis])
    report.finish(picture({axis: races for axis, races in found.items() if races}, runs), not given.no_results)
    return int(any(racer.problem for races in found.values() for racers in races.values() for racer in racers))


def gradients(given: Any, task: dict[str, Any]) -> list[Entry]:
    """Who differentiates: Cheetah only as long as its memory suffices."""
    own_variants = variants(given.libraries, plain=False).items()
    contest = [Entry(label, "backbeam", {**task, **chosen}, 1e-7) for label, chosen in own_variants]
    if task["kicks"] <= given.cheetah_kicks:
        # On 16³ nodes Cheetah's half cell is a large part of the kick.
        contest.append(Entry("Cheetah", "cheetah", task, 0.5))
    return contest


def curves(races: dict[int, list[Racer]], runs: list[str]) -> dict[tuple[str, str], dict[int, float]]:
    """Seconds for each code and run, by the number on the axis."""
    found: dict[tuple[str, str], dict[int, float]] = {}
    for value, racers in races.items():
        for racer in racers:
            for run in runs:
                if not racer.problem and run in racer.seconds:
                    found.setdefault((racer.label, run), {})[value] = racer.median(run)
    return found


def show(report: Report, title: str, races: dict[int, list[Racer]], runs: list[str]) -> None:
    report.say(f"\n## {title}\n")
    report.head("", "", *races)
    for (label, run), times in curves(races, runs).items():
        report.row(label, run, *(milliseconds(times.get(value)) for value in races))


def picture(found: dict[str, dict[int, list[Racer]]], runs: dict[str, list[str]]) -> object:
    """A panel for each axis."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * len(found), 4.2), layout="constrained")
    for ax, (axis, races) in zip(figure.subplots(1, len(found), squeeze=False)[0], found.items(), strict=True):
        colours: dict[str, str] = {}
        for (label, run), times in curves(races, runs[axis]).items():
            colour = colours.setdefault(label, f"C{len(colours)}")
            style = "--" if label in PEERS else "-"
            ax.plot(list(times), [1e3 * t for t in times.values()], ("o" if run != "primal" else ".") + style,
                    color=colour, alpha=0.5 if run == "primal" else 1.0,
                    label=label if len(runs[axis]) == 1 else f"{label}, {run}")  # fmt: skip
        ax.set(xscale="log", yscale="log", xlabel=AXES[axis], ylabel="time [ms]")
        ax.legend(fontsize=7)
        ax.grid(alpha=0.3)
    return figure
