"""What a gradient costs as the number of parameters grows: reverse mode, forward mode and finite differences.

Two lines of Huhn & Velotti (arXiv 2507.08476): FODO cells with 2D space charge in a grounded pipe, one to five of them
with seven parameters each, and the AWAKE electron line with up to 58. Each library works on each line in a process of
its own. Times are medians of interleaved rounds, over that of tracking alone (the primal):

reverse     value and whole gradient by the reversible adjoint
forward     whole gradient in forward mode, a pass a parameter, by the library's own differentiation (`Tape`)
differences whole gradient by one-sided differences, one run a parameter and one more

JAX compiles a pass of forward mode as a whole. For more than a cell that takes it minutes, and is left out. Where a
whole gradient would take longer than ``--patience`` it is not run: its time is that of a parameter, measured, times
their number, and stands behind "~". Memory is what a call takes above what was resident before it.

    python benchmarks/parameters.py                       # prints a table; writes results/parameters.json, .md and .png
    python benchmarks/parameters.py --libraries numpy torch --cells 1 2 --particles 1000 --repeats 3
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from common import interleaved, machine, versions, write

import backbeam as bb
from backbeam.problem import Problem

FODO = ("D1.length", "Q1.length", "Q1.k1", "D2.length", "Q2.length", "Q2.k1", "D3.length")
AWAKE = ("*.k1", "*.k2", "*.k3", "*.angle", "*.length")
METHODS = ("reverse", "forward", "differences")

# -- the lines --------------------------------------------------------------------------------------------------------


def fodo(cells: int, particles: int) -> dict[str, Any]:
    """Cells of JuTrack's benchmark, each with elements of its own, and quadrupoles split the fast way."""
    quadrupole = {"splitting": "matrix-drift", "order": 2, "steps": 4}
    problem = Problem.load("jutrack-fodo", {"beam.n": particles})
    elements = [
        e.replace(name=f"{e.name}_{k}", **(quadrupole if e.kind == "quadrupole" else {}))
        for k in range(cells)
        for e in problem.line()
    ]
    names = [name.replace(".", f"_{k}.") for k in range(cells) for name in FODO]
    return {"problem": problem, "line": bb.Line(elements), "names": names, "objective": bb.observables.emittance("x")}


def awake(parameters: int, particles: int) -> dict[str, Any]:
    """The line of 39 elements, magnets in 10 steps, with its first parameters: strengths, angles, then lengths."""
    problem = Problem.load("awake", {"beam.n": particles, "lattice.steps": 10})
    line = problem.line()
    names = [n for end in AWAKE for n in line.parameters if n.endswith(end[1:])]
    return {
        "problem": problem, "line": line, "names": names[:parameters], "objective": bb.observables.mean_square_size(),
    }  # fmt: skip


LINES: dict[str, Callable[[int, int], dict[str, Any]]] = {"FODO": fodo, "AWAKE": awake}

# -- one library, one line --------------------------------------------------------------------------------------------


class Work:
    """The ways to a gradient of one line in one library."""

    def __init__(self, library: str, case: str, size: int, particles: int) -> None:
        given = LINES[case](size, particles)
        problem = given["problem"]
        self.library, self.line, self.names, self.objective = library, given["line"], given["names"], given["objective"]
        self.options = {"space_charge": problem.space_charge(), **problem.track_options()}
        self.beam = problem.beam(backend=library)
        self.values = np.asarray([float(self.line.get(name)) for name in self.names])
        self._slope = None

    def at(self, values: Any, adjoint: bb.Tape | None = None) -> Any:
        """Value of the objective for values of the parameters."""
        line = self.line.replace({name: values[k] for k, name in enumerate(self.names)})
        return self.objective(bb.track(line, self.beam, adjoint=adjoint, **self.options))

    def primal(self) -> float:
        return float(self.at(self.values))

    def reverse(self) -> np.ndarray:
        _, grad = bb.value_and_grad(self.objective, self.line, self.beam, self.names, **self.options)
        return np.asarray([float(grad[name]) for name in self.names])

    def difference(self, k: int, value: float) -> float:
        step = 1e-7 * max(abs(self.values[k]), 1e-2)
        moved = self.values.copy()
        moved[k] += step
        return (float(self.at(moved)) - value) / step

    def differences(self) -> np.ndarray:
        value = self.primal()
        return np.asarray([self.difference(k, value) for k in range(len(self.names))])

    def tangent(self, k: int) -> float:
        """Derivative by one parameter in forward mode."""
        if self._slope is None:
            self._slope = self._forward_mode()
        return float(self._slope(k))

    def forward(self) -> np.ndarray:
        return np.asarray([self.tangent(k) for k in range(len(self.names))])

    def _forward_mode(self) -> Callable[[int], Any]:
        directions = np.eye(len(self.names))
        if self.library == "torch":
            import torch

            values, along = torch.as_tensor(self.values), torch.as_tensor(directions)
            return lambda k: torch.func.jvp(lambda v: self.at(v, bb.Tape()), (values,), (along[k],))[1]
        import jax
        import jax.numpy as jnp

        values, along = jnp.asarray(self.values), jnp.asarray(directions)
        slope = jax.jit(lambda v, d: jax.jvp(lambda u: self.at(u, bb.Tape()), (v,), (d,))[1])
        return lambda k: slope(values, along[k])


def resident(mark: str) -> float:
    """VmRSS (now) or VmHWM (most so far) of this process [MB]."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(mark + ":"):
            return int(line.split()[1]) / 1024.0
    raise RuntimeError(f"this kernel does not say {mark}")


def memory_of(function: Callable[[], Any]) -> float:
    """Peak of resident memory above what was resident before [MB]; compiled and warmed up already."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    function()
    return resident("VmHWM") - before


def measure(library: str, case: str, size: int, given: argparse.Namespace) -> dict[str, Any]:
    """Seconds, memory and agreement of every method."""
    particles = given.particles if case == "FODO" else 2 * given.particles
    work = Work(library, case, size, particles)
    n = len(work.names)
    long = case == "FODO" and size > given.compile_up_to
    with_forward = library == "torch" or (library == "jax" and not long)
    functions: dict[str, Callable[[], Any]] = {"primal": work.primal, "reverse": work.reverse}
    if with_forward:
        functions["tangent"] = lambda: work.tangent(0)
    start = perf_counter()
    for function in functions.values():
        function()
    first = perf_counter() - start
    rounds = {name: median(seconds) for name, seconds in interleaved(functions, given.repeats).items()}
    memory = {name: memory_of(function) for name, function in functions.items()}
    seconds = {"primal": rounds["primal"], "reverse": rounds["reverse"]}
    estimated, off, wanted = [], {}, work.reverse()
    whole = {"differences": ((n + 1) * rounds["primal"], work.differences)}
    if with_forward:
        whole["forward"] = (n * rounds["tangent"], work.forward)
    for name, (expected, function) in whole.items():
        if expected > given.patience:
            seconds[name] = expected
            estimated.append(name)
            found = work.tangent(0) if name == "forward" else work.difference(0, work.primal())
            off[name] = float(abs(found - wanted[0]) / np.abs(wanted).max())
        else:
            start = perf_counter()
            found = function()
            seconds[name] = perf_counter() - start
            off[name] = float(np.abs(found - wanted).max() / np.abs(wanted).max())
    return {
        "library": library, "case": case, "size": size, "parameters": n, "particles": particles, "seconds": seconds,
        "estimated": estimated, "memory": memory, "off": off, "first_calls": first,
    }  # fmt: skip


def in_fresh_process(library: str, case: str, size: int, given: argparse.Namespace) -> dict[str, Any]:
    """`measure`, by a process that has done nothing else."""
    environment = {**os.environ, "JAX_ENABLE_X64": "1", "JAX_PLATFORMS": "cpu"}
    options = ["--particles", given.particles, "--repeats", given.repeats, "--patience", given.patience]
    options += ["--compile-up-to", given.compile_up_to]
    command = [sys.executable, "-W", "ignore", __file__, "--worker", library, case, size, *options]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"{library} {case} {size}: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


# -- all of them ------------------------------------------------------------------------------------------------------


def cells_of(row: dict[str, Any]) -> str:
    """A row of the table."""
    primal, seconds, memory = row["seconds"]["primal"], row["seconds"], row["memory"]
    ratios = [
        f"{'~' if name in row['estimated'] else ''}{seconds[name] / primal:.3g}" if name in seconds else ""
        for name in METHODS
    ]
    megabytes = [f"{memory[name]:.1f}" if name in memory else "" for name in ("primal", "reverse", "tangent")]
    off = [f"{row['off'][name]:.0e}" if name in row["off"] else "" for name in ("forward", "differences")]
    size = f"{row['size']} cell{'s' if row['size'] > 1 else ''}" if row["case"] == "FODO" else "39 elements"
    cells = [row["case"], size, row["library"], row["parameters"], f"{1e3 * primal:.0f}", *ratios, *megabytes, *off]
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


HEAD = [
    "| line | length | library | parameters | primal [ms] | reverse | forward | differences | MB: primal | reverse | "
    "forward | off: forward | differences |",
    "|---" * 13 + "|",
]


def draw(rows: list[dict[str, Any]]) -> Any:
    """Time over the primal's against the number of parameters, for both lines."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 4.2), layout="constrained")
    colors = {"numpy": "#1667b0", "torch": "#d1495b", "jax": "#3f8f5f"}
    marks = {"reverse": "o-", "forward": "s--", "differences": "^:"}
    for axes, case in zip(figure.subplots(1, 2, sharey=True), LINES, strict=True):
        for library in dict.fromkeys(row["library"] for row in rows):
            mine = [row for row in rows if row["case"] == case and row["library"] == library]
            for method, mark in marks.items():
                points = [
                    (row["parameters"], row["seconds"][method] / row["seconds"]["primal"])
                    for row in mine
                    if method in row["seconds"]
                ]
                if points:
                    axes.plot(
                        *zip(*points, strict=True), mark, color=colors.get(library, "#22272e"), ms=5, lw=1.3,
                        label=f"{library}, {method}",
                    )  # fmt: skip
        axes.set(xscale="log", yscale="log", xlabel="parameters", title=case)
        numbers = sorted({row["parameters"] for row in rows if row["case"] == case})
        axes.set_xticks(numbers, [str(number) for number in numbers])
        axes.minorticks_off()
    figure.axes[0].set_ylabel("time of the whole gradient / primal")
    figure.axes[1].legend(frameon=False, fontsize=8)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--libraries", nargs="+", default=["numpy", "torch", "jax"])
    parser.add_argument("--cells", nargs="*", type=int, default=[1, 3, 5], help="lengths of the FODO line")
    parser.add_argument("--awake", nargs="*", type=int, default=[8, 58], help="numbers of parameters")
    parser.add_argument("--particles", type=int, default=5000, help="of the FODO line; AWAKE has twice as many")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--patience", type=float, default=10.0, help="seconds")
    parser.add_argument("--compile-up-to", type=int, default=1, help="cells that JAX compiles in forward mode")
    parser.add_argument("--write", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        library, case, size = given.worker
        print(json.dumps(measure(library, case, int(size), given)))
        return
    cases = [("FODO", size) for size in given.cells] + [("AWAKE", size) for size in given.awake]
    rows, table = [], list(HEAD)
    print("\n".join(table), flush=True)
    for case, size in cases:
        for library in given.libraries:
            rows.append(in_fresh_process(library, case, size, given))
            table.append(cells_of(rows[-1]))
            print(table[-1], flush=True)
    if given.write:
        settings = {k: v for k, v in vars(given).items() if k != "worker"}
        data = {
            "settings": settings,
            "machine": machine(),
            "versions": versions("backbeam", "numpy", "torch", "jax"),
            "rows": rows,
        }
        text = [
            "# A gradient against the number of parameters\n",
            "Printed by `python benchmarks/parameters.py`, which says how. reverse, forward, differences: "
            "time of the whole gradient over the primal's. MB: what a call takes, for forward that of one parameter. "
            "off: largest deviation from reverse, over the largest derivative.\n",
            *table,
        ]
        write("parameters", data, draw(rows), "\n".join(text))


if __name__ == "__main__":
    main()
