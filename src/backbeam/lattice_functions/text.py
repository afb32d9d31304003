"""A table of optics as text: what stands above it, and its rows."""

from __future__ import annotations

from math import pi
from typing import TYPE_CHECKING, Any

import numpy as np

from backbeam import backends

if TYPE_CHECKING:
    from backbeam.lattice_functions.table import Optics

SHOWN = (
    ("s", "s [m]", 1.0),
    ("beta_x", "beta_x [m]", 1.0),
    ("alpha_x", "alpha_x", 1.0),
    ("mu_x", "mu_x/2pi", 1.0 / (2.0 * pi)),
    ("beta_y", "beta_y [m]", 1.0),
    ("alpha_y", "alpha_y", 1.0),
    ("mu_y", "mu_y/2pi", 1.0 / (2.0 * pi)),
    ("dispersion_x", "D_x [m]", 1.0),
    ("dispersion_px", "D_px", 1.0),
    ("dispersion_y", "D_y [m]", 1.0),
    ("x", "x [m]", 1.0),
    ("y", "y [m]", 1.0),
)
"""Columns of a table for a person: name, heading, factor. Phases are in turns, as MAD-X has them."""
LONGEST = 24
"""Rows of a longer table that its repr shows."""


def headings(optics: Optics) -> list[tuple[str, str, float]]:
    """The columns to show; what is 0 everywhere, and is so in most lines, is left out."""
    host = optics.on_host()
    often_zero = ("dispersion_y", "x", "y")
    return [c for c in SHOWN if c[0] not in often_zero or np.any(host[c[0]])]


def rows(optics: Optics) -> list[tuple[str, list[float]]]:
    """Name and values of the columns to show, of every place."""
    host = optics.on_host()
    values = np.stack([factor * host[name] for name, _, factor in headings(optics)], axis=-1)
    return [(name or "start", list(row)) for name, row in zip(optics.names, values, strict=True)]


def summary(optics: Optics) -> dict[str, float]:
    """Numbers of the whole line, and the extremes of its functions, by name."""
    host = backends.of(optics.solution.z).to_numpy
    found: dict[str, Any] = {"length": optics.length, **optics.numbers}
    if optics.periodic:
        found["chromaticity_x"], found["chromaticity_y"] = optics.chromaticities
    everywhere = {name: host(column) for name, column in optics.everywhere.items()}
    numbers = {name: float(host(value)) for name, value in found.items()}
    for name in ("beta_x", "beta_y", "dispersion_x", "dispersion_y"):
        numbers[f"largest_{name}"] = float(np.max(np.abs(everywhere[name])))
    for name in ("x", "y"):
        numbers[f"largest_orbit_{name}"] = float(np.max(np.abs(everywhere[name])))
    alpha = numbers.get("momentum_compaction")
    if alpha:
        # Imaginary below 0, which a minus says, as in MAD-X.
        numbers["transition_gamma"] = float(np.sign(alpha) / np.sqrt(abs(alpha)))
    return numbers


def table_text(optics: Optics) -> str:
    """Summary and rows, the middle of a long table left out."""
    if optics.solution.z.ndim > 2:
        batch = tuple(optics.solution.z.shape[:-2])
        return f"<Optics of {len(optics)} places, batch={batch}>"
    if backends.of(optics.solution.z).traced([optics.solution.z]):
        return f"<Optics of {len(optics)} places, traced>"
    return "\n".join([*(_joined(part) for part in _grouped(summary(optics))), *row_lines(optics, LONGEST)])


def row_lines(optics: Optics, longest: int) -> list[str]:
    """A line of headings and a line a place; of more than ``longest`` places the middle is left out."""
    shown = rows(optics)
    width = max([7, *(len(name) for name, _ in shown)])
    head = " ".join([f"{'element':<{width}}", *(f"{heading:>10}" for _, heading, _ in headings(optics))])
    texts = [" ".join([f"{name:<{width}}", *(f"{value:>10.5g}" for value in values)]) for name, values in shown]
    if len(texts) > longest:
        half = longest // 2
        texts = [*texts[:half], f"... {len(texts) - 2 * half} more ...", *texts[-half:]]
    return [head, *texts]


def _grouped(numbers: dict[str, float]) -> list[dict[str, float]]:
    of_ring = {k: v for k, v in numbers.items() if not k.startswith("largest")}
    largest = {k: v for k, v in numbers.items() if k.startswith("largest")}
    return [of_ring, largest]


def _joined(numbers: dict[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:.9g}" for name, value in numbers.items())
