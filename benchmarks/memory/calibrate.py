"""Measure the coefficients of `backbeam.memory.table`, and write them there.

    python benchmarks/memory calibrate                                  # every installed library, both data types
    python benchmarks/memory calibrate --libraries torch --device cuda --output $OUT/coefficients.json
    python benchmarks/memory calibrate --libraries torch --adjoints tape

Takes four minutes a setup (JAX, which compiles for each size, twelve). A setup or an adjoint that is not measured keeps
what it has. Times are measured by themselves: ``python benchmarks/memory times``.
Particles whose threads fill grids of their own are among the sizes only where there is more than one core.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common import versions

from backbeam import backends
from backbeam.memory import table
from backbeam.memory.features import features
from backbeam.memory.model import OF_MAP
from backbeam.plan import Merged, unroll
from backbeam.problem import Problem
from backbeam.problem.measuring import adjoint_of
from memory.fitting import fit, fit_largest, residuals
from memory.fresh import case, run
from memory.problems import ELEMENTS, elements, expanding, on, pipe

PLACE = Path(table.__file__).with_name(table.FILE)
SIZES = (
    (20_000, 12), (20_000, 24), (20_000, 48), (40_000, 12), (40_000, 24), (40_000, 32), (40_000, 48), (60_000, 16),
    (60_000, 64), (100_000, 16), (100_000, 32), (100_000, 48), (100_000, 64), (300_000, 16), (300_000, 48),
    (300_000, 64), (20_000, 20), (20_000, 16), (36_000, 36), (50_000, 40),
)  # fmt: skip
"""Particles and nodes along an axis: from one block to many, and from many particles a cell to few."""
TAPE_SIZES = ((10_000, 16), (30_000, 16), (10_000, 24), (30_000, 24), (10_000, 32), (30_000, 32))
TAPED_SIZES = ((20_000, 16), (60_000, 16), (20_000, 32), (60_000, 32), (30_000, 24))
"""For gradients by a tape, which are large."""
COMPILED_SIZES = (
    (20_000, 16), (60_000, 16), (160_000, 16), (20_000, 32), (60_000, 32), (160_000, 32), (60_000, 48), (500_000, 16),
    (500_000, 48), (20_000, 24), (36_000, 36), (250_000, 64),
)  # fmt: skip
"""For JAX, which compiles for seconds each time."""
KICKS, PARTICLES, COUNT = 4, 40_000, 6
SEVERAL = (12_000, 40_000, 160_000)
"""Particles of a block, of a few, and of many: for the maps, with ``COUNT`` elements."""
FEWER_MAPS = ("drift", "quadrupole", "linear drift", "bend with edges", "monitor")
COMPILED_MAPS = ("drift", "linear drift")
"""For the working sets of other libraries than NumPy and of float32; maps left out count as the largest of these."""
LOSSY_SIZES = ((40_000, 12), (60_000, 16), (100_000, 32))
"""Where particles that may be lost are looked at."""
OF_KICK = ("particle", "whole", "hand", "cell", "share", "fixed")
OF_MAP_SIZES = ("particle", "whole", "hand")
ADJOINTS = {"reversible": {}, "store": {}, "checkpoint": {"slots": 2}}
AHEAD = {"drift": {"length": 0.1}}
"""Before a linear map, of which more would be merged: what one leaves is seen beside this."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--libraries", nargs="+", default=["numpy", "torch", "jax"])
    parser.add_argument("--dtypes", nargs="+", default=["float64", "float32"])
    parser.add_argument("--adjoints", nargs="+", choices=[*ADJOINTS, "tape"], default=[*ADJOINTS, "tape"])
    parser.add_argument("--device")
    parser.add_argument("--output", type=Path, default=PLACE)
    given = parser.parse_args(arguments)
    for library in given.libraries:
        for dtype in given.dtypes:
            name, found = calibrate(library, dtype, given.device, given.adjoints)
            known = json.loads(given.output.read_text(encoding="utf-8")) if given.output.exists() else {"setups": {}}
            known["setups"][name] = updated(known["setups"].get(name, {}), found)
            known["setups"] = dict(sorted(known["setups"].items()))
            given.output.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
            print(f"{name}: written to {given.output}", flush=True)
    return 0


def updated(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """What was known, with what was measured now."""
    return {part: old.get(part, {}) | found for part, found in new.items()}


class Plain:
    """What is known of a problem without running it: its plan, its sizes, what an adjoint keeps."""

    def __init__(self, tree: dict[str, Any]) -> None:
        problem = Problem(tree)
        self.plan = unroll(problem.course().plan)
        self.n = tree["beam"]["n"]
        self.dtype = tree["run"]["dtype"]
        self.masked = any("aperture" in entry for entry in tree["lattice"])
        self.host = backends.get(tree["run"]["backend"]).meter if tree["run"].get("device", "cpu") == "cpu" else None

    def kept(self, adjoint: dict[str, Any]) -> float:
        """Bytes, but for a tape."""
        return float(self.n * adjoint_of(adjoint).kept_bytes(self.plan, self.dtype, self.masked))

    def step(self, kicks: bool) -> Any:
        """The first step that kicks, or that does not; None if there is none."""
        return next((s for s in self.plan if bool(s.kicks) == kicks), None)

    def features(self, step: Any, taped: bool = False) -> dict[str, float]:
        """Sizes of a step; a tape is made in whole arrays."""
        return features(step, self.n, 1, None if taped else self.host)


class Bench:
    """Cases of one setup, all asked before any is measured, then measured in one process."""

    def __init__(self, library: str, dtype: str, device: str | None) -> None:
        self.library, self.dtype, self.device = library, dtype, device
        self.cases: list[dict[str, Any]] = []
        self.then: list[Callable[[Any], None]] = []
        self.sizes = COMPILED_SIZES if library == "jax" else SIZES
        self.labels = FEWER_MAPS if library != "numpy" or dtype == "float32" else tuple(ELEMENTS)
        if library == "jax":
            self.labels = COMPILED_MAPS
        self.residuals: dict[str, float] = {}

    def ask(
        self, tree: dict[str, Any], then: Callable[[Any, Plain], None], adjoint: str = "reversible", **more: Any
    ) -> None:
        """Have ``then`` called with the answer."""
        tree = on(tree, self.library, self.dtype, self.device)
        self.cases.append(case(tree, adjoint, more.pop("what", "peak"), **more))
        self.then.append(lambda answer: then(answer, Plain(tree)))

    def measure(self) -> None:
        """Run all cases."""
        for one, then, answer in zip(self.cases, self.then, run(self.cases), strict=True):
            print(".", end="", file=sys.stderr, flush=True)
            if isinstance(answer, str):
                raise SystemExit(
                    f"{self.library} {self.dtype}: {one['adjoint']}, {one['problem']['lattice']}: {answer}"
                )
            then(answer)


def calibrate(library: str, dtype: str, device: str | None, wanted: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Name and coefficients of one setup, of the wanted adjoints."""
    backend = backends.get(library)
    bench = Bench(library, dtype, device)
    lossy: dict[str, float] = {}
    taped: dict[str, dict[str, float]] = {}
    finish: list[Callable[[], None]] = []
    off: dict[str, float] = {}
    if backend.has_autodiff and "tape" in wanted:
        of_tape(bench, taped, finish)
    bench.measure()
    for function in finish:
        function()
    finish.clear()
    off |= {f"{what}, kept": worst for what, worst in bench.residuals.items()}

    adjoints = {name: ADJOINTS[name] for name in wanted if name in ADJOINTS} | ({"tape": {}} if taped else {})
    working: dict[str, dict[str, Any]] = {name: {} for name in adjoints}
    bench = Bench(library, dtype, device)
    for adjoint, settings in adjoints.items():
        of_working(bench, adjoint, settings, working[adjoint], lossy, taped, finish)
    bench.measure()
    for function in finish:
        function()
    off |= {f"{what}, working": worst for what, worst in bench.residuals.items()}
    names = {"numpy": ("numpy", "scipy", "numba"), "torch": ("torch", "numba"), "jax": ("jax", "jaxlib", "numba")}
    found = {
        "versions": versions(*names.get(library, (library,))),
        "working": working, "lossy": lossy, "tape": taped, "worst_residuals": off,
    }  # fmt: skip
    place = device or backend.devices()[0]
    return table.setup_name(library, place, dtype), rounded(found)


def of_tape(bench: Bench, taped: dict[str, dict[str, float]], finish: list[Callable[[], None]]) -> None:
    """What steps leave on the tape, by differences of lines of different length."""
    labels = tuple(ELEMENTS)
    parts: dict[str, int] = {}
    totals: dict[Any, tuple[float, Plain]] = {}

    def ask(key: Any, tree: dict[str, Any]) -> None:
        bench.ask(tree, lambda found, plain: totals.update({key: (found["tape_bytes"], plain)}), what="tape")

    for label in labels:
        bench.ask(elements(label, PARTICLES, 1), lambda found, _: parts.update(found), what="steps")
        for count in (1, 3):
            ask((label, count), elements(label, PARTICLES, count))
            if is_merged(bench, label):
                for times in (1, 2):
                    ask((label, times, count), elements(label, PARTICLES, count, ahead=AHEAD, times=times))
    for count in (1, 3):
        ask(("lossy", count), elements("drift", PARTICLES, count, lossy=True))
    for size in TAPE_SIZES:
        for kicks in (1, 3):
            ask((size, kicks), expanding(*size, kicks))
    for kicks in (1, 3):
        ask(("lossy kick", kicks), expanding(*TAPE_SIZES[0], kicks, lossy=True))
    for waves in (4, 12):
        for kicks in (1, 3):
            ask(("pipe", waves, kicks), pipe(PARTICLES, waves, kicks))

    def each(key: Any) -> float:
        """Bytes of one more element or kick."""
        return 0.5 * (totals[(*key, 3)][0] - totals[(*key, 1)][0])

    def conclude() -> None:
        by_map: dict[str, list[tuple[dict[str, float], float]]] = {}
        drift = each(("drift",))
        for label in labels:
            plain = totals[label, 1][1]
            steps = [s for s in plain.plan if not s.kicks]
            if len(steps) > 1:
                continue
            alone = (label, 1) if (label, 1, 1) in totals else (label,)
            left = each(alone) - (drift if len(alone) > 1 else 0.0)
            by_map.setdefault(steps[0].kind, []).append((plain.features(steps[0], True), left))
        for name, seen in by_map.items():
            several = len({f.get("substep") for f, _ in seen}) > 1
            features_ = ("particle", "substep") if several else ("particle",)
            taped[name] = fit([f for f, _ in seen], [max(size, 1.0) for _, size in seen], features_)
        for name in parts:  # of lines of several kinds
            taped.setdefault(name, {"particle": parts[name] / PARTICLES})
        taped["Merged"] = {"particle": max(0.0, each(("linear drift", 2)) - drift) / PARTICLES}
        taped[OF_MAP] = {"particle": max(sum(c.values()) for c in taped.values())}
        drift = taped["Drift"]["particle"]
        rows, sizes = [], []
        for size in TAPE_SIZES:
            plain = totals[size, 1][1]
            rows.append(plain.features(plain.step(kicks=True), True))
            sizes.append(each((size,)) - drift * size[0])
        taped["SpaceCharge3D"] = fit(rows, sizes, ("particle", "cell", "face", "fixed"))
        show(bench, "tape", [taped["SpaceCharge3D"]], rows, sizes)
        rows, sizes = [], []
        for waves in (4, 12):
            plain = totals["pipe", waves, 1][1]
            rows.append(plain.features(plain.step(kicks=True), True))
            sizes.append(each(("pipe", waves)) - drift * PARTICLES)
        taped["SpaceCharge2DPipe"] = fit(rows, sizes, ("particle", "wave"))
        more = each(("lossy",)) / PARTICLES - drift
        n, _ = TAPE_SIZES[0]
        kick = (each(("lossy kick",)) - each((TAPE_SIZES[0],))) / n - more
        taped["lossy"] = {"map": max(0.0, more), "kick": max(0.0, kick)}

    finish.append(conclude)


def is_merged(bench: Bench, label: str) -> bool:
    """Whether neighbouring elements of that kind become one matrix."""
    return any(isinstance(step, Merged) for step in Plain(on(elements(label, 1, 2), bench.library, bench.dtype)).plan)


def of_working(
    bench: Bench,
    adjoint: str,
    settings: dict[str, Any],
    working: dict[str, Any],
    lossy: dict[str, float],
    taped: dict[str, dict[str, float]],
    finish: list[Callable[[], None]],
) -> None:
    """What a gradient holds besides what is kept, by kind of step."""
    plain_adjoint = {"name": adjoint, **settings}
    taped_here = adjoint == "tape"
    kicks: list[tuple[dict[str, float], float, float]] = []
    pipes: list[tuple[dict[str, float], float, float]] = []
    maps: dict[str, dict[str, list[tuple[dict[str, float], float]]]] = {}
    stores: dict[int, float] = {}
    lost: dict[tuple[int, int], float] = {}

    def besides(found: dict[str, Any], plain: Plain) -> float:
        """The peak less what is kept."""
        kept = tape_total(plain, taped) if taped_here else plain.kept(plain_adjoint)
        return max(1.0, found["peak_bytes"] - kept)

    def add(to: list[Any]) -> Callable[[Any, Plain], None]:
        return lambda found, plain: to.append(
            (plain.features(plain.step(kicks=True), taped_here), besides(found, plain), found["peak_bytes"])
        )

    points = TAPED_SIZES if taped_here else bench.sizes
    for size in points:
        bench.ask(expanding(*size, KICKS), add(kicks), adjoint, **settings)
    for waves in (4, 12):
        bench.ask(pipe(PARTICLES, waves, KICKS), add(pipes), adjoint, **settings)
    for label in bench.labels:

        def of_map(found: Any, plain: Plain, label: str = label) -> None:
            names = {s.kind for s in plain.plan if not s.kicks}
            row = plain.features(plain.step(kicks=False), taped_here)
            for name in names:
                maps.setdefault(name, {}).setdefault(label, []).append((row, besides(found, plain)))

        for n in SEVERAL[1:] if taped_here or bench.library == "jax" else SEVERAL:
            bench.ask(elements(label, n, COUNT), of_map, adjoint, **settings)
    lossy_points = points if taped_here else [size for size in LOSSY_SIZES if size in points]
    for size in lossy_points:
        bench.ask(
            expanding(*size, KICKS, lossy=True),
            lambda found, plain, size=size: lost.update({size: besides(found, plain)}), adjoint, **settings,
        )  # fmt: skip
    if adjoint == "store":
        for count in (2, 4):
            bench.ask(
                elements("drift", PARTICLES, count),
                lambda found, plain, count=count: stores.update({count: found["peak_bytes"]}), adjoint,
            )  # fmt: skip

    def conclude() -> None:
        rows, sizes, peaks = zip(*kicks, strict=True)
        working["SpaceCharge3D"] = fit_largest(rows, sizes, present(OF_KICK, rows), peaks)
        without = dict(zip(points, sizes, strict=True))
        more = sorted((lost[size] - without[size]) / size[0] for size in lossy_points)
        lossy[adjoint] = max(0.0, more[len(more) // 2])
        show(bench, adjoint, working["SpaceCharge3D"], rows, sizes, peaks)
        rows, sizes, peaks = zip(*pipes, strict=True)
        working["SpaceCharge2DPipe"] = [fit(rows, sizes, ("particle", "wave"), peaks)]
        for name, by_label in maps.items():
            # The least of the lines that have it: in the others something else is larger.
            least = min(by_label.values(), key=lambda seen: seen[-1][1])
            rows, sizes = zip(*least, strict=True)
            working[name] = [fit(rows, sizes, present(OF_MAP_SIZES, rows))]
        working[OF_MAP] = max((working[name] for name in maps), key=lambda forms: forms[0]["particle"])
        if stores:
            each = max(0.0, (stores[4] - stores[2]) / 2 / PARTICLES)
            working["replayed"] = [{"particle": each}]

    finish.append(conclude)


def present(names: tuple[str, ...], rows: Sequence[dict[str, float]]) -> list[str]:
    """Features that are not zero everywhere."""
    return [name for name in names if any(row.get(name) for row in rows)]


def tape_total(plain: Plain, taped: dict[str, dict[str, float]]) -> float:
    """Bytes on the tape, by the coefficients that were found before."""
    from backbeam.memory.model import tape_totals

    return tape_totals(plain.plan, plain.masked, plain.n, 1, plain.dtype, taped)[0]


def show(bench: Bench, what: str, forms: list[dict[str, float]], rows: Any, sizes: Any, wholes: Any = None) -> None:
    """Print how good a fit is."""
    off = residuals(forms, rows, sizes, wholes)
    bench.residuals[what] = float(np.abs(off).max())
    words = "; ".join(" + ".join(f"{c:.4g} a {name}" for name, c in form.items() if c) for form in forms)
    print(f"{bench.library} {bench.dtype} {what}: {words}; off by {np.abs(off).max():.2%} at most", flush=True)


def rounded(tree: Any) -> Any:
    """Numbers of four digits."""
    if isinstance(tree, dict):
        return {key: rounded(branch) for key, branch in tree.items()}
    if isinstance(tree, list):
        return [rounded(branch) for branch in tree]
    return float(f"{tree:.4g}") if isinstance(tree, float) else tree
