"""Gradients of anything in a table of optics, by any parameter, the energy of the reference, and the start.

By hand, on every array library: from cotangents of columns and numbers back through the lattice functions, the normal
form, the products and the orbit to the parameters. PyTorch and JAX can instead differentiate `optics` themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from math import pi
from typing import TYPE_CHECKING, Any

from array_api_compat import device

from backbeam import backends
from backbeam.arrays import COORDINATES, Array, namespace
from backbeam.errors import InputError
from backbeam.knob_gradient import Wanted
from backbeam.lattice_functions.chromaticity import cosine_slopes, cosine_slopes_pullback
from backbeam.lattice_functions.energy import references_pullback
from backbeam.lattice_functions.functions import DISPERSIONS, lattice_functions_pullback, per_delta, per_delta_pullback
from backbeam.lattice_functions.slip import slip_and_compaction_pullback
from backbeam.lattice_functions.solution import InputBars, SolutionBars
from backbeam.lattice_functions.start import beginning_pullback
from backbeam.lattice_functions.table import CHROMATICITIES, TUNES

if TYPE_CHECKING:
    from backbeam.lattice_functions.table import Optics

OF_REFERENCE = ("reference.beta_gamma", "reference.kinetic_energy")


def pullback(optics: Optics, bars: Mapping[str, Array], wrt: Sequence[str]) -> dict[str, Array]:
    """Gradient from cotangents of columns ``(..., N)`` of the table, and of numbers ``(...)``.

    Parameters
    ----------
    optics:
        The table.
    bars:
        Cotangents by name: ``{"beta_x": ..., "tune_x": 1.0}``.
    wrt:
        Names: ``qf.k1`` of an element; a knob of the line; ``reference.kinetic_energy`` or ``reference.beta_gamma``; of
        a line that is no ring ``start.beta_x``, ..., ``start.x``, ..., and of a ring at a given pt ``start.pt``.

    Returns
    -------
    dict
        Derivative by each name, with the batch axes in front; of what has a batch and the parameter has not, it is
        that of each member.
    """
    asked = Wanted.of(optics.source.line, wrt)
    for name in asked.parameters:
        _check(optics, name)
    _check_energy(optics, asked.parameters)
    found = optics.solution.pullback(_solution_bars(optics, bars))
    lattice: dict[str, Array] = {}
    if not optics.periodic:
        lattice = beginning_pullback(optics.source.start, found.A, found.v)
    return asked.gradient({name: _wanted(optics, name, found, lattice) for name in asked.parameters}, optics)


def value_and_grad(
    function: Callable[[Optics], Any], optics: Optics, wrt: Sequence[str]
) -> tuple[Array, dict[str, Array]]:
    """Value of a function of a table, and its gradient.

    ``function`` is an observable of optics; or any function, which gives ``(value, bars)`` with the cotangents of the
    columns and numbers that it looked at, as `pullback` takes them.
    """
    value, bars = function.optics_bars(optics) if hasattr(function, "optics_bars") else function(optics)
    return value, pullback(optics, bars, wrt)


def _check(optics: Optics, name: str) -> None:
    owner, _, field = str(name).rpartition(".")
    if owner == "reference":
        if name not in OF_REFERENCE:
            raise InputError("wrt", name, " or ".join(OF_REFERENCE))
    elif owner == "start":
        allowed = ("pt",) if optics.periodic else (*optics.source.start, *COORDINATES)
        if field not in allowed:
            raise InputError("wrt", name, f"start with one of {', '.join(allowed)}")
    elif (owner, field) not in optics.solution.passages.slots:
        optics.source.line.get(str(name))
        raise InputError("wrt", name, f"a parameter that {owner} has: give it the value 0.0 first")


def _check_energy(optics: Optics, names: Sequence[str]) -> None:
    """Refuse what would make the reference of a ring another one after a turn."""
    solution = optics.solution
    if not optics.periodic or not solution.passages.accelerating or backends.of(solution.z).traced([solution.z]):
        return
    u = solution.beta_gamma
    xp = namespace(u)
    ending = xp.concat([xp.zeros_like(u[..., :-1]), xp.ones_like(u[..., :1])], axis=-1)
    _, gains = references_pullback(solution.passages, solution.species, solution.vector, u, ending)
    for (owner, field), gain in gains.items():
        if f"{owner}.{field}" in names and bool(xp.any(xp.abs(gain * solution.vector[..., _slot(optics, owner, field)])
                                                       > 1e-9 * u[..., 0])):  # fmt: skip
            allowed = "what leaves the momentum of a ring's reference as it is after a turn"
            raise InputError("wrt", f"{owner}.{field}", allowed)


def _slot(optics: Optics, owner: str, field: str) -> int:
    return optics.solution.passages.slots[owner, field][0]


def _wanted(optics: Optics, name: str, found: InputBars, lattice: Mapping[str, Array]) -> Array:
    """Cotangent of one name."""
    xp = namespace(found.vector)
    owner, _, field = name.rpartition(".")
    if owner == "reference":
        if field == "beta_gamma":
            return found.beta_gamma
        u = optics.solution.beta_gamma[..., 0]
        # dT = m c^2 beta d(beta gamma)
        return found.beta_gamma * xp.sqrt(1.0 + u * u) / (u * optics.solution.species.mass)
    if owner == "start":
        return lattice[field] if field in lattice else found.orbit[..., COORDINATES.index(field)]
    first, shape = optics.solution.passages.slots[owner, field]
    size = reduce(lambda a, b: a * b, shape, 1)
    values = found.vector[..., first : first + size]
    return xp.reshape(values, (*values.shape[:-1], *shape))


# -- from the table to the solution -----------------------------------------------------------------------------------


def _solution_bars(optics: Optics, bars: Mapping[str, Any]) -> SolutionBars:
    """Cotangents of the solution from those of the table."""
    solution = optics.solution
    xp = namespace(solution.z)
    columns, numbers = _sorted(optics, bars)
    zero = xp.zeros_like(optics.everywhere["x"])
    total = SolutionBars()

    def column(name: str) -> Array:
        return columns.get(name, zero)

    ending = xp.concat([xp.zeros_like(zero[..., :-1]), xp.ones_like(zero[..., :1])], axis=-1)
    for name in TUNES:
        if name in numbers:
            plane = name[-1]
            columns[f"mu_{plane}"] = column(f"mu_{plane}") + ending * numbers[name][..., None] / (2.0 * pi)
    first = xp.flip(ending, axis=-1)
    z_bars = {k: columns[name] for k, name in enumerate(COORDINATES) if name in columns}
    inverse_beta_bar = zero
    if any(name in numbers for name in CHROMATICITIES):
        more, mu_bars, factor_bars = _chromatic_bars(optics, [numbers.get(name) for name in CHROMATICITIES])
        total = more
        for plane, bar in mu_bars.items():
            columns[f"mu_{plane}"] = column(f"mu_{plane}") + ending * bar[..., None]
        inverse_beta_bar = inverse_beta_bar + first * factor_bars[0][..., None]
        z_bars[5] = z_bars.get(5, zero) + first * factor_bars[1][..., None]
    v = xp.take(solution.v, solution.ends, axis=-2)
    if optics.per == "delta":
        for name, row in DISPERSIONS.items():
            if name in columns:
                b, pt = optics.inverse_beta, optics.everywhere["pt"]
                b_bar, pt_bar = per_delta_pullback(b, pt, columns[name] * v[..., row] / v[..., 5])
                inverse_beta_bar = inverse_beta_bar + b_bar
                z_bars[5] = z_bars.get(5, zero) + pt_bar
                columns[name] = columns[name] * per_delta(b, pt)
    s_bar, v_end_bar = column("s"), xp.zeros_like(solution.v[..., -1:, :])
    of_start: Any = 0.0
    if "slip_factor" in numbers or "momentum_compaction" in numbers:
        nothing = xp.zeros_like(solution.z[..., 0, 0])
        slip, compaction = (numbers.get(name, nothing) for name in ("slip_factor", "momentum_compaction"))
        turn = slip_and_compaction_pullback(optics.turn, slip, compaction)
        s_bar = s_bar + ending * turn.length[..., None]
        z_bars[4] = z_bars.get(4, zero) + (ending - first) * turn.late[..., None]
        z_bars[5] = z_bars.get(5, zero) + first * turn.pt[..., None]
        of_tau = xp.eye(6, dtype=zero.dtype, device=device(zero))[4, :]
        v_end_bar, of_start = turn.slope[..., None, None] * of_tau, turn.beta_gamma
    A_bar, v_places_bar = lattice_functions_pullback(solution.A, v, columns)
    u = solution.beta_gamma
    u_places = xp.take(u, solution.ends, axis=-1)
    # d(1/beta) = -d u/(u^2 gamma)
    beta_gamma_bar = -inverse_beta_bar / (u_places * u_places * xp.sqrt(1.0 + u_places * u_places))
    beta_gamma_bar = _spread(optics, beta_gamma_bar + first * (zero[..., 0] + of_start)[..., None])
    v_bar = _spread_rows(optics, v_places_bar)
    v_bar = xp.concat([v_bar[..., :-1, :], v_bar[..., -1:, :] + v_end_bar], axis=-2)
    z_places = xp.stack([z_bars.get(k, zero) for k in range(6)], axis=-1)
    return SolutionBars(
        A=A_bar,
        v=v_bar if total.v is None else v_bar + total.v,
        w=total.w,
        z=_spread_rows(optics, z_places) if total.z is None else _spread_rows(optics, z_places) + total.z,
        beta_gamma=beta_gamma_bar if total.beta_gamma is None else beta_gamma_bar + total.beta_gamma,
        vector=_length_bars(optics, s_bar) if total.vector is None else _length_bars(optics, s_bar) + total.vector,
    )


def _sorted(optics: Optics, bars: Mapping[str, Any]) -> tuple[dict[str, Array], dict[str, Array]]:
    """Cotangents of columns at all places, and of numbers of the batch shape."""
    xp, into = namespace(optics.solution.z), backends.of(optics.solution.z)
    columns, numbers = {}, {}
    shape = tuple(optics.everywhere["x"].shape)
    like = optics.solution.z
    for name, bar in bars.items():
        bar = bar if hasattr(bar, "shape") else xp.asarray(bar, dtype=like.dtype)
        if name in optics.everywhere:
            bar = xp.broadcast_to(bar, (*shape[:-1], len(optics.rows)))
            if len(optics.rows) != shape[-1]:
                flat = xp.reshape(bar, (-1, len(optics.rows)))
                bar = xp.reshape(into.scatter_add(flat, optics._index(optics.rows), shape[-1]), shape)
            columns[name] = bar
        else:
            getattr(optics, name)
            numbers[name] = xp.broadcast_to(bar, shape[:-1])
    return columns, numbers


def _chromatic_bars(
    optics: Optics, bars: list[Array | None]
) -> tuple[SolutionBars, dict[str, Array], tuple[Array, Array]]:
    """Of the solution, of the phases at the end, and of 1/beta0 and pt at the start."""
    solution, xp = optics.solution, namespace(optics.solution.z)
    slopes, factor = cosine_slopes(solution), optics.chromatic_factor
    slope_bars, mu_bars = [], {}
    nothing = xp.zeros_like(slopes[0])
    factor_bar = nothing
    for plane, slope, bar in zip("xy", slopes, bars, strict=True):
        mu = optics.everywhere[f"mu_{plane}"][..., -1]
        per_slope = -1.0 / (4.0 * pi * xp.sin(mu))
        bar = nothing if bar is None else bar
        slope_bars.append(bar * factor * per_slope)
        mu_bars[plane] = -bar * factor * slope * per_slope * xp.cos(mu) / xp.sin(mu)
        factor_bar = factor_bar + bar * slope * per_slope
    found = cosine_slopes_pullback(solution, slope_bars)
    if optics.per == "pt":
        return found, mu_bars, (nothing, nothing)
    start = optics.inverse_beta[..., 0], solution.z[..., 0, 5]
    return found, mu_bars, per_delta_pullback(*start, factor_bar)


def _spread(optics: Optics, bar: Array) -> Array:
    """A cotangent at the places ``(..., N)`` as one between all maps ``(..., K + 1)``."""
    xp, into = namespace(bar), backends.of(bar)
    count = optics.solution.M.shape[-3]
    flat = into.scatter_add(xp.reshape(bar, (-1, bar.shape[-1])), optics.solution.ends, count)
    return xp.reshape(flat, (*bar.shape[:-1], count))


def _spread_rows(optics: Optics, bar: Array) -> Array:
    """The same of vectors ``(..., N, 6)``."""
    xp = namespace(bar)
    return xp.moveaxis(_spread(optics, xp.moveaxis(bar, -1, -2)), -2, -1)


def _length_bars(optics: Optics, s_bar: Array) -> Array:
    """Cotangent of the lengths in the vector of parameters: each is in every s behind it."""
    solution = optics.solution
    xp, into = namespace(s_bar), backends.of(s_bar)
    places, slots = solution.passages.thick()
    behind = xp.flip(xp.cumulative_sum(xp.flip(s_bar, axis=-1), axis=-1), axis=-1)
    size = solution.vector.shape[-1]
    if not len(places):
        return xp.zeros((*s_bar.shape[:-1], size), dtype=s_bar.dtype)
    parts = xp.asarray([float(solution.passages.fractions[k]) for k in places], dtype=s_bar.dtype)
    mine = xp.reshape(parts * xp.take(behind, optics._index(places), axis=-1), (-1, len(places)))
    return xp.reshape(into.scatter_add(mine, optics._index(slots), size), (*s_bar.shape[:-1], size))
