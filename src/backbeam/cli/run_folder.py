"""What ``backbeam run --output`` writes: the result, moments along the line, problem, beam, and their origin."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from typing import Any

import numpy as np

from backbeam.arrays import COORDINATES
from backbeam.beam import PLANES
from backbeam.beams.archive import arrays_of
from backbeam.cli.origin import given_file, origin
from backbeam.cli.warned import with_warnings
from backbeam.problem import Outcome, Problem

UNITS = {
    "s": "m", "charge": "C", "x": "m", "px": "P0", "y": "m", "py": "P0", "tau": "m", "pt": "P0 c",
    "emittance": "m", "normalized_emittance": "m", "seconds": "s",
}  # fmt: skip
"""Of summary.json and moments.csv; problem.yaml is in SI units, with energies in eV and angles in rad."""


def run_files(problem: Problem, outcome: Outcome, name: str) -> dict[str, bytes]:
    """summary.json, moments.csv, problem.yaml and final_beam.npz, for the problem of that name on the command line."""
    summary = {
        "problem": problem.name,
        "title": problem.title,
        **with_warnings(outcome.summary()),
        "units": {**UNITS, "problem.yaml": "SI; energies in eV, angles in rad"},
        "file": given_file(name),
        **origin(problem, outcome.final.backend),
    }
    archive = io.BytesIO()
    np.savez(archive, **arrays_of(outcome.final))  # coordinates do not compress
    return {
        "summary.json": (json.dumps(summary, indent=2, allow_nan=False) + "\n").encode(),
        "moments.csv": moments_csv(outcome.rows).encode(),
        "problem.yaml": problem.dump().encode(),
        "final_beam.npz": archive.getvalue(),
    }


def moments_csv(rows: Iterable[tuple[str, dict[str, Any]]]) -> str:
    """Table of moments along s [m], one row a place; an empty cell is no finite number."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ["s", "element", "alive", "charge"]
        + [f"{what}_{name}" for what in ("mean", "sigma") for name in COORDINATES]
        + [f"{what}_{plane}" for what in ("emittance", "normalized_emittance") for plane in PLANES]
    )
    for element, m in rows:
        groups = [m[what].values() for what in ("mean", "sigma", "emittance", "normalized_emittance")]
        numbers = [value for group in groups for value in group]
        writer.writerow([m["s"], element, m["alive"], m["charge"], *("" if v is None else v for v in numbers)])
    return out.getvalue()
