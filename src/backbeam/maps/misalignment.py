"""Misalignment: into the frame of an element that is displaced and rolled, and out of it again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backbeam.arrays import Array, join, namespace, over_particles, per_particle, rows
from backbeam.maps.base import Map

if TYPE_CHECKING:
    from backbeam.maps.base import Cotangents, Parameters
    from backbeam.reference import Reference


@dataclass(frozen=True)
class Misalign(Map):
    """Into the frame of an element (``sign`` +1, at its entrance) or out of it (-1, at its exit).

    The element's centre is displaced by (dx, dy) and the element is then rolled about its own axis by
    ``roll``, from x towards y. On the way in::

        x <-  cos(roll) (x - dx) + sin(roll) (y - dy)         px <-  cos(roll) px + sin(roll) py
        y <- -sin(roll) (x - dx) + cos(roll) (y - dy)         py <- -sin(roll) px + cos(roll) py

    and on the way out the reverse. In a bend, (dx, dy) and roll are those in the local frame at either end.

    Parameters
    ----------
    present:
        Which of "dx", "dy" and "roll" there are.
    sign:
        +1 in, -1 out.
    """

    present: tuple[str, ...] = ("dx", "dy", "roll")
    sign: int = 1

    @property
    def parameters(self) -> tuple[str, ...]:
        """Displacements [m] and roll [rad], those that are present."""
        return self.present

    def _shift(self, X: Array, p: Parameters, sign: float) -> Array:
        if "dx" not in self.present and "dy" not in self.present:
            return X
        x, px, y, py, tau, pt = rows(X)
        dx, dy = (sign * per_particle(p[d]) if d in self.present else 0.0 for d in ("dx", "dy"))
        return join(x + dx, px, y + dy, py, tau, pt)

    def _turn(self, X: Array, p: Parameters, sign: float) -> Array:
        """Turn the frame by roll (1.0) or back (-1.0): each is the transpose of the other."""
        if "roll" not in self.present:
            return X
        xp = namespace(X)
        roll = per_particle(p["roll"])
        c, s = xp.cos(roll), sign * xp.sin(roll)
        x, px, y, py, tau, pt = rows(X)
        return join(c * x + s * y, c * px + s * py, c * y - s * x, c * py - s * px, tau, pt)

    def _into(self, X: Array, p: Parameters) -> Array:
        return self._turn(self._shift(X, p, -1.0), p, 1.0)

    def _out(self, X: Array, p: Parameters) -> Array:
        return self._shift(self._turn(X, p, -1.0), p, 1.0)

    def forward(self, X: Array, reference: Reference, p: Parameters) -> Array:
        """Change the frame."""
        return self._into(X, p) if self.sign > 0 else self._out(X, p)

    def inverse(self, X1: Array, reference: Reference, p: Parameters) -> Array:
        """Change it back."""
        return self._out(X1, p) if self.sign > 0 else self._into(X1, p)

    def pullback(self, X: Array, reference: Reference, p: Parameters, X1_bar: Array) -> tuple[Array, float, Cotangents]:
        """Turn the cotangent back; what shifts x and y by a constant collects theirs."""
        X1 = self.forward(X, reference, p)
        X_bar = self._turn(X1_bar, p, -1.0 if self.sign > 0 else 1.0)
        # The shift is written in the outer frame, before the turn on the way in and after it on the way out.
        outer_bar = X_bar if self.sign > 0 else X1_bar
        bars: Cotangents = {}
        for name, row in (("dx", 0), ("dy", 2)):
            if name in self.present:
                bars[name] = -self.sign * over_particles(outer_bar[..., row, :])
        if "roll" in self.present:
            # d(x, y)/d roll = (y, -x) in the element's frame: where a way in ends and a way out begins.
            inner, inner_bar = (X1, X1_bar) if self.sign > 0 else (X, X_bar)
            x, px, y, py, _, _ = rows(inner)
            xb, pxb, yb, pyb, _, _ = rows(inner_bar)
            bars["roll"] = self.sign * over_particles(y * xb - x * yb + py * pxb - px * pyb)
        return X_bar, 0.0, bars
