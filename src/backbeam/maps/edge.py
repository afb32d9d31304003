"""Dipole edge: the linear kick of a pole face that the reference crosses at an angle, and of its fringe.

The same kick stands at the entrance and at the exit. A face angle of the sign of the bend's angle defocuses
in the plane of the bend and focuses in the other: that of a rectangular magnet, whatever way it bends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backbeam.arrays import Array, join, namespace, over_particles, per_particle, rows
from backbeam.maps.base import Map
from backbeam.maps.bend import curvature_of, share_curvature

if TYPE_CHECKING:
    from backbeam.maps.base import Cotangents, Parameters
    from backbeam.reference import Reference


def _strengths(h: Array, face: Array, extent: Array | float) -> tuple[Array, Array]:
    """Return h tan(face) and h tan(face - v) of `edge`, with extent = hgap fint."""
    xp = namespace(h, face)
    sine = xp.sin(face)
    v = 2.0 * h * extent * (1.0 + sine * sine) / xp.cos(face)
    return h * xp.tan(face), h * xp.tan(face - v)


def edge(X: Array, h: Array, face: Array, extent: Array | float, sign: float) -> Array:
    """Cross a pole face (``sign`` 1.0), or undo it (-1.0).

    Curvature h [1/m], face angle e [rad], extent hgap fint [m] of the fringe field, all of the batch shape::

        px += h tan(e) x        py -= h tan(e - v) y        v = 2 h hgap fint (1 + sin^2 e)/cos e

    Source: K. Brown, SLAC-75 (1982), in the form of MAD-X.
    """
    x, px, y, py, tau, pt = rows(X)
    kx, ky = map(per_particle, _strengths(h, face, extent))
    return join(x, px + sign * kx * x, y, py - sign * ky * y, tau, pt)


def edge_pullback(
    X: Array, h: Array, face: Array, extent: Array | float, X1_bar: Array
) -> tuple[Array, Array, Array, Array]:
    """Cotangents of X, h, face angle and extent, for `edge` at X (positions stay)."""
    xp = namespace(h, face)
    x, y = X[..., 0, :], X[..., 2, :]
    xb, pxb, yb, pyb, taub, ptb = rows(X1_bar)
    kx, ky = _strengths(h, face, extent)
    X_bar = join(xb + per_particle(kx) * pxb, pxb, yb - per_particle(ky) * pyb, pyb, taub, ptb)
    kx_bar, ky_bar = over_particles(x * pxb), -over_particles(y * pyb)
    sine, cosine, tangent = xp.sin(face), xp.cos(face), xp.tan(face)
    shape = 2.0 * (1.0 + sine * sine) / cosine
    inner = xp.tan(face - h * extent * shape)
    inner_bar = h * (1.0 + inner * inner) * ky_bar  # of the angle face - v
    # d shape/d face = 2 sin e (2 cos^2 e + 1 + sin^2 e)/cos^2 e
    shape_e = 2.0 * sine * (3.0 - sine * sine) / (cosine * cosine)
    h_bar = tangent * kx_bar + inner * ky_bar - extent * shape * inner_bar
    face_bar = h * (1.0 + tangent * tangent) * kx_bar + (1.0 - h * extent * shape_e) * inner_bar
    return X_bar, h_bar, face_bar, -h * shape * inner_bar


@dataclass(frozen=True)
class DipoleEdgeMap(Map):
    """Pole face that stands alone: its curvature is a parameter.

    Parameters
    ----------
    face:
        Whether there is a face angle ``e`` [rad].
    fringe:
        Whether there are a fringe integral ``fint`` and a half gap ``hgap`` [m].
    """

    face: bool = True
    fringe: bool = False

    @property
    def parameters(self) -> tuple[str, ...]:
        """The curvature h [1/m] of the reference in the magnet, and what there is of e, fint and hgap."""
        return ("curvature", *self._own())

    def _own(self) -> tuple[str, ...]:
        return (*(("e",) if self.face else ()), *(("fint", "hgap") if self.fringe else ()))

    def _curvature(self, p: Parameters) -> Array:
        return p["curvature"]

    def _angle(self, p: Parameters) -> Array:
        h = self._curvature(p)
        return p["e"] if self.face else namespace(h).zeros_like(h)

    def _extent(self, p: Parameters) -> Array | float:
        return p["fint"] * p["hgap"] if self.fringe else 0.0

    def _from(self, p: Parameters, h_bar: Array, angle_bar: Array) -> Cotangents:
        """Cotangents of what curvature and face angle are made of, but for e."""
        return {"curvature": h_bar}

    def forward(self, X: Array, reference: Reference, p: Parameters) -> Array:
        """See `edge`."""
        return edge(X, self._curvature(p), self._angle(p), self._extent(p), 1.0)

    def inverse(self, X1: Array, reference: Reference, p: Parameters) -> Array:
        """Kick back."""
        return edge(X1, self._curvature(p), self._angle(p), self._extent(p), -1.0)

    def pullback(self, X: Array, reference: Reference, p: Parameters, X1_bar: Array) -> tuple[Array, float, Cotangents]:
        """See `edge_pullback`."""
        X_bar, h_bar, angle_bar, extent_bar = edge_pullback(
            X, self._curvature(p), self._angle(p), self._extent(p), X1_bar
        )
        bars = self._from(p, h_bar, angle_bar)
        if self.face:
            bars |= {"e": angle_bar}
        if self.fringe:
            bars |= {"fint": p["hgap"] * extent_bar, "hgap": p["fint"] * extent_bar}
        return X_bar, 0.0, bars


@dataclass(frozen=True)
class BendEdge(DipoleEdgeMap):
    """Pole face of a bend, whose curvature is angle/length, or that of its field k0.

    Parameters
    ----------
    face, fringe:
        As in `DipoleEdgeMap`.
    share:
        Part of the bend's angle that is added to the face angle: 0.5 for a rectangular magnet.
    field:
        Whether there is a field k0 [1/m] apart from angle/length.
    """

    share: float = 0.0
    field: bool = False

    @property
    def parameters(self) -> tuple[str, ...]:
        """The bend's length [m] and angle [rad], or k0 [1/m] and the angle, and what there is of e, fint and hgap."""
        return ("k0" if self.field else "length", "angle", *self._own())

    def _curvature(self, p: Parameters) -> Array:
        return p["k0"] if self.field else curvature_of(p)

    def _angle(self, p: Parameters) -> Array:
        return super()._angle(p) + self.share * p["angle"]

    def _from(self, p: Parameters, h_bar: Array, angle_bar: Array) -> Cotangents:
        if self.field:
            return {"k0": h_bar, "angle": self.share * angle_bar}
        length_bar, bend_angle_bar = share_curvature(p, h_bar)
        return {"length": length_bar, "angle": bend_angle_bar + self.share * angle_bar}
