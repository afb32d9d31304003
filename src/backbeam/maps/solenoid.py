"""Exact solenoid with hard edges: the full square root of the Hamiltonian, in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backbeam.arrays import join, over_particles, per_particle, rows
from backbeam.maps.base import Map
from backbeam.maps.kinematics import delay, delta_pz
from backbeam.maps.smooth import stumpff

if TYPE_CHECKING:
    from backbeam.arrays import Array
    from backbeam.maps.base import Cotangents, Parameters
    from backbeam.reference import Reference


def solenoid(X: Array, reference: Reference, length: Array, ks: Array) -> Array:
    """Follow a solenoid of strength ks = Bz/(B rho) [1/m] over a length [m].

    The canonical momenta are those outside, so both hard edges are in the map. With k = ks/2,
    H = -sqrt((1 + delta)^2 - Px^2 - Py^2) + pt/beta0 of the kinetic momenta Px = px + k y, Py = py - k x.
    pz is a constant of motion, so each particle sees a linear solenoid of its own: with f = L/pz it
    oscillates at k over f and turns by k f (Forest, *Beam Dynamics*, 1998, ch. 12)::

        C = cos(k f)         S = sin(k f)/k
        (x, px) <- [[C, S], [-k^2 S, C]] (x, px)      and the same for (y, py)
        (x, y)  <- [[C, k S], [-k S, C]] (x, y)       and the same for (px, py)

    The delay is the drift's with the kinetic momenta. A negative length is the inverse.
    """
    x, px, y, py, tau, pt = rows(X)
    L, strength, beta, b = map(per_particle, (length, ks, reference.beta, reference.inverse_beta))
    k = 0.5 * strength
    kinetic_x, kinetic_y = px + k * y, py - k * x
    pz = 1.0 + delta_pz(kinetic_x, kinetic_y, pt, b)
    f = L / pz
    c, c1 = stumpff((k * f) ** 2, 2)
    S = f * c1
    s, down = k * S, k * k * S
    u, pu, v, pv = c * x + S * px, c * px - down * x, c * y + S * py, c * py - down * y
    later = f * delay(kinetic_x, kinetic_y, pt, pz, reference, beta)
    return join(c * u + s * v, c * pu + s * pv, c * v - s * u, c * pv - s * pu, tau + later, pt)


def solenoid_pullback(
    X: Array, reference: Reference, length: Array, ks: Array, X1_bar: Array
) -> tuple[Array, Array, Array, Array]:
    """Cotangents of X, beta_gamma, length and ks for `solenoid` at X."""
    x, px, y, py, _, pt = rows(X)
    xb, pxb, yb, pyb, taub, ptb = rows(X1_bar)
    L, strength, beta, b = map(per_particle, (length, ks, reference.beta, reference.inverse_beta))
    k = 0.5 * strength
    kinetic_x, kinetic_y = px + k * y, py - k * x
    dpz = delta_pz(kinetic_x, kinetic_y, pt, b)
    pz, e = 1.0 + dpz, pt + b
    f = L / pz
    c, c1, c2, c3 = stumpff((k * f) ** 2, 4)
    S = f * c1
    s, down = k * S, k * k * S
    u, pu, v, pv = c * x + S * px, c * px - down * x, c * y + S * py, c * py - down * y
    x1, px1, y1, py1 = c * u + s * v, c * pu + s * pv, c * v - s * u, c * pv - s * pu

    # Back through the turn, then through the oscillation, at fixed f and k.
    ub, pub, vb, pvb = c * xb - s * yb, c * pxb - s * pyb, c * yb + s * xb, c * pyb + s * pxb
    x_bar, px_bar = c * ub - down * pub, S * ub + c * pub
    y_bar, py_bar = c * vb - down * pvb, S * vb + c * pvb
    # By f: the equations of motion at the end. By k: d(k f)/dk of the turn, and that of C, S and k^2 S.
    end_x, end_y = px1 + k * y1, py1 - k * x1
    f_bar = end_x * xb + end_y * yb + k * (end_y * pxb - end_x * pyb)
    C_k, S_k, down_k = -k * f * S, k * f * f * f * (c3 - c2), k * (S + f * c)
    k_bar = (
        f * (y1 * xb + py1 * pxb - x1 * yb - px1 * pyb)
        + C_k * (x * ub + px * pub + y * vb + py * pvb)
        + S_k * (px * ub + py * vb)
        - down_k * (x * pub + y * pvb)
    )
    # f = L/pz and tau += L (e/pz - b), where pz dpz = e dpt + pt db - Px dPx - Py dPy and
    # e^2 - pz^2 = (m c/P0)^2 + Px^2 + Py^2.
    g = f / (pz * pz)
    gs = -g * f_bar
    down_pz = gs - g * e * taub
    rest = 1.0 / per_particle(reference.beta_gamma) ** 2
    transverse = rest + kinetic_x * kinetic_x + kinetic_y * kinetic_y
    kinetic_x_bar, kinetic_y_bar = -kinetic_x * down_pz, -kinetic_y * down_pz
    X_bar = join(
        x_bar - k * kinetic_y_bar,
        px_bar + kinetic_x_bar,
        y_bar + k * kinetic_x_bar,
        py_bar + kinetic_y_bar,
        taub,
        ptb + e * gs - g * transverse * taub,
    )
    inverse_beta_bar = over_particles(pt * down_pz - f * dpz * taub)
    length_bar = over_particles((f_bar + delay(kinetic_x, kinetic_y, pt, pz, reference, beta) * taub) / pz)
    ks_bar = 0.5 * over_particles(k_bar + y * kinetic_x_bar - x * kinetic_y_bar)
    return X_bar, reference.pull_back(inverse_beta=inverse_beta_bar), length_bar, ks_bar


@dataclass(frozen=True)
class SolenoidMap(Map):
    """Exact solenoid over a fraction of an element's length.

    Pieces of a solenoid follow one another without edges in between: canonical momenta do not see the cut.
    """

    fraction: float = 1.0

    @property
    def parameters(self) -> tuple[str, ...]:
        """The element's length [m] and its strength ks = Bz/(B rho) [1/m]."""
        return ("length", "ks")

    def forward(self, X: Array, reference: Reference, p: Parameters) -> Array:
        """See `solenoid`."""
        return solenoid(X, reference, self.fraction * p["length"], p["ks"])

    def inverse(self, X1: Array, reference: Reference, p: Parameters) -> Array:
        """Follow the solenoid back."""
        return solenoid(X1, reference, -self.fraction * p["length"], p["ks"])

    def pullback(self, X: Array, reference: Reference, p: Parameters, X1_bar: Array) -> tuple[Array, Array, Cotangents]:
        """See `solenoid_pullback`."""
        X_bar, beta_gamma_bar, length_bar, ks_bar = solenoid_pullback(
            X, reference, self.fraction * p["length"], p["ks"], X1_bar
        )
        return X_bar, beta_gamma_bar, {"length": self.fraction * length_bar, "ks": ks_bar}
