"""Options and words that the tables share."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

from common import machine, versions

from backbeam import backends

ADJOINTS = ("reversible", "checkpoint", "store", "tape")
COLOURS = {
    "reversible": "#1b7837",
    "checkpoint": "#5e3c99",
    "store": "#2166ac",
    "tape": "#b2182b",
    "cheetah": "#8c510a",
}


def parser(text: str, dtypes: Sequence[str] = ("float64",)) -> argparse.ArgumentParser:
    """A parser with the libraries, the data types and the other code."""
    found = argparse.ArgumentParser(description=text.splitlines()[0])
    usable = [r.name for r in backends.report() if not r.problem and r.name != "array_api_strict"]
    found.add_argument("--libraries", nargs="+", default=sorted(usable, key=lambda name: name != "numpy"))
    found.add_argument("--dtypes", nargs="+", default=list(dtypes))
    found.add_argument("--device", help="device of all libraries; their default unless given")
    found.add_argument(
        "--cheetah", metavar="PYTHON", help="interpreter of an environment with cheetah-accelerator 0.8.4"
    )
    return found


def adjoints_of(library: str, wanted: Iterable[str] = ADJOINTS) -> list[str]:
    """Those that a library can do."""
    return [name for name in wanted if name != "tape" or backends.get(library).has_autodiff]


def about() -> dict[str, Any]:
    """Machine and versions."""
    return {"machine": machine(), "versions": versions("numpy", "scipy", "numba", "torch", "jax", "cupy", "backbeam")}


def markdown(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table."""
    lines = [f"| {' | '.join(headings)} |", f"|{'---|' * len(headings)}"]
    return "\n".join([*lines, *(f"| {' | '.join(map(str, row))} |" for row in rows)])


def axes(columns: int = 1, rows: int = 1, width: float = 6.0, height: float = 4.0) -> tuple[Any, Any]:
    """A figure and its axes, without a screen."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, found = plt.subplots(
        rows, columns, figsize=(width * columns, height * rows), layout="constrained", squeeze=False
    )
    return figure, found
