"""RF field on the axis as a Fourier series, followed by drifts and kicks: a cavity as its field map gives it.

With z from the middle, of a period L, and the time t since the reference entered::

    Ez(z, t) = scale (a0/2 + sum_n (a_n cos(2 pi n z/L) + b_n sin(2 pi n z/L))) cos(2 pi f t + phase)

Off the axis the field follows from Maxwell's equations to second order in r. In the gauge without a radial vector
potential, with g = |Z| Ez/(m c^2), theta = phase + k c t and 1/beta of the reference, a kick over ds is the slope of
one potential, so it is exactly symplectic (momenta in units of m c)::

    dPx = ds x (-g' cos(theta)/(2 beta) + g k sin(theta)/2)
    dE  = ds (g cos(theta) (1 - k^2 r^2/4) - r^2 g' k sin(theta)/(4 beta))

Inside, coordinates are deviations from a particle that goes through with the momentum that the reference entered with,
so that its clock is known everywhere. The reference's own way is followed with the beam, and `RFFieldExit` goes over to
it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from backbeam.arrays import Array, join, namespace, over_particles, per_particle, rows
from backbeam.maps.base import Map
from backbeam.maps.drift import drift, drift_pullback
from backbeam.maps.rf import WAVE_NUMBER
from backbeam.maps.splitting import fold

if TYPE_CHECKING:
    from backbeam.maps.base import Cotangents, Parameters
    from backbeam.reference import Reference

NAMES = ("length", "scale", "frequency", "phase", "field_cos", "field_sin")


class _Kick(NamedTuple):
    """What a kick at a place is made of."""

    q: Array
    """ds/u."""
    G: Array
    D: Array
    """Field g and its slope g' there [1/m, 1/m^2]."""
    basis: tuple[Array, Array, Array, Array]
    """Of cos and sin: functions at this place, and their slopes."""
    energy: Array
    inverse_beta: Array
    """Of the reference before it."""
    k: Array
    flight: Array
    """c t of the clock."""
    sine: Array
    cosine: Array


@dataclass(frozen=True)
class RFField(Map):
    """The field between two places, by symmetric splitting; see the module.

    Parameters
    ----------
    start, stop:
        Places, as parts of the length.
    order, steps:
        Of the splitting; ``steps`` are those over the whole length.
    """

    start: float = 0.0
    stop: float = 1.0
    order: int = 4
    steps: int = 100

    @property
    def parameters(self) -> tuple[str, ...]:
        """Length [m], scale [V/m], frequency [Hz], phase [rad], and the two series ``(..., n)``."""
        return NAMES

    def _kick(self, X: Array, place: Array, weight: float, reference: Reference, p: Parameters, after: bool) -> _Kick:
        """At a place, for a beam whose last column is the reference, from the state before or ``after`` the kick.

        The reference is on the axis, where a kick does not depend on its energy: so that before it is known.
        """
        xp, L, u = namespace(X), p["length"], reference.beta_gamma
        per = abs(reference.species.charge_number) / reference.species.mass
        m = xp.astype(xp.arange(p["field_cos"].shape[-1]), X.dtype)
        wave = 2.0 * pi * m
        angle = wave * (place[..., None] - 0.5)
        c, s = xp.cos(angle), xp.sin(angle)
        half = xp.where(m == 0.0, 0.5 * xp.ones_like(m), xp.ones_like(m))
        basis = (half * c, s, -wave * s, wave * c)
        a, b = p["field_cos"], p["field_sin"]
        sum_ = lambda f, g: xp.sum(a * f + b * g, axis=-1)  # noqa: E731
        k, flight = WAVE_NUMBER * p["frequency"], place * L * reference.inverse_beta
        theta = per_particle(p["phase"] + k * flight) + per_particle(k) * X[..., 4, :]
        cosine, q, G = xp.cos(theta), weight * L / u, per * p["scale"] * sum_(*basis[:2])
        pt = X[..., 5, -1] - q * G * cosine[..., -1] if after else X[..., 5, -1]
        energy = reference.gamma + u * pt
        D = per * p["scale"] / L * sum_(*basis[2:])
        return _Kick(q, G, D, basis, energy, energy / xp.sqrt(energy * energy - 1.0), k, flight, xp.sin(theta), cosine)

    @staticmethod
    def _slopes(kick: _Kick, r2: Array) -> tuple[Array, Array]:
        """A and W of dPx = ds A x and dE = ds W."""
        G, D, B, k = (per_particle(v) for v in (kick.G, kick.D, kick.inverse_beta, kick.k))
        A = 0.5 * (G * k * kick.sine - D * B * kick.cosine)
        return A, G * kick.cosine * (1.0 - 0.25 * k * k * r2) - 0.25 * r2 * D * k * B * kick.sine

    def _run(self, X: Array, reference: Reference, p: Parameters, start: float, stop: float, sign: float) -> Array:
        """From a place to another, or back from the second to the first."""
        xp, part = namespace(X), stop - start
        steps = max(1, round(self.steps * part))

        def act(kind: str, weight: float, carry: tuple[Array, Array]) -> tuple[Array, Array]:
            X, place = carry
            if kind == "drift":
                return drift(X, reference, sign * weight * part * p["length"]), place + sign * weight * part
            kick = self._kick(X, place, weight * part, reference, p, after=sign < 0)
            x, px, y, py, tau, pt = rows(X)
            A, W = self._slopes(kick, x * x + y * y)
            q = sign * per_particle(kick.q)
            return join(x, px + q * A * x, y, py + q * A * y, tau, pt + q * W), place

        zero = xp.zeros_like(X[..., 0, 0])
        begin = zero + (start if sign > 0 else stop)
        return fold(self.order, steps, act, (X, begin), X, backwards=sign < 0)[0]

    def _reference_at(self, X: Array, reference: Reference, p: Parameters, place: float) -> Array:
        """Coordinates of the reference there ``(..., 6, 1)``: it enters at the origin."""
        zero = namespace(X).zeros_like(X[..., :1])
        return self._run(zero, reference, p, 0.0, place, 1.0) if place else zero

    def forward(self, X: Array, reference: Reference, p: Parameters) -> Array:
        """Drifts and kicks."""
        both = namespace(X).concat([X, self._reference_at(X, reference, p, self.start)], axis=-1)
        return self._run(both, reference, p, self.start, self.stop, 1.0)[..., :-1]

    def inverse(self, X1: Array, reference: Reference, p: Parameters) -> Array:
        """The same backwards, with the reference where it was."""
        end = self._run(self._reference_at(X1, reference, p, self.start), reference, p, self.start, self.stop, 1.0)
        both = namespace(X1).concat([X1, end], axis=-1)
        return self._run(both, reference, p, self.start, self.stop, -1.0)[..., :-1]

    def pullback(self, X: Array, reference: Reference, p: Parameters, X1_bar: Array) -> tuple[Array, Array, Cotangents]:
        """Run forward, undo each drift and kick and pull back; then on along the reference's way to the entrance."""
        xp = namespace(X)
        ahead = self._reference_at(X, reference, p, self.start)
        both = self._run(xp.concat([X, ahead], axis=-1), reference, p, self.start, self.stop, 1.0)
        bar = xp.concat([X1_bar, xp.zeros_like(X1_bar[..., :1])], axis=-1)
        _, bar, u_bar, bars = self._back(both, reference, p, bar, self.start, self.stop)
        if self.start:
            _, _, more, others = self._back(ahead, reference, p, bar[..., -1:], 0.0, self.start)
            u_bar, bars = u_bar + more, {name: bars[name] + others[name] for name in NAMES}
        return bar[..., :-1], u_bar, bars

    def _back(
        self, X1: Array, reference: Reference, p: Parameters, X1_bar: Array, start: float, stop: float
    ) -> tuple[Array, Array, Array, Cotangents]:
        """State, its cotangent, and sums for beta_gamma and the parameters, from the state at the second place."""
        xp, part = namespace(X1), stop - start
        steps = max(1, round(self.steps * part))

        def act(kind: str, weight: float, carry: tuple) -> tuple:
            X, bar, place, u_bar, bars = carry
            length = weight * part * p["length"]
            if kind == "drift":
                X = drift(X, reference, -length)
                bar, more, length_bar = drift_pullback(X, reference, length, bar)
                bars = {**bars, "length": bars["length"] + weight * part * length_bar}
                return X, bar, place - weight * part, u_bar + more, bars
            return self._kick_back(X, bar, place, u_bar, bars, weight * part, reference, p)

        zero = xp.zeros_like(X1[..., 0, 0])
        nothing = {name: zero for name in NAMES[:4]}
        nothing |= {name: zero[..., None] + 0.0 * p[name] for name in NAMES[4:]}
        carry = (X1, X1_bar, zero + stop, zero + 0.0 * reference.beta_gamma, nothing)
        X, bar, _, u_bar, bars = fold(self.order, steps, act, carry, X1, backwards=True)
        return X, bar, u_bar, bars

    def _kick_back(
        self, X: Array, bar: Array, place: Array, u_bar: Array, bars: Cotangents, weight: float,
        reference: Reference, p: Parameters,
    ) -> tuple:  # fmt: skip
        """Undo a kick, and apply the transpose of its derivative."""
        xp, L, u = namespace(X), p["length"], reference.beta_gamma
        kick = self._kick(X, place, weight, reference, p, after=True)
        x, px, y, py, tau, pt = rows(X)
        r2, q = x * x + y * y, per_particle(kick.q)
        A, W = self._slopes(kick, r2)
        X = join(x, px - q * A * x, y, py - q * A * y, tau, pt - q * W)
        xb, a, yb, b, taub, e = rows(bar)
        G, D, B, k = (per_particle(v) for v in (kick.G, kick.D, kick.inverse_beta, kick.k))
        S, C, quarter = kick.sine, kick.cosine, 0.25 * r2
        m = x * a + y * b
        A_bar, W_bar = q * m, q * e
        q_bar = over_particles(A * m + W * e)
        inner = -0.5 * W_bar * (k * k * G * C + D * k * B * S)
        G_bar = over_particles(0.5 * A_bar * k * S + W_bar * C * (1.0 - k * k * quarter))
        D_bar = over_particles(-0.5 * A_bar * B * C - W_bar * quarter * k * B * S)
        B_bar = over_particles(-0.5 * A_bar * D * C - W_bar * quarter * D * k * S)
        angle = 0.5 * A_bar * (D * B * S + G * k * C)
        angle = angle - W_bar * (G * S * (1.0 - k * k * quarter) + quarter * D * k * B * C)
        total = over_particles(angle)
        k_bar = over_particles(0.5 * A_bar * G * S - W_bar * quarter * (2.0 * k * G * C + D * B * S) + angle * tau)
        k_bar = k_bar + kick.flight * total
        energy_bar = -B_bar / (kick.energy * kick.energy - 1.0) ** 1.5
        only_last = xp.concat([xp.zeros_like(x[..., :-1]), (u * energy_bar)[..., None]], axis=-1)
        bar = join(xb + q * A * a + inner * x, a, yb + q * A * b + inner * y, b, taub + k * angle, e + only_last)
        flight_bar = kick.k * total
        per = abs(reference.species.charge_number) / reference.species.mass
        strength = per * p["scale"]
        f, g, df, dg = kick.basis
        along = lambda one, other: xp.sum(p["field_cos"] * one + p["field_sin"] * other, axis=-1)  # noqa: E731
        slope_bar = (D_bar / L)[..., None]
        found = {
            "length": weight / u * q_bar + place * reference.inverse_beta * flight_bar - kick.D / L * D_bar,
            "scale": per * (G_bar * along(f, g) + D_bar / L * along(df, dg)),
            "frequency": WAVE_NUMBER * k_bar,
            "phase": total,
            "field_cos": strength[..., None] * (G_bar[..., None] * f + slope_bar * df),
            "field_sin": strength[..., None] * (G_bar[..., None] * g + slope_bar * dg),
        }
        u_bar = u_bar + reference.pull_back(
            gamma=energy_bar, inverse_beta=place * L * flight_bar,
            beta_gamma=X[..., 5, -1] * energy_bar - kick.q / u * q_bar,
        )  # fmt: skip
        return X, bar, place, u_bar, {name: bars[name] + found[name] for name in NAMES}


@dataclass(frozen=True)
class RFFieldExit(Map):
    """From the clock and the momentum of `RFField` to those of the reference, which comes out of the whole of it."""

    order: int = 4
    steps: int = 100

    accelerates: ClassVar[bool] = True

    @property
    def parameters(self) -> tuple[str, ...]:
        """Those of the field."""
        return NAMES

    @property
    def _field(self) -> RFField:
        return RFField(0.0, 1.0, self.order, self.steps)

    def _end(self, reference: Reference, p: Parameters) -> Array:
        """Coordinates with which the reference comes out ``(..., 6, 1)``."""
        return self._field.forward(self._origin(reference, p), reference, p)

    @staticmethod
    def _origin(reference: Reference, p: Parameters) -> Array:
        lead = reference.beta_gamma + sum(p[name] for name in NAMES[:4]) + sum(p[name][..., 0] for name in NAMES[4:])
        xp = namespace(lead)
        return xp.zeros_like(xp.stack([lead] * 6, axis=-1))[..., None]

    def _momentum(self, reference: Reference, pt: Array) -> Array:
        """Beta gamma at pt, from (beta gamma)^2 = u^2 + e (2 gamma + e), e = u pt."""
        e = reference.beta_gamma * pt
        u = reference.beta_gamma
        return namespace(e).sqrt(u * u + e * (2.0 * reference.gamma + e))

    def reference_after(self, reference: Reference, p: Parameters) -> Reference:
        """Reference with what it gained."""
        return reference.with_beta_gamma(self._momentum(reference, self._end(reference, p)[..., 5, 0]))

    def reference_before(self, reference: Reference, p: Parameters) -> Reference:
        """Reference that comes out so: Newton's method on its way through."""
        before = reference
        wanted = reference.beta_gamma
        for _ in range(8):
            found = self.reference_after(before, p).beta_gamma
            slope = self.reference_pullback(before, p, 0.0 * found + 1.0)[0]
            before = before.with_beta_gamma(before.beta_gamma - (found - wanted) / slope)
        return before

    def reference_pullback(
        self, reference: Reference, p: Parameters, beta_gamma_bar: Array
    ) -> tuple[Array, Cotangents]:
        """Back along the reference's way."""
        end = self._end(reference, p)
        pt_bar, u_bar = self._momentum_pullback(reference, end[..., 5, 0], beta_gamma_bar)
        return self._way_back(reference, p, 0.0 * pt_bar, pt_bar, u_bar)

    def _momentum_pullback(self, reference: Reference, pt: Array, bar: Array) -> tuple[Array, Array]:
        """Cotangents of pt and of beta_gamma, through `_momentum`."""
        u, e = reference.beta_gamma, reference.beta_gamma * pt
        after = self._momentum(reference, pt)
        e_bar = bar * (reference.gamma + e) / after
        return u * e_bar, pt * e_bar + reference.pull_back(gamma=bar * e / after, beta_gamma=bar * u / after)

    def _way_back(
        self, reference: Reference, p: Parameters, tau_bar: Array, pt_bar: Array, u_bar: Array
    ) -> tuple[Array, Cotangents]:
        """Cotangents of what the reference comes out with, pulled back to where it goes in."""
        zero = 0.0 * pt_bar
        bar = namespace(zero).stack([zero, zero, zero, zero, zero + tau_bar, pt_bar], axis=-1)[..., None]
        origin = 0.0 * bar
        _, more, bars = self._field.pullback(origin, reference, p, bar)
        return u_bar + more, bars

    def forward(self, X: Array, reference: Reference, p: Parameters) -> Array:
        """Deviations from the reference, in units of its momentum."""
        end = self._end(reference, p)
        damping = per_particle(reference.beta_gamma / self._momentum(reference, end[..., 5, 0]))
        x, px, y, py, tau, pt = rows(X)
        return join(x, damping * px, y, damping * py, tau - end[..., 4, :], damping * (pt - end[..., 5, :]))

    def inverse(self, X1: Array, reference: Reference, p: Parameters) -> Array:
        """Back to the clock and the momentum inside."""
        end = self._end(reference, p)
        growth = per_particle(self._momentum(reference, end[..., 5, 0]) / reference.beta_gamma)
        x, px, y, py, tau, pt = rows(X1)
        return join(x, growth * px, y, growth * py, tau + end[..., 4, :], growth * pt + end[..., 5, :])

    def pullback(self, X: Array, reference: Reference, p: Parameters, X1_bar: Array) -> tuple[Array, Array, Cotangents]:
        """Through the change of unit, and back along the reference's way."""
        end = self._end(reference, p)
        after = self._momentum(reference, end[..., 5, 0])
        ratio = reference.beta_gamma / after
        damping = per_particle(ratio)
        _, px, _, py, _, pt = rows(X)
        xb, pxb, yb, pyb, taub, ptb = rows(X1_bar)
        ratio_bar = over_particles(px * pxb + py * pyb + (pt - end[..., 5, :]) * ptb)
        pt_bar, u_bar = self._momentum_pullback(reference, end[..., 5, 0], -ratio * ratio_bar / after)
        u_bar, bars = self._way_back(
            reference, p, -over_particles(taub), pt_bar - ratio * over_particles(ptb), u_bar + ratio_bar / after
        )
        return join(xb, damping * pxb, yb, damping * pyb, taub, damping * ptb), u_bar, bars
