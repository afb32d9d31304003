"""Thin bend: a dipole of no length that bends the reference, with the focusing of a sector of that angle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backbeam.arrays import Array, join, namespace, over_particles, per_particle, rows
from backbeam.maps.base import Map

if TYPE_CHECKING:
    from backbeam.maps.base import Cotangents, Parameters
    from backbeam.reference import Reference


def _momentum(pt: Array, b: Array) -> tuple[Array, Array]:
    """Momentum deviation delta, and its slope E = (pt + 1/beta0)/(1 + delta) by pt."""
    a = pt * (2.0 * b + pt)
    momentum = namespace(a).sqrt(1.0 + a)
    return a / (1.0 + momentum), (pt + b) / momentum


@dataclass(frozen=True)
class ThinBend(Map):
    """Kick of a thin dipole in a frame that turns by ``angle`` there.

    H = -angle x (1 + delta) + k0l x + k0l angle/lrad x^2/2 depends on positions and energy alone, so it is solved by::

        px  += (angle - k0l) + angle delta - k0l angle/lrad x        tau += angle x (pt + 1/beta0)/(1 + delta)

    the thin sector of MAD-X's and Xsuite's multipole.

    Parameters
    ----------
    field:
        Whether there is a field ``k0l`` [rad].
    focuses:
        Whether there is a length ``lrad`` [m] over which that field is spread.
    """

    field: bool = True
    focuses: bool = False

    @property
    def parameters(self) -> tuple[str, ...]:
        """The reference's angle [rad], and what there is of k0l [rad] and lrad [m]."""
        return ("angle", *(("k0l",) if self.field else ()), *(("lrad",) if self.field and self.focuses else ()))

    def _strengths(self, p: Parameters) -> tuple[Array, Array, Array]:
        """Angle, what the field bends less, and the focusing."""
        angle = p["angle"]
        less = angle - p["k0l"] if self.field else angle
        focusing = p["k0l"] * angle / p["lrad"] if self.field and self.focuses else 0.0 * angle
        return tuple(map(per_particle, (angle, less, focusing)))

    def _run(self, X: Array, reference: Reference, p: Parameters, sign: float) -> Array:
        x, px, y, py, tau, pt = rows(X)
        angle, less, focusing = self._strengths(p)
        delta, slope = _momentum(pt, per_particle(reference.inverse_beta))
        return join(x, px + sign * (less + angle * delta - focusing * x), y, py, tau + sign * (angle * x * slope), pt)

    def forward(self, X: Array, reference: Reference, p: Parameters) -> Array:
        """Kick."""
        return self._run(X, reference, p, 1.0)

    def inverse(self, X1: Array, reference: Reference, p: Parameters) -> Array:
        """Kick back."""
        return self._run(X1, reference, p, -1.0)

    def pullback(self, X: Array, reference: Reference, p: Parameters, X1_bar: Array) -> tuple[Array, Array, Cotangents]:
        """Transpose of the derivative of the kick; with u = beta0 gamma0, E^2 - 1 = 1/(u (1 + delta))^2."""
        x, _, _, _, _, pt = rows(X)
        xb, pxb, yb, pyb, taub, ptb = rows(X1_bar)
        angle, _, focusing = self._strengths(p)
        b, u = per_particle(reference.inverse_beta), per_particle(reference.beta_gamma)
        delta, slope = _momentum(pt, b)
        momentum = 1.0 + delta
        late = angle * x * taub
        X_bar = join(
            xb - focusing * pxb + angle * slope * taub,
            pxb,
            yb,
            pyb,
            taub,
            ptb + angle * slope * pxb - late / (u * momentum) ** 2 / momentum,
        )
        inverse_beta_bar = over_particles((angle * pt * pxb + late * (1.0 - slope * pt / momentum)) / momentum)
        turned, displaced = over_particles(pxb), over_particles(x * pxb)
        bars = {"angle": over_particles(momentum * pxb + x * slope * taub)}
        if self.field:
            bars["k0l"] = -turned
        if self.field and self.focuses:
            strength = displaced / p["lrad"]
            bars["angle"] = bars["angle"] - p["k0l"] * strength
            bars["k0l"] = bars["k0l"] - p["angle"] * strength
            bars["lrad"] = p["k0l"] * p["angle"] / p["lrad"] * strength
        return X_bar, reference.pull_back(inverse_beta=inverse_beta_bar), bars
