"""RF gap: the thin accelerating kick of a cavity, the one map that changes the reference momentum.

The field is the TM01 wave that travels with the reference particle, lumped into the middle of the gap. A
particle that arrives late by tau sees the phase theta = phase + k tau, with k = 2 pi f/c, and gains
|Z| V I0(kappa r) cos(theta), with kappa = k/(beta0 gamma0) before the gap. The radial kick follows from the
theorem of Panofsky and Wenzel (Rev. Sci. Instrum. 27 (1956) 967). Both are slopes of one potential, so the
kick is exactly symplectic. With V' = |Z| V/(P0 c)::

    U    = (V'/k) I0(kappa r) sin(theta)
    dpt  = dU/dtau      = V' I0(kappa r) cos(theta)
    dp_r = -dU/dr       = -V' kappa/k I1(kappa r) sin(theta)

(Wangler, *RF Linear Accelerators*, 2008, chapters 2 and 7). What the reference gains is taken out of dpt, and
the momenta are then measured in units of the new P0: the map's Jacobian J satisfies J^T S J = (P0/P0') S.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial, pi
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from backbeam.arrays import Array, join, namespace, over_particles, per_particle, rows
from backbeam.maps.base import Map
from backbeam.species import SPEED_OF_LIGHT

if TYPE_CHECKING:
    from backbeam.maps.base import Cotangents, Parameters
    from backbeam.reference import Reference

WAVE_NUMBER = 2.0 * pi / SPEED_OF_LIGHT
"""k [1/m] of a frequency of 1 Hz."""
TERMS = 16
"""Terms of the Bessel series: 1e-15 of I0 up to kappa r = 5, 1e-8 up to 10."""

# With q = (kappa r/2)^2 the Bessel functions are entire in q, so r = 0 and k = 0 are ordinary points. Each
# series is the exact derivative of the one above it as truncated: the kick is symplectic at any radius.
_I0 = tuple(1.0 / (factorial(j) * factorial(j)) for j in range(1, TERMS + 1))
_SLOPE = tuple(1.0 / (factorial(j) * factorial(j + 1)) for j in range(TERMS))
_CURVATURE = tuple(1.0 / (factorial(j) * factorial(j + 2)) for j in range(TERMS - 1))


def polynomial(coefficients: tuple[float, ...], q: Array) -> Array:
    """Sum of coefficients[j] q^j."""
    value: Array | float = coefficients[-1]
    for c in reversed(coefficients[:-1]):
        value = value * q + c
    return value


class Wave(NamedTuple):
    """What a gap's parameters and reference come to, each of the batch shape."""

    amplitude: Array
    """V' = |Z| V share/(P0 c)."""
    k: Array
    """2 pi f/c [1/m]."""
    sine: Array
    cosine: Array
    """Of the reference phase."""
    beta_gamma: Array


class _KickPullback(NamedTuple):
    """A kick at given positions, and cotangents of all that it depends on."""

    kick: tuple[Array, Array, Array]
    positions: tuple[Array, Array, Array]
    amplitude: Array
    k: Array
    phase: Array
    beta_gamma: Array


@dataclass(frozen=True)
class _Gap(Map):
    """What both gaps share: the reference's gain and the change of unit. Subclasses supply the kick."""

    share: float = 1.0
    """Part of the cavity's voltage in this gap."""

    radial: bool = True
    """Whether the wave depends on the radius; without, every particle sees what it would see on the axis."""

    accelerates: ClassVar[bool] = True

    @property
    def parameters(self) -> tuple[str, ...]:
        """Voltage [V], frequency [Hz], phase [rad]; phase 0 is the crest, whatever the sign of the charge."""
        return ("voltage", "frequency", "phase")

    # -- the kick, in units of the momentum before the gap; positions do not change --------------------------

    def kick(self, x: Array, y: Array, tau: Array, wave: Wave) -> tuple[Array, Array, Array]:
        """Changes of px, py and pt beyond the reference's."""
        x, y = self._seen(x, y)
        return self._kick(x, y, tau, wave)

    def _seen(self, *transverse: Array) -> tuple[Array, ...]:
        """Transverse rows as the wave sees them."""
        return transverse if self.radial else tuple(namespace(row).zeros_like(row) for row in transverse)

    def _kick(self, x: Array, y: Array, tau: Array, wave: Wave) -> tuple[Array, Array, Array]:
        """`kick` at the radius that the wave sees."""
        raise NotImplementedError

    def _kick_pullback(self, x: Array, y: Array, tau: Array, wave: Wave, a: Array, b: Array, e: Array) -> _KickPullback:
        """`_kick`, and its transpose applied to cotangents a, b, e of px, py, pt."""
        raise NotImplementedError

    # -- the reference ---------------------------------------------------------------------------------------

    def per_volt(self, reference: Reference) -> float:
        """|Z| share/(m c^2): energy in units of the rest energy that a volt at crest gives."""
        return abs(reference.species.charge_number) * self.share / reference.species.mass

    def gain(self, reference: Reference, p: Parameters) -> Array:
        """Gain of gamma0."""
        return self.per_volt(reference) * p["voltage"] * namespace(p["phase"]).cos(p["phase"])

    def reference_after(self, reference: Reference, p: Parameters) -> Reference:
        """Reference with the gap's energy; NaN if that is below rest."""
        return reference.with_beta_gamma(reference.beta_gamma * growth(reference, self.gain(reference, p)))

    def reference_before(self, reference: Reference, p: Parameters) -> Reference:
        """Reference without the gap's energy; NaN if that is below rest."""
        return reference.with_beta_gamma(reference.beta_gamma * growth(reference, -self.gain(reference, p)))

    def reference_pullback(
        self, reference: Reference, p: Parameters, beta_gamma_bar: Array
    ) -> tuple[Array, Cotangents]:
        """Cotangents from d(beta gamma)' = d gamma'/beta', d gamma' = beta d(beta gamma) + d gain."""
        xp, scale = namespace(p["phase"]), self.per_volt(reference)
        gamma_bar = beta_gamma_bar * self.reference_after(reference, p).inverse_beta
        return gamma_bar * reference.beta, {
            "voltage": scale * gamma_bar * xp.cos(p["phase"]),
            "phase": -scale * gamma_bar * p["voltage"] * xp.sin(p["phase"]),
        }

    # -- the map ---------------------------------------------------------------------------------------------

    def wave(self, reference: Reference, p: Parameters) -> Wave:
        xp = namespace(p["phase"])
        return Wave(
            self.per_volt(reference) * p["voltage"] / reference.beta_gamma,
            WAVE_NUMBER * p["frequency"],
            xp.sin(p["phase"]),
            xp.cos(p["phase"]),
            reference.beta_gamma,
        )

    def forward(self, X: Array, reference: Reference, p: Parameters) -> Array:
        """Kick, then change to units of the reference momentum after the gap."""
        x, px, y, py, tau, pt = rows(X)
        dpx, dpy, dpt = self.kick(x, y, tau, self.wave(reference, p))
        damping = per_particle(1.0 / growth(reference, self.gain(reference, p)))
        return join(x, damping * (px + dpx), y, damping * (py + dpy), tau, damping * (pt + dpt))

    def inverse(self, X1: Array, reference: Reference, p: Parameters) -> Array:
        """Change back to units of the reference momentum before the gap, then take the kick out."""
        x, _, y, _, tau, _ = rows(X1)
        growing = per_particle(growth(reference, self.gain(reference, p)))
        return _without(X1, growing, self.kick(x, y, tau, self.wave(reference, p)))

    def reverse(
        self, X1: Array, reference: Reference, p: Parameters, X1_bar: Array
    ) -> tuple[Array, Array, Array, Cotangents]:
        """Inverse and pullback with the kick computed once."""
        growing = growth(reference, self.gain(reference, p))
        kick, X_bar, beta_gamma_bar, bars = self.pull_kick(X1, reference, p, X1_bar, growing)
        damping_bar = over_particles(_over_momenta(X1, X1_bar))
        X = _without(X1, per_particle(growing), kick)
        return X, X_bar, *self._with_unit(reference, p, damping_bar, beta_gamma_bar, bars)

    def pullback(self, X: Array, reference: Reference, p: Parameters, X1_bar: Array) -> tuple[Array, Array, Cotangents]:
        """Kick's pullback, and that of the change of unit through P0/P0' (voltage, phase, reference)."""
        growing = growth(reference, self.gain(reference, p))
        kick, X_bar, beta_gamma_bar, bars = self.pull_kick(X, reference, p, X1_bar, growing)
        (dpx, dpy, dpt), (_, pxb, _, pyb, _, ptb) = kick, rows(X_bar)
        damping_bar = over_particles(_over_momenta(X, X_bar) + dpx * pxb + dpy * pyb + dpt * ptb)
        return X_bar, *self._with_unit(reference, p, damping_bar, beta_gamma_bar, bars)

    def pull_kick(
        self, X: Array, reference: Reference, p: Parameters, X1_bar: Array, growing: Array
    ) -> tuple[tuple[Array, Array, Array], Array, Array, Cotangents]:
        """All but what comes through P0/P0', which is taken as given; uses only the positions in X."""
        x, _, y, _, tau, _ = rows(X)
        xb, pxb, yb, pyb, taub, ptb = rows(X1_bar)
        damping = per_particle(1.0 / growing)
        a, b, e = damping * pxb, damping * pyb, damping * ptb
        wave = self.wave(reference, p)
        (seen_x, seen_y), (seen_a, seen_b) = self._seen(x, y), self._seen(a, b)
        pulled = self._kick_pullback(seen_x, seen_y, tau, wave, seen_a, seen_b, e)
        x_bar, y_bar, tau_bar = pulled.positions
        X_bar = join(xb + x_bar, a, yb + y_bar, b, taub + tau_bar, e)
        per_volt = self.per_volt(reference) / reference.beta_gamma
        beta_gamma_bar = pulled.beta_gamma - wave.amplitude * pulled.amplitude / reference.beta_gamma
        bars = {
            "voltage": per_volt * pulled.amplitude,
            "frequency": WAVE_NUMBER * pulled.k,
            "phase": pulled.phase,
        }
        return pulled.kick, X_bar, beta_gamma_bar, bars

    def _with_unit(
        self, reference: Reference, p: Parameters, damping_bar: Array, beta_gamma_bar: Array, bars: Cotangents
    ) -> tuple[Array, Cotangents]:
        """Add what comes through P0/P0', from the cotangent of its logarithm.

        With u = beta gamma: d log(P0/P0') = [gain (1 + gamma gamma')/(u gamma) du - gamma' d gain]/u'^2.
        """
        gain, scale = self.gain(reference, p), self.per_volt(reference)
        after = self.reference_after(reference, p)
        per_after = damping_bar / (after.beta_gamma * after.beta_gamma)
        gain_bar = -scale * per_after * after.gamma
        xp, u, gamma = namespace(p["phase"]), reference.beta_gamma, reference.gamma
        return beta_gamma_bar + per_after * gain * (1.0 + gamma * after.gamma) / (u * gamma), {
            "voltage": bars["voltage"] + gain_bar * xp.cos(p["phase"]),
            "frequency": bars["frequency"],
            "phase": bars["phase"] - gain_bar * p["voltage"] * xp.sin(p["phase"]),
        }


def growth(reference: Reference, gain: Array) -> Array:
    """P0'/P0 of a reference whose gamma grows by ``gain``: exactly 1 without gain, NaN below rest.

    From the kinetic energy t = gamma - 1, (beta gamma)^2 = t (t + 2). A root for each factor: their product
    would be positive again for a particle slowed down to a total energy below -m c^2.
    """
    t = reference.beta_gamma * reference.beta_gamma / (reference.gamma + 1.0)
    sqrt = namespace(t).sqrt
    return sqrt(1.0 + gain / t) * sqrt(1.0 + gain / (t + 2.0))


def _without(X1: Array, growth: Array, kick: tuple[Array, Array, Array]) -> Array:
    x, px, y, py, tau, pt = rows(X1)
    dpx, dpy, dpt = kick
    return join(x, growth * px - dpx, y, growth * py - dpy, tau, growth * pt - dpt)


def _over_momenta(X: Array, X_bar: Array) -> Array:
    _, px, _, py, _, pt = rows(X)
    _, pxb, _, pyb, _, ptb = rows(X_bar)
    return px * pxb + py * pyb + pt * ptb


class Phase(NamedTuple):
    """Sine and cosine of theta = phase + k tau, and by what they exceed those of the reference phase."""

    sine: Array
    cosine: Array
    sine_excess: Array
    cosine_excess: Array


def phase_at(tau: Array, wave: Wave) -> Phase:
    """From h = k tau/2: sin(phase + 2h) - sin(phase) = 2 sin(h) cos(phase + h), and so for the cosine."""
    xp = namespace(tau)
    sine, cosine = per_particle(wave.sine), per_particle(wave.cosine)
    half = (0.5 * per_particle(wave.k)) * tau
    sin_half, cos_half = xp.sin(half), xp.cos(half)
    sine_excess = 2.0 * sin_half * (cosine * cos_half - sine * sin_half)
    cosine_excess = -2.0 * sin_half * (sine * cos_half + cosine * sin_half)
    return Phase(sine + sine_excess, cosine + cosine_excess, sine_excess, cosine_excess)


@dataclass(frozen=True)
class RFGap(_Gap):
    """Thin accelerating gap with the full dependence on arrival time and radius; see the module."""

    def _kick(self, x: Array, y: Array, tau: Array, wave: Wave) -> tuple[Array, Array, Array]:
        q = per_particle((0.5 * wave.k / wave.beta_gamma) ** 2) * (x * x + y * y)
        rise, slope = q * polynomial(_I0, q), polynomial(_SLOPE, q)
        return self._from_series(x, y, wave, phase_at(tau, wave), rise, slope)[0]

    @staticmethod
    def _from_series(
        x: Array, y: Array, wave: Wave, theta: Phase, rise: Array, slope: Array
    ) -> tuple[tuple[Array, Array, Array], Array, Array]:
        """Kick, V' k/(2 bg^2) and I0 cos(theta) - cos(phase), from rise = I0 - 1 and slope = 2 I1(u)/u."""
        strength = 0.5 * wave.amplitude * wave.k / (wave.beta_gamma * wave.beta_gamma)
        radial = per_particle(strength) * slope * theta.sine
        gain = rise * theta.cosine + theta.cosine_excess
        return (-radial * x, -radial * y, per_particle(wave.amplitude) * gain), strength, gain

    def _kick_pullback(self, x: Array, y: Array, tau: Array, wave: Wave, a: Array, b: Array, e: Array) -> _KickPullback:
        half = 0.5 * wave.k / wave.beta_gamma
        r2 = x * x + y * y
        q = per_particle(half * half) * r2
        rise, slope = q * polynomial(_I0, q), polynomial(_SLOPE, q)
        theta = phase_at(tau, wave)
        kick, strength, gain = self._from_series(x, y, wave, theta, rise, slope)
        # dpx = -strength x F, dpy = -strength y F, dpt = amplitude G with F = slope sin(theta), G = gain
        along = x * a + y * b
        F = slope * theta.sine
        F_bar, G_bar = -per_particle(strength) * along, per_particle(wave.amplitude) * e
        by_theta = F_bar * slope * theta.cosine  # to the angle, through F
        q_bar = F_bar * polynomial(_CURVATURE, q) * theta.sine + G_bar * slope * theta.cosine
        angle_bar = by_theta - G_bar * (rise * theta.sine + theta.sine)
        phase_bar = by_theta - G_bar * (rise * theta.sine + theta.sine_excess)
        radial, pull = per_particle(strength) * F, per_particle(2.0 * half * half) * q_bar
        strength_bar = -over_particles(F * along)
        half_bar = 2.0 * half * over_particles(r2 * q_bar)
        per_k = 0.5 / (wave.beta_gamma * wave.beta_gamma)
        k_bar = strength_bar * wave.amplitude * per_k + 0.5 * half_bar / wave.beta_gamma
        return _KickPullback(
            kick,
            (pull * x - radial * a, pull * y - radial * b, per_particle(wave.k) * angle_bar),
            amplitude=over_particles(gain * e) + strength_bar * wave.k * per_k,
            k=over_particles(tau * angle_bar) + k_bar,
            phase=over_particles(phase_bar),
            beta_gamma=-(2.0 * strength * strength_bar + half * half_bar) / wave.beta_gamma,
        )


@dataclass(frozen=True)
class LinearRFGap(_Gap):
    """First order of `RFGap` about the reference.

    dpt = -V' k sin(phase) tau and dpx = -V' k sin(phase)/(2 (beta0 gamma0)^2) x, likewise y.
    """

    def _kick(self, x: Array, y: Array, tau: Array, wave: Wave) -> tuple[Array, Array, Array]:
        slope = -wave.amplitude * wave.k * wave.sine
        radial = per_particle(0.5 * slope / (wave.beta_gamma * wave.beta_gamma))
        return radial * x, radial * y, per_particle(slope) * tau

    def _kick_pullback(self, x: Array, y: Array, tau: Array, wave: Wave, a: Array, b: Array, e: Array) -> _KickPullback:
        slope = -wave.amplitude * wave.k * wave.sine
        per_slope = 0.5 / (wave.beta_gamma * wave.beta_gamma)
        radial = per_particle(per_slope * slope)
        radial_bar = over_particles(x * a + y * b)
        slope_bar = over_particles(tau * e) + per_slope * radial_bar
        return _KickPullback(
            (radial * x, radial * y, per_particle(slope) * tau),
            (radial * a, radial * b, per_particle(slope) * e),
            amplitude=-wave.k * wave.sine * slope_bar,
            k=-wave.amplitude * wave.sine * slope_bar,
            phase=-wave.amplitude * wave.k * wave.cosine * slope_bar,
            beta_gamma=-2.0 * per_slope * slope * radial_bar / wave.beta_gamma,
        )
