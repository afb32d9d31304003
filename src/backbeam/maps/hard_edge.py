"""Pole face of a bend with a hard edge: exact flight to the face's plane, the fringe there, exact flight in the field.

The face of `backbeam.maps.edge` is the first order of this one. What a fringe of finite extent changes, it changes here
in the same way, by a linear kick in y.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backbeam.arrays import join, namespace, over_particles, per_particle, rows
from backbeam.maps.edge import BendEdge
from backbeam.maps.fringe import fringe, fringe_inverse, fringe_pullback
from backbeam.maps.kinematics import delta_pz
from backbeam.maps.wedge import wedge, wedge_pullback

if TYPE_CHECKING:
    from backbeam.arrays import Array
    from backbeam.maps.base import Cotangents, Parameters
    from backbeam.reference import Reference


def _softer(h: Array, face: Array, extent: Array) -> Array:
    """By how much an extended fringe defocuses less in y: h tan(e) - h tan(e - v), v as in `backbeam.maps.edge`."""
    xp = namespace(h, face)
    sine, cosine = xp.sin(face), xp.cos(face)
    v = 2.0 * h * extent * (1.0 + sine * sine) / cosine
    return h * xp.sin(v) / (cosine * xp.cos(face - v))


def _softer_pullback(h: Array, face: Array, extent: Array, bar: Array) -> tuple[Array, Array, Array]:
    """Cotangents of h, face and extent."""
    xp = namespace(h, face)
    sine, cosine = xp.sin(face), xp.cos(face)
    shape = 2.0 * (1.0 + sine * sine) / cosine
    shape_e = 2.0 * sine * (3.0 - sine * sine) / (cosine * cosine)
    v, inner = h * extent * shape, xp.cos(face - h * extent * shape)
    rise = h / (inner * inner)  # of -h tan(e - v), by v
    face_bar = h / (cosine * cosine) - rise * (1.0 - h * extent * shape_e)
    h_bar = xp.sin(v) / (cosine * inner) + rise * extent * shape
    return h_bar * bar, face_bar * bar, rise * h * shape * bar


def _in_y(X: Array, strength: Array) -> Array:
    """Kick py by a strength times y."""
    x, px, y, py, tau, pt = rows(X)
    return join(x, px, y, py + per_particle(strength) * y, tau, pt)


def _gradient_wedge(X: Array, strength: Array) -> Array:
    """What the gradient does less or more in the wedge, of which x tan(e) is the length: px += k1 tan(e) (x^2 - y^2).

    py -= 2 k1 tan(e) x y with it, as of a thin sextupole (K. Brown, SLAC-75; MAD-X's fringe of second order).
    """
    x, px, y, py, tau, pt = rows(X)
    g = per_particle(strength)
    return join(x, px + g * (x * x - y * y), y, py - 2.0 * g * x * y, tau, pt)


def _gradient_wedge_pullback(X: Array, strength: Array, X1_bar: Array) -> tuple[Array, Array]:
    """Cotangents of X and of the strength."""
    x, y = X[..., 0, :], X[..., 2, :]
    xb, pxb, yb, pyb, taub, ptb = rows(X1_bar)
    g = per_particle(strength)
    X_bar = join(xb + 2.0 * g * (x * pxb - y * pyb), pxb, yb - 2.0 * g * (y * pxb + x * pyb), pyb, taub, ptb)
    return X_bar, over_particles((x * x - y * y) * pxb - 2.0 * x * y * pyb)


@dataclass(frozen=True)
class HardEdge(BendEdge):
    """Pole face of a bend, exact in all orders of x and its slope, of second order in y.

    At the entrance: the axes turn by the face angle e onto the plane of the face (a `wedge` without field), the field
    begins there (`fringe`), and they turn back in it (a `wedge` with it). At the exit the same from the other end. A
    gradient k1 acts in the wedge of the field by a thin kick of second order.

    Parameters
    ----------
    face, fringe, share, field:
        As in `backbeam.maps.edge.BendEdge`.
    end:
        "entrance" or "exit".
    gradient:
        Whether there is a gradient k1 [1/m^2] in the bend.
    """

    end: str = "entrance"
    gradient: bool = False

    @property
    def parameters(self) -> tuple[str, ...]:
        """Those of the face, and k1."""
        return (*super().parameters, *(("k1",) if self.gradient else ()))

    def _in_wedge(self, p: Parameters) -> Array:
        """Strength k1 tan(e) of the gradient in the wedge."""
        e = self._angle(p)
        return p["k1"] * namespace(e).tan(e)

    def _pieces(self, p: Parameters) -> tuple[tuple[str, Array, Array], ...]:
        """Kind, angle or sign, and field of each piece in order; a kick in y stands at the face."""
        h, e = self._curvature(p), self._angle(p)
        zero = namespace(h, e).zeros_like(h * e)
        sign = 1.0 if self.end == "entrance" else -1.0
        edge = [("fringe", sign + zero, sign * h)]
        if self.fringe:
            edge.append(("soft", sign + zero, _softer(h, e, self._extent(p))))
        if self.end == "entrance":
            return (("wedge", e, zero), *edge, ("wedge", -e, h))
        return (("wedge", -e, h), *reversed(edge), ("wedge", e, zero))

    def forward(self, X: Array, reference: Reference, p: Parameters) -> Array:
        """Piece by piece; the gradient is on the side of the field."""
        if self.gradient and self.end == "exit":
            X = _gradient_wedge(X, self._in_wedge(p))
        X = self._states(X, reference, p)[-1]
        if self.gradient and self.end == "entrance":
            X = _gradient_wedge(X, self._in_wedge(p))
        return X

    def _states(self, X: Array, reference: Reference, p: Parameters) -> list[Array]:
        states = [X]
        for kind, angle, field in self._pieces(p):
            if kind == "wedge":
                X = wedge(X, reference, angle, field)
            else:
                X = fringe(X, reference, field) if kind == "fringe" else _in_y(X, field)
            states.append(X)
        return states

    def inverse(self, X1: Array, reference: Reference, p: Parameters) -> Array:
        """Piece by piece from the last."""
        if self.gradient and self.end == "entrance":
            X1 = _gradient_wedge(X1, -self._in_wedge(p))
        for kind, angle, field in reversed(self._pieces(p)):
            if kind == "wedge":
                X1 = wedge(X1, reference, -angle, field)
            else:
                X1 = fringe_inverse(X1, reference, field) if kind == "fringe" else _in_y(X1, -field)
        if self.gradient and self.end == "exit":
            X1 = _gradient_wedge(X1, -self._in_wedge(p))
        return X1

    def pullback(self, X: Array, reference: Reference, p: Parameters, X1_bar: Array) -> tuple[Array, Array, Cotangents]:
        """Back through the face, and before or behind it through the gradient's wedge."""
        if not self.gradient:
            return self._face_pullback(X, reference, p, X1_bar)
        e, strength = self._angle(p), self._in_wedge(p)
        if self.end == "entrance":
            behind = self._states(X, reference, p)[-1]
            X_bar, g_bar = _gradient_wedge_pullback(behind, strength, X1_bar)
            X_bar, inverse_beta_bar, found = self._face_pullback(X, reference, p, X_bar)
        else:
            behind = _gradient_wedge(X, strength)
            X_bar, inverse_beta_bar, found = self._face_pullback(behind, reference, p, X1_bar)
            X_bar, g_bar = _gradient_wedge_pullback(X, strength, X_bar)
        tangent = namespace(e).tan(e)
        e_bar = (1.0 + tangent * tangent) * p["k1"] * g_bar
        found = dict(found) | {"k1": tangent * g_bar}
        for name, share in (("e", 1.0), ("angle", self.share)):
            if name in found:
                found[name] = found[name] + share * e_bar
        return X_bar, inverse_beta_bar, found

    def _face_pullback(
        self, X: Array, reference: Reference, p: Parameters, X1_bar: Array
    ) -> tuple[Array, Array, Cotangents]:
        """Back through the pieces; the states in between are made again."""
        h, e, extent = self._curvature(p), self._angle(p), self._extent(p)
        pieces, states = self._pieces(p), self._states(X, reference, p)
        enters = self.end == "entrance"
        X_bar, inverse_beta_bar, h_bar, e_bar, extent_bar = X1_bar, 0.0, 0.0, 0.0, 0.0
        bars = [X_bar]
        gain: Array = 0.0
        for (kind, angle, strength), here in reversed(list(zip(pieces, states[:-1], strict=True))):
            if kind == "wedge":
                X_bar, more, _, found = wedge_pullback(here, reference, angle, strength, X_bar)
                inverse_beta_bar = inverse_beta_bar + more
                if (here is states[0]) != enters:
                    h_bar = h_bar + found  # the wedge in the field
            elif kind == "fringe":
                X_bar, more, found, gain = fringe_pullback(here, reference, strength, X_bar)
                h_bar = h_bar + found if enters else h_bar - found
                inverse_beta_bar = inverse_beta_bar + more
            else:
                of = _softer_pullback(h, e, extent, over_particles(here[..., 2, :] * X_bar[..., 3, :]))
                h_bar, e_bar, extent_bar = h_bar + of[0], e_bar + of[1], extent_bar + of[2]
                xb, pxb, yb, pyb, taub, ptb = rows(X_bar)
                X_bar = join(xb, pxb, yb + per_particle(strength) * pyb, pyb, taub, ptb)
            bars.append(X_bar)
        ends = ((states[1], bars[-2]), (states[-2], bars[1]))
        free, inside = ends if enters else ends[::-1]
        e_bar = e_bar + _face_bar(free, inside, gain if enters else -gain, reference, per_particle(h))
        found = self._from(p, h_bar, e_bar)
        if self.face:
            found |= {"e": e_bar}
        if self.fringe:
            found |= {"fint": p["hgap"] * extent_bar, "hgap": p["fint"] * extent_bar}
        return X_bar, reference.pull_back(inverse_beta=inverse_beta_bar), found


def _face_bar(
    free: tuple[Array, Array], inside: tuple[Array, Array], gain: Array, reference: Reference, h: Array
) -> Array:
    """Cotangent of the face angle, from coordinates and cotangents at the face, without the field and in it.

    Both wedges turn with it, one against the other: what is left of their derivatives, (x px/pz, pz - h x, x py/pz,
    x (pt + 1/beta0)/pz) in the rows of x, px, y and tau, is their difference. ``gain`` is by how much the cotangent of
    px is greater without the field.
    """
    b = per_particle(reference.inverse_beta)
    (x, px, _, py, _, pt), (xb, _, yb, _, taub, _) = rows(free[0]), rows(free[1])
    (x1, _, _, py1, _, _), (xb1, pxb1, yb1, _, taub1, _) = rows(inside[0]), rows(inside[1])
    pz, pz1 = 1.0 + delta_pz(px, py, pt, b), 1.0 + delta_pz(px, py1, pt, b)
    more = (py1 - py) * (py1 + py) / (pz + pz1)  # pz - pz1
    out = x / pz * (px * xb + py * yb + (pt + b) * taub) - x1 / pz1 * (px * xb1 + py1 * yb1 + (pt + b) * taub1)
    return over_particles(out + pz * gain + (more + h * x1) * pxb1)
