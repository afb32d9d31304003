"""A bend as a body in space: particles go straight to its moved faces and round a circle in between.

Nothing here knows of curved coordinates or of the maps' formulas: homogeneous 4x4 matrices carry points and
directions from frame to frame, and a plane is crossed where the distance from it, found by bisection, is zero.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq


def rotation(axis: str, angle: float) -> np.ndarray:
    """Homogeneous rotation: "yaw" from s to x, "pitch" from s to y, "roll" from x to y."""
    towards = {"yaw": (2, 0), "pitch": (2, 1), "roll": (0, 1)}
    a, b = towards[axis]
    R = np.eye(4)
    R[a, a] = R[b, b] = np.cos(angle)
    R[b, a], R[a, b] = np.sin(angle), -np.sin(angle)
    return R


def shift(dx: float = 0.0, dy: float = 0.0, ds: float = 0.0) -> np.ndarray:
    """Homogeneous translation."""
    T = np.eye(4)
    T[:3, 3] = dx, dy, ds
    return T


def exit_face(length: float, angle: float, tilt: float = 0.0) -> np.ndarray:
    """Frame of the design's exit in that of its entrance."""
    rho = length / angle
    arc = shift(rho * (np.cos(angle) - 1.0), 0.0, rho * np.sin(angle)) @ rotation("yaw", -angle)
    return rotation("roll", tilt) @ arc @ rotation("roll", -tilt)


def pivot_frame(pivot: str, length: float, angle: float, tilt: float = 0.0) -> np.ndarray:
    """Frame of the pivot in that of the entrance."""
    if pivot == "entrance":
        return np.eye(4)
    if pivot == "exit":
        return exit_face(length, angle, tilt)
    end = exit_face(length, angle, tilt)[:3, 3]
    half = rotation("roll", tilt) @ rotation("yaw", -0.5 * angle) @ rotation("roll", -tilt)
    return shift(*(0.5 * end)) @ half


def moved(pivot: str, length: float, angle: float, tilt: float, errors: dict[str, float]) -> np.ndarray:
    """Entrance frame of the moved magnet in that of the design."""
    P = pivot_frame(pivot, length, angle, tilt)
    body = shift(**{k: errors.get(k, 0.0) for k in ("dx", "dy", "ds")})
    for name in ("yaw", "pitch", "roll"):
        body = body @ rotation(name, errors.get(name, 0.0))
    return P @ body @ np.linalg.inv(P)


def track(
    X: np.ndarray, inverse_beta: float, length: float, angle: float, errors: dict[str, float], pivot: str, tilt: float
) -> np.ndarray:
    """Coordinates at the design's exit of particles (6, n) at its entrance, through the moved bend."""
    return np.stack([_one(*x, inverse_beta, length, angle, errors, pivot, tilt) for x in X.T], axis=-1)


def _one(x, px, y, py, tau, pt, b, length, angle, errors, pivot, tilt):
    momentum = np.sqrt(1.0 + pt * (2.0 * b + pt))
    direction = np.asarray([px, py, np.sqrt(momentum**2 - px * px - py * py)]) / momentum
    point, way = np.asarray([x, y, 0.0]), 0.0

    def into(frame, point, direction):
        inverse = np.linalg.inv(frame)
        return inverse[:3, :3] @ point + inverse[:3, 3], inverse[:3, :3] @ direction

    def to_plane(point, direction):
        step = -point[2] / direction[2]
        return point + step * direction, step

    magnet = moved(pivot, length, angle, tilt, errors)
    point, direction = into(magnet @ rotation("roll", tilt), point, direction)
    point, step = to_plane(point, direction)
    way += step

    # Round a circle about the magnet's y: the reference turns by h a metre, this particle by h/momentum.
    far = exit_face(length, angle)
    turn = -angle / length / momentum

    def after(s):
        u = turn * s
        dx, dy, ds = direction
        along = np.asarray([dx * np.cos(u) + ds * np.sin(u), dy, ds * np.cos(u) - dx * np.sin(u)])
        moved = np.asarray(
            [(dx * np.sin(u) + ds * (1.0 - np.cos(u))) / turn, dy * s, (ds * np.sin(u) - dx * (1.0 - np.cos(u))) / turn]
        )
        return point + moved, along

    distance = lambda s: into(far, *after(s))[0][2]  # noqa: E731
    s = brentq(distance, 0.5 * length, 1.5 * length, xtol=1e-15, rtol=1e-15)
    way += s
    point, direction = into(far, *after(s))
    out = magnet @ rotation("roll", tilt) @ far
    design = exit_face(length, angle, tilt)
    point, direction = into(np.linalg.inv(out) @ design, point, direction)
    point, step = to_plane(point, direction)
    way += step
    late = way * (pt + b) / momentum - length * b
    return np.asarray([point[0], momentum * direction[0], point[1], momentum * direction[1], tau + late, pt])
