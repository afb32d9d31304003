"""The space-charge kick: the beam's own field in free space over a step of the path, with its exact gradient.

Quasi-static model (Qiang et al., PRST-AB 9 (2006) 044204; Vay, Phys. Plasmas 15 (2008) 056701): in the frame in which
the beam rests as a whole its field is electrostatic. With phi the potential in the laboratory, electric and magnetic
force together are -charge grad(phi)/gamma_b^2 across, and with subscript b for the beam's mean energy, and psi = Z ds
phi/(beta_b gamma_b^2 P0 c),

    dpx = -d psi/dx,    dpy = -d psi/dy,    dpt = +d psi/dtau              [P0 c in eV, phi in V]

**At fixed s** (the default) positions are (x, y, -beta_b tau), as they stand where the kick is: a particle feels the
neighbours within sigma_x/gamma_b of it, over whose delays nothing drifts. So it is right for a bunch of any length,
and nothing depends on when the bunch arrives, nor on which reference describes it. Positions stay, and so does the
mean energy, because the grid exerts no force on the beam as a whole: the same field undoes the kick,
`SpaceCharge3D.inverse` is exact to rounding and needs nothing from the way forward. ``drive`` has the constants.

What this leaves out: transverse momenta beside m c (gamma sigma_x' = 0.1 is 1 to 2 % of the field across, 0.3 is 8 to
15 %), a slice's offset in energy (twice its relative value), and the spread of velocities of a long slow bunch with a
chirp (delta beta/beta; protons of 2.5 MeV with 10 % rms: 5.4 %). For the last, **at fixed t** is better (0.7 % there),
where every particle is first brought to the time of the reference, straight on; it holds while
sigma_z sigma_px/sigma_x is small.
See ``planes``; ``validity`` has a table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from backbeam import backends
from backbeam.arrays import namespace, per_particle
from backbeam.effects.base import Bunch, EffectBars
from backbeam.effects.space_charge import particles, validity
from backbeam.effects.space_charge.base import SpaceCharge
from backbeam.effects.space_charge.beyond import Beyond, beyond
from backbeam.effects.space_charge.core import AutoExtent
from backbeam.effects.space_charge.drive import COULOMB, Drive, Sums, mean_of
from backbeam.effects.space_charge.extents import Box, Extent
from backbeam.effects.space_charge.gridded import Gridded
from backbeam.effects.space_charge.levels import OneLevel, TwoLevels, limits, window
from backbeam.effects.space_charge.mesh import block_of, meshed
from backbeam.effects.space_charge.named import extent_named
from backbeam.effects.space_charge.planes import PLANES, FixedS, FixedT
from backbeam.effects.space_charge.steep import Steep
from backbeam.errors import InputError
from backbeam.reference import Reference

if TYPE_CHECKING:
    from backbeam.arrays import Array
    from backbeam.effects.base import Parameters
    from backbeam.effects.space_charge.extents import Rows, Survey
    from backbeam.effects.space_charge.mesh import Mesh
    from backbeam.species import Species

GRID_GRADIENTS = ("exact", "frozen")
"""exact: of the discrete kick, the box that follows the beam included. frozen: with the box held still."""
ORDERS = (2, 4)
MOST_NODES = 512**3
"""More than this are taken for a slip: the transform of so many, doubled each way, takes 9 GB."""


class Fields(NamedTuple):
    """What is on a beam's grid, for plots and comparisons."""

    rho: Array
    """Charge density in the laboratory ``(..., nx, ny, nz)`` [C/m^3]."""
    phi: Array
    """Potential in the laboratory ``(..., nx, ny, nz)`` [V]."""
    lower: Array
    """First node (x, y, z) ``(..., 3)`` [m]."""
    spacing: Array
    """Distance of neighbouring nodes ``(..., 3)`` [m]."""


@dataclass(frozen=True)
class SpaceCharge3D(SpaceCharge):
    """Space charge in three dimensions and free space.

    ``p["length"]`` is that of the kick [m]. A particle that is not alive carries no charge, sets no box, and stays as
    it is; one without charge sets no box either, and is kicked as any other: beyond all the charge by a wider grid, see
    ``beyond``. Each beam of a batch has its own grid.

    Parameters
    ----------
    grid:
        Nodes along x, y, z, each at least 6 (at order 2: 4), and at most 512^3 in all. Numbers with small prime
        factors are fastest.
    extent:
        Box that the grid covers: "auto" (from the first to the last charge, with a second grid about the core where
        that is much smaller, see `AutoExtent`), "beam" (without it), "rms", or an `Extent`.
    grid_gradient:
        "exact", or "frozen" for the gradient with the box held still.
    plane:
        "s", or "t" for a kick at fixed time with the energy of the reference, as other codes make it. ``at="s"`` and
        ``at="t"`` are short for it.
    order:
        Of the mean field in the spacing: 4, or 2, which has less noise where particles are few a cell and overshoots
        less at sharp edges. None: 4 at fixed s, 2 at fixed t.
    far:
        Whether there is a wider grid for particles without charge beyond all of it, which else get the field at the
        edge of the charge's. None: where there are such particles, or, over a run, in the beam that it begins with; no
        where values cannot be looked at.

    Raises
    ------
    InputError
        For a grid that is too small, or a name that is not known.

    Examples
    --------
    >>> line = bb.Line([bb.Drift(1.0)])
    >>> beam = bb.Beam.gaussian(
    ...     n=1000, species="electron", kinetic_energy=5e6, charge=1e-9, sigma_x=1e-3, sigma_y=1e-3, sigma_tau=1e-3
    ... )
    >>> out = bb.track(line, beam, space_charge=bb.SpaceCharge3D(grid=(16, 16, 16)), slices=4)
    >>> bool(out.sigma("px") > beam.sigma("px"))
    True
    """

    grid: tuple[int, int, int] = (32, 32, 32)
    extent: Extent = field(default_factory=AutoExtent)
    grid_gradient: str = "exact"
    plane: str = "s"
    order: Any = None
    far: bool | None = None

    kind: ClassVar[str] = "space_charge_3d"

    def __post_init__(self) -> None:
        if isinstance(self.at, str):
            if self.at not in tuple(PLANES):
                raise InputError("space_charge.at", self.at, " or ".join(PLANES))
            object.__setattr__(self, "plane", self.at)
            object.__setattr__(self, "at", None)
        super().__post_init__()
        object.__setattr__(self, "extent", extent_named(self.extent))
        if not isinstance(self.plane, str) or self.plane not in PLANES:
            raise InputError("space_charge.plane", self.plane, " or ".join(PLANES))
        object.__setattr__(self, "order", PLANES[self.plane].order if self.order is None else self.order)
        if isinstance(self.order, bool) or not isinstance(self.order, int) or self.order not in ORDERS:
            raise InputError("space_charge.order", self.order, "2 or 4")
        object.__setattr__(self, "grid", checked_grid(self.grid, 2 * self.guard + 2))
        if self.far is not None and not isinstance(self.far, bool):
            raise InputError("space_charge.far", self.far, "True, False, or None for where it is wanted")
        if not isinstance(self.grid_gradient, str) or self.grid_gradient not in GRID_GRADIENTS:
            raise InputError("space_charge.grid_gradient", self.grid_gradient, " or ".join(GRID_GRADIENTS))

    @property
    def guard(self) -> int:
        """Empty cells around the charge: where it is, every difference has its neighbours."""
        return max(self.extent.guard, self.order // 2) if self.extent.guard or self.order > 2 else 0

    def forward(self, bunch: Bunch, p: Parameters) -> Array:
        """Coordinates after the kick over its length; `TrackingError` for charge outside the box."""
        return self._moved(_flat(*bunch, p["length"]), bunch.X, 1.0)

    def inverse(self, bunch: Bunch, p: Parameters) -> Array:
        """Coordinates before the kick, from the bunch after it."""
        return self._moved(_flat(*bunch, p["length"]), bunch.X, -1.0)

    def pullback(self, bunch: Bunch, p: Parameters, X1_bar: Array) -> EffectBars:
        """Cotangents at the bunch before the kick."""
        if self.plane == "t":
            return self.reverse(bunch._replace(X=self.forward(bunch, p)), p, X1_bar)[1]
        return _shaped(self._back(_flat(*bunch, p["length"]), X1_bar, False), bunch.X)[1]

    def reverse(self, bunch: Bunch, p: Parameters, X1_bar: Array) -> tuple[Array, EffectBars]:
        """X before the kick and what `pullback` gives there, from the bunch after it: one field serves both."""
        return _shaped(self._back(_flat(*bunch, p["length"]), X1_bar, True), bunch.X)

    def settled(self, bunch: Bunch) -> SpaceCharge3D:
        """With the grids that the bunch wants; as it is where values cannot be looked at."""
        backend, (X, q, alive, reference) = backends.of(bunch.X), bunch
        # Under a trace what is computed cannot be looked at, even of numbers that can: so a sum is among them.
        if backend.traced((X, q, reference.beta_gamma + 0.0)):
            return self
        look = backend.as_one(_looked_at, static=(0, 1))
        spread, is_wide, is_bare = look(self, reference.species, X, q, alive, reference.beta_gamma)
        validity.ask(spread, self.plane)
        found = self
        if is_wide is not None:
            found = found.replace(extent=self.extent.settled(bool(is_wide)))
        if is_bare is not None:
            found = found.replace(far=bool(is_bare))
        if found.far:
            levels = found._prepared(_on_host(_flat(*bunch, 0.0))).levels
            validity.ask_of_places(levels.farther() if isinstance(levels, Beyond) else 0)
        return found

    def describe(self) -> str:
        """Its grid."""
        levels = ", two levels" if self.extent.levels == 2 else ""
        far = ", a wider one for particles without charge" if self.far else ""
        return f"{self.model()}, {' × '.join(map(str, self.grid))} nodes{levels}{far}"

    def sizes(self, n: int, batch: int, grids: int) -> dict[str, float]:
        """Cells of the grids, what a grid one node larger each way has more, and cells that threads fill besides."""
        cells = math.prod(self.grid) * ((3 if self.extent.levels == 2 else 1) + bool(self.far))
        faces = math.prod(m + 1 for m in self.grid) - math.prod(self.grid)
        return {"cell": float(batch * cells), "face": float(batch * faces), "share": float(grids * cells)}

    def fields(self, X: Array, q: Array, alive: Array | None, reference: Reference) -> Fields:
        """Charge density and potential that the kick uses, and their grid."""
        xp = namespace(X)
        beam = _flat(X, q, alive, reference, 0.0)
        _, _, _, _, drive, levels = self._prepared(beam)
        grid = levels.whole
        box = grid.mesh.box
        charge = grid.mesh.deposit(beam.q)[0, ...]
        phi = grid.potential(charge)
        one = xp.ones_like(drive.pace)
        to_lab = xp.stack([one, one, 1.0 / drive.pace])
        h = box.spacing * to_lab
        rho = charge / (h[0, ...] * h[1, ...] * h[2, ...])[:, None, None, None]
        gamma = drive.pace * drive.stretch  # at fixed s: u_b/beta_b; at fixed t: gamma_0
        phi = xp.astype(phi, h.dtype, copy=False) * (COULOMB * gamma)[:, None, None, None]
        centre = box.centre * to_lab * xp.stack([one, one, -one])  # the third axis points backwards
        rho, phi = xp.flip(rho, axis=-1), xp.flip(phi, axis=-1)
        lower = xp.stack([centre[k, ...] - 0.5 * (n - 1) * h[k, ...] for k, n in enumerate(self.grid)])
        lower, spacing = xp.permute_dims(lower, (1, 0)), xp.permute_dims(h, (1, 0))
        batch = tuple(X.shape[:-2])
        return Fields(*(xp.reshape(a, batch + tuple(a.shape[1:])) for a in (rho, phi, lower, spacing)))

    def _moved(self, beam: _Beam, X: Array, sign: float) -> Array:
        """Coordinates after the kick, or before it, in the shape of X."""
        return namespace(X).reshape(self._kicked(beam, sign), tuple(X.shape))

    @property
    def _at(self) -> FixedS | FixedT:
        return PLANES[self.plane]

    def _places(self, beam: _Beam) -> Rows:
        """Positions where the kick is made."""
        (Y, _), _ = self._at.entered(beam.X, beam.alive, None, per_particle(beam.reference.inverse_beta))
        return particles.positions(beam.X if Y is None else Y)

    def _prepared(self, beam: _Beam, X1_bar: Array | None = None) -> _Prepared:
        """Ready for a kick of the beam, or, with the cotangent of the coordinates after it, for the way back."""
        found = self._charged(beam, X1_bar)
        drive = found.drive
        levels: Any = found.levels  # those of the charge
        count = levels.whole.mesh.beyond
        if self.far is False or count == 0 or (count is None and not self.far):
            return found

        def gridded(mesh: Mesh) -> Gridded:
            return self._gridded(mesh._replace(box=self._held(mesh.box)), drive)

        return found._replace(levels=beyond(levels, particles.positions(found.X), beam.alive, gridded))

    def _charged(self, beam: _Beam, X1_bar: Array | None) -> _Prepared:
        """One pass over the particles brings them there and finds the box and the mean energy; more find the core of
        the charge.
        """
        extent, backend, at, block = self.extent, backends.of(beam.X), self._at, block_of(beam.q)
        inverse_beta = per_particle(beam.reference.inverse_beta)
        is_seen = not backend.traced((beam.q,))
        all_charged = is_seen and beam.alive is None and not bool(namespace(beam.q).any(beam.q == 0.0))
        if extent.levels is None and is_seen:
            extent = extent.settled(bool(extent.is_wide(self._places(beam), None if all_charged else beam.q)))

        def surveyed(block: Any, inverse_beta: Array) -> tuple[Any, tuple[Survey, Sums, Array | None]]:
            X, q, alive, bar = block
            found, inverse_beta_bar = at.entered(X, alive, bar, inverse_beta)
            run = backends.of(X).compile(particles.surveyed, static=(0, 1))
            of_block = run(extent, all_charged, X if found[0] is None else found[0], q, alive)
            return found, (*of_block, inverse_beta_bar)

        def combine(a: Any, b: Any) -> Any:
            sums = Sums(*(x + y for x, y in zip(a[1], b[1], strict=True)))
            return extent.combine(a[0], b[0]), sums, None if a[2] is None else a[2] + b[2]

        (Y, Y_bar), (survey, sums, inverse_beta_bar) = backend.blockwise(
            surveyed, (beam.X, beam.q, beam.alive, X1_bar), inverse_beta, combine, block
        )
        X, X1_bar = beam.X if Y is None else Y, X1_bar if Y_bar is None else Y_bar
        r = particles.positions(X)
        drive = at.energy.of(beam.reference, beam.ds, sums)
        box = self._held(extent.box(survey, drive, self.grid, self.guard))
        mesh = meshed(r, beam.q, beam.alive, box, self.grid, self.guard, extent.holds_all and all_charged)
        whole = self._gridded(mesh, drive)
        if extent.levels != 2:
            return _Prepared(X, X1_bar, inverse_beta_bar, sums, drive, OneLevel(extent, survey, whole, beam.q))
        two: Any = extent  # an extent of two levels has a core
        survey, core, is_open = two.core(r, beam.q, survey, drive, self.grid, self.guard)
        core = self._held(core)
        inner = mesh._replace(box=core)
        edges = limits(core, self.grid, self.guard)

        def windowed(block: tuple[Rows, Rows | None], shared: Any) -> tuple[Array, None]:
            r, placed = block
            return backends.of(*r).compile(window)(r, placed, *shared), None

        w, _ = backend.blockwise(windowed, (r, mesh.placed), (edges, is_open))
        fine = self._gridded(inner, drive)
        levels = TwoLevels(extent, survey, whole, fine, beam.q, w, is_open)
        return _Prepared(X, X1_bar, inverse_beta_bar, sums, drive, levels)

    def _held(self, box: Box) -> Box:
        """The box, for a library that differentiates by itself as for us: a number where it is frozen."""
        if self.grid_gradient == "exact":
            return box
        return Box(*(backends.of(part).constant(part) for part in box))

    def _gridded(self, mesh: Mesh, drive: Drive) -> Gridded:
        """The field of charges on a mesh; without guards differences are one-sided, which no convolution is."""
        has_wide = backends.of(drive.stretch).wide(drive.stretch) == namespace(drive.stretch).float64
        kind = Gridded if has_wide or not self.guard else Steep
        return kind(mesh, drive.stretch, self.order)

    def _kicked(self, beam: _Beam, sign: float) -> Array:
        """Three passes over the particles: box and energy, charge on the nodes, field and kick."""
        Y, _, _, _, drive, levels = self._prepared(beam)

        def moved(block: Any, shared: Any) -> tuple[Array, None]:
            (Y, X, alive, own), (field, strength, inverse_beta) = block, shared
            at = levels.read(particles.positions(Y), own, field)
            return self._at.kicked(Y, X, alive, at, strength, inverse_beta), None

        factors = sign * per_particle(drive.strength), per_particle(beam.reference.inverse_beta)
        given = (Y, None if beam.alive is None else beam.X, beam.alive, levels.own)
        X1, _ = backends.of(beam.X).blockwise(moved, given, (levels.field(), *factors), block=block_of(beam.q))
        return X1

    def _back(self, beam: _Beam, X1_bar: Array, is_after: bool) -> tuple[Array, Array, Array, Array, Array]:
        """X before the kick, from X before or after it, and the cotangents of X, q, beta_gamma and ds before it, where
        X does not move or is after the kick.

        Five passes over the particles: box and energy, charge, cotangents of the momenta (which make the nodes' own),
        those of the positions (whose sums make those of the box), those of the coordinates.
        """
        xp, backend, extent, block = namespace(X1_bar), backends.of(beam.X), self.extent, block_of(beam.q)
        Y, X1_bar, to_t, sums, drive, levels = self._prepared(beam, xp.reshape(X1_bar, tuple(beam.X.shape)))
        p_bar = particles.momenta(X1_bar, beam.alive)
        shared, back = levels.back(p_bar, drive.strength)

        def to_positions(block: Any, shared: Any) -> tuple[Any, Any]:
            (Y, q, alive, own, p_bar), (field, strength) = block, shared
            at, q_bar, r_bar, sums = levels.slopes(particles.positions(Y), q, own, p_bar, field)
            before = backends.of(Y).compile(particles.kicked)(Y, alive, at, -strength) if is_after else None
            return (before, q_bar, r_bar), sums

        (before, q_bar, r_bar), totals = backend.blockwise(
            to_positions,
            (Y, beam.q, beam.alive, levels.own, p_bar),
            (shared, per_particle(drive.strength)),
            block=block,
        )
        Y = before if is_after else Y
        is_frozen = self.grid_gradient == "frozen"
        shares, bars = levels.boxes(back, totals, drive, drive.strength, is_frozen)
        found = self._at.energy.pull_back(beam.reference, beam.ds, sums, drive, bars)

        means = per_particle(mean_of(sums)), per_particle(found.energy), per_particle(beam.reference.inverse_beta)
        (X, X_bar, by_energy), to_s = backend.blockwise(
            partial(self._at.coordinate_bars, extent),
            (Y, None if beam.alive is None else beam.X, beam.alive, beam.q, X1_bar, r_bar),
            (shares, *means),
            block=block,
        )
        q_bar = q_bar + by_energy
        if beam.alive is not None:
            q_bar = xp.where(beam.alive, q_bar, xp.zeros_like(q_bar))
        u_bar = found.beta_gamma
        if to_s is not None:
            u_bar = u_bar + beam.reference.pull_back(inverse_beta=to_t + to_s)
        return Y if X is None else X, X_bar, q_bar, u_bar, found.ds


def checked_grid(given: Any, least: int) -> tuple[int, int, int]:
    """Three whole numbers of nodes, or `InputError`."""
    try:
        nx, ny, nz = (int(n) for n in given)
        usable = min(nx, ny, nz) >= least and (nx, ny, nz) == tuple(given)
    except Exception:  # whatever it is, it is no grid
        usable = False
    if not usable:
        raise InputError("space_charge.grid", given, f"three numbers of nodes (nx, ny, nz), each at least {least}")
    if nx * ny * nz > MOST_NODES:
        raise InputError("space_charge.grid", given, f"at most {MOST_NODES} nodes in all, as 512 x 512 x 512 are")
    return nx, ny, nz


class _Beam(NamedTuple):
    """What a kick is given, with one batch axis."""

    X: Array
    q: Array
    """Charges ``(B, n)``, 0 for particles that are not alive."""
    alive: Array | None
    reference: Reference
    ds: Array
    """``(B,)``."""


class _Prepared(NamedTuple):
    """A beam where the kick is made, and what makes it."""

    X: Array
    X1_bar: Array | None
    """Cotangent of X after the kick there, on the way back."""
    inverse_beta_bar: Array | None
    """Of the way there, on the way back ``(B,)``."""
    sums: Sums
    """Over the charge."""
    drive: Drive
    """What they drive."""
    levels: OneLevel | TwoLevels | Beyond
    """The grids, with one for those beyond if there are some."""


def _flat(X: Array, q: Array, alive: Array | None, reference: Reference, ds: Array | float) -> _Beam:
    """Bring everything to one batch axis."""
    xp = namespace(X)
    batch, n = tuple(X.shape[:-2]), X.shape[-1]
    zero = xp.zeros_like(X[..., 0, 0])
    X = xp.reshape(X, (-1, 6, n))
    q = xp.reshape(xp.broadcast_to(q, (*batch, n)), (-1, n))
    if alive is not None:
        alive = xp.reshape(xp.broadcast_to(alive, (*batch, n)), (-1, n))
        q = xp.where(alive, q, xp.zeros_like(q))
    reference = reference.with_beta_gamma(xp.reshape(zero + reference.beta_gamma, (-1,)))
    return _Beam(X, q, alive, reference, xp.reshape(zero + ds, (-1,)))


def _looked_at(
    model: SpaceCharge3D, species: Species, X: Array, q: Array, alive: Array | None, beta_gamma: Array
) -> tuple[validity.Spread, Array | None, Array | None]:
    """Of the bunch that a run begins with: what the model leaves out, and where it is to choose by them, whether its
    box is wide and whether particles have no charge.
    """
    beam = _flat(X, q, alive, Reference(beta_gamma, species), 0.0)
    is_wide = None if model.extent.levels is not None else model.extent.is_wide(model._places(beam), beam.q)
    is_bare = None if model.far is not None else particles.some_without_charge(beam.q, beam.alive)
    return validity.spread_of(beam.X, beam.q, beam.reference), is_wide, is_bare


def _on_host(beam: _Beam) -> _Beam:
    """In NumPy, where a look costs no compilation."""
    host = backends.of(beam.X).to_numpy
    reference = beam.reference.with_beta_gamma(host(beam.reference.beta_gamma))
    return _Beam(
        host(beam.X), host(beam.q), beam.alive if beam.alive is None else host(beam.alive), reference, host(beam.ds)
    )


def _shaped(found: tuple[Array, ...], X: Array) -> tuple[Array, EffectBars]:
    """X and the cotangents of X, q, beta_gamma and length, in the batch shape of X."""
    xp, batch, n = namespace(X), tuple(X.shape[:-2]), X.shape[-1]
    shapes = (tuple(X.shape), tuple(X.shape), (*batch, n), batch, batch)
    before, X_bar, q_bar, u_bar, length_bar = (xp.reshape(a, shape) for a, shape in zip(found, shapes, strict=True))
    return before, EffectBars(X_bar, q_bar, u_bar, {"length": length_bar})
