"""`backbeam_torch.examples.phase_space` at full size: four and six dimensions, without and with space charge.

OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 python benchmarks/applications phase_space
"""

from __future__ import annotations

import argparse
from typing import Any

from common import machine, versions, write

from backbeam_torch.examples import phase_space

CASES = {
    "4": (4, False, 200), "4, space charge": (4, True, 120), "6": (6, False, 200), "6, space charge": (6, True, 120),
}  # fmt: skip
"""Dimensions, whether there is space charge, and steps."""


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=tuple(CASES), default=tuple(CASES))
    parser.add_argument("--particles", type=int, default=8000)
    parser.add_argument("--write", action=argparse.BooleanOptionalAction, default=True)
    given = parser.parse_args(arguments)
    columns = ("dimensions", "images", "steps", "ms a step", "charge in wrong pixels, first and last")
    table = [f"| {' | '.join(columns)} | ε x | ε y | ε z |", "|---" * (len(columns) + 3) + "|"]
    rows: list[dict[str, Any]] = []
    figure = None
    for case in given.cases:
        dimensions, space_charge, steps = CASES[case]
        found = phase_space.reconstruct(dimensions, particles=given.particles, steps=steps, space_charge=space_charge)
        pairs = phase_space.emittances(dimensions, found)
        first, last = float(found.history[0]), float(found.history[-10:].mean())
        rows.append({
            "case": case, "images": len(found.measured), "steps": steps, "seconds_a_step": found.seconds,
            "misplaced": [first, last], "emittances": pairs,
        })  # fmt: skip
        errors = [f"{100.0 * (pairs[p][0] / pairs[p][1] - 1.0):+.1f} %" if p in pairs else "" for p in "xyz"]
        cells = [case, len(found.measured), steps, f"{1e3 * found.seconds:.0f}", f"{first:.3f}, {last:.3f}", *errors]
        table.append(f"| {' | '.join(map(str, cells))} |")
        print(table[-1], flush=True)
        if dimensions == 6 or figure is None:
            figure = phase_space.draw(dimensions, found)
    if given.write:
        text = f"""# A beam found from its images

`{" ".join(["python benchmarks/applications phase_space", *arguments])}`:
{given.particles:,} particles a step, 200 pC at 40 MeV; emittances of what the
network makes, over those of the true beam, which no ellipsoid is. Seconds are of a machine that others worked on too.

{chr(10).join(table)}

![True and found phase space, the history, an image](applications-phase_space.png)
"""
        write(
            "applications-phase_space",
            {"machine": machine(), "versions": versions("torch"), "rows": rows},
            figure,
            text,
        )
