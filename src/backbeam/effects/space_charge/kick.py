"""The space-charge kick: the beam's own field in free space over a step of the path, with its exact gradient.

Quasi-static model (Qiang et al., PRST-AB 9 (2006) 044204; Vay, Phys. Plasmas 15 (2008) 056701): in the rest
frame of the reference particle the field is electrostatic. With phi the potential in the laboratory, that
of the charges with distances in z stretched by gamma0, electric and magnetic force together are -charge
grad(phi)/gamma0^2, and over ds

    d(Px, Py, Pz)/P0 = -grad(phi) charge_number ds/(beta0 gamma0^2 P0 c)        [P0 c in eV, phi in V]

at fixed t. Positions stay, so the same field undoes the kick: `SpaceCharge3D.inverse` is exact to rounding
and needs nothing from the way forward.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from backbeam import backends
from backbeam.arrays import namespace, per_particle
from backbeam.effects.base import Bunch, EffectBars
from backbeam.effects.space_charge import particles
from backbeam.effects.space_charge.base import SpaceCharge
from backbeam.effects.space_charge.extents import BeamExtent, Box, Extent, extent_named
from backbeam.effects.space_charge.field import electric_field, potential, potential_and_keep, pull_back
from backbeam.effects.space_charge.mesh import Mesh, block_of, meshed
from backbeam.errors import InputError

if TYPE_CHECKING:
    from backbeam.arrays import Array
    from backbeam.effects.base import Parameters
    from backbeam.reference import Reference

    Rows = tuple[Array, ...]

GRID_GRADIENTS = ("exact", "frozen")
"""exact: of the discrete kick, the box that follows the beam included. frozen: with the box held still."""


class Fields(NamedTuple):
    """What is on a beam's grid, for plots and comparisons."""

    rho: Array
    """Charge density in the laboratory ``(..., nx, ny, nz)`` [C/m^3]."""
    phi: Array
    """Potential in the laboratory ``(..., nx, ny, nz)`` [V]."""
    lower: Array
    """First node (x, y, z) at fixed t ``(..., 3)`` [m]."""
    spacing: Array
    """Distance of neighbouring nodes ``(..., 3)`` [m]."""


@dataclass(frozen=True)
class SpaceCharge3D(SpaceCharge):
    """Space charge in three dimensions and free space.

    ``p["length"]`` is that of the kick [m]. A particle that is not alive carries no charge, sets no box, and stays as
    it is. Each beam of a batch has its own grid.

    Parameters
    ----------
    grid:
        Nodes along x, y, z, each at least 4. Numbers with small prime factors are fastest.
    extent:
        Box that the grid covers: "beam" (from the first to the last particle), "rms", or an `Extent`.
    grid_gradient:
        "exact", or "frozen" for the gradient with the box held still.

    Raises
    ------
    InputError
        For a grid that is too small, or a name that is not known.
    """

    grid: tuple[int, int, int] = (32, 32, 32)
    extent: Extent = field(default_factory=BeamExtent)
    grid_gradient: str = "exact"

    kind: ClassVar[str] = "space_charge_3d"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "extent", extent_named(self.extent))
        least = max(4, 2 * self.extent.guard + 2)
        try:
            grid = tuple(int(n) for n in self.grid)
            usable = len(grid) == 3 and all(n >= least and n == m for n, m in zip(grid, self.grid, strict=True))
        except (TypeError, ValueError):
            usable = False
        if not usable:
            raise InputError(
                "space_charge.grid", self.grid, f"three numbers of nodes (nx, ny, nz), each at least {least}"
            )
        object.__setattr__(self, "grid", grid)
        if self.grid_gradient not in GRID_GRADIENTS:
            raise InputError("space_charge.grid_gradient", self.grid_gradient, " or ".join(GRID_GRADIENTS))

    def forward(self, bunch: Bunch, p: Parameters) -> Array:
        """Coordinates after the kick over its length; `TrackingError` for charge outside the box."""
        return self._kicked(_flat(*bunch, p["length"]), bunch.X, 1.0)

    def inverse(self, bunch: Bunch, p: Parameters) -> Array:
        """Coordinates before the kick, from the bunch after it."""
        return self._kicked(_flat(*bunch, p["length"]), bunch.X, -1.0)

    def pullback(self, bunch: Bunch, p: Parameters, X1_bar: Array) -> EffectBars:
        """Cotangents at the bunch before the kick."""
        return self._back(_flat(*bunch, p["length"]), X1_bar, False)[1]

    def reverse(self, bunch: Bunch, p: Parameters, X1_bar: Array) -> tuple[Array, EffectBars]:
        """X before the kick and what `pullback` gives there, from the bunch after it: one field serves both."""
        return self._back(_flat(*bunch, p["length"]), X1_bar, True)

    def describe(self) -> str:
        """Its grid."""
        return f"{self.model()}, {' × '.join(map(str, self.grid))} nodes"

    def sizes(self, n: int, batch: int, grids: int) -> dict[str, float]:
        """Cells of the grids, what a grid one node larger each way has more, and cells that threads fill besides."""
        cells = math.prod(self.grid)
        faces = math.prod(m + 1 for m in self.grid) - cells
        return {"cell": float(batch * cells), "face": float(batch * faces), "share": float(grids * cells)}

    def fields(self, X: Array, q: Array, alive: Array | None, reference: Reference) -> Fields:
        """Charge density and potential that the kick uses, and their grid."""
        xp = namespace(X)
        beam = _flat(X, q, alive, reference, 0.0)
        mesh = self._mesh(beam)
        charge, box = mesh.deposit(beam.q[None, ...])[0, ...], mesh.box
        h = box.spacing
        rho = charge / (h[0, ...] * h[1, ...] * h[2, ...])[:, None, None, None]
        phi = potential(charge, box, beam.reference.gamma)
        lower = xp.stack([box.centre[k, ...] - 0.5 * (n - 1) * h[k, ...] for k, n in enumerate(self.grid)])
        lower, spacing = xp.permute_dims(lower, (1, 0)), xp.permute_dims(h, (1, 0))
        batch = tuple(X.shape[:-2])
        return Fields(*(xp.reshape(a, batch + tuple(a.shape[1:])) for a in (rho, phi, lower, spacing)))

    def _mesh(self, beam: _Beam) -> Mesh:
        gamma = beam.reference.gamma
        return meshed(beam.X, beam.q, beam.alive, beam.inverse_beta, gamma, self.grid, self.extent)

    def _kicked(self, beam: _Beam, X: Array, sign: float) -> Array:
        """Three passes over the particles: the first finds the box, the second charges the nodes."""
        backend, mesh = backends.of(beam.X), self._mesh(beam)
        charge = mesh.deposit(beam.q[None, ...])[0, ...]
        E = electric_field(potential(charge, mesh.box, beam.reference.gamma), mesh.box, mesh.weights)

        def moved(block: Any, shared: Any) -> tuple[Array, None]:
            (X, alive, r), (E, box, inverse_beta, strength) = block, shared
            at = mesh.weights.gather(E, r, *box, mesh.guard)
            return backends.of(X).compile(particles.kicked)(X, alive, inverse_beta, r, at, strength), None

        shared = (E, mesh.box, beam.inverse_beta, sign * per_particle(beam.strength))
        X1, _ = backend.blockwise(moved, (beam.X, beam.alive, mesh.r), shared, block=block_of(beam.q))
        return namespace(X).reshape(X1, tuple(X.shape))

    def _back(self, beam: _Beam, X1_bar: Array, is_after: bool) -> tuple[Array, EffectBars]:
        """X before the kick, from X before or after it, and the cotangents of X, q, beta_gamma and ds before it.

        Five passes over the particles: box, charge, cotangents of the momenta (which make the nodes' own), those of the
        positions (whose sums make those of the box), those of the coordinates.
        """
        xp, backend, mesh, extent = namespace(X1_bar), backends.of(beam.X), self._mesh(beam), self.extent
        reference, strength, weights, guard = beam.reference, per_particle(beam.strength), mesh.weights, mesh.guard
        shape, block = tuple(X1_bar.shape), block_of(beam.q)
        X1_bar = xp.reshape(X1_bar, tuple(beam.X.shape))
        charge = mesh.deposit(beam.q[None, ...])[0, ...]
        kept = potential_and_keep(charge, mesh.box, reference.gamma)
        E = electric_field(kept.phi, mesh.box, weights)
        common = (E, mesh.box, beam.inverse_beta, strength)

        def to_momenta(block: Any, shared: Any) -> tuple[Array, Array]:
            (X, alive, r, X1_bar), (E, box, inverse_beta, strength) = block, shared
            at = None if is_after else weights.gather(E, r, *box, guard)
            function = backends.of(X).compile(particles.momentum_bars)
            return function(X, alive, inverse_beta, r, at, strength, X1_bar)

        p_bar, inverse_beta_bar = backend.blockwise(
            to_momenta, (beam.X, beam.alive, mesh.r, X1_bar), common, block=block
        )
        E_bar = mesh.deposit(p_bar) * beam.strength[:, None, None, None]
        back = pull_back(kept, E_bar, mesh.box, reference.gamma, weights)
        charge_bar = weights.arrange(back.charge_bar[None, ...])
        del kept, E_bar

        def to_positions(block: Any, shared: Any) -> tuple[Any, Any]:
            (alive, r, q, p_bar), (E, box, _, strength), charge_bar, survey = block, *shared
            at, slopes = weights.gather_slope(E, p_bar, r, *box, guard)
            q_bar, charge_slopes = weights.gather_slope(charge_bar, q[None, ...], r, *box, guard)
            r_bar, sums = backends.of(q).compile(particles.position_bars, static=(0,))(
                extent,
                alive,
                r,
                at,
                p_bar,
                strength,
                slopes,
                charge_slopes,
                per_particle(box.centre),
                per_particle(box.spacing),
                survey,
            )
            return (at, q_bar[0, ...], r_bar), sums

        (at, q_bar, r_bar), (strength_bar, centre_bar, spacing_bar, tally) = backend.blockwise(
            to_positions, (beam.alive, mesh.r, beam.q, p_bar), (common, charge_bar, mesh.survey), block=block
        )
        gamma_bar, shares = back.gamma_bar, None
        if self.grid_gradient == "exact":
            box_bar = Box(centre_bar, spacing_bar + back.spacing_bar)
            through = extent.pullback(mesh.survey, tally, reference.gamma, self.grid, box_bar)
            if through is not None:
                shares, gamma_bar = through[0], gamma_bar + through[1]

        def to_coordinates(block: Any, shared: Any) -> tuple[tuple[Array, Array], Array]:
            (X, alive, r, at, X1_bar, r_bar), (inverse_beta, strength, shares) = block, shared
            function = particles.undone if is_after else particles.coordinate_bars
            run = backends.of(X).compile(function, static=(0,))
            *bars, total = run(extent, X, alive, inverse_beta, r, at, strength, X1_bar, r_bar, shares)
            return bars, total

        (*before, X_bar), more = backend.blockwise(
            to_coordinates,
            (beam.X, beam.alive, mesh.r, at, X1_bar, r_bar),
            (beam.inverse_beta, strength, shares),
            block=block,
        )
        X = before[0] if is_after else beam.X
        if beam.alive is not None:
            q_bar = xp.where(beam.alive, q_bar, xp.zeros_like(q_bar))
        by_strength = strength_bar * beam.strength
        beta_gamma_bar = reference.pull_back(
            gamma=gamma_bar - by_strength / reference.gamma,
            inverse_beta=inverse_beta_bar + more,
            beta_gamma=-2.0 * by_strength / reference.beta_gamma,
        )
        batch = shape[:-2]
        return xp.reshape(X, shape), EffectBars(
            xp.reshape(X_bar, shape),
            xp.reshape(q_bar, (*batch, shape[-1])),
            xp.reshape(beta_gamma_bar, batch),
            {"length": xp.reshape(strength_bar * beam.strength_per_ds, batch)},
        )


class _Beam(NamedTuple):
    """What a kick is given, with one batch axis."""

    X: Array
    q: Array
    """Charges ``(B, n)``, 0 for particles that are not alive."""
    alive: Array | None
    reference: Reference
    inverse_beta: Array
    """``(B, 1)``."""
    strength_per_ds: Array
    """``(B,)`` [1/V]."""
    strength: Array
    """Change of P/P0 for each V/m of field ``(B,)`` [m/V]."""


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
    # beta0 gamma0^2 P0 c = gamma0 (beta0 gamma0)^2 m c^2
    species, u = reference.species, reference.beta_gamma
    per_ds = (species.charge_number / species.mass) / (reference.gamma * u * u)
    strength = per_ds * xp.reshape(zero + ds, (-1,))
    return _Beam(X, q, alive, reference, per_particle(reference.inverse_beta), per_ds, strength)
