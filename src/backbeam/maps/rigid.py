"""Rigid misalignment: into the frame of a face of a magnet that has moved in space, and out of it again.

The magnet moves as a rigid body, by a displacement and three rotations about a pivot; each of its faces moves
with it. A particle that crosses the plane of the design face is carried along its straight line to the plane
of the moved face, and described in the moved face's axes. All of it is exact, for any angle.

With W the rotation and d the displacement in the pivot's axes, and with the design face at D from the pivot,
its axes turned by Q, the moved face has in the axes of the design face::

    rotation     V = 1 + E,  E = Q^T (W - 1) Q          displacement  Q^T (d + (W - 1) D)

W - 1 is written down without a difference of numbers of order one, so small errors keep their digits.

What a gradient needs of the particles is six sums: the cotangents of a small translation and a small rotation of
the frame that they end in (a *twist*). From there on it is mechanics of one rigid body, a few numbers a magnet: a
twist is carried from frame to frame, and each parameter's cotangent is the part of the twist that it makes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from backbeam.arrays import Array, join, namespace, over_particles, per_particle, rows
from backbeam.maps import space
from backbeam.maps.base import Map
from backbeam.maps.kinematics import delta_pz
from backbeam.maps.smooth import stumpff
from backbeam.maps.space import NOTHING, UNIT, Matrix, Vector

if TYPE_CHECKING:
    from backbeam.maps.base import Cotangents, Parameters
    from backbeam.reference import Reference

SHIFTS, ROTATIONS = ("dx", "dy", "ds"), ("pitch", "yaw", "roll")


class Face(NamedTuple):
    """Where a face stands, seen from the pivot, in parts of the magnet that they belong to.

    The face is at ``reach`` times the chord from the pivot, in a direction that leans by ``lean`` times the
    bend's angle, and is turned by ``turn`` times that angle.
    """

    reach: float = 0.0
    lean: float = 0.0
    turn: float = 0.0


FACES = {
    "entrance": (Face(), Face(1.0, 0.5, 1.0)),
    "middle": (Face(-0.5, 0.0, -0.5), Face(0.5, 0.0, 0.5)),
    "exit": (Face(-1.0, -0.5, -1.0), Face()),
}
"""Entrance and exit face by the pivot: the middle of the entrance, of the chord (axes along it), of the exit."""


class Pose(NamedTuple):
    """Where the moved face is, and what that was made of."""

    E: Matrix
    """Rotation of the moved face against the design face, less 1."""
    d: Vector
    """Displacement of the moved face from the design face, in the design face's axes."""
    A: Matrix
    """From the pivot's axes to the design face's: Q^T."""
    D: Vector
    """Design face from the pivot, in the pivot's axes."""
    per_length: Vector
    """dD/d(length)."""
    per_angle: Vector
    """dD/d(angle)."""
    rotation: Matrix
    """W - 1."""
    pitch_axis: Vector
    """Axis in the pivot's frame about which a little more pitch turns the magnet."""


@dataclass(frozen=True)
class Rigid(Map):
    """From the design face into the moved face (``sign`` +1, at the entrance), or back out (-1, at the exit).

    Parameters
    ----------
    present:
        Which of dx, dy, ds [m], pitch, yaw, roll and tilt [rad] there are. The rotation is yaw (from s towards x)
        times pitch (from s towards y) times roll (from x towards y), the last one applied first, as MAD-X has it;
        the displacement is in the axes of the pivot. tilt is the rotation of the design about s.
    sign:
        +1 in, -1 out.
    face:
        Where the face stands.
    curved:
        Whether the magnet bends: then ``angle`` is a parameter where the face is not the pivot.
    """

    present: tuple[str, ...] = (*SHIFTS, *ROTATIONS)
    sign: int = 1
    face: Face = Face()
    curved: bool = False

    @property
    def parameters(self) -> tuple[str, ...]:
        """What is present, and the magnet's length [m] and angle [rad] where the face's place depends on them."""
        turns = any(r in self.present for r in ROTATIONS)
        length = ("length",) if self.face.reach and turns else ()
        return (*self.present, *length, *(("angle",) if self._bent else ()))

    @property
    def _bent(self) -> bool:
        return self.curved and self.face != Face()

    # -- where the face is -------------------------------------------------------------------------------------------

    def _angle(self, p: Parameters, name: str) -> tuple[Any, Any]:
        """Sine of an angle, and 1 - cos of it; both 0.0 where it is absent."""
        if name not in self.present:
            return 0.0, 0.0
        xp = namespace(p[name])
        half = xp.sin(0.5 * p[name])
        return xp.sin(p[name]), 2.0 * half * half

    def _tilt(self, p: Parameters) -> tuple[Any, Any]:
        """Cosine and sine of the tilt; 1.0 and 0.0 where it is absent."""
        if "tilt" not in self.present:
            return 1.0, 0.0
        xp = namespace(p["tilt"])
        return xp.cos(p["tilt"]), xp.sin(p["tilt"])

    def _rotation(self, p: Parameters) -> tuple[Matrix, Vector]:
        """W - 1, and the axis of pitch."""
        add, times = space.add, space.times
        (s1, v1), (s2, v2), (s3, v3) = (self._angle(p, name) for name in ("yaw", "pitch", "roll"))
        c1, c2, c3 = (add(1.0, times(-1.0, v)) for v in (v1, v2, v3))
        both = times(s2, s3)
        W = (
            (
                add(times(-1.0, v1), times(-1.0, times(v3, c1)), times(-1.0, times(s1, both))),
                times(-1.0, add(times(c1, s3), times(s1, times(s2, c3)))),
                times(s1, c2),
            ),
            (times(c2, s3), times(-1.0, add(v2, times(v3, c2))), s2),
            (
                times(-1.0, add(times(s1, c3), times(c1, both))),
                add(times(s1, s3), times(-1.0, times(c1, times(s2, c3)))),
                times(-1.0, add(v1, times(v2, c1))),
            ),
        )
        return W, (times(-1.0, c1), 0.0, s1)

    def _place(self, p: Parameters) -> tuple[Matrix, Vector, Vector, Vector]:
        """A, D and the derivatives of D."""
        reach, lean, turn = self.face
        moves = "length" in self.parameters
        if not self._bent:
            D = (0.0, 0.0, reach * p["length"]) if moves else NOTHING
            return UNIT, D, (0.0, 0.0, reach) if moves else NOTHING, NOTHING
        xp, angle, times = namespace(p["angle"]), p["angle"], space.times
        tilt = space.about_s(*self._tilt(p))
        A = space.about_y(xp.cos(turn * angle), xp.sin(turn * angle))
        A = space.product(tilt, space.product(A, space.transposed(tilt)))
        if not moves:
            return A, NOTHING, NOTHING, NOTHING
        half = 0.5 * angle
        _, c1, c2, c3 = stumpff(half * half, 4)
        s, c = (xp.sin(lean * angle), xp.cos(lean * angle)) if lean else (0.0, 1.0)
        along = space.turned(tilt, (times(-1.0, s), 0.0, c))
        across = space.turned(tilt, (times(-1.0, c), 0.0, times(-1.0, s)))
        chord = reach * p["length"] * c1
        shorter = reach * p["length"] * (0.25 * angle * (c3 - c2))
        per_angle = space.plus(space.scaled(shorter, along), space.scaled(lean * chord if lean else 0.0, across))
        return A, space.scaled(chord, along), space.scaled(reach * c1, along), per_angle

    def _pose(self, p: Parameters) -> Pose:
        W, axis = self._rotation(p)
        A, D, per_length, per_angle = self._place(p)
        shift = tuple(p[d] if d in self.present else 0.0 for d in SHIFTS)
        E = W if A is UNIT else space.product(A, space.product(W, space.transposed(A)))
        d = space.turned(A, space.plus(shift, space.turned(W, D)))  # type: ignore[arg-type]
        return Pose(E, d, A, D, per_length, per_angle, W, axis)

    def _motion(self, pose: Pose, sign: int) -> tuple[Matrix, Vector]:
        """M and c of r <- r + M r + c: out of the moved frame (-1) that is the pose, into it (+1) its inverse."""
        if sign < 0:
            return pose.E, pose.d
        back = space.transposed(pose.E)
        return back, space.scaled(-1.0, space.plus(pose.d, space.turned(back, pose.d)))

    # -- the map -----------------------------------------------------------------------------------------------------

    def _turn(self, X: Array, p: Parameters, sign: float) -> Array:
        """Turn into the tilted axes (1.0) or back (-1.0)."""
        if "tilt" not in self.present:
            return X
        c, s = (per_particle(a) for a in self._tilt(p))
        s = sign * s
        x, px, y, py, tau, pt = rows(X)
        return join(c * x + s * y, c * px + s * py, c * y - s * x, c * py - s * px, tau, pt)

    def _cross(self, X: Array, reference: Reference, M: Matrix, c: Vector) -> tuple[Array, Vector, Array]:
        """Coordinates after the motion, momenta there, and way over pz along which a particle is carried on."""
        x, px, y, py, tau, pt = rows(X)
        b = per_particle(reference.inverse_beta)
        M, c = _per_particle(M), _each(c)
        p = (px, py, 1.0 + delta_pz(px, py, pt, b))
        px, py, pz = space.plus(p, space.turned(M, p))
        x, y, s = space.plus(space.plus((x, y, 0.0), space.turned(M, (x, y, 0.0))), c)
        way = space.times(-1.0, s) / pz if not space.is_nothing(s) else 0.0 * pz
        return join(x + way * px, px, y + way * py, py, tau + way * (pt + b), pt), (px, py, pz), way

    def _run(self, X: Array, reference: Reference, p: Parameters, sign: int) -> Array:
        M, c = self._motion(self._pose(p), sign)
        if sign > 0:
            return self._turn(self._cross(X, reference, M, c)[0], p, 1.0)
        return self._cross(self._turn(X, p, -1.0), reference, M, c)[0]

    def forward(self, X: Array, reference: Reference, p: Parameters) -> Array:
        """Change the frame."""
        return self._run(X, reference, p, self.sign)

    def inverse(self, X1: Array, reference: Reference, p: Parameters) -> Array:
        """Change it back."""
        return self._run(X1, reference, p, -self.sign)

    def pullback(self, X: Array, reference: Reference, p: Parameters, X1_bar: Array) -> tuple[Array, Array, Cotangents]:
        """Back along the straight line and through the rotation; parameters by the twist."""
        pose = self._pose(p)
        M, c = self._motion(pose, self.sign)
        start = X if self.sign > 0 else self._turn(X, p, -1.0)
        X1, momenta, way = self._cross(start, reference, M, c)
        end_bar = self._turn(X1_bar, p, -1.0) if self.sign > 0 else X1_bar
        X_bar, inverse_beta_bar, force, torque = _cross_pullback(start, X1, momenta, way, reference, M, end_bar)
        bars = self._from_twist(p, pose, c, force, torque)
        if "tilt" in self.present:
            # d(x, y)/d tilt = (y, -x) in the tilted frame: where a way in ends and a way out begins.
            inner, inner_bar = (self._turn(X1, p, 1.0), X1_bar) if self.sign > 0 else (X, self._turn(X_bar, p, 1.0))
            x, px, y, py, _, _ = rows(inner)
            xb, pxb, yb, pyb, _, _ = rows(inner_bar)
            turned = over_particles(y * xb - x * yb + py * pxb - px * pyb)
            bars["tilt"] = self.sign * turned + bars["tilt"] if "tilt" in bars else self.sign * turned
        if self.sign < 0:
            X_bar = self._turn(X_bar, p, 1.0)
        return X_bar, reference.pull_back(inverse_beta=inverse_beta_bar), bars

    def _from_twist(self, p: Parameters, pose: Pose, c: Vector, force: Vector, torque: Vector) -> Cotangents:
        """Cotangents of the parameters from those of a twist of the frame in which the particles end."""
        add, dot, cross, plus, turned = space.add, space.dot, space.cross, space.plus, space.turned
        if self.sign > 0:
            # The particles end in the moved frame; a twist of that frame is the opposite one of the design's.
            torque = plus(torque, cross(force, c))
            force, torque = (space.scaled(-1.0, plus(v, turned(pose.E, v))) for v in (force, torque))
        back = space.transposed(pose.A)
        at_pivot = turned(back, force)
        zero = 0.0 * force[0]
        bars: Cotangents = {name: f for name, f in zip(SHIFTS, at_pivot, strict=True) if name in self.present}
        # Torque about the displaced pivot.
        shift = tuple(p[d] if d in self.present else 0.0 for d in SHIFTS)
        arm = plus(shift, space.scaled(-1.0, pose.D))  # type: ignore[arg-type]
        x, y, s = plus(turned(back, torque), cross(at_pivot, arm))
        if "yaw" in self.present:
            bars["yaw"] = y
        if "pitch" in self.present:
            bars["pitch"] = dot(pose.pitch_axis, (x, y, s))
        if "roll" in self.present:
            column = (pose.rotation[0][2], pose.rotation[1][2], add(1.0, pose.rotation[2][2]))
            bars["roll"] = dot(column, (x, y, s))
        if not ("length" in self.parameters or self._bent):
            return {name: zero if space.is_nothing(bar) else bar for name, bar in bars.items()}
        # What a change of the design does: both faces move, the moved one and the one that it is measured from.
        E = space.transposed(pose.E)
        moment = cross(force, pose.d)
        moment = plus(turned(E, torque), plus(moment, turned(E, moment)))
        force = turned(E, force)
        if "length" in self.parameters:
            bars["length"] = dot(force, turned(pose.A, pose.per_length))
        if self._bent:
            cosine, sine = self._tilt(p)
            axis = (self.face.turn * sine, space.times(-self.face.turn, cosine), 0.0)
            bars["angle"] = add(dot(force, turned(pose.A, pose.per_angle)), dot(moment, axis))
            if "tilt" in self.present:
                about = tuple(row[2] for row in pose.A)
                about = (about[0], about[1], add(about[2], -1.0))
                swing = turned(pose.A, cross((0.0, 0.0, 1.0), pose.D))
                bars["tilt"] = add(dot(force, swing), dot(moment, about))
        return {name: zero if space.is_nothing(bar) else bar for name, bar in bars.items()}


def _each(vector: Vector) -> Vector:
    """Components that meet particles."""
    return tuple(a if type(a) is float else per_particle(a) for a in vector)  # type: ignore[return-value]


def _per_particle(M: Matrix) -> Matrix:
    return tuple(_each(row) for row in M)  # type: ignore[return-value]


def _cross_pullback(
    X: Array, X1: Array, momenta: Vector, way: Array, reference: Reference, M: Matrix, X1_bar: Array
) -> tuple[Array, Array, Vector, Vector]:
    """Cotangents of X and 1/beta0, and of a twist (translation, rotation) of the frame in which X1 stands."""
    _, px0, _, py0, _, pt = rows(X)
    x, _, y, _, _, _ = rows(X1)
    xb, pxb, yb, pyb, taub, ptb = rows(X1_bar)
    px, py, pz = momenta
    b = per_particle(reference.inverse_beta)
    e = pt + b
    # Carried on by ds = -s, a particle moves by (px, py, e)/pz times that.
    sb = -(px * xb + py * yb + e * taub) / pz
    force = tuple(over_particles(bar) for bar in (xb, yb, sb))
    torque = (
        over_particles(y * sb - pz * pyb),
        over_particles(pz * pxb - x * sb),
        over_particles(x * yb - y * xb + px * pyb - py * pxb),
    )
    back = _per_particle(space.transposed(M))
    r_bar = (xb, yb, sb)
    p_bar = (pxb + way * xb, pyb + way * yb, way * sb)
    x_bar, y_bar, _ = space.plus(r_bar, space.turned(back, r_bar))
    px_bar, py_bar, pz_bar = space.plus(p_bar, space.turned(back, p_bar))
    pz_bar = pz_bar / (1.0 + delta_pz(px0, py0, pt, b))  # pz dpz = e dpt + pt db - px dpx - py dpy
    X_bar = join(x_bar, px_bar - px0 * pz_bar, y_bar, py_bar - py0 * pz_bar, taub, ptb + e * pz_bar + way * taub)
    return X_bar, over_particles(pt * pz_bar + way * taub), force, torque
