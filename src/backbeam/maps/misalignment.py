"""Misalignment in the plane of a face: displaced in x and y, turned about s. For all else see `backbeam.maps.rigid`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backbeam.arrays import Array, join, namespace, over_particles, per_particle, rows
from backbeam.maps.base import Map

if TYPE_CHECKING:
    from backbeam.maps.base import Cotangents, Parameters
    from backbeam.reference import Reference

_TURNS = ("roll", "tilt")


@dataclass(frozen=True)
class Misalign(Map):
    """Into the frame of an element (``sign`` +1, at its entrance) or out of it (-1, at its exit).

    The element is displaced by (dx, dy) and then turned about its own axis by a = roll + tilt, from x towards y.
    On the way in::

        x <-  cos(a) (x - dx) + sin(a) (y - dy)         px <-  cos(a) px + sin(a) py
        y <- -sin(a) (x - dx) + cos(a) (y - dy)         py <- -sin(a) px + cos(a) py

    and on the way out the reverse. Without displacement it is a matrix.

    Parameters
    ----------
    present:
        Which of "dx", "dy", "roll" and "tilt" there are.
    sign:
        +1 in, -1 out.
    """

    present: tuple[str, ...] = ("dx", "dy", "roll")
    sign: int = 1

    @property
    def linear(self) -> bool:  # type: ignore[override]
        """Only turned, not displaced."""
        return "dx" not in self.present and "dy" not in self.present

    @property
    def affine(self) -> bool:
        """Turned and displaced."""
        return True

    @property
    def parameters(self) -> tuple[str, ...]:
        """Displacements [m], roll and tilt [rad], those that are present."""
        return self.present

    def _shift(self, X: Array, p: Parameters, sign: float) -> Array:
        if self.linear:
            return X
        x, px, y, py, tau, pt = rows(X)
        dx, dy = (sign * per_particle(p[d]) if d in self.present else 0.0 for d in ("dx", "dy"))
        return join(x + dx, px, y + dy, py, tau, pt)

    def _turn(self, X: Array, p: Parameters, sign: float) -> Array:
        """Turn the frame (1.0) or back (-1.0): each is the transpose of the other."""
        turns = [p[name] for name in _TURNS if name in self.present]
        if not turns:
            return X
        xp = namespace(X)
        angle = per_particle(sum(turns[1:], turns[0]))
        c, s = xp.cos(angle), sign * xp.sin(angle)
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
        if any(name in self.present for name in _TURNS):
            # d(x, y)/d angle = (y, -x) in the element's frame: where a way in ends and a way out begins.
            inner, inner_bar = (X1, X1_bar) if self.sign > 0 else (X, X_bar)
            x, px, y, py, _, _ = rows(inner)
            xb, pxb, yb, pyb, _, _ = rows(inner_bar)
            bar = self.sign * over_particles(y * xb - x * yb + py * pxb - px * pyb)
            bars |= {name: bar for name in _TURNS if name in self.present}
        return X_bar, 0.0, bars
