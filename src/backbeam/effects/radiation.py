"""What a particle sees of the radiation of those behind it: the kernel of one-dimensional CSR, and its derivatives.

A particle has the path L inside a bend of curvature kappa, and a drift x, behind it: x = 0 while it is inside. Of a
line density lambda of charge it sees the field

    E(z) = -1/(pi eps_0) int_0^inf w(s) lambda'(z - s) ds         s: how far behind the source is

    w = 1/(l + 2 x)    s = kappa^2/24 l^3 (l + 4 x)/(l + x)    sources in the bend, when it was l < L from the end of L
    w = 1/(L + 2 x)    s < kappa^2/6 L^2 (L + 3 x)             sources before the bend
    w = 0              s beyond

These three lines are all the cases of Saldin, Schneidmiller and Yurkov, NIM A 398 (1997) 373, for 1/gamma small against
the angles, written in lengths instead of angles: so they are smooth in kappa through 0. Far inside a long bend the
first is (24 s/kappa^2)^(-1/3), the steady state.

lambda is linear between nodes, and w is integrated from node to node (an integrated Green function: Mitchell, Qiang and
Ryne, NIM A 715 (2013) 119), over l where the source is in the bend, by a Gauss rule that is exact for x = 0. So the
peak of w at s = 0 is no matter of resolution. All differences are first ones, of positive numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from backbeam.arrays import namespace
from backbeam.effects.quadrature import GAUSS

if TYPE_CHECKING:
    from backbeam.arrays import Array

NEWTON = 7
"""Steps to a root from within a factor of 1.6 of it."""


class Radiation(NamedTuple):
    """w integrated from node to node, and what it follows from. Columns ``(B, 1)``, lines ``(B, nodes)``."""

    edge: Array
    """Numbers 1, 2, ... of the nodes behind."""
    spacing: Array
    k2: Array
    """Square of the curvature."""
    L: Array
    """Path in the bend, up to the particle or to its end."""
    x: Array
    """Path behind it."""
    s: Array
    """How far behind a node is."""
    inside: Array
    """Whether what acts from there was in the bend, and"""
    y: Array
    """there 24 s/kappa^2,"""
    l: Array
    """and how far before the end of the bend it was; L for all beyond."""

    @property
    def value(self) -> Array:
        """What a charge does at distances of 0, 1, ... nodes: lambda' is its own, up to a node and down from it."""
        cells, _ = self._in_bend()
        held = self._held(self.s, *self._reach()[:2])
        return _difference(0.125 * self.k2 * cells + _from(self._reach()[0], held) / _safe(self.L + 2.0 * self.x))

    def slope(
        self, *, spacing: float = 0.0, curvature_squared: float = 0.0, passed: float = 0.0, behind: float = 0.0
    ) -> Array:
        """Derivative of `value` in a direction."""
        xp, k2, L, x = namespace(self.s), self.k2, self.L, self.x
        s_slope = self.edge * spacing + xp.zeros_like(self.s)
        some = xp.where(self.inside, k2, xp.ones_like(self.s))
        y_slope = 24.0 * (s_slope - self.s / some * curvature_squared) / some
        l, l2 = self.l, self.l * self.l
        numerator = (l + x) * y_slope + (self.y - 4.0 * l2 * l) * behind
        denominator = xp.where(self.inside, 4.0 * l2 * (l + 3.0 * x) - self.y, xp.ones_like(self.s))
        l_slope = xp.where(self.inside, numerator / denominator, xp.full_like(self.s, passed))

        first, last, Y = self._reach()
        ratio = L / _safe(L + x)
        Y_slope = 3.0 * (ratio * (L + 2.0 * x)) ** 2 * passed + 3.0 * (ratio * L) ** 2 * behind
        first_slope = (curvature_squared * Y + k2 * Y_slope) / 24.0
        last_slope = L * L * (L + 3.0 * x) * curvature_squared / 6.0 + 0.5 * k2 * L * (
            (L + 2.0 * x) * passed + L * behind
        )
        held = self._held(self.s, first, last)
        held_slope = xp.where(self.s < first, first_slope, xp.where(self.s > last, last_slope, s_slope))

        cells, cells_slope = self._in_bend(l_slope, behind)
        way = _safe(L + 2.0 * x)
        flat = _from(first_slope, held_slope) / way - _from(first, held) * (passed + 2.0 * behind) / (way * way)
        return _difference(0.125 * (curvature_squared * cells + k2 * cells_slope) + flat)

    def _reach(self) -> tuple[Array, Array, Array]:
        """How far behind the entrance of the bend is, and where w ends; and 24/kappa^2 times the first."""
        L, x = self.L, self.x
        Y = L * L * L * (L + 4.0 * x) / _safe(L + x)
        return self.k2 * Y / 24.0, self.k2 * L * L * (L + 3.0 * x) / 6.0, Y

    def _held(self, s: Array, first: Array, last: Array) -> Array:
        """Distances, no less than the first and no more than the last."""
        xp = namespace(s)
        return xp.minimum(xp.maximum(s, first), last)

    def _in_bend(self, l_slope: Array | None = None, behind: float = 0.0) -> tuple[Array, Array | float]:
        """Integrals of 8/kappa^2 w ds = l^2 (l + 2 x)/(l + x)^2 dl between nodes, and a derivative of theirs."""
        xp, x = namespace(self.l), self.x
        start = xp.concat([xp.zeros_like(self.l[:, :1]), self.l[:, :-1]], axis=-1)
        width = self.l - start
        if l_slope is not None:
            start_slope = xp.concat([xp.zeros_like(l_slope[:, :1]), l_slope[:, :-1]], axis=-1)
            width_slope = l_slope - start_slope
        total, total_slope = 0.0, 0.0
        for v, weight in GAUSS:
            t = start + v * width
            ratio = t / _safe(t + x)
            f = ratio * ratio * (t + 2.0 * x)
            total = total + weight * width * f
            if l_slope is not None:
                by_t = ratio * (t * t + 3.0 * x * t + 4.0 * x * x) / _safe(t + x) ** 2
                by_x = -2.0 * x * ratio * ratio / _safe(t + x)
                f_slope = by_t * (start_slope + v * width_slope) + by_x * behind
                total_slope = total_slope + weight * (width_slope * f + width * f_slope)
        return total, total_slope


def radiation(number: Array, spacing: Array, k2: Array, L: Array, x: Array) -> Radiation:
    """Find from where in the bend a particle sees the nodes behind it; all but ``number (nodes,)`` are ``(B,)``."""
    xp = namespace(spacing)
    spacing, k2, L, x = (a[:, None] for a in (spacing, k2, L, x))
    edge = number + 1.0
    s = edge * spacing
    inside = 24.0 * s < k2 * (L * L * L * (L + 4.0 * x) / _safe(L + x))
    y = xp.where(inside, 24.0 * s / xp.where(inside, k2, xp.ones_like(s)), xp.ones_like(s))
    # l^3 (l + 4 x) = y (l + x) by Newton's method, from above, where the left side is convex.
    l = y ** (1.0 / 3.0)
    for _ in range(NEWTON):
        l2 = l * l
        l = l - (l2 * l * (l + 4.0 * x) - y * (l + x)) / (4.0 * l2 * (l + 3.0 * x) - y)
    return Radiation(edge, spacing, k2, L, x, s, inside, y, xp.where(inside, l, L))


def _safe(a: Array) -> Array:
    """A length, or 1 where it is 0."""
    return namespace(a).where(a > 0.0, a, namespace(a).ones_like(a))


def _from(first: Array, line: Array) -> Array:
    """Differences along a line that has ``first`` before it."""
    return line - namespace(line).concat([first + 0.0 * line[:, :1], line[:, :-1]], axis=-1)


def _difference(line: Array) -> Array:
    """Differences along a line that has 0 before it."""
    return _from(0.0, line)
