"""The field of the charge where the particles are, from one grid or from two, and the way back.

`OneLevel` is a grid over all the charge. `TwoLevels` has a second, fine one about its core, for beams with a halo or a
stray particle, whose box would be many times the core. They are joined by superposition: with C and F the fields of
the coarse and of the fine grid, and w a `window` of position, 1 in the core and 0 outside the fine grid,

    E = C[q] + w (F[w q] - C[w q])

The charge in the window pushes itself by the fine grid, and all the rest is the coarse one's. Each of the three is
antisymmetric, so the momentum of the beam is conserved to rounding, and the field is continuous where a particle
crosses the window: no slope of w is in it.

Both have the same methods. ``own`` is what they know of each particle, ``shared`` what they know of all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from backbeam import backends
from backbeam.arrays import namespace, over_particles, per_particle
from backbeam.effects.space_charge.drive import Drive
from backbeam.effects.space_charge.extents import Box
from backbeam.effects.space_charge.gridded import Gridded, box_bars

if TYPE_CHECKING:
    from backbeam.arrays import Array
    from backbeam.effects.space_charge.extents import Extent, Survey

    Rows = tuple[Array, ...]

FULL = 0.8
"""Part of the half width of the fine grid within which its window is 1."""


class OneLevel(NamedTuple):
    """One grid over all the charge."""

    extent: Extent
    survey: Survey
    grid: Gridded
    q: Array

    @property
    def whole(self) -> Gridded:
        """The grid of all the charge."""
        return self.grid

    @property
    def own(self) -> Any:
        """Where on the grid particles are that are not on it themselves."""
        return self.grid.mesh.placed

    def field(self) -> Any:
        """What `read` needs of all."""
        return self.grid.field(self.q), self.grid.mesh.box

    def read(self, r: Rows, own: Any, shared: Any) -> Array:
        """Field ``(3, B, n)`` at positions r of some particles."""
        field, box = shared
        return self.grid.read(field, r if own is None else own, box)

    def back(self, e_bar: Rows, factor: Array) -> tuple[Any, Any]:
        """What `slopes` needs of all, and what `boxes` does, for cotangents ``factor (B,)`` times ``e_bar``."""
        field, back = self.grid.field_and_back(self.q, e_bar, factor)
        return (field, self.grid.mesh.box, per_particle(factor), self.survey), back

    def slopes(self, r: Rows, q: Array, own: Any, e_bar: Rows, shared: Any) -> tuple[Array, Array, Rows, Any]:
        """Field at some particles, cotangents of their charges and of their positions, and sums."""
        field, box, factor, survey = shared
        at, q_bar, r_bar, sums = self.grid.slopes(field, e_bar, factor, q, r, own, box)
        return at, q_bar, r_bar, (sums, _tally(self.extent, r, q, survey))

    def boxes(
        self, back: Any, sums: Any, drive: Drive, factor: Array, is_frozen: bool, box_bar: Box | None = None
    ) -> tuple[Survey | None, Drive]:
        """Shares of the particles in the box, and cotangents of the drive; ``box_bar``: of the box, from elsewhere."""
        (along, *of_box), tally = sums
        nothing = namespace(factor).zeros_like(factor)
        bars = Drive(back.stretch_bar, namespace(along).sum(along, axis=0), nothing)
        if is_frozen:
            return None, bars
        mesh = self.grid.mesh
        bar = _sum(box_bars(back, (along, *of_box), factor, mesh.box), box_bar)
        shares, more = self.extent.pullback(self.survey, tally, drive, mesh.grid, mesh.guard, bar)
        return shares, _sum(bars, more)


class TwoLevels(NamedTuple):
    """A coarse grid over all the charge and a fine one over its core."""

    extent: Any
    """An extent with a core: see ``core``."""
    survey: Survey
    coarse: Gridded
    fine: Gridded
    q: Array
    window: Array
    """Window of each particle ``(B, n)``."""
    is_open: Array
    """Along which axes the window does not close, as all the charge is in the fine grid there ``(3, B)``."""

    @property
    def whole(self) -> Gridded:
        """The grid of all the charge."""
        return self.coarse

    @property
    def own(self) -> Any:
        """Where on the coarse grid particles are that are not on it themselves, and the window of each."""
        return self.coarse.mesh.placed, self.window

    def field(self) -> Any:
        """What `read` needs of all."""
        inner = self.window * self.q
        fields = self.coarse.field(self.q), self.coarse.field(inner), self.fine.field(inner)
        return fields, self.coarse.mesh.box, self.fine.mesh.box

    def read(self, r: Rows, own: Any, shared: Any) -> Array:
        """Field ``(3, B, n)`` at positions r of some particles."""
        (placed, window), ((all_coarse, coarse, fine), box, core) = own, shared
        r = r if placed is None else placed
        closer = self.fine.read(fine, r, core) - self.coarse.read(coarse, r, box)
        return self.coarse.read(all_coarse, r, box) + window[None, ...] * closer

    def back(self, e_bar: Rows, factor: Array) -> tuple[Any, Any]:
        """What `slopes` needs of all, and what `boxes` does, for cotangents ``factor (B,)`` times ``e_bar``."""
        inner, inner_bar = self.window * self.q, tuple(self.window * bar for bar in e_bar)
        levels = ((self.coarse, self.q, e_bar, factor), (self.coarse, inner, inner_bar, -factor))
        found = [
            grid.field_and_back(charge, bars, sign)
            for grid, charge, bars, sign in (*levels, (self.fine, inner, inner_bar, factor))
        ]
        fields, backs = zip(*found, strict=True)
        boxes = self.coarse.mesh.box, self.fine.mesh.box
        return (fields, *boxes, per_particle(factor), self.survey, self.is_open), backs

    def slopes(self, r: Rows, q: Array, own: Any, e_bar: Rows, shared: Any) -> tuple[Array, Array, Rows, Any]:
        """Field at some particles, cotangents of their charges and of their positions, and sums."""
        (placed, w), (fields, box, core, factor, survey, is_open) = own, shared
        inner, inner_bar = w * q, tuple(w * bar for bar in e_bar)
        at, q_bar, r_bar, sums = self.coarse.slopes(fields[0], e_bar, factor, q, r, placed, box)
        less, less_bar, r1_bar, less_sums = self.coarse.slopes(fields[1], inner_bar, -factor, inner, r, placed, box)
        more, more_bar, r2_bar, more_sums = self.fine.slopes(fields[2], inner_bar, factor, inner, r, placed, core)
        run = backends.of(q).compile(_joined)
        at, q_bar, r_bar, of_window = run(
            r, q, placed, w, e_bar, factor, at, less, more, q_bar, less_bar, more_bar,
            tuple(zip(r_bar, r1_bar, r2_bar, strict=True)), self._limits(core), is_open,
        )  # fmt: skip
        return at, q_bar, r_bar, (sums, less_sums, more_sums, of_window, _tally(self.extent, r, q, survey))

    def _limits(self, core: Box) -> tuple[Array, Array]:
        """Centre and half width of the window ``(3, B, 1)``."""
        return limits(core, self.fine.mesh.grid, self.fine.mesh.guard)

    def boxes(
        self, back: Any, sums: Any, drive: Drive, factor: Array, is_frozen: bool, box_bar: Box | None = None
    ) -> tuple[Survey | None, Drive]:
        """Shares of the particles in both boxes, and cotangents of the drive; ``box_bar``: of that of all charge,
        from elsewhere.
        """
        *of_levels, of_window, tally = sums
        xp = namespace(factor)
        along = sum(xp.sum(s[0], axis=0) * sign for s, sign in zip(of_levels, (1.0, -1.0, 1.0), strict=True))
        bars = Drive(back[0].stretch_bar + back[1].stretch_bar + back[2].stretch_bar, along, xp.zeros_like(along))
        if is_frozen:
            return None, bars
        mesh, core = self.coarse.mesh, self.fine.mesh.box
        first, second = (
            box_bars(b, s, f, mesh.box) for b, s, f in zip(back, of_levels[:2], (factor, -factor), strict=False)
        )
        whole_bar = _sum(_sum(first, second), box_bar)
        core_bar = box_bars(back[2], of_levels[2], factor, core)
        # The half width of the window is so many spacings.
        half = self._limits(core)[1][..., 0] / core.spacing
        core_bar = Box(core_bar.centre + of_window[0], core_bar.spacing + of_window[1] * half)
        shares, more = self.extent.pullback_both(
            self.survey, tally, drive, mesh.grid, mesh.guard, whole_bar, core_bar, self.is_open
        )
        return shares, _sum(bars, more)


def window(r: Rows, placed: Rows | None, limits: tuple[Array, Array], is_open: Array) -> Array:
    """1 near the middle of the core, 0 outside it, of class C2 between: a product over the axes that are not open.

    Who is not at its place on the coarse grid (the lost, and those without charge beyond all of it) is outside: the
    fine grid ends with the charge, and so does what it knows.
    """
    found = 1.0
    for k, a in enumerate(r):
        found = found * _along(a, limits, is_open, k)[0]
        if placed is not None:
            found = namespace(a).where(a == placed[k], found, namespace(a).zeros_like(a))
    return found


def limits(core: Box, grid: tuple[int, int, int], guard: int) -> tuple[Array, Array]:
    """Centre and half width ``(3, B, 1)`` of the part of a grid that may hold charge."""
    xp = namespace(core.spacing)
    half = xp.stack([core.spacing[k, ...] * (0.5 * (n - 1 - 2 * guard)) for k, n in enumerate(grid)])
    return per_particle(core.centre), per_particle(half)


def _along(a: Array, limits: tuple[Array, Array], is_open: Array, k: int) -> tuple[Array, Array, Array]:
    """Window along an axis, its slope by the distance in half widths, and that distance."""
    xp = namespace(a)
    centre, half = limits
    u = (a - centre[k, ...]) / half[k, ...]
    t = xp.clip((1.0 - xp.abs(u)) / (1.0 - FULL), 0.0, 1.0)
    value = t * t * t * (10.0 - t * (15.0 - 6.0 * t))
    slope = -30.0 * (t * (1.0 - t)) ** 2 / (1.0 - FULL) * xp.where(u < 0.0, -xp.ones_like(u), xp.ones_like(u))
    opened = is_open[k, :, None]
    return xp.where(opened, xp.ones_like(u), value), xp.where(opened, xp.zeros_like(u), slope), u


def _joined(
    r: Rows,
    q: Array,
    placed: Rows | None,
    w: Array,
    e_bar: Rows,
    factor: Array,
    at: Array,
    less: Array,
    more: Array,
    q_bar: Array,
    less_bar: Array,
    more_bar: Array,
    bars: tuple[Rows, ...],
    limits: tuple[Array, Array],
    is_open: Array,
) -> tuple[Array, Array, Rows, tuple[Array, Array]]:
    """Field, cotangents of charge and position, and of the window's centre and half width, of all three terms."""
    xp = namespace(q)
    closer = more - less
    inner_bar = less_bar + more_bar
    w_bar = q * inner_bar + factor * sum(bar * closer[k, ...] for k, bar in enumerate(e_bar))
    axes = [_along(a, limits, is_open, k) for k, a in enumerate(r if placed is None else placed)]
    r_bar, centre_bar, half_bar = [], [], []
    for k, (_, slope, u) in enumerate(axes):
        others = axes[(k + 1) % 3][0] * axes[(k + 2) % 3][0]
        bar = w_bar * slope * others / limits[1][k, ...]
        if placed is not None:
            bar = xp.where(r[k] == placed[k], bar, xp.zeros_like(bar))
        r_bar.append(sum(bars[k]) + bar)
        centre_bar.append(-over_particles(bar))
        half_bar.append(-over_particles(bar * u))
    found = at + w[None, ...] * closer
    return found, q_bar + w * inner_bar, tuple(r_bar), (xp.stack(centre_bar), xp.stack(half_bar))


def _tally(extent: Extent, r: Rows, q: Array, survey: Survey) -> Survey:
    """`Extent.tally`, compiled."""
    return backends.of(q).compile(_tallied, static=(0,))(extent, r, q, survey)


def _tallied(extent: Extent, r: Rows, q: Array, survey: Survey) -> Survey:
    return extent.tally(r, q, survey)


def _sum(a: Any, b: Any) -> Any:
    """Of two named tuples of a kind; b may be None."""
    return a if b is None else type(a)(*(x + y for x, y in zip(a, b, strict=True)))
