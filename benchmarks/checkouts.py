"""Two checkouts against each other: a kick, a line and a gradient, in rounds that alternate; medians and ratios.

::

    git worktree add ../before REVISION
    python benchmarks/checkouts.py ../before . --rounds 15

Each checkout has a process of its own, which is asked for one time after the other while the others rest: all see
the same machine; times are those of the processor, on one thread. A ratio is the median over rounds of now/before;
beside it stands that of a second process with the code before: what the machine alone makes of equal things.

Kicks are compared like with like, at fixed time and of second order (``at="t", order=2``), for this is what the first
version called a kick; ``kick, as it comes`` is the default of each checkout, whatever that is.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

CASES = {
    "kick, 1e6 in 64^3": ("kick", 1_000_000, 64, {"at": "t", "order": 2}),
    "kick, 1e5 in 32^3": ("kick", 100_000, 32, {"at": "t", "order": 2}),
    "kick, as it comes, 1e5 in 32^3": ("kick", 100_000, 32, {}),
    "60 linear elements, 1e5": ("line", 100_000, "linear", {}),
    "60 exact elements, 1e5": ("line", 100_000, "exact", {}),
    "gradient, 60 exact elements, 1e5": ("line_gradient", 100_000, "exact", {}),
    "gradient, 20 kicks, 1e5 in 32^3": ("gradient", 100_000, 32, {"at": "t", "order": 2}),
    "gradient, 20 kicks, as they come": ("gradient", 100_000, 32, {}),
}


def worker() -> None:
    """Answer case after case with its time [s]; the first run of a case is not counted."""
    import backbeam as bb

    backend, ready = sys.argv[2], {}

    def beam(n):
        sizes = {f"sigma_{c}": 1e-3 for c in ("x", "y", "tau")} | {"sigma_px": 1e-4, "sigma_py": 1e-4, "sigma_pt": 1e-4}
        return bb.Beam.gaussian(n=n, species="electron", kinetic_energy=50e6, charge=1e-9, backend=backend, **sizes)

    def space_charge(side, options):
        try:
            return bb.SpaceCharge3D(grid=(side,) * 3, extent="beam", **options)
        except TypeError:  # the first version: there was one kind of kick
            return bb.SpaceCharge3D(grid=(side,) * 3, extent="beam")

    def elements(model):
        cell = [
            bb.Drift(0.2, name="d"),
            bb.Quadrupole(0.1, k1=8.0, model=model, name="qf"),
            bb.Quadrupole(0.1, k1=-8.0, model=model, name="qd"),
        ]
        return bb.Line(cell * 20)

    def made(case):
        kind, n, what, options = case
        start = beam(n)
        if kind == "kick":
            model, line = space_charge(what, options), bb.Line([bb.Drift(0.01)])
            return lambda: bb.track(line, start, space_charge=model, slices=1).coordinates
        if kind == "line":
            line = elements(what)
            return lambda: bb.track(line, start).coordinates
        given = {"adjoint": bb.Reversible()}
        if kind == "gradient":
            line, wrt = (
                bb.Line([bb.Drift(0.5, name="d"), bb.Quadrupole(0.5, k1=1.0, name="q")]),
                ["q.k1", "beam.charge"],
            )
            given |= {"space_charge": space_charge(what, options), "slices": 10}
        else:
            line, wrt = elements(what), ["qf.k1", "qd.k1", "d.length"]
        return lambda: bb.value_and_grad(bb.observables.sigma("x"), line, start, wrt, **given)[0]

    for text in sys.stdin:
        name, case = json.loads(text)
        if name not in ready:
            ready[name] = made(case)
            ready[name]()
        begin = time.process_time()
        found = ready[name]()
        float(found if getattr(found, "ndim", 0) == 0 else found[0, 0])  # a library may compute later
        print(json.dumps(time.process_time() - begin), flush=True)


class Runner:
    """A process with the code of a checkout."""

    def __init__(self, checkout: Path, backend: str) -> None:
        paths = os.pathsep.join(str(checkout / part) for part in ("src", "backends"))
        environment = {"OMP_NUM_THREADS": "1", **os.environ, "PYTHONPATH": paths}
        command = [sys.executable, str(Path(__file__).resolve()), "--worker", backend]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def time(self, name: str, case) -> float:
        self.process.stdin.write(json.dumps([name, case]) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"{name}: the process of a checkout ended; its message stands above")
        return json.loads(answer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("now", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--backend", default="numpy")
    parser.add_argument("--only", default="", help="cases with this in their name")
    given = parser.parse_args()
    runners = [Runner(path.resolve(), given.backend) for path in (given.before, given.now, given.before)]
    print("| case | before [ms] | now [ms] | now/before | before/before |\n|---|---|---|---|---|")
    for name, case in CASES.items():
        if given.only not in name:
            continue
        rounds = []
        for k in range(given.rounds + 1):
            order = (0, 1, 2) if k % 2 else (2, 1, 0)
            times = {r: runners[r].time(name, case) for r in order}
            if k:  # the first round warms up
                rounds.append([times[r] for r in range(3)])
        before, now, _ = (1e3 * statistics.median(column) for column in zip(*rounds, strict=True))
        ratio, scatter = (statistics.median(row[k] / row[0] for row in rounds) for k in (1, 2))
        print(f"| {name} | {before:.2f} | {now:.2f} | {ratio:.3f} | {scatter:.3f} |", flush=True)


if __name__ == "__main__":
    worker() if sys.argv[1:2] == ["--worker"] else main()
