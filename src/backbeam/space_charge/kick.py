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

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from backbeam.arrays import join, namespace, over_particles, per_particle, rows
from backbeam.errors import InputError
from backbeam.space_charge.base import SpaceCharge
from backbeam.space_charge.extents import BeamExtent, Extent, extent_named
from backbeam.space_charge.field import Charges, Field, FieldSolver, Kept
from backbeam.space_charge.transforms import to_fixed_s, to_fixed_s_pullback, to_fixed_t, to_fixed_t_pullback

if TYPE_CHECKING:
    from backbeam.arrays import Array
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

    In all methods ``X`` is ``(..., 6, n)``, ``q (..., n)`` charges of macroparticles [C], ``alive (...,
    n)`` boolean, or None for all, ``ds`` a length [m] of the batch shape. A particle that is not alive
    carries no charge, sets no box, and stays as it is. Each beam of a batch has its own grid.

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

    def __post_init__(self) -> None:
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

    def forward(self, X: Array, q: Array, alive: Array | None, reference: Reference, ds: Array) -> Array:
        """Coordinates after the kick over ``ds``; `TrackingError` for charge outside the box."""
        return self._kicked(_flat(X, q, alive, reference, ds), X, 1.0)

    def inverse(self, X1: Array, q: Array, alive: Array | None, reference: Reference, ds: Array) -> Array:
        """Coordinates before the kick, from those after it."""
        return self._kicked(_flat(X1, q, alive, reference, ds), X1, -1.0)

    def pullback(
        self, X: Array, q: Array, alive: Array | None, reference: Reference, ds: Array, X1_bar: Array
    ) -> tuple[Array, Array, Array, Array]:
        """Cotangents of X, q, ``reference.beta_gamma`` and ds, at the state X before the kick.

        Those of ``beta_gamma`` and ``ds`` have the batch shape of X.
        """
        beam = _flat(X, q, alive, reference, ds)
        charges, p = beam.at_fixed_t()
        found, kept = self._solver.solve_and_keep(charges)
        p1 = _moved(p, beam.kick(found.at_particles()), 1.0)
        back = self._back(beam, charges, found, kept, p1, beam.like_rows(X1_bar))
        return _finished(beam, back, rows(beam.X), X1_bar)

    def reverse(
        self, X1: Array, q: Array, alive: Array | None, reference: Reference, ds: Array, X1_bar: Array
    ) -> tuple[Array, Array, Array, Array, Array]:
        """X before the kick and what `pullback` gives there, from X1 after it: one field serves both."""
        beam = _flat(X1, q, alive, reference, ds)
        charges, p1 = beam.at_fixed_t()
        found, kept = self._solver.solve_and_keep(charges)
        back = self._back(beam, charges, found, kept, p1, beam.like_rows(X1_bar))
        earlier = beam.at_fixed_s(charges.r, _moved(p1, back.kick, -1.0))
        return beam.restored(earlier, X1), *_finished(beam, back, earlier, X1_bar)

    def fields(self, X: Array, q: Array, alive: Array | None, reference: Reference) -> Fields:
        """Charge density and potential that the kick uses, and their grid."""
        xp = namespace(X)
        beam = _flat(X, q, alive, reference, 0.0)
        found = self._solver.solve(beam.at_fixed_t()[0])
        h = found.box.spacing
        rho = found.charge / (h[0, ...] * h[1, ...] * h[2, ...])[:, None, None, None]
        lower = xp.stack([found.box.centre[k, ...] - 0.5 * (n - 1) * h[k, ...] for k, n in enumerate(self.grid)])
        lower, spacing = xp.permute_dims(lower, (1, 0)), xp.permute_dims(h, (1, 0))
        batch = tuple(X.shape[:-2])
        return Fields(*(xp.reshape(a, batch + tuple(a.shape[1:])) for a in (rho, found.phi, lower, spacing)))

    @property
    def _solver(self) -> FieldSolver:
        return FieldSolver(self.grid, self.extent, self.grid_gradient == "exact")

    def _kicked(self, beam: _Beam, X: Array, sign: float) -> Array:
        charges, p = beam.at_fixed_t()
        kick = beam.kick(self._solver.solve(charges).at_particles())
        return beam.restored(beam.at_fixed_s(charges.r, _moved(p, kick, sign)), X)

    def _back(self, beam: _Beam, charges: Charges, found: Field, kept: Kept, p1: Rows, bars: Rows) -> _Back:
        """From cotangents after the kick to those at fixed t before it."""
        xp = namespace(beam.q)
        x_bar, px_bar, y_bar, py_bar, z_bar, d_bar, inverse_beta_bar = to_fixed_s_pullback(
            p1[0], p1[1], charges.r[2], p1[2], beam.inverse_beta, bars
        )
        p_bar = xp.stack([px_bar, py_bar, d_bar])
        at_bar = xp.reshape(p_bar * per_particle(beam.strength), (3, -1))
        at, r_bar, q_bar, gamma_bar = self._solver.pullback(charges, found, kept, at_bar)
        strength_bar = xp.sum(p_bar * xp.reshape(at, tuple(p_bar.shape)), axis=(0, -1))
        r_bar = tuple(a + b for a, b in zip((x_bar, y_bar, z_bar), r_bar, strict=True))
        return _Back(
            beam.kick(at),
            (r_bar[0], px_bar, r_bar[1], py_bar, r_bar[2], d_bar),
            q_bar,
            strength_bar,
            over_particles(inverse_beta_bar),
            gamma_bar,
        )


class _Back(NamedTuple):
    """Cotangents at fixed t before the kick, and the kick."""

    kick: Rows
    bars: Rows
    q_bar: Array
    strength_bar: Array
    inverse_beta_bar: Array
    gamma_bar: Array


class _Beam(NamedTuple):
    """What a kick is given, with one batch axis; nothing of the particles that are not alive."""

    X: Array
    q: Array
    alive: Array | None
    reference: Reference
    inverse_beta: Array
    """``(B, 1)``."""
    strength_per_ds: Array
    """``(B,)`` [1/V]."""
    strength: Array
    """Change of P/P0 for each V/m of field ``(B,)`` [m/V]."""

    def at_fixed_t(self) -> tuple[Charges, Rows]:
        """Charges at fixed t, and their momenta (px, py, d)."""
        x, px, y, py, tau, pt = rows(self.X)
        x, y, z, d = to_fixed_t(x, px, y, py, tau, pt, self.inverse_beta)
        return Charges((x, y, z), self.q, self.alive, self.reference.gamma), (px, py, d)

    def at_fixed_s(self, r: Rows, p: Rows) -> Rows:
        """Rows of coordinates."""
        x, y, tau, pt = to_fixed_s(r[0], p[0], r[1], p[1], r[2], p[2], self.inverse_beta)
        return x, p[0], y, p[1], tau, pt

    def kick(self, at: Array) -> Rows:
        """Change of momenta from the field at particles ``(3, B n)``."""
        at = namespace(at).reshape(at, (3, *self.q.shape)) * per_particle(self.strength)
        return at[0, ...], at[1, ...], at[2, ...]

    def like_rows(self, X_bar: Array) -> Rows:
        """Rows ``(B, n)`` of a cotangent ``(..., 6, n)``, 0 for particles that are not alive."""
        xp = namespace(X_bar)
        X_bar = xp.reshape(X_bar, tuple(self.X.shape))
        if self.alive is not None:
            X_bar = xp.where(self.alive[:, None, :], X_bar, xp.zeros_like(X_bar))
        return rows(X_bar)

    def restored(self, parts: Rows, X: Array) -> Array:
        """Join rows to the shape of X, and take from X the particles that are not alive."""
        xp = namespace(X)
        joined = join(*parts)
        if self.alive is not None:
            joined = xp.where(self.alive[:, None, :], joined, xp.reshape(X, tuple(joined.shape)))
        return xp.reshape(joined, tuple(X.shape))


def _flat(X: Array, q: Array, alive: Array | None, reference: Reference, ds: Array | float) -> _Beam:
    """Bring everything to one batch axis."""
    xp = namespace(X)
    batch, n = tuple(X.shape[:-2]), X.shape[-1]
    zero = xp.zeros_like(X[..., 0, 0])
    X = xp.reshape(X, (-1, 6, n))
    q = xp.reshape(xp.broadcast_to(q, (*batch, n)), (-1, n))
    if alive is not None:
        alive = xp.reshape(xp.broadcast_to(alive, (*batch, n)), (-1, n))
        X = xp.where(alive[:, None, :], X, xp.zeros_like(X))
        q = xp.where(alive, q, xp.zeros_like(q))
    reference = reference.with_beta_gamma(xp.reshape(zero + reference.beta_gamma, (-1,)))
    # beta0 gamma0^2 P0 c = gamma0 (beta0 gamma0)^2 m c^2
    species, u = reference.species, reference.beta_gamma
    per_ds = (species.charge_number / species.mass) / (reference.gamma * u * u)
    strength = per_ds * xp.reshape(zero + ds, (-1,))
    return _Beam(X, q, alive, reference, per_particle(reference.inverse_beta), per_ds, strength)


def _moved(p: Rows, kick: Rows, sign: float) -> Rows:
    return tuple(a + sign * b for a, b in zip(p, kick, strict=True))


def _finished(beam: _Beam, back: _Back, before: Rows, X1_bar: Array) -> tuple[Array, Array, Array, Array]:
    """From cotangents at fixed t, and coordinates before the kick, to those of what was given."""
    xp = namespace(X1_bar)
    batch = tuple(X1_bar.shape[:-2])
    _, px, _, py, tau, pt = before
    *bars, inverse_beta_bar = to_fixed_t_pullback(px, py, tau, pt, beam.inverse_beta, back.bars)
    X_bar = beam.restored(tuple(bars), X1_bar)
    q_bar = back.q_bar
    if beam.alive is not None:
        q_bar = xp.where(beam.alive, q_bar, xp.zeros_like(q_bar))
    by_strength = back.strength_bar * beam.strength
    reference = beam.reference
    beta_gamma_bar = reference.pull_back(
        gamma=back.gamma_bar - by_strength / reference.gamma,
        inverse_beta=back.inverse_beta_bar + over_particles(inverse_beta_bar),
        beta_gamma=-2.0 * by_strength / reference.beta_gamma,
    )
    return (
        X_bar,
        xp.reshape(q_bar, (*batch, X1_bar.shape[-1])),
        xp.reshape(beta_gamma_bar, batch),
        xp.reshape(back.strength_bar * beam.strength_per_ds, batch),
    )
