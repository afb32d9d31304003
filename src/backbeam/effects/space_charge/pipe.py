"""The space-charge kick of a long beam in a grounded rectangular pipe: two dimensions, no grid.

The potential in a pipe of width a and height b with walls at 0 V is a sum of waves that vanish on the
walls. With X, Y measured from a corner, alpha_l = l pi/a, beta_m = m pi/b, charges q_k spread evenly over
a length d of the beam, and the sum cut at a number of waves in each plane (Qiang, Phys. Rev. Accel. Beams
20 (2017) 014203)::

    phi(X, Y)  = sum_lm phi_lm sin(alpha_l X) sin(beta_m Y)                                              [V]
    phi_lm     = 4/(a b epsilon_0 d (alpha_l^2 + beta_m^2)) sum_k q_k sin(alpha_l X_k) sin(beta_m Y_k)

    d(px, py)  = -grad(phi) charge_number ds/(beta0 gamma0^2 P0 c)                 [P0 c in eV, phi in V]

in which 1/gamma0^2 is what the magnetic force leaves of the electric one. With the current I = beta0 c
sum(q)/d this is the kick of strength K = q I/(2 pi epsilon_0 m c^3 beta0^3 gamma0^3). Every particle
feels the waves of all, of itself too: that is its image in the walls. -charge d(px, py) is the gradient
of one function of all positions, so the kick is symplectic for any number of waves, as long as the pipe
stays where it is.

Positions stay, so the same waves undo the kick.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from backbeam import backends
from backbeam.arrays import join, namespace, over_particles, per_particle, rows
from backbeam.effects.base import Bunch, EffectBars
from backbeam.effects.space_charge.base import SpaceCharge
from backbeam.effects.space_charge.pipe_waves import (
    Blocks,
    charge_sums,
    slope_sums,
    slopes,
    slopes_and_bars,
    transposed,
    wave_numbers,
)
from backbeam.errors import InputError, TrackingError
from backbeam.species import VACUUM_PERMITTIVITY

if TYPE_CHECKING:
    from typing import Any

    from backbeam.arrays import Array
    from backbeam.effects.base import Parameters
    from backbeam.reference import Reference

ORIGINS = ("centre", "corner")
"""centre: the pipe stays about the axis. corner: it follows the beam, its lowest particles on the walls."""

SIZE = {"allowed": "a length in m, greater than 0"}

GRID_GRADIENTS = ("exact", "frozen")
"""exact: through the corner that follows the beam, too. frozen: with the corner held still."""

BEYOND = 1e-5
"""Part of the pipe's size by which rounding may carry a particle into the wall."""

MOST_MODES = 1024
"""Of a side: more are taken for a slip."""


@dataclass(frozen=True)
class SpaceCharge2DPipe(SpaceCharge):
    """Space charge of a coasting beam in a grounded rectangular pipe, by a sum of waves.

    ``p["length"]`` is that of the kick [m]. A particle that is not alive carries no charge, sets no corner, and stays
    as it is. Only px and py change, at fixed s; tau and pt have no influence.

    A particle alive outside the pipe is an error: `backbeam.errors.TrackingError` where values can be
    looked at, NaN in all px and py where the library only traces. An aperture of the pipe's size in the
    line loses it in time.

    Memory, the result included: on a processor 15 numbers a particle forward and 23 backward, as
    particles go in blocks; under a compiler and on a GPU, with all particles at once, about 75 and 130
    for 12 x 12 waves.

    Parameters
    ----------
    width, height:
        Full inner width a and height b of the pipe [m].
    length:
        Length over which the beam's charge is spread [m]: the line density is the total charge over it.
    modes:
        Number of waves in x and in y.
    origin:
        "centre": the pipe is centred on the axis. "corner": at every kick x and y are measured from the
        lowest particle of the beam, as JuTrack does; not what a pipe is, and for comparisons only.
    grid_gradient:
        "exact", or "frozen" for the gradient with the corner held still; no difference for "centre".

    Raises
    ------
    InputError
        For sizes that are not positive, no waves, or a name that is not known.

    Examples
    --------
    >>> bb.SpaceCharge2DPipe(width=0.1, height=0.06, length=100.0, modes=(15, 15)).modes
    (15, 15)
    """

    width: float = field(metadata=SIZE)
    height: float = field(metadata=SIZE)
    length: float = field(metadata=SIZE)
    modes: tuple[int, int] = (12, 12)
    origin: str = "centre"
    grid_gradient: str = "exact"

    kind: ClassVar[str] = "space_charge_pipe"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("width", "height", "length"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
                raise InputError(f"space_charge.{name}", value, SIZE["allowed"])
        object.__setattr__(self, "modes", _checked_modes(self.modes))
        for name, allowed in (("origin", ORIGINS), ("grid_gradient", GRID_GRADIENTS)):
            if getattr(self, name) not in allowed:
                raise InputError(f"space_charge.{name}", getattr(self, name), " or ".join(allowed))

    def forward(self, bunch: Bunch, p: Parameters) -> Array:
        """Coordinates after the kick over its length; `TrackingError` for a particle outside the pipe."""
        return self._kicked(*bunch, p["length"], 1.0)

    def inverse(self, bunch: Bunch, p: Parameters) -> Array:
        """Coordinates before the kick, from the bunch after it."""
        return self._kicked(*bunch, p["length"], -1.0)

    def pullback(self, bunch: Bunch, p: Parameters, X1_bar: Array) -> EffectBars:
        """Cotangents at the bunch before the kick."""
        return self._back(*bunch, p["length"], X1_bar)[1]

    def reverse(self, bunch: Bunch, p: Parameters, X1_bar: Array) -> tuple[Array, EffectBars]:
        """X before the kick and what `pullback` gives there, from the bunch after it; one potential does both."""
        slope, bars = self._back(*bunch, p["length"], X1_bar)
        return _moved(bunch.X, slope, bunch.alive, _strength(bunch.X, bunch.reference, p["length"])), bars

    def describe(self) -> str:
        """Its waves."""
        return f"{self.model()}, {' × '.join(map(str, self.modes))} waves"

    def sizes(self, n: int, batch: int, grids: int) -> dict[str, float]:
        """Particles times waves of both planes."""
        return {"wave": float(batch * n * sum(self.modes))}

    # -- the kick --------------------------------------------------------------------------------------------

    def _kicked(self, X: Array, q: Array, alive: Array | None, reference: Reference, ds: Array, sign: float) -> Array:
        blocks, _ = self._blocks(X, q, alive)
        phi = self._amplitudes(sum(charge_sums(block) for block in blocks))
        slope = _concatenated([slopes(block, phi) for block in blocks])
        return _moved(X, slope, alive, -sign * _strength(X, reference, ds))

    def _back(
        self, X: Array, q: Array, alive: Array | None, reference: Reference, ds: Array, X1_bar: Array
    ) -> tuple[tuple[Array, Array], EffectBars]:
        """Slope of phi at the particles, and the cotangents of X, q, beta_gamma and ds.

        With k those of (px, py), the sum of -k grad(phi) over the particles is -sum_lm phi_lm T_lm with
        T_lm the sum of k grad(wave_lm). phi_lm is a factor times the sum of q wave_lm, so through it a
        charge gets -psi and its position -q grad(psi), with psi the potential that T makes in the place
        of the charge's sums. Through the slope of phi where it is, a particle gets -k times the second
        derivatives of phi.
        """
        xp = namespace(X)
        x_bar, px_bar, y_bar, py_bar, tau_bar, pt_bar = rows(X1_bar)
        kx, ky = _living(px_bar, alive), _living(py_bar, alive)
        blocks, corner = self._blocks(X, q, alive)
        phi, psi = 0.0, 0.0
        for block in blocks:
            phi = phi + charge_sums(block)
            psi = psi + slope_sums(block, kx[..., block.where], ky[..., block.where])
        phi, psi = self._amplitudes(phi), self._amplitudes(psi)
        found = [slopes_and_bars(block, phi, psi, kx[..., block.where], ky[..., block.where]) for block in blocks]
        slope_x, slope_y, by_x, by_y, by_q = _concatenated(found)
        if corner is not None and self.grid_gradient == "exact":
            by_x, by_y = (
                by - share * xp.sum(by, axis=-1, keepdims=True) for by, share in zip((by_x, by_y), corner, strict=True)
            )
        strength = _strength(X, reference, ds)
        each = per_particle(strength)
        x_bar, y_bar = x_bar + _living(each * by_x, alive), y_bar + _living(each * by_y, alive)
        by_strength = -over_particles(kx * slope_x + ky * slope_y)
        # strength ~ 1/(gamma0 (beta0 gamma0)^2)
        relative = by_strength * strength
        beta_gamma_bar = reference.pull_back(
            gamma=-relative / reference.gamma, beta_gamma=-2.0 * relative / reference.beta_gamma
        )
        return (slope_x, slope_y), EffectBars(
            join(x_bar, px_bar, y_bar, py_bar, tau_bar, pt_bar),
            _living(each * by_q, alive),
            beta_gamma_bar,
            {"length": by_strength * _strength(X, reference, 1.0)},
        )

    def _amplitudes(self, sums: Array) -> Array:
        """Amplitudes ``(..., L, M)`` [V] of the potential, from the charge's sums over the waves [C]."""
        kx = wave_numbers(sums[..., :1], self.width)
        ky = wave_numbers(transposed(sums[..., :1, :]), self.height)
        scale = 4.0 / (VACUUM_PERMITTIVITY * self.width * self.height * self.length)
        return scale * sums / (kx * kx + transposed(ky * ky))

    # -- waves and particles ---------------------------------------------------------------------------------

    def _blocks(self, X: Array, q: Array, alive: Array | None) -> tuple[Blocks, tuple[Array, Array] | None]:
        """The waves at every particle, and the share of each in a corner that follows them.

        `TrackingError` for particles outside.
        """
        xp = namespace(X)
        x, y = _living(X[..., 0, :], alive), _living(X[..., 2, :], alive)
        q = _living(q + xp.zeros_like(x), alive)
        corner = None
        if self.origin == "corner":
            held = self.grid_gradient == "frozen"
            (x, x_share), (y, y_share) = _from_lowest(x, alive, held), _from_lowest(y, alive, held)
            corner = x_share, y_share
        u, v = x / self.width, y / self.height
        u = self._without_outside(u, v)
        sizes = self.width, self.height
        return Blocks(u, v, q, sizes, self.modes, centred=self.origin == "centre"), corner

    def _without_outside(self, u: Array, v: Array) -> Array:
        """Return u; raise `TrackingError` for particles outside, or make them NaN under tracing."""
        xp = namespace(u)
        low, high = (-0.5, 0.5) if self.origin == "centre" else (0.0, 1.0)
        inside = (u >= low - BEYOND) & (u <= high + BEYOND) & (v >= low - BEYOND) & (v <= high + BEYOND)
        if backends.of(u).traced([u, v]):
            return xp.where(inside, u, xp.full_like(u, math.nan))
        if not bool(xp.all(inside)):
            count = int(xp.sum(xp.astype(~inside, xp.asarray(0).dtype)))
            raise TrackingError(
                f"{count} of {math.prod(u.shape)} particles are outside the pipe of {self.width:g} m x "
                f"{self.height:g} m, or their positions are no numbers; an aperture loses what hits the wall"
            )
        return u


def _concatenated(blocks: list[tuple[Array, ...]]) -> tuple[Array, ...]:
    """Join the rows ``(..., n)`` of each block to those of the beam."""
    if len(blocks) == 1:
        return blocks[0]
    return tuple(namespace(*parts).concat(parts, axis=-1) for parts in zip(*blocks, strict=True))


def _from_lowest(x: Array, alive: Array | None, held: bool) -> tuple[Array, Array]:
    """Distance from the lowest particle alive ``(..., n)``, and the share of each particle in its place.

    Where it is ``held`` no gradient is asked of that place, of a library that differentiates by itself either.
    """
    xp = namespace(x)
    among = x if alive is None else xp.where(alive, x, xp.full_like(x, math.inf))
    lowest = xp.min(among, axis=-1, keepdims=True)
    lowest = xp.where(lowest < math.inf, lowest, xp.zeros_like(lowest))
    lowest = backends.of(x).constant(lowest) if held else lowest
    there = xp.astype(among == lowest, x.dtype)
    share = there / xp.clip(xp.sum(there, axis=-1, keepdims=True), 1.0, None)
    return _living(x - lowest, alive), share


def _strength(X: Array, reference: Reference, ds: Array | float) -> Array:
    """Change of (px, py) for each V/m of field ``(...)`` [m/V]."""
    species, u = reference.species, reference.beta_gamma
    # beta0 gamma0^2 P0 c = gamma0 (beta0 gamma0)^2 m c^2
    strength = species.charge_number / species.mass / (reference.gamma * u * u) * ds
    return strength + namespace(X).zeros_like(X[..., 0, 0])


def _moved(X: Array, slope: tuple[Array, Array], alive: Array | None, factor: Array) -> Array:
    """X with its momenta changed by a factor times the slope of the potential."""
    x, px, y, py, tau, pt = rows(X)
    factor = per_particle(factor)
    return join(x, px + _living(factor * slope[0], alive), y, py + _living(factor * slope[1], alive), tau, pt)


def _living(row: Array, alive: Array | None) -> Array:
    """Row ``(..., n)`` with 0 for particles that are not alive."""
    xp = namespace(row)
    return row if alive is None else xp.where(alive, row, xp.zeros_like(row))


def _checked_modes(modes: Any) -> tuple[int, int]:
    try:
        found = tuple(int(n) for n in modes)
        usable = len(found) == 2 and all(1 <= n <= MOST_MODES and n == m for n, m in zip(found, modes, strict=True))
    except (TypeError, ValueError, OverflowError):
        usable = False
    if not usable:
        raise InputError("space_charge.modes", modes, f"two numbers of waves (in x, in y), each from 1 to {MOST_MODES}")
    along_x, along_y = found
    return along_x, along_y
