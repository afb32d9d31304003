"""What the benchmarks compare with: the field of a Gaussian bunch, and a cold ball of charge that blows itself up.

Everything here is derived from Coulomb's law and relativistic mechanics alone, and imports nothing of backbeam.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.integrate import solve_ivp
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import chi

VACUUM_PERMITTIVITY = 8.8541878188e-12

# -- a Gaussian bunch -------------------------------------------------------------------------------------------------


def gaussian_field(at: np.ndarray, sigma: np.ndarray, charge: float, cut: float = np.inf) -> np.ndarray:
    """Electric field of a Gaussian ellipsoid at rest, as a one-dimensional integral, to 1e-12 of its peak.

    1/r = 2/sqrt(pi) int_0^inf exp(-r^2 v^2) dv turns the convolution of the density with 1/r into a product of three
    Gaussian ones; with t = 1/v^2, D_j = 2 sigma_j^2 + t and t = exp(w)

        E_i = charge/(4 pi eps0) 2 x_i/sqrt(pi) int exp(-sum_j x_j^2/D_j) t/(D_i sqrt(D_x D_y D_z)) dw,

    where the rule of equal steps converges geometrically, however long or flat the ellipsoid is (C. Mayes, R. Ryne, D.
    Sagan, IPAC 2018, THPAK085, have it over a finite range).

    Parameters
    ----------
    at:
        Where ``(3, n)`` [m].
    sigma:
        Rms sizes ``(3,)`` [m] before anything is cut off.
    charge:
        Charge of the whole [C].
    cut:
        The density is zero outside the ellipsoid of so many sigma. A shell between similar ellipsoids has no field
        inside (Newton), so that within the cut only the charge is another; ``at`` must lie within.

    Returns
    -------
    E ``(3, n)`` [V/m].
    """
    if np.isfinite(cut):
        charge = charge / chi(3).cdf(cut)
    twice = 2.0 * np.asarray(sigma, dtype=float) ** 2
    first, last = np.log(twice.min()) - 33.0, np.log(twice.max()) + 22.0
    w, step = np.linspace(first, last, 1 + int(np.ceil((last - first) / 0.3)), retstep=True)
    t = np.exp(w)
    D = twice[:, None] + t
    weights = step * t / np.sqrt(np.prod(D, axis=0))
    field = np.empty_like(at)
    for some in np.array_split(np.arange(at.shape[1]), 1 + at.shape[1] // 4096):
        kernel = weights * np.exp(-(at[:, some] ** 2).T @ (1.0 / D))
        field[:, some] = at[:, some] * ((1.0 / D) @ kernel.T)
    return charge / (4.0 * np.pi * VACUUM_PERMITTIVITY) * 2.0 / np.sqrt(np.pi) * field


def gaussian_peaks(sigma: np.ndarray, charge: float, cut: float = np.inf) -> np.ndarray:
    """Largest |E_x|, |E_y|, |E_z| ``(3,)`` [V/m] of `gaussian_field`: each lies on its own axis."""
    peaks = []
    for k in range(3):
        axis = np.eye(3)[:, [k]] * sigma[k]

        def below(u: float, axis: np.ndarray = axis, k: int = k) -> float:
            return -float(gaussian_field(u * axis, sigma, charge, cut)[k, 0])

        peaks.append(-minimize_scalar(below, bounds=(0.5, 3.0), method="bounded", options={"xatol": 1e-7}).fun)
    return np.asarray(peaks)


# -- a cold, uniformly charged ball -----------------------------------------------------------------------------------


def surface_energy(charge: float, radius: float, mass: float) -> float:
    """Potential energy of a particle at the surface of the ball over its rest energy; ``mass`` in eV."""
    return charge / (4.0 * np.pi * VACUUM_PERMITTIVITY * radius * mass)


class Ball(NamedTuple):
    """A ball that expands: half-axes as the rms sizes of a uniform one would give them, sqrt(5) sigma."""

    x: np.ndarray
    """Transverse [m]."""
    z: np.ndarray
    """Along the motion, of the rest frame: beta0 gamma0 sqrt(5) sigma_tau [m]."""


def slow_ball(s: float, charge: float, radius: float, mass: float, beta_gamma: float) -> float:
    """Radius [m] after s [m] where the motion in the rest frame is slow: the ball stays uniform.

    The envelope equation R'' = K/R^2, K = charge e/(4 pi eps0 m c^2 (beta0 gamma0)^2), has with r = R/R0

        sqrt(r (r - 1)) + ln(sqrt(r) + sqrt(r - 1)) = s sqrt(2 K/R0^3).
    """
    reach = s / (beta_gamma * radius) * np.sqrt(2.0 * surface_energy(charge, radius, mass))

    def beyond(r: float) -> float:
        return np.sqrt(r * (r - 1.0)) + np.log(np.sqrt(r) + np.sqrt(r - 1.0)) - reach

    return radius * brentq(beyond, 1.0, 2.0 + reach, xtol=1e-14, rtol=1e-14)


def slow_ball_by_radius(s: float, charge: float, radius: float, mass: float, beta_gamma: float) -> float:
    """dR/dR0 of `slow_ball` at a given charge, from its closed form f(r) = s sqrt(2 K/R0^3) and R = r R0."""
    r = slow_ball(s, charge, radius, mass, beta_gamma) / radius
    if r == 1.0:
        return 1.0
    # f'(r) = sqrt(r/(r - 1)), and the right side goes with R0^(-3/2).
    reach = np.sqrt(r * (r - 1.0)) + np.log(np.sqrt(r) + np.sqrt(r - 1.0))
    return r - 1.5 * reach * np.sqrt((r - 1.0) / r)


def fast_ball(s: np.ndarray, charge: float, radius: float, mass: float, beta_gamma: float) -> Ball:
    """Half-axes at each s of a ball at rest that is let go everywhere at once in the frame that moves with it.

    There the motion is radial, so there is no magnetic field, and while shells do not overtake one another the shell
    that began at r0 feels the charge charge (r0/R0)^3 of those inside: d(gamma v)/dt = k r0^3/r^2 in units of R0, c and
    m, with k the energy of `surface_energy`. It is seen where it crosses the plane s of the laboratory, which is later
    for what is behind: c t = s/(beta0 gamma0) - z/beta0.
    """
    k = surface_energy(charge, radius, mass)
    beta0 = beta_gamma / np.hypot(1.0, beta_gamma)
    nodes, weights = np.polynomial.legendre.leggauss(40)
    r0, in_r0 = 0.5 * (nodes + 1.0), 1.5 * weights * (0.5 * (nodes + 1.0)) ** 2
    cosine, in_cosine = np.polynomial.legendre.leggauss(60)
    weight = in_r0[:, None] * 0.5 * in_cosine
    ends = np.atleast_1d(np.asarray(s, dtype=float)) / (beta_gamma * radius)

    def slope(_: float, state: np.ndarray) -> np.ndarray:
        r, u = np.split(state, 2)
        return np.concatenate([u / np.hypot(1.0, u), k * r0**3 / r**2])

    start = np.concatenate([r0, np.zeros_like(r0)])
    way = solve_ivp(slope, (0.0, 2.0 * ends.max() + 2.0), start, rtol=1e-11, atol=1e-13, dense_output=True).sol

    half_axes = []
    for end in ends:
        t = np.full_like(weight, end)
        for _ in range(50):
            # Before it is let go, a shell is where it began.
            at = np.stack([way(np.clip(row, 0.0, None))[[i, i + r0.size]] for i, row in enumerate(t)])
            z, speed = at[:, 0] * cosine, at[:, 1] / np.hypot(1.0, at[:, 1]) * cosine
            late = (t + z / beta0 - end) / (1.0 + speed / beta0)
            t = t - late
            if np.abs(late).max() < 1e-12:
                break
        else:
            raise RuntimeError("the times at which particles cross the plane were not found")
        across, along = np.sum(weight * (at[:, 0] ** 2 - z**2)), np.sum(weight * z**2) - np.sum(weight * z) ** 2
        half_axes.append([np.sqrt(2.5 * across), np.sqrt(5.0 * along)])
    x, z = radius * np.asarray(half_axes).T
    return Ball(x, z)
