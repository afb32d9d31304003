"""Every budget of speed in one table: what is asked, and what is, beside the peers.

A row is the ratio of two times, taken in turn. Those of one thread are times of the processor, which other work on the
machine disturbs little; those of two threads are of the clock on the wall. "At equal accuracy" compares the grids that
each code needs for a Gaussian's core within 1 % in the bunch's own box.

    python benchmarks/speed budgets --cheetah PYTHON --xsuite PYTHON --impactx PYTHON
    python benchmarks/speed budgets --only small settings
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from speed.beams import WORDS, write_beam
from speed.racing import Entry, interpreters, race
from speed.table import Report, milliseconds, parser, ratio, scratch

OURS, OTHER = "ours", "other"
FODO = {"quadrupole": 0.2, "drift": 0.8, "k1": 1.0}


@dataclass(frozen=True)
class Budget:
    """A row: two runs, and how long the first may take next to the second; without a second, in seconds."""

    title: str
    most: float
    task: Mapping[str, Any]
    run: str
    peer: str = ""
    """A code of `speed.racing.PEERS`; empty: this one again."""
    over: str = ""
    """Which run of the peer; empty: the same."""
    other: Mapping[str, Any] = field(default_factory=dict)
    """What the second's task has otherwise."""
    particles: int = 10_000
    rounds: int = 7
    threads: tuple[int, int] = (1, 1)
    at_least: bool = False
    """Whether the ratio, upside down, is to be at least so large."""
    tolerance: float | None = 2e-2

    @property
    def entries(self) -> list[Entry]:
        """Both sides of the race."""
        own = {"library": "numpy", "clock": "cpu" if self.threads == (1, 1) else "wall", **self.task}
        sides = [Entry(OURS, "backbeam", own, 0.0, (self.run,), self.threads[0])]
        if self.peer or self.other or self.threads[0] != self.threads[1]:
            over = (self.over or self.run,)
            sides.append(Entry(OTHER, self.peer or "backbeam", {**own, **self.other}, np.inf, over, self.threads[1]))
        elif self.over:
            sides = [Entry(OURS, "backbeam", own, 0.0, (self.run, self.over), self.threads[0])]
        return sides


def kick(grid: int, **more: Any) -> dict[str, Any]:
    """Task of a kick."""
    return {"kind": "kick", "grid": grid, "ds": 0.1, "reverse": False, **more}


def drift(grid: int, **more: Any) -> dict[str, Any]:
    """Task of a gradient through 20 kicks."""
    return {"kind": "gradient", "grid": grid, "kicks": 20, "length": 2.0, "adjoints": ["reversible"], **more}


def fodo(kind: str, cells: int, **more: Any) -> dict[str, Any]:
    """Task of a line without space charge."""
    return {"kind": kind, "cells": cells, "model": "linear", "merge": True, **FODO, **more}


def around(turns: int, model: str = "exact") -> dict[str, Any]:
    """Task of turns of a ring without space charge; Xsuite's is always exact."""
    return {"kind": "turns", "cells": 21, "k1": 1.5, "turns": turns, "model": model}


MILLION = {"particles": 1_000_000, "rounds": 5}
BUDGETS = {
    "kick-64": Budget("kick, 1e6, 64³, of Xsuite", 0.40, kick(64), "forward", "xsuite", **MILLION),
    "kick-32": Budget("kick, 1e5, 32³, of Xsuite", 0.40, kick(32, calls=5), "forward", "xsuite", particles=100_000),
    "accuracy-xsuite": Budget(
        "kick, 1e6, at equal accuracy (36³, 80³), of Xsuite", 0.15, kick(36), "forward", "xsuite",
        other={"grid": 80}, **MILLION),
    "accuracy-impactx": Budget(
        "kick, 1e6, at equal accuracy (36³, 80³), of ImpactX", 0.08, kick(36), "forward", "impactx",
        other={"grid": 80}, **MILLION),
    "threads-kick": Budget(
        "kick, 1e6, 64³: one thread over two", 1.6, kick(64), "forward", threads=(2, 1), at_least=True, **MILLION),
    "threads-line": Budget(
        "40 exact maps, 1e6: one thread over two", 1.6, fodo("line", 10, model="exact"), "track", threads=(2, 1),
        at_least=True, **MILLION),
    "threads-gradient": Budget(
        "gradient through 4 kicks, 1e6, 64³: one thread over two", 1.6, drift(64, kicks=4), "reversible",
        threads=(2, 1), at_least=True, particles=1_000_000, rounds=3),
    "gradient-32": Budget(
        "reversible gradient of 20 kicks, 1e5, 32³, of its primal", 3.0, drift(32), "reversible", over="primal",
        particles=100_000, rounds=5),
    "gradient-64": Budget(
        "reversible gradient of 4 kicks, 1e6, 64³, of its primal", 3.0, drift(64, kicks=4), "reversible",
        over="primal", particles=1_000_000, rounds=3),
    "settings": Budget(
        "500 settings x 1e4 particles, 5 quadrupoles, torch, of Cheetah", 0.8,
        fodo("settings", 3, elements=10, settings=500, library="torch"), "track", "cheetah", rounds=5),
    "small": Budget(
        "value and gradient, 10 linear elements, 1e4, torch, of Cheetah", 0.5,
        fodo("small", 3, elements=10, library="torch", calls=20), "gradient", "cheetah", rounds=15),
    "moments-few": Budget(
        "mean and covariance of 500 beams of 1000, of one std", 2.0,
        {"kind": "moments", "beams": 500, "n": 1000}, "moments", over="std"),
    "moments-many": Budget(
        "mean and covariance of 50 beams of 2e4, of one std", 2.0,
        {"kind": "moments", "beams": 50, "n": 20_000}, "moments", over="std"),
    "turn-100": Budget(
        "one turn of 60 linear elements, 100 particles, of Xsuite", 2.0, fodo("line", 15, calls=50), "track",
        "xsuite", other={"model": "exact"}, particles=100, rounds=15),
    "turn-1e4": Budget(
        "one turn of 60 linear elements, 1e4 particles, of Xsuite", 0.15, fodo("line", 15, calls=10), "track",
        "xsuite", other={"model": "exact"}, rounds=15),
    "optics": Budget(
        "lattice functions of a ring of 700 elements, of Xsuite's 4D", 3.0,
        {"kind": "optics", "cells": 100, "k1": 1.5}, "optics", "xsuite", particles=100),
    "optics-gradient": Budget(
        "gradient of a beta function there by 100 quadrupoles, of Xsuite's 4D", 5.0,
        {"kind": "optics", "cells": 100, "k1": 1.5}, "gradient", "xsuite", "optics", particles=100),
    "turns-100": Budget(
        "1000 turns of 147 exact elements, 100 particles, of Xsuite", 2.0, around(1000), "turns", "xsuite",
        particles=100, rounds=5),
    "turns-1e4": Budget(
        "10 turns of 147 exact elements, 1e4 particles, of Xsuite", 0.15, around(10), "turns", "xsuite", rounds=5),
    "turns-linear-100": Budget(
        "1000 turns of 147 linear elements, 100 particles, of Xsuite", 2.0, around(1000, "linear"), "turns", "xsuite",
        particles=100, rounds=5),
    "turns-linear-1e4": Budget(
        "10 turns of 147 linear elements, 1e4 particles, of Xsuite", 0.15, around(10, "linear"), "turns", "xsuite",
        rounds=5),
    "jax-20": Budget(
        "JAX: first gradient of 20 different elements with kicks [s]", 8.0,
        {"kind": "first", "elements": 20, "grid": 16, "library": "jax"}, "gradient", rounds=1, tolerance=None),
    "jax-80": Budget(
        "JAX: first gradient of 80 different elements with kicks [s]", 10.0,
        {"kind": "first", "elements": 80, "grid": 16, "library": "jax"}, "gradient", rounds=1, tolerance=None),
}  # fmt: skip


def main(arguments: list[str]) -> int:
    options = parser(__doc__, rounds=0)
    options.add_argument("--only", nargs="+", choices=[*BUDGETS, *COMMANDS], help="some rows")
    given = options.parse_args(arguments)
    wanted = given.only or [*BUDGETS, *COMMANDS]
    pythons = interpreters(vars(given))
    report = Report("speed-budgets", "Budgets of speed")
    report.say(
        f"{__doc__.split(chr(10) * 2)[1]} {WORDS}. Load of the machine at the start: {os.getloadavg()[0]:.1f}.\n"
    )
    report.head("", "asked", "is", "[ms]", "beside [ms]", "kept")
    missed = 0
    with scratch() as folder:
        for name in wanted:
            if name in BUDGETS:
                missed += not show(report, BUDGETS[name], folder, pythons, given.rounds)
    for name in wanted:
        if name in COMMANDS:
            title, most, command = COMMANDS[name]
            seconds = command()
            report.row(title, f"<= {most:g} s", f"{seconds:.2f} s", milliseconds(seconds), None, yes(seconds <= most))
            missed += seconds > most
    report.say(f"\nLoad of the machine at the end: {os.getloadavg()[0]:.1f}.")
    report.finish(None, not given.no_results)
    return int(missed > 0)


def show(report: Report, budget: Budget, folder: Path, pythons: Mapping[str, str], rounds: int) -> bool:
    """Race the two sides of a row, and print it; whether it is kept."""
    beam = write_beam(folder, budget.particles)
    entries = [Entry(e.label, e.code, {**e.task, "beam": beam}, e.tolerance, e.runs, e.threads) for e in budget.entries]
    racers = race(entries, pythons, 1, rounds or budget.rounds, None)
    report.keep({"budget": budget.title, "most": budget.most, "particles": budget.particles}, racers)
    problem = next((racer.problem for racer in racers if racer.problem), "")
    if problem or len(racers) < len(entries):
        report.row(budget.title, asked(budget), problem or "no peer", None, None, yes(False))
        return False
    first, last = racers[0], racers[-1]
    own = min(first.seconds[budget.run])
    if len(racers) == 1 and not budget.over:
        report.row(budget.title, asked(budget), f"{own:.2f}", milliseconds(own), None, yes(own <= budget.most))
        return own <= budget.most
    other = budget.over or budget.run
    found = first.ratio(budget.run, last, other)
    beside = min(last.seconds[other])
    if budget.at_least:
        found = 1.0 / found
    good = found >= budget.most if budget.at_least else found <= budget.most
    report.row(budget.title, asked(budget), ratio(found), milliseconds(own), milliseconds(beside), yes(good))
    return good


def asked(budget: Budget) -> str:
    """What the ratio is to be."""
    return f"{'>=' if budget.at_least else '<='} {budget.most:g}"


def yes(good: bool) -> str:
    """In a table."""
    return "yes" if good else "**no**"


def cpu(*command: str, home: str | None = None) -> float:
    """Seconds of the processor that a command takes; the least of three. ``home``: a cache that is empty each time."""
    found = []
    for _ in range(3):
        with TemporaryDirectory() as empty:
            environment = {**os.environ, "OMP_NUM_THREADS": "1"} | ({home: empty} if home else {})
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(found)


def importing() -> float:
    """Without what Python itself takes to start, with NumPy."""
    return cpu(sys.executable, "-c", "import backbeam") - cpu(sys.executable, "-c", "import numpy")


def running(home: str | None = None) -> Callable[[], float]:
    """The example that the README begins with."""
    return lambda: cpu(sys.executable, "-m", "backbeam", "run", "fodo-space-charge", home=home)


COMMANDS: dict[str, tuple[str, float, Callable[[], float]]] = {
    "import": ("import backbeam, beside NumPy", 0.3, importing),
    "run-cold": ("backbeam run fodo-space-charge, no compiled kernels kept", 1.5, running("XDG_CACHE_HOME")),
    "run-warm": ("backbeam run fodo-space-charge, kernels kept", 0.8, running()),
}
