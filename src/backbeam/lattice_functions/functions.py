"""Lattice functions from the normal form along a line, and back.

A ``(..., N, d, d)`` is the normal form at N places, two columns a mode; v ``(..., N, 6)`` is how the orbit changes with
pt. With rows x, px of A and the columns c, s of mode 1::

    beta_x = A_xc^2 + A_xs^2      alpha_x = -(A_xc A_pxc + A_xs A_pxs)      mu_x = atan2(A_xs, A_xc)

and the same of mode 2 in y. ``beta_x2`` is mode 2 seen in x, ``beta_y1`` mode 1 seen in y: both are 0 where nothing is
coupled (Mais & Ripken, DESY M-82-05).
"""

from __future__ import annotations

from collections.abc import Mapping
from math import pi
from typing import Any

from backbeam.arrays import Array, namespace
from backbeam.lattice_functions.products import as_one

SEEN = {"x": (0, 0), "y": (2, 1), "x2": (0, 1), "y1": (2, 0), "z": (4, 2)}
"""First row and mode of each pair of functions beta and alpha."""
PHASES = ("x", "y", "z")
"""Those that have a phase advance."""
DISPERSIONS = {"dispersion_x": 0, "dispersion_px": 1, "dispersion_y": 2, "dispersion_py": 3}
"""Row of each dispersion."""


def lattice_functions(A: Array, v: Array) -> dict[str, Array]:
    """Columns ``(..., N)`` by name: beta and alpha [m, 1], mu [rad] from the first place, dispersion per pt [m, 1]."""
    return as_one(_lattice_functions, A, v)


def _lattice_functions(A: Array, v: Array) -> dict[str, Array]:
    found = {}
    for name, (row, mode) in _seen(A).items():
        c, s, cp, sp = _entries(A, row, mode)
        found[f"beta_{name}"] = c * c + s * s
        found[f"alpha_{name}"] = -(c * cp + s * sp)
        if name in PHASES:
            found[f"mu_{name}"] = _advance(c, s)
    for name, row in DISPERSIONS.items():
        found[name] = v[..., row] / v[..., 5]
    return found


def lattice_functions_pullback(A: Array, v: Array, bars: Mapping[str, Array]) -> tuple[Array, Array]:
    """Cotangents of A and v from those of some of the columns."""
    mine = {name: bar for name, bar in bars.items() if name.startswith(("beta", "alpha", "mu", "dispersion"))}
    return as_one(_lattice_functions_pullback, A, v, mine)


def _lattice_functions_pullback(A: Array, v: Array, bars: Mapping[str, Array]) -> tuple[Array, Array]:
    xp, d = namespace(A), A.shape[-1]
    zero = xp.zeros_like(A[..., 0, 0])
    of_A: dict[tuple[int, int], Array] = {}

    def add(row: int, column: int, bar: Array) -> None:
        of_A[row, column] = of_A.get((row, column), zero) + bar

    for name, (row, mode) in _seen(A).items():
        c, s, cp, sp = _entries(A, row, mode)
        k = 2 * mode
        if f"beta_{name}" in bars:
            bar = 2.0 * bars[f"beta_{name}"]
            add(row, k, bar * c)
            add(row, k + 1, bar * s)
        if f"alpha_{name}" in bars:
            bar = -bars[f"alpha_{name}"]
            add(row, k, bar * cp)
            add(row, k + 1, bar * sp)
            add(row + 1, k, bar * c)
            add(row + 1, k + 1, bar * s)
        if f"mu_{name}" in bars:
            bar = _advance_pullback(bars[f"mu_{name}"]) / (c * c + s * s)
            add(row, k, -bar * s)
            add(row, k + 1, bar * c)
    entries = [of_A.get((i, j), zero) for i in range(d) for j in range(d)]
    A_bar = xp.reshape(xp.stack(entries, axis=-1), A.shape)
    of_v = {row: bars[name] / v[..., 5] for name, row in DISPERSIONS.items() if name in bars}
    of_v[5] = sum((-bar * v[..., row] / v[..., 5] for row, bar in of_v.items()), zero)
    return A_bar, xp.stack([of_v.get(row, zero) for row in range(6)], axis=-1)


def _seen(A: Array) -> dict[str, tuple[int, int]]:
    return {name: place for name, place in SEEN.items() if place[0] < A.shape[-1]}


def _entries(A: Array, row: int, mode: int) -> tuple[Array, Array, Array, Array]:
    """Cosine- and sine-like columns of a mode in a row and in the one below it."""
    k = 2 * mode
    return A[..., row, k], A[..., row, k + 1], A[..., row + 1, k], A[..., row + 1, k + 1]


def _advance(c: Array, s: Array) -> Array:
    """Phase from the first place on. A step is between a quarter back and three quarters of a turn forward."""
    xp = namespace(c)
    angle = xp.atan2(s, c)
    step = angle[..., 1:] - angle[..., :-1]
    step = xp.remainder(step + 0.5 * pi, 2.0 * pi) - 0.5 * pi
    return xp.concat([xp.zeros_like(angle[..., :1]), xp.cumulative_sum(step, axis=-1)], axis=-1)


def _advance_pullback(mu_bar: Array) -> Array:
    """Cotangent of the angles: every later phase counts from the first."""
    xp = namespace(mu_bar)
    first = -xp.sum(mu_bar[..., 1:], axis=-1, keepdims=True)
    return xp.concat([first, mu_bar[..., 1:]], axis=-1)


# -- dispersion -------------------------------------------------------------------------------------------------------


def dispersion_of_modes(A: Array) -> Array:
    """v of a line with cavities: the way of the mode along s through tau = 0."""
    return A[..., :, 5] * A[..., 4:5, 4] - A[..., :, 4] * A[..., 4:5, 5]


def dispersion_of_modes_pullback(A: Array, v_bar: Array) -> Array:
    """Cotangent of A."""
    xp = namespace(A)
    zero = xp.zeros_like(v_bar)
    columns = [zero, zero, zero, zero, -v_bar * A[..., 4:5, 5], v_bar * A[..., 4:5, 4]]
    pair = [-xp.sum(v_bar * A[..., :, 4], axis=-1), xp.sum(v_bar * A[..., :, 5], axis=-1)]
    nothing = xp.zeros_like(pair[0])
    row = xp.stack([nothing, nothing, nothing, nothing, pair[1], pair[0]], axis=-1)
    rows = [xp.zeros_like(row) for _ in range(6)]
    rows[4] = row
    return xp.stack(columns, axis=-1) + xp.stack(rows, axis=-2)


def per_delta(inverse_beta: Array, pt: Array) -> Array:
    """d pt/d delta = p/e: the velocity of a particle of that energy [c]; what is per pt times this is per delta."""
    xp = namespace(pt)
    return xp.sqrt(1.0 + pt * (2.0 * inverse_beta + pt)) / (inverse_beta + pt)


def per_delta_pullback(inverse_beta: Array, pt: Array, bar: Array) -> tuple[Any, Any]:
    """Cotangents of 1/beta0 and pt: p dp = pt d(1/beta0) + e d pt."""
    p_e = per_delta(inverse_beta, pt)
    e = inverse_beta + pt
    p = p_e * e
    return bar * (pt / p - p_e) / e, bar * (e / p - p_e) / e
