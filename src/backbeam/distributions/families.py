"""Families of distributions: how each draws variates (x, px, y, py, tau, pt) of mean 0 and covariance 1.

Recipes after ImpactX (Huebl et al., IPAC 2022) and the papers named at each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import pi, sqrt

import numpy as np

Draw = Callable[[np.random.Generator, int], np.ndarray]


FAMILIES: dict[str, Family] = {}
"""The families that take their shape plane by plane, by kind: making one enters it."""


@dataclass(frozen=True)
class Family:
    """A kind of distribution.

    Parameters
    ----------
    kind:
        What problem files call it.
    draw:
        ``draw(rng, n)`` gives ``(6, n)`` unit variates.
    edge:
        Where x, y and tau end, in units of their rms size; None where they do not.
    ball:
        Whether its projection on (x, y, tau) is a ball.
    """

    kind: str
    draw: Draw
    edge: tuple[float, float, float] | None = None
    ball: bool = False

    def __post_init__(self) -> None:
        FAMILIES[self.kind] = self


def _directions(rng: np.random.Generator, dimensions: int, n: int) -> np.ndarray:
    """Random unit vectors ``(dimensions, n)``."""
    v = rng.standard_normal((dimensions, n))
    return v / np.sqrt(np.sum(v * v, axis=0))


def _circle(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    angle = 2.0 * pi * rng.random(n)
    return np.cos(angle), np.sin(angle)


def _uniform(rng: np.random.Generator, n: int) -> np.ndarray:
    """Uniform of mean 0 and variance 1."""
    return sqrt(3.0) * (2.0 * rng.random(n) - 1.0)


def gaussian(rng: np.random.Generator, n: int) -> np.ndarray:
    """Gaussian in all six coordinates."""
    return rng.standard_normal((6, n))


def uniform_ellipsoid(rng: np.random.Generator, n: int) -> np.ndarray:
    """Uniform in an ellipsoid of (x, y, tau), Gaussian momenta."""
    x, y, tau = sqrt(5.0) * np.cbrt(rng.random(n)) * _directions(rng, 3, n)
    px, py, pt = rng.standard_normal((3, n))
    return np.stack([x, px, y, py, tau, pt])


def semigaussian(rng: np.random.Generator, n: int) -> np.ndarray:
    """Uniform in an elliptic cylinder of (x, y, tau), Gaussian momenta."""
    r, (cos, sin), tau = 2.0 * np.sqrt(rng.random(n)), _circle(rng, n), _uniform(rng, n)
    px, py, pt = rng.standard_normal((3, n))
    return np.stack([r * cos, px, r * sin, py, tau, pt])


def waterbag(rng: np.random.Generator, n: int) -> np.ndarray:
    """Uniform in a six-dimensional ellipsoid."""
    return sqrt(8.0) * rng.random(n) ** (1.0 / 6.0) * _directions(rng, 6, n)


def kv(rng: np.random.Generator, n: int) -> np.ndarray:
    """Uniform on a shell of (x, px, y, py) (Kapchinskij & Vladimirskij, 1959), uniform tau, Gaussian pt."""
    square = rng.random(n)
    (cx, sx), (cp, sp) = _circle(rng, n), _circle(rng, n)
    r, p = 2.0 * np.sqrt(square), 2.0 * np.sqrt(1.0 - square)
    return np.stack([r * cx, p * cp, r * sx, p * sp, _uniform(rng, n), rng.standard_normal(n)])


def kurth4d(rng: np.random.Generator, n: int) -> np.ndarray:
    """Kurth's in (x, px, y, py) (Q. Appl. Math. 36 (1978) 325): a uniform disk; uniform tau, Gaussian pt.

    Angular momentum is uniform in its range, L = r l; then pr^2 = (1 - l^2)(1 - r^2) cos^2 of a uniform
    angle.
    """
    square, l, angle = rng.random(n), 2.0 * rng.random(n) - 1.0, pi * rng.random(n)
    cos, sin = _circle(rng, n)
    r = np.sqrt(square)
    pr = np.sqrt((1.0 - l) * (1.0 + l) * (1.0 - square)) * np.cos(angle)
    px, py = pr * cos - l * sin, pr * sin + l * cos
    return np.stack([2.0 * r * cos, 2.0 * px, 2.0 * r * sin, 2.0 * py, _uniform(rng, n), rng.standard_normal(n)])


def kurth6d(rng: np.random.Generator, n: int) -> np.ndarray:
    """Kurth's in six dimensions: a uniform ball in space, momenta that keep it one under linear focusing."""
    r, u, angle = np.cbrt(rng.random(n)), rng.random(n), pi * rng.random(n)
    radial = _directions(rng, 3, n)
    other = _directions(rng, 3, n)
    tangent = np.cross(radial, other, axis=0)
    tangent = tangent / np.sqrt(np.sum(tangent * tangent, axis=0))
    pr = np.sqrt((1.0 - u) * (1.0 - r) * (1.0 + r)) * np.cos(angle)
    position = sqrt(5.0) * r * radial
    momentum = sqrt(5.0) * (pr * radial + np.sqrt(u) * tangent)
    # The third momentum is that of tau, and its canonical partner is -pt.
    momentum[2] = -momentum[2]
    return np.stack([position, momentum], axis=1).reshape(6, n)


Family("gaussian", gaussian)
Family("uniform_ellipsoid", uniform_ellipsoid, (sqrt(5.0),) * 3, ball=True)
Family("waterbag", waterbag, (sqrt(8.0),) * 3, ball=True)
Family("kv", kv, (2.0, 2.0, sqrt(3.0)))
Family("kurth4d", kurth4d, (2.0, 2.0, sqrt(3.0)))
Family("kurth6d", kurth6d, (sqrt(5.0),) * 3, ball=True)
Family("semigaussian", semigaussian, (2.0, 2.0, sqrt(3.0)))
