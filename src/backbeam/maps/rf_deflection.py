"""Deflecting kick: the thin map of a transverse deflecting or crab cavity.

The field is the dipole wave that travels with the reference particle. A particle that arrives late by tau sees the
phase theta = phase + k tau. With V' = |Z| V share/(P0 c), kappa = k/(beta0 gamma0) and S(u) = 2 I1(u)/u, the kick is
the slope of one potential (Panofsky & Wenzel, Rev. Sci. Instrum. 27 (1956) 967), so it is exactly symplectic::

    U   = -V' x S(kappa r) cos(theta)
    dpx = -dU/dx = V' cos(theta)       at r = 0
    dpt =  dU/dtau = V' k x S sin(theta)

The reference does not change.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial
from typing import TYPE_CHECKING, NamedTuple

from backbeam.arrays import Array, join, namespace, over_particles, per_particle, rows
from backbeam.maps.base import Map
from backbeam.maps.rf import TERMS, WAVE_NUMBER, RFGap, phase_at, polynomial

if TYPE_CHECKING:
    from backbeam.maps.base import Cotangents, Parameters
    from backbeam.reference import Reference

# S is entire in q = (kappa r/2)^2. Each series is the exact derivative of the one before it as truncated.
_SERIES = tuple(
    tuple(1.0 / (factorial(j) * factorial(j + 1 + order)) for j in range(TERMS - order)) for order in range(3)
)


class _Wave(NamedTuple):
    """What the kick's parameters and reference come to, as rows or ready to meet them."""

    amplitude: Array
    k: Array
    h2: Array
    """(kappa/2)^2 [1/m^2]."""
    sine: Array
    cosine: Array


@dataclass(frozen=True)
class RFDeflection(Map):
    """Thin deflecting kick towards +x at phase 0; see the module."""

    share: float = 1.0
    """Part of the cavity's voltage in this kick."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """Voltage [V], frequency [Hz], phase [rad]; phase 0 deflects most, whatever the sign of the charge."""
        return ("voltage", "frequency", "phase")

    def _per_volt(self, reference: Reference) -> Array:
        """V'/V [1/V]."""
        return abs(reference.species.charge_number) * self.share / reference.momentum

    def _wave(self, tau: Array, reference: Reference, p: Parameters) -> _Wave:
        wave = RFGap(self.share).wave(reference, p)
        theta, h = phase_at(tau, wave), 0.5 * wave.k / reference.beta_gamma
        return _Wave(per_particle(wave.amplitude), per_particle(wave.k), per_particle(h * h), theta.sine, theta.cosine)

    def _kick(self, X: Array, reference: Reference, p: Parameters) -> Array:
        x, _, y, _, tau, _ = rows(X)
        wave = self._wave(tau, reference, p)
        q = wave.h2 * (x * x + y * y)
        S, S1 = (polynomial(_SERIES[order], q) for order in (0, 1))
        across, bend = wave.amplitude * wave.cosine, 2.0 * wave.h2 * x * S1
        zero = namespace(x).zeros_like(x)
        along = wave.amplitude * wave.k * x * S * wave.sine
        return join(zero, across * (S + bend * x), zero, across * bend * y, zero, along)

    def forward(self, X: Array, reference: Reference, p: Parameters) -> Array:
        """Kick."""
        return X + self._kick(X, reference, p)

    def inverse(self, X1: Array, reference: Reference, p: Parameters) -> Array:
        """Take the kick out: positions stay."""
        return X1 - self._kick(X1, reference, p)

    def pullback(self, X: Array, reference: Reference, p: Parameters, X1_bar: Array) -> tuple[Array, Array, Cotangents]:
        """Second derivatives of U.

        With m = x a + y b, the kick's transpose is the slope of V' (cos(theta) A + k sin(theta) x S e),
        A = S a + 2 h^2 x S' m, for cotangents a, b, e of px, py, pt.
        """
        x, _, y, _, tau, _ = rows(X)
        xb, a, yb, b, taub, e = rows(X1_bar)
        wave = self._wave(tau, reference, p)
        r2, m = x * x + y * y, x * a + y * b
        S, S1, S2 = (polynomial(series, wave.h2 * r2) for series in _SERIES)
        twice, ahead = 2.0 * wave.h2, wave.k * wave.sine * e
        A, along = S * a + twice * x * S1 * m, x * S
        by_q = wave.cosine * (S1 * a + twice * x * S2 * m) + ahead * x * S1
        inner = wave.cosine * twice * S1
        x_bar = wave.amplitude * (twice * x * by_q + inner * (m + x * a) + ahead * S)
        y_bar = wave.amplitude * (twice * y * by_q + inner * x * b)
        angle_bar = wave.amplitude * (wave.k * wave.cosine * along * e - wave.sine * A)
        X_bar = join(xb + x_bar, a, yb + y_bar, b, taub + wave.k * angle_bar, e)
        amplitude_bar = over_particles(wave.cosine * A + ahead * along)
        h2_bar = over_particles(wave.amplitude * (r2 * by_q + 2.0 * wave.cosine * x * S1 * m))
        k, u = WAVE_NUMBER * p["frequency"], reference.beta_gamma
        h_bar = k / u * h2_bar
        k_bar = over_particles(tau * angle_bar + wave.amplitude * wave.sine * along * e) + 0.5 * h_bar / u
        per_volt = self._per_volt(reference)
        u_bar = -(0.5 * k / u * h_bar + per_volt * p["voltage"] * amplitude_bar) / u
        bars = {
            "voltage": per_volt * amplitude_bar,
            "frequency": WAVE_NUMBER * k_bar,
            "phase": over_particles(angle_bar),
        }
        return X_bar, u_bar, bars
