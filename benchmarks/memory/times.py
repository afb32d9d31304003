"""Measure the times of `backbeam.memory.table`, a gradient's over the tracking's, and write them there.

    python benchmarks/memory times                                      # every installed library, both data types
    python benchmarks/memory times --libraries jax --dtypes float64

Of processor time, the adjoints in turns, so that a machine that does other things tells the same. One number an adjoint
for plans with kicks, for maps without, and for lines that are one matrix: the median over some numbers of particles.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import median
from typing import Any

from backbeam import backends
from backbeam.memory import table
from memory.calibrate import PLACE
from memory.fresh import case, run
from memory.problems import elements, expanding, on

CASES: dict[str, list[dict[str, Any]]] = {
    "kicks": [expanding(n, 32, 4) for n in (10_000, 60_000)],
    "maps": [elements("quadrupole", n, 6) for n in (10_000, 60_000)],
    "matrix": [elements("linear drift", n, 10) for n in (10_000, 60_000)],
}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--libraries", nargs="+", default=["numpy", "torch", "jax"])
    parser.add_argument("--dtypes", nargs="+", default=["float64", "float32"])
    parser.add_argument("--device")
    parser.add_argument("--output", type=Path, default=PLACE)
    given = parser.parse_args(arguments)
    for library in given.libraries:
        for dtype in given.dtypes:
            backend = backends.get(library)
            name = table.setup_name(library, given.device or backend.devices()[0], dtype)
            known = json.loads(given.output.read_text(encoding="utf-8"))
            known["setups"].setdefault(name, {})["time"] = measured(library, dtype, given.device)
            given.output.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
            print(f"{name}: {known['setups'][name]['time']}", flush=True)
    return 0


def measured(library: str, dtype: str, device: str | None) -> dict[str, dict[str, float]]:
    """Times over that of the tracking, by what the plan is of and by adjoint."""
    adjoints = ["reversible", "store", *(["tape"] if backends.get(library).has_autodiff else [])]
    found = {}
    for of, trees in CASES.items():
        cases = [{**case(on(tree, library, dtype, device), what="timing"), "adjoints": adjoints} for tree in trees]
        answers = list(run(cases))
        times = {name: round(median(answer[name] for answer in answers), 3) for name in adjoints}
        found[of] = {**times, "checkpoint": times["store"]}  # and what it computes again, which the model counts
    return found
