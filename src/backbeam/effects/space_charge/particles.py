"""What a kick does particle by particle: arithmetic alone, for an adapter to compile.

``X`` is ``(B, 6, n)``, rows are ``(B, n)``; ``at``, the field, is three rows in one array ``(3, B, n)``, ``strength``,
the change of momentum for each C/m^2 of it [m^2/C], is ``(B, 1)``. ``alive`` is ``(B, n)`` or None for all; the lost
are not moved, and nothing of them gets into sums or gradients.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbeam.arrays import join, namespace, over_particles, rows
from backbeam.effects.space_charge.drive import Sums, sums_of

if TYPE_CHECKING:
    from backbeam.arrays import Array
    from backbeam.effects.space_charge.extents import Extent, Survey

    Rows = tuple[Array, ...]


def positions(X: Array) -> Rows:
    """The three rows that the field depends on."""
    return X[..., 0, :], X[..., 2, :], X[..., 4, :]


def some_without_charge(q: Array, alive: Array | None) -> Array:
    """Whether a living particle has none ``()``."""
    none = q == 0.0
    return namespace(q).any(none if alive is None else none & alive)


def momenta(X: Array, alive: Array | None) -> Rows:
    """The three rows that a kick changes, 0 for the lost."""
    found = X[..., 1, :], X[..., 3, :], X[..., 5, :]
    return found if alive is None else tuple(namespace(X).where(alive, a, namespace(X).zeros_like(a)) for a in found)


def surveyed(extent: Extent, all_charged: bool, X: Array, q: Array, alive: Array | None) -> tuple[Survey, Sums]:
    """What box and drive of a kick depend on."""
    return extent.survey(positions(X), None if all_charged else q), sums_of(q, X[..., 5, :], alive)


def kicked(X: Array, alive: Array | None, at: Array, strength: Array) -> Array:
    """Coordinates after the kick."""
    x, px, y, py, tau, pt = rows(X)
    px, py, pt = (p + strength * at[k, ...] for k, p in enumerate((px, py, pt)))
    moved = join(x, px, y, py, tau, pt)
    return moved if alive is None else namespace(X).where(alive[:, None, :], moved, X)


def position_bars(
    r: Rows,
    at: Array,
    e_bar: Rows,
    slopes: Rows,
    placed: Rows | None,
    centre: Array,
    spacing: Array,
) -> tuple[Rows, tuple[Array, Array, Array]]:
    """Cotangents of positions through the field, and sums.

    ``e_bar`` are proportional to the cotangents of the field ``at``; ``slopes`` are the derivatives, per spacing, of
    the sum of these times the field and of the charges times theirs; ``centre`` and ``spacing`` ``(3, B, 1)`` are those
    of the grid, ``placed`` the places on it of particles at r, if they are others. The sums are those of ``e_bar at``
    for each axis, and the cotangents of the box's centre and of its spacing through positions ``(3, B)``.
    """
    xp = namespace(at)
    bars = tuple(slope / spacing[k, ...] for k, slope in enumerate(slopes))
    if placed is None:
        placed = r
    else:
        # On the edge, where it was brought, a particle stays in the same place of the grid.
        bars = tuple(xp.where(a == b, bar, xp.zeros_like(bar)) for a, b, bar in zip(r, placed, bars, strict=True))
    along = over_particles(xp.stack([bar * at[k, ...] for k, bar in enumerate(e_bar)]))
    centre_bar = -over_particles(xp.stack(bars))
    apart = [bar * (a - centre[k, ...]) for k, (a, bar) in enumerate(zip(placed, bars, strict=True))]
    spacing_bar = -over_particles(xp.stack(apart))
    return bars, (along, centre_bar, spacing_bar / spacing[..., 0])


def coordinate_bars(
    extent: Extent,
    X: Array,
    q: Array,
    X1_bar: Array,
    r_bar: Rows,
    shares: Survey | None,
    mean: Array,
    energy_bar: Array,
) -> tuple[Array, Array]:
    """Cotangents of the coordinates X before the kick, and of the charge through the mean energy.

    ``r_bar`` goes through the field, ``shares`` through the box, if not None; ``energy_bar (B, 1)`` through the sum of
    q pt, whose mean is ``mean (B, 1)``.
    """
    x_bar, px_bar, y_bar, py_bar, tau_bar, pt_bar = rows(X1_bar)
    if shares is not None:
        r_bar = tuple(a + b for a, b in zip(r_bar, extent.share(positions(X), q, shares), strict=True))
    found = (x_bar + r_bar[0], px_bar, y_bar + r_bar[1], py_bar, tau_bar + r_bar[2], pt_bar + energy_bar * q)
    return join(*found), energy_bar * (X[..., 5, :] - mean)
