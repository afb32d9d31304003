"""Fits of memory against what it is linear in. Deviations count relative to each size, or to the whole of its peak."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import nnls

WORTH = 0.8
"""One more form must leave less than this part of the worst residual."""


def fit(
    rows: Sequence[dict[str, float]],
    sizes: Sequence[float],
    names: Sequence[str],
    wholes: Sequence[float] | None = None,
    rounds: int = 0,
) -> dict[str, float]:
    """Coefficients, none negative, of ``sizes`` as a sum over the named features of ``rows``.

    Least squares; with ``rounds`` the points that are furthest off weigh more and more, so that none is far off.
    """
    weights = 1.0 / np.asarray(sizes if wholes is None else wholes, dtype=float)
    aims = np.asarray(sizes, dtype=float) * weights
    matrix = np.array([[row.get(name, 0.0) for name in names] for row in rows], dtype=float) * weights[:, None]
    scale = np.abs(matrix).max(axis=0)
    scale[scale == 0.0] = 1.0
    matrix /= scale
    worth = np.ones(len(aims))
    found, _ = nnls(matrix, aims)
    for _ in range(rounds):
        off = np.abs(matrix @ found - aims)
        worth *= 0.5 + off / max(off.max(), 1e-12)
        worth /= worth.mean()
        found, _ = nnls(matrix * worth[:, None], aims * worth)
    return {name: float(c / s) for name, c, s in zip(names, found, scale, strict=True)}


def value(coefficients: dict[str, float], row: dict[str, float]) -> float:
    """The sum over features."""
    return sum(c * row.get(name, 0.0) for name, c in coefficients.items())


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
    most: int = 3,
    tries: int = 60,
) -> list[dict[str, float]]:
    """A few forms whose largest is the size: a peak is reached where particles are handled, or on the grid.

    The points are parted at random, and then by which form is the largest until that no longer changes; of all tries
    the one that is nowhere far off. One more form must be worth it.
    """
    sizes = np.asarray(sizes, dtype=float)
    whole = sizes if wholes is None else np.asarray(wholes, dtype=float)
    random = np.random.default_rng(1)
    ratio = np.array([(row["particle"] + row.get("whole", 0.0)) / row["cell"] for row in rows])

    def of(part: np.ndarray) -> dict[str, float]:
        mine = [row for row, inside in zip(rows, part, strict=True) if inside]
        return fit(mine, sizes[part], names, whole[part], rounds=12)

    best = [of(np.full(len(rows), True))]
    least = np.abs(residuals(best, rows, sizes, whole)).max()
    for count in range(2, most + 1):
        if len(rows) < 3 * count:
            break
        found, off = None, WORTH * least
        for k in range(tries):
            group = np.searchsorted(np.sort(random.choice(ratio, count - 1, replace=False)), ratio, side="right")
            if k % 2:
                group = random.integers(0, count, len(rows))
            for _ in range(20):
                parts = [group == k for k in range(count)]
                forms = [of(part) for part in parts if part.sum() > 1]
                worst = np.abs(residuals(forms, rows, sizes, whole)).max()
                if worst < off:
                    found, off = forms, worst
                now = np.array([int(np.argmax([value(form, row) for form in forms])) for row in rows])
                if (now == group).all():
                    break
                group = now
        if found is not None:
            best, least = found, off
    return best
