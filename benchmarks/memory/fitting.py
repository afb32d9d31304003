"""Fits of memory against what it is linear in. Deviations count relative to each size, or to the whole of its peak."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import nnls


def fit(
    rows: Sequence[dict[str, float]],
    sizes: Sequence[float],
    names: Sequence[str],
    wholes: Sequence[float] | None = None,
) -> dict[str, float]:
    """Coefficients, none negative, of ``sizes`` as a sum over the named features of ``rows``."""
    weights = 1.0 / np.asarray(sizes if wholes is None else wholes, dtype=float)
    aims = np.asarray(sizes, dtype=float) * weights
    matrix = np.array([[row[name] for name in names] for row in rows], dtype=float) * weights[:, None]
    scale = np.abs(matrix).max(axis=0)
    scale[scale == 0.0] = 1.0
    found, _ = nnls(matrix / scale, aims)
    return {name: float(c / s) for name, c, s in zip(names, found, scale, strict=True)}


def value(coefficients: dict[str, float], row: dict[str, float]) -> float:
    """The sum over features."""
    return sum(c * row[name] for name, c in coefficients.items())


def residuals(
    forms: Sequence[dict[str, float]],
    rows: Sequence[dict[str, float]],
    sizes: Sequence[float],
    wholes: Sequence[float] | None = None,
) -> np.ndarray:
    """Deviation of the largest of some forms from each size, relative to the whole."""
    found = np.array([max(value(form, row) for form in forms) for row in rows])
    return (found - np.asarray(sizes)) / np.asarray(sizes if wholes is None else wholes)


def fit_largest(
    rows: Sequence[dict[str, float]],
    sizes: Sequence[float],
    names: Sequence[str],
    wholes: Sequence[float] | None = None,
    rounds: int = 20,
) -> list[dict[str, float]]:
    """One or two forms whose largest is the size: a peak is reached where particles are handled, or on the grid.

    The points are parted by particles a cell, and then by which form is the larger until that no longer changes.
    """
    sizes = np.asarray(sizes, dtype=float)
    whole = sizes if wholes is None else np.asarray(wholes, dtype=float)

    def of(part: np.ndarray) -> dict[str, float]:
        return fit([row for row, mine in zip(rows, part, strict=True) if mine], sizes[part], names, whole[part])

    best = [of(np.full(len(rows), True))]
    least = np.abs(residuals(best, rows, sizes, whole)).max()
    ratio = np.array([row["particle"] / row["cell"] for row in rows])
    for cut in np.unique(ratio)[1:]:
        mine = ratio >= cut
        for _ in range(rounds):
            if min(mine.sum(), (~mine).sum()) < len(names):
                break
            forms = [of(mine), of(~mine)]
            worst = np.abs(residuals(forms, rows, sizes, whole)).max()
            if worst < 0.8 * least or (len(best) == 2 and worst < least):
                best, least = forms, worst
            now = np.array([value(forms[0], row) >= value(forms[1], row) for row in rows])
            if (now == mine).all():
                break
            mine = now
    return best
