"""Fits of memory against what it is linear in, each point weighted by its own size: relative deviations count."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import nnls


def fit(rows: Sequence[dict[str, float]], sizes: Sequence[float], names: Sequence[str]) -> dict[str, float]:
    """Coefficients, none negative, of ``sizes`` as a sum over the named features of ``rows``."""
    weights = 1.0 / np.asarray(sizes, dtype=float)
    matrix = np.array([[row[name] for name in names] for row in rows], dtype=float) * weights[:, None]
    scale = np.abs(matrix).max(axis=0)
    scale[scale == 0.0] = 1.0
    found, _ = nnls(matrix / scale, np.ones(len(weights)))
    return {name: float(c / s) for name, c, s in zip(names, found, scale, strict=True)}


def value(coefficients: dict[str, float], row: dict[str, float]) -> float:
    """The sum over features."""
    return sum(c * row[name] for name, c in coefficients.items())


def residuals(
    forms: Sequence[dict[str, float]], rows: Sequence[dict[str, float]], sizes: Sequence[float]
) -> np.ndarray:
    """Relative deviation of the largest of some forms from each size."""
    return np.array([max(value(f, row) for f in forms) / size - 1.0 for row, size in zip(rows, sizes, strict=True)])


def fit_largest(
    rows: Sequence[dict[str, float]], sizes: Sequence[float], names: Sequence[str], rounds: int = 20
) -> list[dict[str, float]]:
    """One or two forms whose largest is the size: a peak is reached where particles are handled, or on the grid.

    The points are parted by particles a cell, and then by which form is the larger until that no longer changes.
    """
    one = [fit(rows, sizes, names)]
    ratio = np.array([row["particle"] / row["cell"] for row in rows])
    best, least = one, np.abs(residuals(one, rows, sizes)).max()
    for cut in np.unique(ratio)[1:]:
        mine = ratio >= cut
        for _ in range(rounds):
            if min(mine.sum(), (~mine).sum()) < len(names):
                break
            forms = [
                fit([r for r, m in zip(rows, part, strict=True) if m], np.asarray(sizes)[part], names)
                for part in (mine, ~mine)
            ]
            worst = np.abs(residuals(forms, rows, sizes)).max()
            if worst < 0.8 * least or (len(best) == 2 and worst < least):
                best, least = forms, worst
            now = np.array([value(forms[0], row) >= value(forms[1], row) for row in rows])
            if (now == mine).all():
                break
            mine = now
    return best
