"""Pieces of a bend's pole face with a hard edge: what `backbeam.maps.hard_edge` puts one behind the other.

Each is a map with its inverse and its pullback. What their derivatives by the face angle e have in common, pz times the
cotangent of px at the face, is of order one and nearly the same without the field and in it. So each piece at the face
tells by how much it grows there, and the two turns of the axes, which go one against the other, leave it out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from backbeam.arrays import join, namespace, over_particles, per_particle, rows
from backbeam.maps.fringe import fringe, fringe_inverse, fringe_pullback
from backbeam.maps.kinematics import delta_pz
from backbeam.maps.wedge import wedge, wedge_pullback

if TYPE_CHECKING:
    from backbeam.arrays import Array
    from backbeam.maps.base import Cotangents
    from backbeam.reference import Reference


class Face(NamedTuple):
    """What the pieces of a face are made of: ``sign`` is 1 at the entrance and -1 at the exit."""

    reference: Reference
    sign: float
    h: Array
    e: Array
    extent: Array | float
    k1: Array | float


class Piece:
    """A part of a face."""

    def __init__(self, face: Face) -> None:
        self.face = face

    def forward(self, X: Array) -> Array:
        """Coordinates behind it."""
        raise NotImplementedError

    def inverse(self, X1: Array) -> Array:
        """Coordinates before it."""
        raise NotImplementedError

    def pullback(self, X: Array, X1: Array, X1_bar: Array) -> tuple[Array, Cotangents]:
        """Cotangents of X and of 1/beta0 and the face's numbers, from the coordinates before it and behind."""
        raise NotImplementedError

    def _growth(self, X: Array, X1: Array, X1_bar: Array, gain: Array | float = 0.0) -> Array:
        """By how much pz times the cotangent of px is greater without the field; ``gain``: of px's, before it."""
        b = per_particle(self.face.reference.inverse_beta)
        (_, px, _, py, _, pt), (_, px1, _, py1, _, _) = rows(X), rows(X1)
        pz, pz1 = 1.0 + delta_pz(px, py, pt, b), 1.0 + delta_pz(px1, py1, pt, b)
        slower = (py1 - py) * (py1 + py) / (pz + pz1)  # pz - pz1
        return self.face.sign * over_particles(slower * X1_bar[..., 1, :] + pz * gain)


class Turn(Piece):
    """The axes turn by the face angle onto the plane of the face, without the field: a `wedge`."""

    inside = False

    @property
    def _wedge(self) -> tuple[Array, Array]:
        """Angle and field."""
        return self.face.e, namespace(self.face.h).zeros_like(self.face.h)

    def forward(self, X: Array) -> Array:
        """To the other plane."""
        return wedge(X, self.face.reference, *self._wedge)

    def inverse(self, X1: Array) -> Array:
        """By the angle with its other sign."""
        angle, field = self._wedge
        return wedge(X1, self.face.reference, -angle, field)

    def pullback(self, X: Array, X1: Array, X1_bar: Array) -> tuple[Array, Cotangents]:
        """That of e is taken at the face: of H = -x pz + h x^2/2, less pz in the row of px (see this file's top)."""
        angle, field = self._wedge
        X_bar, inverse_beta_bar, _, h_bar = wedge_pullback(X, self.face.reference, angle, field, X1_bar)
        face_is_behind = self.inside == (self.face.sign < 0.0)
        (x, px, _, py, _, pt), bars = (rows(X1), X1_bar) if face_is_behind else (rows(X), X_bar)
        xb, pxb, yb, _, taub, _ = rows(bars)
        b = per_particle(self.face.reference.inverse_beta)
        slope = x / (1.0 + delta_pz(px, py, pt, b))
        e_bar = over_particles(slope * (px * xb + py * yb + (pt + b) * taub) - per_particle(field) * x * pxb)
        if not self.inside:
            return X_bar, {"inverse_beta": inverse_beta_bar, "e": e_bar}
        return X_bar, {"inverse_beta": inverse_beta_bar, "h": h_bar, "e": -e_bar}


class TurnInField(Turn):
    """They turn back in the field."""

    inside = True

    @property
    def _wedge(self) -> tuple[Array, Array]:
        return -self.face.e, self.face.h


class Fringe(Piece):
    """The field begins, or ends, at a plane (`backbeam.maps.fringe`)."""

    def forward(self, X: Array) -> Array:
        """See `fringe`."""
        return fringe(X, self.face.reference, self.face.sign * self.face.h)

    def inverse(self, X1: Array) -> Array:
        """See `fringe_inverse`."""
        return fringe_inverse(X1, self.face.reference, self.face.sign * self.face.h)

    def pullback(self, X: Array, X1: Array, X1_bar: Array) -> tuple[Array, Cotangents]:
        """See `fringe_pullback`."""
        sign, h = self.face.sign, self.face.h
        X_bar, inverse_beta_bar, h_bar, gain = fringe_pullback(X, self.face.reference, sign * h, X1_bar)
        e_bar = self._growth(X, X1, X1_bar, gain)
        return X_bar, {"inverse_beta": inverse_beta_bar, "h": sign * h_bar, "e": e_bar}


class Kick(Piece):
    """A piece that moves momenta alone, by strengths of one sign and back by those of the other."""

    def _kick(self, X: Array, sign: float) -> Array:
        raise NotImplementedError

    def forward(self, X: Array) -> Array:
        """Kick."""
        return self._kick(X, 1.0)

    def inverse(self, X1: Array) -> Array:
        """Kick back."""
        return self._kick(X1, -1.0)


class Softening(Kick):
    """By how much an extended fringe defocuses less: py += (h tan(e) - h tan(e - v)) y, as in `backbeam.maps.edge`."""

    def _strength(self) -> Array:
        _, _, h, e, extent, _ = self.face
        xp = namespace(h, e)
        sine, cosine = xp.sin(e), xp.cos(e)
        v = 2.0 * h * extent * (1.0 + sine * sine) / cosine
        return h * xp.sin(v) / (cosine * xp.cos(e - v))

    def _kick(self, X: Array, sign: float) -> Array:
        x, px, y, py, tau, pt = rows(X)
        return join(x, px, y, py + per_particle(sign * self._strength()) * y, tau, pt)

    def pullback(self, X: Array, X1: Array, X1_bar: Array) -> tuple[Array, Cotangents]:
        """Positions stay."""
        _, _, h, e, extent, _ = self.face
        xb, pxb, yb, pyb, taub, ptb = rows(X1_bar)
        bar = over_particles(X[..., 2, :] * pyb)
        xp = namespace(h, e)
        sine, cosine = xp.sin(e), xp.cos(e)
        shape = 2.0 * (1.0 + sine * sine) / cosine
        shape_e = 2.0 * sine * (3.0 - sine * sine) / (cosine * cosine)
        v = h * extent * shape
        inner = xp.cos(e - v)
        rise = h / (inner * inner)  # of -h tan(e - v), by v
        h_bar = xp.sin(v) / (cosine * inner) + rise * extent * shape
        e_bar = h / (cosine * cosine) - rise * (1.0 - h * extent * shape_e)
        found = {"h": h_bar * bar, "e": e_bar * bar + self._growth(X, X1, X1_bar), "extent": rise * h * shape * bar}
        return join(xb, pxb, yb + per_particle(self._strength()) * pyb, pyb, taub, ptb), found


class GradientInWedge(Kick):
    """What the gradient does less or more in the wedge, of which x tan(e) is the length: px += k1 tan(e) (x^2 - y^2).

    py -= 2 k1 tan(e) x y with it, as of a thin sextupole (K. Brown, SLAC-75; MAD-X's fringe of second order).
    """

    def _kick(self, X: Array, sign: float) -> Array:
        x, px, y, py, tau, pt = rows(X)
        g = per_particle(sign * self.face.k1 * namespace(self.face.e).tan(self.face.e))
        return join(x, px + g * (x * x - y * y), y, py - 2.0 * g * x * y, tau, pt)

    def pullback(self, X: Array, X1: Array, X1_bar: Array) -> tuple[Array, Cotangents]:
        """Positions stay."""
        x, y = X[..., 0, :], X[..., 2, :]
        xb, pxb, yb, pyb, taub, ptb = rows(X1_bar)
        tangent = namespace(self.face.e).tan(self.face.e)
        g = per_particle(self.face.k1 * tangent)
        X_bar = join(xb + 2.0 * g * (x * pxb - y * pyb), pxb, yb - 2.0 * g * (y * pxb + x * pyb), pyb, taub, ptb)
        g_bar = over_particles((x * x - y * y) * pxb - 2.0 * x * y * pyb)
        return X_bar, {"k1": tangent * g_bar, "e": (1.0 + tangent * tangent) * self.face.k1 * g_bar}
