"""What a kick does particle by particle, between fixed s and fixed t: arithmetic alone, for an adapter to compile.

``X`` is ``(B, 6, n)``, rows are ``(B, n)``, ``at`` and ``p_bar`` are three rows in one array ``(3, B, n)``, ``alive``
is ``(B, n)`` or None for all; ``inverse_beta`` and ``strength``, the change of P/P0 for each V/m of field [m/V], are
``(B, 1)``.
A particle that is not alive is taken as one at rest on the axis, so that nothing of it gets into sums or gradients.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbeam.arrays import join, namespace, over_particles, rows
from backbeam.effects.space_charge.transforms import to_fixed_s, to_fixed_s_pullback, to_fixed_t, to_fixed_t_pullback
from backbeam.maps.kinematics import delta_pz

if TYPE_CHECKING:
    from backbeam.arrays import Array
    from backbeam.effects.space_charge.extents import Extent, Survey

    Rows = tuple[Array, ...]


def positions(X: Array, alive: Array | None, inverse_beta: Array) -> Rows:
    """Positions (x, y, z) at fixed t."""
    return to_fixed_t(*rows(of_alive(X, alive)), inverse_beta)[:3]


def kicked(X: Array, alive: Array | None, inverse_beta: Array, r: Rows, at: Array, strength: Array) -> Array:
    """Coordinates after the kick, from those before it, positions at fixed t and the field."""
    _, px, _, py, _, pt = rows(of_alive(X, alive))
    p = (px, py, delta_pz(px, py, pt, inverse_beta))
    return _for_alive(_at_fixed_s(r, _moved(p, at, strength), inverse_beta), X, alive)


def momentum_bars(
    X: Array, alive: Array | None, inverse_beta: Array, r: Rows, at: Array | None, strength: Array, X1_bar: Array
) -> tuple[Array, Array]:
    """Cotangents of the momenta at fixed t after the kick, and that of inverse_beta ``(B,)`` from there to fixed s.

    ``at`` is the field if X is before the kick, None if it is after.
    """
    _, px, _, py, _, pt = rows(of_alive(X, alive))
    p1 = (px, py, delta_pz(px, py, pt, inverse_beta))
    p1 = p1 if at is None else _moved(p1, at, strength)
    bars = to_fixed_s_pullback(p1[0], p1[1], r[2], p1[2], inverse_beta, rows(of_alive(X1_bar, alive)))
    return namespace(X).stack([bars[1], bars[3], bars[5]]), over_particles(bars[6])


def position_bars(
    extent: Extent,
    alive: Array | None,
    r: Rows,
    at: Array,
    p_bar: Array,
    strength: Array,
    slopes: Rows,
    charge_slopes: Rows,
    centre: Array,
    spacing: Array,
    survey: Survey,
) -> tuple[Rows, tuple[Array, Array, Array, Survey]]:
    """Cotangents of positions through the field, and sums.

    The sums are the cotangents of strength, of the box's centre, and of its spacing through positions, and the tally of
    the extent.

    ``slopes`` are those of sum(p_bar at), ``charge_slopes`` those of sum(q charge_bar), per spacing; ``centre`` and
    ``spacing`` ``(3, B, 1)`` are those of the grid. The cotangents of centre and spacing are ``(3, B)``.
    """
    xp = namespace(at)
    both = zip(slopes, charge_slopes, strict=True)
    bars = tuple((strength * a + b) / spacing[k, ...] for k, (a, b) in enumerate(both))
    centre_bar = xp.stack([-over_particles(bar) for bar in bars])
    spacing_bar = xp.stack(
        [-over_particles(bar * (a - centre[k, ...])) for k, (a, bar) in enumerate(zip(r, bars, strict=True))]
    )
    strength_bar = over_particles(p_bar[0, ...] * at[0, ...] + p_bar[1, ...] * at[1, ...] + p_bar[2, ...] * at[2, ...])
    return bars, (strength_bar, centre_bar, spacing_bar / spacing[..., 0], extent.tally(r, alive, survey))


def coordinate_bars(
    extent: Extent,
    X: Array,
    alive: Array | None,
    inverse_beta: Array,
    r: Rows,
    at: Array,
    strength: Array,
    X1_bar: Array,
    r_bar: Rows,
    shares: Survey | None,
) -> tuple[Array, Array]:
    """Cotangents of the coordinates X before the kick, and that of inverse_beta ``(B,)`` from fixed s to fixed t.

    ``r_bar`` goes through the field, ``shares`` through the box, if not None.
    """
    _, px, _, py, tau, pt = rows(of_alive(X, alive))
    p1 = _moved((px, py, delta_pz(px, py, pt, inverse_beta)), at, strength)
    r_bar = _with_share(extent, r, alive, r_bar, shares)
    return _bars_before((px, py, tau, pt), alive, inverse_beta, r, p1, X1_bar, r_bar)


def undone(
    extent: Extent,
    X1: Array,
    alive: Array | None,
    inverse_beta: Array,
    r: Rows,
    at: Array,
    strength: Array,
    X1_bar: Array,
    r_bar: Rows,
    shares: Survey | None,
) -> tuple[Array, Array, Array]:
    """Coordinates before the kick, from those after it, and what `coordinate_bars` gives there."""
    _, px, _, py, _, pt = rows(of_alive(X1, alive))
    p1 = (px, py, delta_pz(px, py, pt, inverse_beta))
    before = _at_fixed_s(r, _moved(p1, at, -strength), inverse_beta)
    _, px, _, py, tau, pt = before
    r_bar = _with_share(extent, r, alive, r_bar, shares)
    bars = _bars_before((px, py, tau, pt), alive, inverse_beta, r, p1, X1_bar, r_bar)
    return _for_alive(before, X1, alive), *bars


def _with_share(extent: Extent, r: Rows, alive: Array | None, r_bar: Rows, shares: Survey | None) -> Rows:
    """Cotangents of positions through the field and through the box."""
    if shares is None:
        return r_bar
    return tuple(a + b for a, b in zip(r_bar, extent.share(r, alive, shares), strict=True))


def of_alive(X: Array, alive: Array | None) -> Array:
    """X, 0 for particles that are not alive."""
    return X if alive is None else namespace(X).where(alive[:, None, :], X, namespace(X).zeros_like(X))


def _for_alive(parts: Rows, X: Array, alive: Array | None) -> Array:
    """Join rows, and take from X the particles that are not alive."""
    joined = join(*parts)
    return joined if alive is None else namespace(X).where(alive[:, None, :], joined, X)


def _at_fixed_s(r: Rows, p: Rows, inverse_beta: Array) -> Rows:
    """The six rows of coordinates."""
    x, y, tau, pt = to_fixed_s(r[0], p[0], r[1], p[1], r[2], p[2], inverse_beta)
    return x, p[0], y, p[1], tau, pt


def _moved(p: Rows, at: Array, strength: Array) -> Rows:
    """Momenta after the kick."""
    return tuple(a + strength * at[k, ...] for k, a in enumerate(p))


def _bars_before(
    before: Rows, alive: Array | None, inverse_beta: Array, r: Rows, p1: Rows, X1_bar: Array, r_bar: Rows
) -> tuple[Array, Array]:
    """From fixed s after the kick to fixed s before it; what goes through the field is in r_bar."""
    px, py, tau, pt = before
    bars = to_fixed_s_pullback(p1[0], p1[1], r[2], p1[2], inverse_beta, rows(of_alive(X1_bar, alive)))
    x_bar, px_bar, y_bar, py_bar, z_bar, d_bar, _ = bars
    at_fixed_t = (x_bar + r_bar[0], px_bar, y_bar + r_bar[1], py_bar, z_bar + r_bar[2], d_bar)
    *bars, inverse_beta_bar = to_fixed_t_pullback(px, py, tau, pt, inverse_beta, at_fixed_t)
    return _for_alive(tuple(bars), X1_bar, alive), over_particles(inverse_beta_bar)
