"""backbeam on a GPU: checked against NumPy on the CPU, then timed, from 10^5 to 10^8 particles and 32^3 to 256^3 nodes.

First every library is compared with NumPy in float64 on the host: kick, its reverse, and gradients of shipped examples.
A library that is wrong is not timed. Then a kick, its reverse (undone, and its pullback), a line of several kicks and
the reversible gradient through it are timed for all sizes, those on the diagonal of (particles, nodes) first, beside
Cheetah if this interpreter can import it. Each library and size has a process of its own with a time limit: what does
not fit in memory says so and ends nothing else; larger sizes are then left out. Results are written after each of
them, so that what is there is kept when the time is up, and another run can go on from there.

    python benchmarks/gpu                                                    # all that is installed, in 9 minutes
    python benchmarks/gpu --resume benchmarks/results/gpu-nvidia-h200.json   # what it left out
    python benchmarks/gpu --device cpu --libraries numpy torch jax --particles 1000 10000 --grid 16
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from time import monotonic
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[1])

from common import RESULTS, machine, versions, write  # noqa: E402

MODULES = {"numpy": "numpy", "cupy": "cupy", "torch": "torch", "jax": "jax", "cheetah": "cheetah"}
RUNS = ("kick", "reverse", "primal", "gradient")
NO_MEMORY = "does not fit"
DISTRIBUTIONS = ("backbeam", "numpy", "array-api-compat", "cupy-cuda12x", "cupy-cuda13x", "torch", "jax", "jaxlib",
                 "jax-cuda12-plugin", "jax-cuda13-plugin", "cheetah-accelerator")  # fmt: skip


@dataclass
class Bench:
    """What has been found, and where it goes."""

    options: argparse.Namespace
    started: float = field(default_factory=monotonic)
    checks: list[dict[str, Any]] = field(default_factory=list)
    times: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    device: dict[str, Any] = field(default_factory=dict)
    too_large: list[tuple[str, str, int, int]] = field(default_factory=list)
    untried: list[str] = field(default_factory=list)

    def left(self) -> float:
        """Seconds that are left."""
        return 60.0 * self.options.minutes - (monotonic() - self.started)

    def note(self, line: str) -> None:
        """Say what was not done."""
        self.notes.append(line)
        print(f"{line}", file=sys.stderr, flush=True)

    # -- what it does --------------------------------------------------------------------------------------------------

    def resume(self, path: Path) -> None:
        """Go on from the results of another run."""
        found = json.loads(path.read_text(encoding="utf-8"))
        self.device, self.checks, self.notes = found["device"], found["checks"], found["notes"]
        self.times = [t for t in found["times"] if "dtype" in t]
        for t in self.times:
            self._remember_size(t)

    def run(self) -> int:
        """Check, time, write; 1 if a check failed."""
        libraries = self._installed()
        right = [library for library in libraries if library == "cheetah" or self._check(library)]
        self._write()
        if not self.options.no_times:
            self._time(right)
        if self.untried:
            self.note(f"not run, the time is up: {'; '.join(self.untried)}")
        self._write()
        print(self.text())
        return int(len(right) < len(libraries))

    def _installed(self) -> list[str]:
        found = []
        for library in self.options.libraries:
            if importlib.util.find_spec(MODULES[library]):
                found.append(library)
            else:
                self.note(f"{library}: not installed")
        return found

    def _check(self, library: str) -> bool:
        known = [check for check in self.checks if check["library"] == library]
        if known:  # by the run from which this one goes on
            return all(check["ok"] for check in known)
        task = {"do": "check", "dtypes": self.options.dtypes, "examples": self.options.examples}
        fine, some = True, False
        for line in self._process(library, task, self.options.check_limit):
            if "device" in line:
                self.device[library] = line["device"]
            elif "problem" in line:
                self.note(f"{library}: check: {line['problem']}")
                # What takes too long is not wrong.
                fine = fine and line.get("late", False)
            else:
                self.checks.append({"library": library, **line})
                some, fine = True, fine and line["ok"]
                print(json.dumps(self.checks[-1]), file=sys.stderr, flush=True)
        if not (fine and some):
            self.note(f"{library}: not timed, as its check failed")
        return fine and some

    def _time(self, libraries: list[str]) -> None:
        for particles, grid in diagonal_first(self.options.particles, self.options.grid):
            for library in libraries:
                where = f"{library}, {particles:.0e} particles, {grid}^3"
                done = {t["dtype"] for t in self.times if (t["library"], t["particles"], t["grid"])
                        == (library, particles, grid) and "dtype" in t}  # fmt: skip
                wanted = [d for d in self.options.dtypes if d not in done]
                dtypes = [d for d in wanted if not self._known_too_large(library, d, particles, grid)]
                if dtypes and self.left() < 15.0:
                    self.untried.append(where)
                    continue
                for dtype in wanted:
                    if dtype not in dtypes:
                        self.note(f"{where}, {dtype}: left out, a smaller one did not fit")
                if not dtypes:
                    continue
                size = {"particles": particles, "grid": grid, "kicks": self.options.kicks}
                task = {"do": "time", "dtypes": dtypes, "runs": self.options.runs, **size}
                for line in self._process(library, task, self.options.limit):
                    if "device" in line:
                        self.device[library] = line["device"]
                        continue
                    self.times.append({"library": library, "particles": particles, "grid": grid, **line})
                    if "problem" in line:
                        self.note(f"{where}, {line.get('dtype', '')} {line.get('run', '')}: {line['problem']}")
                    self._remember_size(self.times[-1])
                self._write()

    def _remember_size(self, found: dict[str, Any]) -> None:
        # Where a kick does not fit there is nothing to try at larger sizes.
        if found.get("problem") == NO_MEMORY and found.get("run") == "kick":
            self.too_large.append((found["library"], found["dtype"], found["particles"], found["grid"]))

    def _known_too_large(self, library: str, dtype: str, particles: int, grid: int) -> bool:
        return any((library, dtype) == (a, b) and particles >= n and grid >= g for a, b, n, g in self.too_large)

    def _process(self, library: str, task: dict[str, Any], limit: float) -> Iterator[dict[str, Any]]:
        """Lines that a worker prints, while it prints them; it is ended when its time is up."""
        environment = {
            **os.environ,
            "JAX_ENABLE_X64": "1",
            "XLA_PYTHON_CLIENT_MEM_FRACTION": "0.95",
            "PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True",
        }
        if self.options.device == "cpu":
            environment["JAX_PLATFORMS"] = "cpu"
        code = "cheetah_worker.py" if library == "cheetah" else "worker.py"
        task = {**task, "library": library, "device": self.options.device}
        command = [sys.executable, str(Path(__file__).with_name(code)), json.dumps(task)]
        limit = max(5.0, min(limit, self.left() - 5.0))
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        said: list[str] = []
        listener = threading.Thread(target=lambda: said.extend(process.stderr.read().splitlines()[-1:]))
        listener.start()
        late = threading.Event()
        clock = threading.Timer(limit, lambda: (late.set(), process.kill()))
        clock.start()
        try:
            for line in process.stdout:
                if line.startswith("{"):
                    yield json.loads(line)
            code = process.wait()
        finally:
            clock.cancel()
            process.kill()
            process.wait()
            listener.join()
        if late.is_set():
            yield {"problem": f"ended after its limit of {limit:.0f} s", "late": True}
        elif code:
            # The kernel ends by force (-9) what takes more memory than there is.
            yield {"problem": "ended by the system" if code == -9 else f"ended with {code}: {' '.join(said)[:200]}"}

    # -- what it says --------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Name of the results: the device's, in letters and digits."""
        name = next((found["name"] for found in self.device.values()), self.options.device)
        return "gpu-" + "-".join("".join(c if c.isalnum() else " " for c in name.lower()).split())

    def text(self) -> str:
        """All of it in markdown."""
        devices = ", ".join(sorted({found["name"] for found in self.device.values()})) or self.options.device
        lines = [
            f"# backbeam on {devices}",
            "",
            f"Printed by `{command()}`",
            "",
            "## Against NumPy on the host, float64",
            "",
        ]
        lines += ["| library | what | dtype | deviation | at most | |", "|---|---|---|---|---|---|"]
        for c in self.checks:
            verdict = "ok" if c["ok"] else "WRONG"
            cells = (c["library"], c["what"], c["dtype"], f"{c['deviation']:.1e}", f"{c['tolerance']:.0e}", verdict)
            lines.append(f"| {' | '.join(cells)} |")
        lines += ["", f"## Times [ms]; primal and gradient: {self.options.kicks} kicks; memory: the highest mark", ""]
        lines += ["| particles | nodes | dtype | library | kick | reverse | primal | gradient | of the primal | GiB |"]
        lines += ["|---" * 10 + "|"]
        for particles, grid, dtype, library in self._rows():
            found = [t for t in self.times if (t["particles"], t["grid"], t.get("dtype"), t["library"])
                     == (particles, grid, dtype, library)]  # fmt: skip
            by_run = {t["run"]: t for t in found if "run" in t}
            cells = [cell(by_run.get(run)) for run in RUNS]
            seconds = [by_run.get(run, {}).get("seconds") for run in ("gradient", "primal")]
            cells.append(f"{seconds[0] / seconds[1]:.2f}" if all(seconds) else "–")
            peak = max((t.get("peak_bytes", 0) for t in found), default=0)
            cells.append(f"{peak / 2**30:.2f}")
            lines.append(f"| {particles:.0e} | {grid}³ | {dtype} | {library} | {' | '.join(cells)} |")
        lines += [""] + [f"- {note}" for note in self.notes]
        found = self.data()
        names = ", ".join(f"{name} {version}" for name, version in found["versions"].items() if version)
        host = f"{found['machine']['cpu']}, {found['machine']['cores']} cores"
        lines += ["", f"{host}; {found['driver'] or 'no driver'}. {names}."]
        return "\n".join(lines)

    def _rows(self) -> list[tuple[Any, ...]]:
        keys = {(t["particles"], t["grid"], t["dtype"], t["library"]) for t in self.times if "dtype" in t}
        order = list(MODULES)
        return sorted(keys, key=lambda k: (k[1], k[0], k[2], order.index(k[3])))

    def data(self) -> dict[str, Any]:
        """Everything, for a machine."""
        return {
            "command": command(),
            "device": self.device,
            "driver": driver() if self.options.device != "cpu" else None,
            "machine": machine(),
            "versions": versions(*DISTRIBUTIONS),
            "checks": self.checks,
            "times": self.times,
            "notes": self.notes,
        }

    def _write(self) -> None:
        self.options.output.mkdir(parents=True, exist_ok=True)
        write(self.name, self.data(), self.picture(), self.text(), self.options.output)

    def picture(self) -> Any:
        """Kick and gradient against the number of particles, a panel for each grid; None without Matplotlib."""
        if not importlib.util.find_spec("matplotlib") or not any("seconds" in t for t in self.times):
            return None
        from matplotlib.figure import Figure

        grids = sorted({t["grid"] for t in self.times})
        runs = ("kick", "gradient")
        figure = Figure(figsize=(1.0 + 3.2 * len(grids), 6.0), layout="constrained")
        axes = figure.subplots(len(runs), len(grids), squeeze=False, sharex=True, sharey="row")
        for row, run in zip(axes, runs, strict=True):
            for ax, grid in zip(row, grids, strict=True):
                for library, dtype in product(MODULES, ("float64", "float32")):
                    points = sorted((t["particles"], 1e3 * t["seconds"]) for t in self.times if "seconds" in t and (
                        t["library"], t["dtype"], t["grid"], t["run"]) == (library, dtype, grid, run))  # fmt: skip
                    if points:
                        style = "o-" if dtype == "float64" else "s--"
                        colour = f"C{list(MODULES).index(library)}"
                        ax.plot(*zip(*points, strict=True), style, color=colour, label=f"{library}, {dtype}", ms=4)
                ax.set(xscale="log", yscale="log", title=f"{run}, {grid}³")
                ax.grid(alpha=0.3)
            row[0].set_ylabel("time [ms]")
        axes[0, 0].legend(fontsize=7)
        for ax in axes[-1]:
            ax.set_xlabel("particles")
        return figure


def cell(found: dict[str, Any] | None) -> str:
    """A time in ms, or why there is none."""
    if found is None:
        return "–"
    return f"{1e3 * found['seconds']:.3g}" if "seconds" in found else found["problem"]


def diagonal_first(particles: list[int], grids: list[int]) -> list[tuple[int, int]]:
    """All pairs, those of like rank first: if the time runs out, the ends of both ranges have been seen."""
    pairs = list(product(range(len(particles)), range(len(grids))))
    scale = max(len(grids) - 1, 1) / max(len(particles) - 1, 1)
    pairs.sort(key=lambda p: (round(abs(p[0] * scale - p[1]), 6), p))
    return [(particles[i], grids[k]) for i, k in pairs]


def driver() -> str | None:
    """What nvidia-smi says of GPU, driver and memory."""
    try:
        asked = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
        return subprocess.run(asked, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def command() -> str:
    """What was typed, without where results are."""
    words, shown = iter(sys.argv[1:]), []
    for word in words:
        if word in ("--output", "--resume"):
            next(words, None)
        elif not word.startswith(("--output=", "--resume=")):
            shown.append(word)
    return shlex.join(["python", "benchmarks/gpu", *shown])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, or cpu to try it out")
    parser.add_argument("--libraries", nargs="+", default=["cupy", "torch", "jax", "cheetah"], choices=list(MODULES))
    parser.add_argument("--particles", nargs="+", type=count, default=[10**5, 10**6, 10**7, 10**8])
    parser.add_argument("--grid", nargs="+", type=int, default=[32, 64, 128, 256], help="nodes of a side")
    parser.add_argument("--dtypes", nargs="+", default=["float64", "float32"], choices=["float64", "float32"])
    parser.add_argument("--runs", nargs="+", default=["kick", "primal", "gradient"], choices=RUNS)
    parser.add_argument("--kicks", type=int, default=5, help="of the line that is differentiated")
    parser.add_argument("--examples", nargs="*", default=["fodo-space-charge", "jutrack-fodo"], help="that are checked")
    parser.add_argument("--minutes", type=float, default=9.0, help="for everything")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for a library and a size")
    parser.add_argument("--check-limit", type=float, default=75.0, help="seconds for the check of a library")
    parser.add_argument("--no-times", action="store_true", help="check only")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--resume", type=Path, metavar="JSON", help="results of a run to go on from")
    bench = Bench(parser.parse_args())
    if bench.options.resume:
        bench.resume(bench.options.resume)
    return bench.run()


def count(text: str) -> int:
    """A whole number, 1e6 too."""
    return int(float(text))


if __name__ == "__main__":
    sys.exit(main())
