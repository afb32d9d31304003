"""Particles without charge beyond all of it: a wide grid gives them its field.

The grids of the charge end with it, whatever else is tracked, so that a particle without charge changes nothing for the
others. One beyond them gets the field of a grid about the same middle, with as many nodes, that is `WIDER` times as
wide; an axis that is longer at rest than the others gains but as much as the longer of these. One beyond that too gets
the field of its edge on the way to the middle, less by the distance as that of a point (of a line, in 2.5 dimensions).

Off by, next to a Gaussian of 10^5 particles that is 1 to 10^5 times as long as wide, at its side and with 32 nodes a
side: 1.5 to 2 % of the field there from the edge of the charge (4.5 rms sizes) on, 1 % at 8, 3 % at 18. Beyond the wide
grid: 1.6 % at most for a ball; a long bunch is no point: 12 % too little at 22 rms sizes, a quarter at 30, half at 60.

`Beyond` stands around the levels of the charge (``levels``) and has their methods. Inside they alone count, to the bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from backbeam import backends
from backbeam.arrays import namespace, over_particles, per_particle
from backbeam.effects.space_charge.drive import Drive
from backbeam.effects.space_charge.extents import Box
from backbeam.effects.space_charge.gridded import Gridded, box_bars
from backbeam.effects.space_charge.levels import OneLevel, TwoLevels, limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from backbeam.arrays import Array
    from backbeam.effects.space_charge.extents import Survey
    from backbeam.effects.space_charge.mesh import Mesh

    Rows = tuple[Array, ...]

WIDER = 4.0
"""Width of the wide grid over that of the charge, along the axes that are not the longest."""


class Beyond(NamedTuple):
    """The levels of the charge, and a wide grid about them."""

    levels: OneLevel | TwoLevels
    wide: Gridded
    """Its mesh has the particles at `Places.at`."""
    own: Any
    """What the levels know of each particle, and its `Places`."""

    @property
    def whole(self) -> Gridded:
        """The grid of all the charge."""
        return self.levels.whole

    def farther(self) -> int:
        """How many particles are beyond the wide grid too."""
        share = self.own[1].share
        return int(namespace(share).sum(namespace(share).astype((share > 0.0) & (share < 1.0), share.dtype)))

    def field(self) -> Any:
        """What `read` needs of all."""
        return self.levels.field(), self.wide.field(self.levels.q), self.wide.mesh.box

    def read(self, r: Rows, own: Any, shared: Any) -> Array:
        """Field ``(3, B, n)`` at positions r of some particles."""
        (inner, places), (levels, field, box) = own, shared
        wide = self.wide.read(field, places.at, box)
        return places.within[None, ...] * self.levels.read(r, inner, levels) + places.share[None, ...] * wide

    def back(self, e_bar: Rows, factor: Array) -> tuple[Any, Any]:
        """What `slopes` needs of all, and what `boxes` does, for cotangents ``factor (B,)`` times ``e_bar``."""
        places = self.own[1]
        shared, of_levels = self.levels.back(tuple(places.within * bar for bar in e_bar), factor)
        outer_bar = tuple(places.share * bar for bar in e_bar)
        field, back = self.wide.field_and_back(self.levels.q, outer_bar, factor)
        mesh = self.wide.mesh
        edges = limits(mesh.box, mesh.grid, mesh.guard)
        return (shared, field, mesh.box, edges, per_particle(factor)), (of_levels, back)

    def slopes(self, r: Rows, q: Array, own: Any, e_bar: Rows, shared: Any) -> tuple[Array, Array, Rows, Any]:
        """Field at some particles, cotangents of their charges and of their positions, and sums."""
        (inner, places), (levels, field, box, edges, factor) = own, shared
        at, q_bar, r_bar, sums = self.levels.slopes(r, q, inner, tuple(places.within * bar for bar in e_bar), levels)
        outer_bar = tuple(places.share * bar for bar in e_bar)
        wide, more_bar, at_bar, of_wide = self.wide.slopes(field, outer_bar, factor, q, places.at, None, box)
        run = backends.of(q).compile(_joined, static=(0,))
        found, r_bar, of_places = run(self.wide.falls, r, places, e_bar, factor, at, wide, r_bar, at_bar, *edges)
        return found, q_bar + more_bar, r_bar, (sums, of_wide, of_places)

    def boxes(self, back: Any, sums: Any, drive: Drive, factor: Array, is_frozen: bool) -> tuple[Survey | None, Drive]:
        """Shares of the particles in all boxes, and cotangents of the drive."""
        (of_levels, back), (sums, of_wide, (centre_bar, half_bar)) = back, sums
        mesh, box = self.whole.mesh, self.wide.mesh.box
        half = limits(mesh.box, mesh.grid, mesh.guard)[1][..., 0]
        spacings = half / mesh.box.spacing  # as many of either grid
        bar = box_bars(back, of_wide, factor, box)
        half_bar, by_stretch = wider_pullback(half, drive.stretch, half_bar + bar.spacing / spacings)
        bar = Box(bar.centre + centre_bar, half_bar * spacings)
        shares, bars = self.levels.boxes(of_levels, sums, drive, factor, is_frozen, bar)
        more = Drive(back.stretch_bar, namespace(factor).sum(of_wide[0], axis=0), namespace(factor).zeros_like(factor))
        if not is_frozen:
            more = more._replace(stretch=more.stretch + by_stretch)
        return shares, Drive(*(a + b for a, b in zip(bars, more, strict=True)))


class Places(NamedTuple):
    """Where particles are on the wide grid, and what it gives them."""

    at: Rows
    """Rows ``(B, n)`` [m]; who is beyond the wide grid is on its edge, and who is not beyond the charge at its place
    there."""
    within: Array
    """1 for those that the levels of the charge serve, else 0 ``(B, n)``."""
    share: Array
    """Of the wide grid's field there, what the others get of it ``(B, n)``."""


def beyond(levels: OneLevel | TwoLevels, r: Rows, alive: Array | None, gridded: Callable[[Mesh], Gridded]) -> Beyond:
    """Put a wide grid about levels for particles at r."""
    mesh = levels.whole.mesh
    half = limits(mesh.box, mesh.grid, mesh.guard)[1][..., 0]
    box = Box(mesh.box.centre, mesh.box.spacing * wider(half, levels.whole.stretch) / half)
    wide = gridded(mesh._replace(box=box))
    edges = limits(wide.mesh.box, mesh.grid, mesh.guard)

    def placed(block: Any, edges: tuple[Array, Array]) -> tuple[Places, None]:
        return backends.of(*block[0]).compile(_placed, static=(0,))(wide.falls, *block, *edges), None

    given = (r, mesh.placed or r, levels.q, alive)
    places, _ = backends.of(*r).blockwise(placed, given, edges)
    wide = wide._replace(mesh=wide.mesh._replace(r=places.at, placed=None))
    return Beyond(levels, wide, (levels.own, places))


def wider(half: Array, stretch: Array) -> Array:
    """Half widths ``(3, B)`` of the wide grid, from those of the charge."""
    scale, at_rest, middle = _middle(half, stretch)
    return half + (WIDER - 1.0) * namespace(half).minimum(at_rest, middle) / scale


def wider_pullback(half: Array, stretch: Array, bar: Array) -> tuple[Array, Array]:
    """Cotangents of the half widths ``(3, B)`` and of the stretch ``(B,)`` for `wider`."""
    xp, (scale, at_rest, middle) = namespace(half), _middle(half, stretch)
    is_short, is_middle = (xp.astype(a, half.dtype) for a in (at_rest <= middle, at_rest == middle))
    more_bar = (WIDER - 1.0) * bar / scale
    share = xp.sum((1.0 - is_short) * more_bar, axis=0) / xp.sum(is_middle, axis=0)
    rest_bar = is_short * more_bar + is_middle * share
    more = xp.minimum(at_rest, middle)
    return bar + rest_bar * scale, rest_bar[2, ...] * half[2, ...] - (more_bar * more)[2, ...] / stretch


def _middle(half: Array, stretch: Array) -> tuple[Array, Array, Array]:
    """Stretch to the rest frame and half widths there ``(3, B)``, and the second largest of them ``(B,)``."""
    xp, one = namespace(half), namespace(half).ones_like(stretch)
    scale = xp.stack([one, one, stretch])
    x, y, z = (half * scale)[0, ...], (half * scale)[1, ...], (half * scale)[2, ...]
    return scale, half * scale, xp.maximum(xp.minimum(x, y), xp.minimum(xp.maximum(x, y), z))


def _placed(falls: int, r: Rows, placed: Rows, q: Array, alive: Array | None, centre: Array, half: Array) -> Places:
    """Places of particles at r, of which those ``placed`` elsewhere on the grid of the charge are beyond it or lost."""
    xp, is_out = namespace(q), q == 0.0
    is_out = is_out & ((r[0] != placed[0]) | (r[1] != placed[1]) | (r[2] != placed[2]))
    if alive is not None:
        is_out = is_out & alive
    off = [xp.where(is_out, a, b) - centre[k, ...] for k, (a, b) in enumerate(zip(r, placed, strict=True))]
    times = _times(off, half)
    at = tuple(
        xp.where(is_out, centre[k, ...] + a / times, b) for k, (a, b) in enumerate(zip(off, placed, strict=True))
    )
    nothing = xp.zeros_like(q)
    return Places(at, xp.where(is_out, nothing, xp.ones_like(q)), xp.where(is_out, _fallen(times, falls), nothing))


def _fallen(times: Array, falls: int) -> Array:
    """Part of the field that is left so many times as far away."""
    return 1.0 / (times * times) if falls == 2 else 1.0 / times


def _times(off: list[Array], half: Array) -> Array:
    """How many times as far as the edge a particle is, at least 1."""
    xp = namespace(*off)
    x, y, z = (xp.abs(a) / half[k, ...] for k, a in enumerate(off))
    return xp.clip(xp.maximum(xp.maximum(x, y), z), 1.0, None)


def _joined(
    falls: int,
    r: Rows,
    places: Places,
    e_bar: Rows,
    factor: Array,
    at: Array,
    wide: Array,
    r_bar: Rows,
    at_bar: Rows,
    centre: Array,
    half: Array,
) -> tuple[Array, Rows, tuple[Array, Array]]:
    """Field, cotangents of position, and of centre and half width of the wide grid through `_placed`."""
    xp, is_out = namespace(wide), places.within == 0.0
    found = places.within[None, ...] * at + places.share[None, ...] * wide
    off = [xp.where(is_out, a, b) - centre[k, ...] for k, (a, b) in enumerate(zip(r, places.at, strict=True))]
    times = _times(off, half)
    one, nothing = xp.ones_like(times), xp.zeros_like(times)
    # share = times^-falls, at = centre + off/times
    times_bar = -falls * places.share * factor * sum(bar * wide[k, ...] for k, bar in enumerate(e_bar))
    times_bar = (times_bar - sum(bar * a for bar, a in zip(at_bar, off, strict=True)) / times) / times
    times_bar = xp.where(is_out & (times > 1.0), times_bar, nothing)
    bars, centre_bar, half_bar = [], [], []
    for k, (a, bar) in enumerate(zip(off, at_bar, strict=True)):
        # Along the axis on which it is farthest, times is |off|/half.
        is_farthest = xp.abs(a) / half[k, ...] == times
        by_times = xp.where(is_farthest, times_bar * xp.where(a < 0.0, -one, one) / half[k, ...], nothing)
        through = bar / times
        bars.append(r_bar[k] + through + by_times)
        centre_bar.append(over_particles(bar - through - by_times))
        half_bar.append(-over_particles(xp.where(is_farthest, times_bar * times / half[k, ...], nothing)))
    return found, tuple(bars), (xp.stack(centre_bar), xp.stack(half_bar))
