"""Time that JAX takes to compile a line of 10 and of 1000 slices with a space-charge kick each.

It should not grow: slices are a loop in what is compiled.

    python benchmarks/speed compiling
"""

from __future__ import annotations

from speed.beams import write_beam
from speed.racing import Entry, Racer, interpreters, race
from speed.table import Report, in_threads, parser, scratch


def main(arguments: list[str]) -> int:
    options = parser(__doc__, rounds=3)
    options.add_argument("--particles", type=int, default=100_000)
    options.add_argument("--grid", type=int, default=32)
    options.add_argument("--slices", nargs="+", type=int, default=[10, 1000])
    options.add_argument("--threads", type=int, default=2)
    given = options.parse_args(arguments)
    report = Report("speed-compiling", "Time to compile a line with JAX")
    report.say(
        f"A drift with a kick in each slice, {given.particles} particles, {given.grid}³ nodes, float64, "
        f"{in_threads(given.threads)}; jit, trace and compile with empty caches, nothing run. Medians of "
        f"{given.rounds} rounds.\n"
    )
    pythons = {"backbeam": interpreters({})["backbeam"]}
    with scratch() as folder:
        task = {"kind": "compile", "library": "jax", "beam": write_beam(folder, given.particles), "grid": given.grid,
                "length": 2.0}  # fmt: skip
        contest = [Entry(f"{kicks}", "backbeam", {**task, "kicks": kicks}, 0.0) for kicks in given.slices]
        racers = race(contest, pythons, given.threads, given.rounds, None)
        report.keep({"slices": given.slices, "particles": given.particles, "grid": given.grid}, racers)
    report.head("slices", "tracking [s]", "reversible gradient [s]")
    for racer in racers:
        report.row(racer.label, *([racer.problem, None] if racer.problem else _seconds(racer)))
    report.finish(None, not given.no_results)
    return int(any(racer.problem for racer in racers))


def _seconds(racer: Racer) -> list[str]:
    return [f"{racer.median(run):.2f}" for run in ("track", "gradient")]
