"""What the wave of an RF structure does besides steady acceleration: its kick, and those of its two ends.

See `backbeam.maps.rf_structure` for the equation of motion that they are parts of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backbeam.arrays import Array, join, namespace, over_particles, per_particle, rows
from backbeam.maps.base import Map
from backbeam.maps.rf import WAVE_NUMBER, LinearRFGap, Phase, RFGap, Wave, phase_at

if TYPE_CHECKING:
    from backbeam.maps.base import Cotangents, Parameters
    from backbeam.reference import Reference


@dataclass(frozen=True)
class RFWave(Map):
    """What a gap does to the others, without its gain of the reference, which `RFBody` gives."""

    gap: RFGap | LinearRFGap

    @property
    def parameters(self) -> tuple[str, ...]:
        """Those of the gap."""
        return self.gap.parameters

    def _kick(self, X: Array, reference: Reference, p: Parameters) -> Array:
        x, _, y, _, tau, _ = rows(X)
        dpx, dpy, dpt = self.gap.kick(x, y, tau, self.gap.wave(reference, p))
        zero = namespace(x).zeros_like(x)
        return join(zero, dpx, zero, dpy, zero, dpt)

    def forward(self, X: Array, reference: Reference, p: Parameters) -> Array:
        """Kick."""
        return X + self._kick(X, reference, p)

    def inverse(self, X1: Array, reference: Reference, p: Parameters) -> Array:
        """Take the kick out: positions stay."""
        return X1 - self._kick(X1, reference, p)

    def pullback(self, X: Array, reference: Reference, p: Parameters, X1_bar: Array) -> tuple[Array, Array, Cotangents]:
        """The gap's, at a reference that stays."""
        one = namespace(reference.beta_gamma).ones_like(reference.beta_gamma)
        return self.gap.pull_kick(X, reference, p, X1_bar, one)[1:]


@dataclass(frozen=True)
class RFEnd(Map):
    """Fringe of a structure: the potential U = b cos(phase + k tau) r^2/2, b = +-g/(2 beta u).

    dpx = -dU/dx, dpy = -dU/dy, dpt = dU/dtau. A radius comparable to the wavelength is beyond it.

    Parameters
    ----------
    sign:
        +1 where the wave begins, -1 where it ends.
    first_order:
        No dpt, and the phase of the reference for all.
    """

    sign: int
    first_order: bool = False

    @property
    def parameters(self) -> tuple[str, ...]:
        """Length [m], voltage [V], frequency [Hz] and phase [rad] of the whole cavity."""
        return ("length", "voltage", "frequency", "phase")

    def _given(self, tau: Array, reference: Reference, p: Parameters) -> tuple[Array, Array, Wave, Phase]:
        """b for a voltage of 1 [1/(V m)], b [1/m], the wave, and the phase that each particle sees."""
        wave = RFGap().wave(reference, p)
        per_volt = RFGap().per_volt(reference) * 0.5 * self.sign
        per_volt = per_volt * reference.inverse_beta / (reference.beta_gamma * p["length"])
        return per_volt, per_volt * p["voltage"], wave, phase_at(0.0 * tau if self.first_order else tau, wave)

    def _kick(self, X: Array, reference: Reference, p: Parameters) -> Array:
        x, _, y, _, tau, _ = rows(X)
        _, b, wave, theta = self._given(tau, reference, p)
        focus, zero = -per_particle(b) * theta.cosine, namespace(x).zeros_like(x)
        late = zero if self.first_order else per_particle(-0.5 * b * wave.k) * theta.sine * (x * x + y * y)
        return join(zero, focus * x, zero, focus * y, zero, late)

    def forward(self, X: Array, reference: Reference, p: Parameters) -> Array:
        """Kick."""
        return X + self._kick(X, reference, p)

    def inverse(self, X1: Array, reference: Reference, p: Parameters) -> Array:
        """Take the kick out: positions stay."""
        return X1 - self._kick(X1, reference, p)

    def pullback(self, X: Array, reference: Reference, p: Parameters, X1_bar: Array) -> tuple[Array, Array, Cotangents]:
        """From dpx = -b cos(theta) x, dpy = -b cos(theta) y, dpt = -b k sin(theta) r^2/2."""
        x, _, y, _, tau, _ = rows(X)
        xb, px_bar, yb, py_bar, taub, pt_bar = rows(X1_bar)
        per_volt, strength, wave, theta = self._given(tau, reference, p)
        b, k = per_particle(strength), per_particle(wave.k)
        along = x * px_bar + y * py_bar
        late = namespace(x).zeros_like(x) if self.first_order else 0.5 * (x * x + y * y) * pt_bar
        angle_bar = b * (theta.sine * along - k * theta.cosine * late)
        focus = -b * theta.cosine
        pull = namespace(x).zeros_like(x) if self.first_order else -b * k * theta.sine * pt_bar
        X_bar = join(
            xb + focus * px_bar + pull * x,
            px_bar,
            yb + focus * py_bar + pull * y,
            py_bar,
            taub if self.first_order else taub + k * angle_bar,
            pt_bar,
        )
        total = -over_particles(theta.cosine * along + k * theta.sine * late)
        k_bar = -strength * over_particles(theta.sine * late)
        if not self.first_order:
            k_bar = k_bar + over_particles(tau * angle_bar)
        by_log = strength * total  # b falls as 1/length and as 1/(beta u)
        return (
            X_bar,
            reference.pull_back(inverse_beta=by_log * reference.beta, beta_gamma=-by_log / reference.beta_gamma),
            {
                "length": -by_log / p["length"],
                "voltage": per_volt * total,
                "frequency": WAVE_NUMBER * k_bar,
                "phase": over_particles(angle_bar),
            },
        )
