"""`backbeam_torch.examples.phase_space` at full size: four and six dimensions, without and with space charge.

OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 python benchmarks/applications phase_space
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from common import RESULTS, machine, versions, write

from backbeam_torch.examples import phase_space

CASES = {
    "4": (4, False, 200), "4, space charge": (4, True, 120), "6": (6, False, 200), "6, space charge": (6, True, 120),
}  # fmt: skip
"""Dimensions, whether there is space charge, and steps."""
COLUMNS = (
    "dimensions", "particles a step", "images", "steps", "ms a step", "charge in wrong pixels, first and last",
    "ε x", "ε y", "ε z",
)  # fmt: skip


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=tuple(CASES), default=tuple(CASES))
    parser.add_argument("--particles", type=int, default=8000)
    parser.add_argument("--write", action=argparse.BooleanOptionalAction, default=True)
    given = parser.parse_args(arguments)
    rows = {row["case"]: row for row in kept()}
    figure = None
    for case in given.cases:
        dimensions, space_charge, steps = CASES[case]
        found = phase_space.reconstruct(dimensions, particles=given.particles, steps=steps, space_charge=space_charge)
        first, last = float(found.history[0]), float(found.history[-10:].mean())
        rows[case] = {
            "case": case, "particles": given.particles, "images": len(found.measured), "steps": steps,
            "seconds_a_step": found.seconds, "misplaced": [first, last],
            "emittances": phase_space.emittances(dimensions, found),
        }  # fmt: skip
        print(line_of(rows[case]), flush=True)
        if dimensions == 6 or figure is None:
            figure = phase_space.draw(dimensions, found)
    if given.write:
        ordered = [rows[case] for case in CASES if case in rows]
        head = f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|"
        text = f"""# A beam found from its images

`python benchmarks/applications phase_space`, by `--cases`: 200 pC at 40 MeV; emittances of what the network makes, over
those of the true beam, which no ellipsoid is. Seconds are of a machine that others worked on too.

{head}
{chr(10).join(line_of(row) for row in ordered)}

![True and found phase space, the history, an image](applications-phase_space.png)
"""
        data = {"machine": machine(), "versions": versions("torch"), "rows": ordered}
        write("applications-phase_space", data, figure, text)


def kept() -> list[dict[str, Any]]:
    """Rows of earlier runs; those of the cases that are run now are replaced."""
    file = RESULTS / "applications-phase_space.json"
    return json.loads(file.read_text(encoding="utf-8"))["rows"] if file.exists() else []


def line_of(row: dict[str, Any]) -> str:
    """A row of the table."""
    pairs = row["emittances"]
    errors = [f"{100.0 * (pairs[p][0] / pairs[p][1] - 1.0):+.1f} %" if p in pairs else "" for p in "xyz"]
    misplaced = ", ".join(f"{part:.3f}" for part in row["misplaced"])
    numbers = [f"{row['particles']:,}", row["images"], row["steps"], f"{1e3 * row['seconds_a_step']:.0f}", misplaced]
    return f"| {' | '.join(map(str, [row['case'], *numbers, *errors]))} |"
