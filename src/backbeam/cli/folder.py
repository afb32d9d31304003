"""Folders that ``--output`` writes. Each file appears whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from backbeam.arrays import COORDINATES
from backbeam.beam import PLANES
from backbeam.beams.archive import arrays_of
from backbeam.cli.warned import with_warnings
from backbeam.errors import BackbeamError, InputError
from backbeam.problem import Outcome, Problem


def write_folder(folder: Path, problem: Problem, outcome: Outcome) -> None:
    """Write summary.json, moments.csv, problem.yaml and final_beam.npz.

    Raises
    ------
    BackbeamError
        If the folder cannot be written to.
    """
    summary = {
        "problem": problem.name,
        "title": problem.title,
        "backbeam": version("backbeam"),
        **with_warnings(outcome.summary()),
    }
    archive = io.BytesIO()
    np.savez_compressed(archive, **arrays_of(outcome.final))
    contents = {
        "summary.json": (json.dumps(summary, indent=2, allow_nan=False) + "\n").encode(),
        "moments.csv": moments_csv(outcome.rows).encode(),
        "problem.yaml": problem.dump().encode(),
        "final_beam.npz": archive.getvalue(),
    }
    write_files(folder, contents)


def write_files(folder: Path, contents: Mapping[str, bytes | str]) -> None:
    """Write files by their names into a folder, which is made if there is none.

    Raises
    ------
    BackbeamError
        If the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in contents.items():
            write_whole(folder / name, data.encode() if isinstance(data, str) else data)
    except OSError as error:
        raise BackbeamError(f"--output {folder}: {(error.strerror or str(error)).lower()}") from None


def check_targets(plot: Path | None, output: Path | None) -> None:
    """Find out before anything runs whether its results could be written."""
    if plot is not None:
        from backbeam.plotting import check_target

        check_target(plot, "--plot")
    if output is not None:
        parents = [p for p in (output, *output.parents) if p.exists()]
        if parents and not parents[0].is_dir():
            raise InputError("--output", str(output), "a folder, or the name of a new one")


def write_whole(path: Path, data: bytes) -> None:
    """Write a file beside its place and move it there, so that an older one is replaced at once."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


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
