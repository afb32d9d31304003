"""Multipoles: the thin kick, and the thick magnet as a symplectic sequence of exact drifts and thin kicks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from backbeam.arrays import join, namespace, over_particles, per_particle, rows
from backbeam.maps.base import Map
from backbeam.maps.drift import drift, drift_pullback
from backbeam.maps.splitting import fold

if TYPE_CHECKING:
    from backbeam.arrays import Array
    from backbeam.maps.base import Cotangents, Parameters
    from backbeam.reference import Reference


class Component(NamedTuple):
    """One term of a multipole expansion and the parameter that holds its strength."""

    parameter: str
    """Name of the parameter."""
    order: int
    """0 dipole, 1 quadrupole, 2 sextupole, ..."""
    skew: bool = False
    """Skew instead of normal."""
    scale: float = 1.0
    """Static factor of the strength."""


def _field(x: Array, y: Array, components: tuple[Component, ...], p: Parameters) -> tuple[Array, Array, Array, Array]:
    """Real and imaginary parts of S = sum_j (k_j + i ks_j) (x + iy)^j/j! and of its derivative dS/dz."""
    normal: dict[int, Array] = {}
    skew: dict[int, Array] = {}
    for c in components:
        (skew if c.skew else normal)[c.order] = c.scale * per_particle(p[c.parameter])
    highest = max(c.order for c in components)
    zero = namespace(x).zeros_like(x)
    re, im, slope_re, slope_im = zero, zero, zero, zero
    # Horner: S = c0 + z/1 (c1 + z/2 (c2 + ...)); the slope follows from the recurrence of the derivatives.
    for j in range(highest, -1, -1):
        u, v = x / (j + 1.0), y / (j + 1.0)
        slope_re, slope_im = (
            re / (j + 1.0) + u * slope_re - v * slope_im,
            im / (j + 1.0) + u * slope_im + v * slope_re,
        )
        re, im = u * re - v * im, u * im + v * re
        if j in normal:
            re = re + normal[j]
        if j in skew:
            im = im + skew[j]
    return re, im, slope_re, slope_im


def kick(X: Array, components: tuple[Component, ...], p: Parameters, weight: Array | float) -> Array:
    """Thin multipole kick: dpx - i dpy = -weight sum_j (k_j + i ks_j) (x + i y)^j/j!."""
    x, px, y, py, tau, pt = rows(X)
    re, im, _, _ = _field(x, y, components, p)
    return join(x, px - weight * re, y, py + weight * im, tau, pt)


def kick_pullback(
    X: Array, components: tuple[Component, ...], p: Parameters, weight: Array | float, X1_bar: Array
) -> tuple[Array, Array, Cotangents]:
    """Cotangents of X, of the weight and of each strength for `kick` (positions are the same before and after)."""
    x, _, y, _, _, _ = rows(X)
    xb, pxb, yb, pyb, taub, ptb = rows(X1_bar)
    re, im, slope_re, slope_im = _field(x, y, components, p)
    X_bar = join(
        xb + weight * (slope_im * pyb - slope_re * pxb),
        pxb,
        yb + weight * (slope_im * pxb + slope_re * pyb),
        pyb,
        taub,
        ptb,
    )
    weight_bar = over_particles(im * pyb - re * pxb)
    strengths: Cotangents = {}
    one, zero = namespace(x).ones_like(x), namespace(x).zeros_like(x)
    powers = [(one, zero)]
    for j in range(1, max(c.order for c in components) + 1):
        a, b = powers[-1]
        powers.append(((x * a - y * b) / float(j), (x * b + y * a) / float(j)))
    for c in components:
        a, b = powers[c.order]
        term = b * pxb + a * pyb if c.skew else b * pyb - a * pxb
        bar = c.scale * over_particles(weight * term)
        strengths[c.parameter] = strengths[c.parameter] + bar if c.parameter in strengths else bar
    return X_bar, weight_bar, strengths


@dataclass(frozen=True)
class ThinMultipoleMap(Map):
    """Kick of a multipole of no length, whose strengths are integrated over it."""

    components: tuple[Component, ...]

    @property
    def affine(self) -> bool:
        """Dipoles and quadrupoles alone."""
        return all(component.order < 2 for component in self.components)

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the integrated strengths."""
        return tuple(dict.fromkeys(c.parameter for c in self.components))

    def forward(self, X: Array, reference: Reference, p: Parameters) -> Array:
        """See `kick`."""
        return kick(X, self.components, p, 1.0)

    def inverse(self, X1: Array, reference: Reference, p: Parameters) -> Array:
        """Kick back."""
        return kick(X1, self.components, p, -1.0)

    def pullback(self, X: Array, reference: Reference, p: Parameters, X1_bar: Array) -> tuple[Array, float, Cotangents]:
        """See `kick_pullback`."""
        X_bar, _, strengths = kick_pullback(X, self.components, p, 1.0, X1_bar)
        return X_bar, 0.0, strengths


@dataclass(frozen=True)
class ThickMultipole(Map):
    """A straight magnet of any multipoles: drift, kick, drift, composed symmetrically to order 2, 4 or 6.

    Parameters
    ----------
    components:
        The terms of its field.
    order, steps:
        Order of the splitting and number of equal steps over this map.
    fraction:
        Part of the element's length that this map covers.
    integrated:
        Whether strengths are integrated over the element (a corrector's angle) or per metre of it.
    """

    components: tuple[Component, ...]
    order: int = 4
    steps: int = 1
    fraction: float = 1.0
    integrated: bool = False

    @property
    def parameters(self) -> tuple[str, ...]:
        """Length [m] and the names of the strengths."""
        return ("length", *dict.fromkeys(c.parameter for c in self.components))

    def _weight(self, length: Array, part: float) -> Array | float:
        return part * self.fraction if self.integrated else part * self.fraction * per_particle(length)

    def _fly(self, X: Array, reference: Reference, p: Parameters, length: Array) -> Array:
        """What is between kicks."""
        return drift(X, reference, length)

    def _fly_pullback(
        self, X: Array, reference: Reference, p: Parameters, length: Array, X1_bar: Array
    ) -> tuple[Array, Array, Array, Cotangents]:
        """Cotangents of X, beta_gamma, the length flown, and what else `_fly` takes of the parameters."""
        return (*drift_pullback(X, reference, length, X1_bar), {})

    def _run(self, X: Array, reference: Reference, p: Parameters, sign: float) -> Array:
        length = p["length"]

        def act(kind: str, part: float, X: Array) -> Array:
            if kind == "drift":
                return self._fly(X, reference, p, sign * part * self.fraction * length)
            return kick(X, self.components, p, sign * self._weight(length, part))

        return fold(self.order, self.steps, act, X, X)

    def forward(self, X: Array, reference: Reference, p: Parameters) -> Array:
        """Run the sequence."""
        return self._run(X, reference, p, 1.0)

    def inverse(self, X1: Array, reference: Reference, p: Parameters) -> Array:
        """Run the sequence backwards: it is symmetric, so only the signs change."""
        return self._run(X1, reference, p, -1.0)

    def reverse(
        self, X1: Array, reference: Reference, p: Parameters, X1_bar: Array
    ) -> tuple[Array, Array, Array, Cotangents]:
        """Undo each drift and kick, pulling back on the way: nothing is stored."""
        length = p["length"]

        def act(kind: str, part: float, carry: Any) -> Any:
            X, X_bar, beta_gamma_bar, bars = carry
            scale = part * self.fraction
            if kind == "drift":
                X = self._fly(X, reference, p, -scale * length)
                X_bar, more, length_bar, others = self._fly_pullback(X, reference, p, scale * length, X_bar)
                found = {"length": scale * length_bar, **others}
                return X, X_bar, beta_gamma_bar + more, {**bars, **{k: bars[k] + bar for k, bar in found.items()}}
            weight = self._weight(length, part)
            X = kick(X, self.components, p, -weight)
            X_bar, weight_bar, strengths = kick_pullback(X, self.components, p, weight, X_bar)
            bars = {**bars, **{name: bars[name] + bar for name, bar in strengths.items()}}
            if not self.integrated:
                bars["length"] = bars["length"] + scale * weight_bar
            return X, X_bar, beta_gamma_bar, bars

        zero = namespace(X1).zeros_like(X1[..., 0, 0])
        start = (X1, X1_bar, zero, dict.fromkeys(self.parameters, zero))
        return fold(self.order, self.steps, act, start, X1, backwards=True)

    def pullback(self, X: Array, reference: Reference, p: Parameters, X1_bar: Array) -> tuple[Array, Array, Cotangents]:
        """Run forward, then `reverse`."""
        return self.reverse(self.forward(X, reference, p), reference, p, X1_bar)[1:]
