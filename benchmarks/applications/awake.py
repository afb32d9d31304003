"""The AWAKE optimum of several samples: `backbeam.examples.awake_optimum` for long.

    OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 python benchmarks/applications awake

A sample is a beam and a start of its own. The best point of each method is looked at once more, by what it was
not found with: particles of another seed, and magnets in the 50 kicks of the shipped file, as Xsuite has them.
"""

from __future__ import annotations

import argparse
from typing import Any

from common import machine, versions, write

from backbeam.examples import awake_optimum as awake
from backbeam.problem import Problem


def again(case: awake.Sample, found: awake.Search, kicks: Problem, seed: int) -> tuple[float, float]:
    """Mean square size of the best point by other particles, and by other steps [m^2]."""
    values = case.function.values(found.x)
    other = kicks.replace({"beam.seed": seed + 1000}).beam()
    return awake.size(case.line.replace(values), other), awake.size(kicks.line().replace(values), case.beam)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--particles", type=int, default=10_000)
    parser.add_argument("--calls", type=int, default=400)
    parser.add_argument("--nelder-mead-calls", type=int, default=3000)
    parser.add_argument("--write", action=argparse.BooleanOptionalAction, default=True)
    given = parser.parse_args(arguments)
    sizes = ("start [m²]", "design [m²]", "in 50 kicks [m²]")
    headings = ("sample", *sizes, *awake.HEADINGS, "other particles [m²]", "50 kicks [m²]")
    table = [f"| {' | '.join(headings)} |", "|---" * len(headings) + "|"]
    print("\n".join(table), flush=True)
    samples: list[Any] = []
    rows: list[dict[str, Any]] = []
    for seed in given.seeds:
        case = awake.sample(seed, given.particles)
        kicks = Problem.load("awake", {"beam.n": given.particles, "beam.seed": seed})
        designs = [awake.size(line, case.beam) for line in (case.line, kicks.line())]
        samples.append([])
        for method in awake.METHODS:
            calls = given.nelder_mead_calls if method == "Nelder-Mead" else given.calls
            found = awake.search(method, case, calls)
            others = again(case, found, kicks, seed)
            samples[-1].append(found)
            rows.append({
                "sample": seed, "method": method, "start": float(case.function.unit[0]), "design": designs[0],
                "design_in_kicks": designs[1], "best": float(found.best[-1]),
                "calls": len(found.values), "seconds": round(float(found.seconds[-1]), 2),
                "there": found.reaches(awake.DESIGN), "other_particles": others[0], "fifty_kicks": others[1],
                "values": dict(zip(case.function.names, found.x * case.function.scale, strict=True)),
            })  # fmt: skip
            given_sizes = [f"{v:.2e}" for v in (case.function.unit[0], *designs)]
            cells = [str(seed), *given_sizes, *awake.row(found), *(f"{other:.2e}" for other in others)]
            table.append(f"| {' | '.join(cells)} |")
            print(table[-1], flush=True)
    if given.write:
        data = {"settings": vars(given), "machine": machine(), "versions": versions("backbeam", "numpy", "scipy")}
        write("applications-awake", data | {"rows": rows}, awake.draw(samples), text(table, given, arguments))


def text(table: list[str], given: argparse.Namespace, arguments: list[str]) -> str:
    """The table, and what it is of."""
    return f"""# The AWAKE optimum by 58 parameters

`{" ".join(["python benchmarks/applications awake", *arguments])}`: {given.particles:,} particles; every length, angle
and strength within half of its design value, started one per cent off it; at most {given.calls} calls of a gradient
method and {given.nelder_mead_calls} of Nelder-Mead, whose search is ended there and not by itself. A call of a gradient
method is a value and 58 derivatives. Seconds are of one thread of the processor. The last two columns look at the best
point once more: with particles of another seed, and with magnets in the 50 kicks of the shipped problem.

{chr(10).join(table)}

![Least mean square size so far against seconds and calls, for each sample](applications-awake.png)
"""


if __name__ == "__main__":
    main([])
