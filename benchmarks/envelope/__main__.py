"""Second moments with linear space charge, a `MomentBeam`'s beside those of ImpactX's envelope tracking.

Both kick with the field of the uniform ellipsoid (or ellipse) of the same second moments, in the middle of each slice,
and move by the matrices of the elements: what is left are their constants of nature.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import backbeam as bb

HERE = Path(__file__).parent
SIZES = [1e-3, 1.5e-3, 1.2e-3, 1e-3, 2e-3, 1e-5]
"""Rms of x, px, y, py, tau, pt [m, 1]."""
FODO = [("quadrupole", 0.1, 12.0), ("drift", 0.3, None), ("quadrupole", 0.2, -12.0), ("drift", 0.3, None),
        ("quadrupole", 0.1, 12.0)]  # fmt: skip
CASES: dict[str, dict[str, Any]] = {
    "bunch in a drift": {"model": "3D", "intensity": 1e-10, "line": [("drift", 1.0, None)]},
    "bunch in two cells": {"model": "3D", "intensity": 1e-10, "line": FODO * 2},
    "coasting beam in two cells": {"model": "2D", "intensity": 5e-3, "line": FODO * 2},
}
"""Intensity: charge [C] of a bunch, current [A] of a coasting beam."""
PROTONS = {"species": "proton", "kinetic_energy": 2.5e6, "sizes": SIZES}
SLICES = (10, 20, 40, 80)


def line_of(case: dict[str, Any]) -> bb.Line:
    """Its elements, as matrices."""
    made = [
        bb.Drift(length, model="linear") if k1 is None else bb.Quadrupole(length, k1=k1, model="linear")
        for _, length, k1 in case["line"]
    ]
    return bb.Line(made)


def ours(case: dict[str, Any], slices: int, *, empty: bool = False) -> np.ndarray:
    """Covariance at the end."""
    reference = bb.Reference.from_kinetic_energy(PROTONS["kinetic_energy"], "proton")
    charge, length = case["intensity"], None
    if case["model"] == "2D":  # of one metre
        charge, length = charge / (float(reference.beta) * 299792458.0), 1.0
    beam = bb.MomentBeam(np.zeros(6), np.diag(np.square(SIZES)), reference, 0.0 if empty else charge)
    return bb.track(line_of(case), beam, space_charge=bb.LinearSpaceCharge(length), slices=slices).cov()


def theirs(case: dict[str, Any], slices: int, python: str) -> np.ndarray:
    """ImpactX's."""
    with tempfile.TemporaryDirectory() as scratch:
        answer = subprocess.run(
            [python, HERE / "impactx_worker.py"], input=json.dumps({**PROTONS, **case, "slices": slices}),
            capture_output=True, text=True, check=True, cwd=scratch, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
    return np.asarray(json.loads(answer.stdout[answer.stdout.index("[[") :]))


def sizes(cov: np.ndarray) -> np.ndarray:
    """Rms of all coordinates."""
    return np.sqrt(np.diag(cov))


def main() -> None:
    """Compare and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--impactx", required=True, help="a Python with ImpactX")
    python = parser.parse_args().impactx
    found: dict[str, Any] = {}
    rows = []
    for name, case in CASES.items():
        exact, bare = sizes(ours(case, 1000)), sizes(ours(case, 1, empty=True))
        record = {"sizes": exact.tolist(), "without": bare.tolist(), "slices": {}}
        for slices in SLICES:
            pair = [sizes(ours(case, slices)), sizes(theirs(case, slices, python))]
            record["slices"][slices] = [mine.tolist() for mine in pair]
            errors = [np.abs(one / exact - 1.0).max() for one in pair]
            grown, apart = exact / bare, np.abs(pair[0] / pair[1] - 1.0).max()
            cells = [name, str(slices), f"{grown[0]:.3f}", f"{grown[2]:.3f}", *(f"{v:.1e}" for v in (*errors, apart))]
            rows.append(f"| {' | '.join(cells)} |")
            print(rows[-1], flush=True)
        found[name] = record
    results = HERE.parent / "results"
    results.joinpath("envelope.json").write_text(
        json.dumps({**PROTONS, "cases": CASES, "found": found}, indent=1) + "\n"
    )
    table = "\n".join(rows)
    results.joinpath("envelope.md").write_text(f"""# A beam of moments beside ImpactX's envelope

`python -m benchmarks.envelope --impactx PYTHON`. Protons of 2.5 MeV; largest relative deviation of the six rms sizes at
the end, from those of 1000 slices here, and of one code from the other. How much space charge widens the beam: x, y.

| case | slices an element | x | y | MomentBeam | ImpactX | one from the other |
|---|---|---|---|---|---|---|
{table}
""")


if __name__ == "__main__":
    main()
