"""RF structure: the body and the ends of a standing- or travelling-wave cavity, averaged over a cell.

The field is a wave that travels with the reference particle, of gradient g = |Z| V/L and phase phi, in a standing
structure with its mirror image running the other way. Averaged over a cell, the mirror image gains nothing, and
focuses (Rosenzweig & Serafini, PRE 49 (1994) 1599, here not in the limit of gamma >> 1): with momenta in units of
m c, energies in m c^2 and u = beta gamma::

    dx/ds = Px/u      dPx/ds = -(w^2/u + g k sin(phi)/(2 u^2)) x      w^2 = g^2/8 standing, 0 travelling
    Px -= g cos(phi)/(2 beta) x  at the entrance, += at the exit

On crest the body turns (x, Px/w) by w int ds/u = (arcosh gamma_1 - arcosh gamma_0)/sqrt(8).

`RFBody`   steady acceleration and w^2: in closed form for every particle, to all orders
The rest is in `backbeam.maps.rf_wave`: `RFWave`, what the wave does besides, which depends on arrival time and radius
as in a gap, and `RFEnd`, the kick of the fringe field.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from backbeam.arrays import Array, join, namespace, over_particles, per_particle, rows
from backbeam.maps.base import Map
from backbeam.maps.matrices import apply, outer_sums, transpose
from backbeam.maps.rf import RFGap
from backbeam.maps.rf_flight import Flight, flight
from backbeam.maps.smooth import stumpff

if TYPE_CHECKING:
    from backbeam.maps.base import Cotangents, Parameters
    from backbeam.maps.matrices import Entries
    from backbeam.reference import Reference

PONDEROMOTIVE = 1.0 / 8.0
"""w^2/g^2 of a pure standing wave, eta/8 with eta = 1."""


@dataclass(frozen=True)
class _Body(Map):
    """What both bodies share: the reference's steady gain, and their strengths."""

    fraction: float = 1.0
    """Part of the cavity that this map covers."""
    standing: bool = True
    """Whether there is a mirror image of the wave."""

    accelerates: ClassVar[bool] = True

    @property
    def parameters(self) -> tuple[str, ...]:
        """Length [m], voltage [V] and phase [rad] of the whole cavity."""
        return ("length", "voltage", "phase")

    @property
    def _gap(self) -> RFGap:
        """Gap that does to the reference what the body does."""
        return RFGap(self.fraction)

    def reference_after(self, reference: Reference, p: Parameters) -> Reference:
        """Reference with the body's energy."""
        return self._gap.reference_after(reference, p)

    def reference_before(self, reference: Reference, p: Parameters) -> Reference:
        """Reference without the body's energy."""
        return self._gap.reference_before(reference, p)

    def reference_pullback(
        self, reference: Reference, p: Parameters, beta_gamma_bar: Array
    ) -> tuple[Array, Cotangents]:
        """As of a gap of the same voltage."""
        return self._gap.reference_pullback(reference, p, beta_gamma_bar)

    def _gradient(self, reference: Reference, p: Parameters) -> Array:
        """g = |Z| V/(L m c^2) [1/m], the greatest gain of gamma over a length."""
        return abs(reference.species.charge_number) / reference.species.mass * p["voltage"] / p["length"]

    def _given(self, reference: Reference, p: Parameters) -> _Given:
        after = self.reference_after(reference, p)
        g = self._gradient(reference, p)
        return _Given(
            after,
            ((reference.gamma, reference.beta_gamma), (after.gamma, after.beta_gamma)),
            self._gap.gain(reference, p),
            self.fraction * p["length"],
            PONDEROMOTIVE * g * g if self.standing else 0.0 * g,
        )

    def _bars(self, reference: Reference, p: Parameters, gain_bar: Array, L_bar: Array, w2_bar: Array) -> Cotangents:
        """Cotangents of the parameters from those of the gain, the length covered and w^2."""
        phase, g = p["phase"], self._gradient(reference, p)
        per_volt = self._gap.per_volt(reference)
        g_bar = 2.0 * PONDEROMOTIVE * g * w2_bar if self.standing else 0.0
        xp = namespace(phase)
        return {
            "length": self.fraction * L_bar - g * g_bar / p["length"],
            "voltage": per_volt * xp.cos(phase) * gain_bar + per_volt / (self.fraction * p["length"]) * g_bar,
            "phase": -per_volt * p["voltage"] * xp.sin(phase) * gain_bar,
        }


class _Given(NamedTuple):
    """What a body's parameters and reference come to, each of the batch shape."""

    after: Reference
    ends: tuple[tuple[Array, Array], tuple[Array, Array]]
    gain: Array
    length: Array
    w2: Array


@dataclass(frozen=True)
class RFBody(_Body):
    """Steady acceleration with ponderomotive focusing, in closed form.

    H = -sqrt(E(s)^2 - 1 - M), M = Px^2 + Py^2 + w^2 (x^2 + y^2): the mirror image acts as a mass (that is what a
    ponderomotive force is), and at w = 0 this is the exact drift of a particle in a uniform field. M and
    e = E - gamma stay, so that (x, Px/w) turns by w T, T of a `Flight`, and tau grows by its delay.
    """

    def _run(self, rest: tuple[Array, ...], way: Flight, given: _Given, sign: float) -> tuple[Array, ...]:
        """(x, Px, y, Py) turned."""
        x, Px, y, Py = rest
        w2 = per_particle(given.w2)
        c, s = _turn(w2, way.proper, self.standing)[:2]
        down, s = sign * w2 * s, sign * s
        return c * x + s * Px, c * Px - down * x, c * y + s * Py, c * Py - down * y

    def _flight(self, x: Array, Px: Array, y: Array, Py: Array, e: Array, given: _Given) -> Flight:
        M = Px * Px + Py * Py + per_particle(given.w2) * (x * x + y * y)
        ends = tuple((per_particle(g), per_particle(u)) for g, u in given.ends)
        return flight(ends, per_particle(given.gain), per_particle(given.length), e, M)

    def forward(self, X: Array, reference: Reference, p: Parameters) -> Array:
        """Turn, delay, and change to units of the reference momentum at the end."""
        given = self._given(reference, p)
        return self._through(X, given, reference.beta_gamma, given.after.beta_gamma, 1.0)

    def inverse(self, X1: Array, reference: Reference, p: Parameters) -> Array:
        """Turn back: e and M, on which all depends, are the same at the end."""
        given = self._given(reference, p)
        return self._through(X1, given, given.after.beta_gamma, reference.beta_gamma, -1.0)

    def _through(self, X: Array, given: _Given, unit: Array, unit_after: Array, sign: float) -> Array:
        x, px, y, py, tau, pt = rows(X)
        u, damping = per_particle(unit), 1.0 / per_particle(unit_after)
        Px, Py, e = u * px, u * py, u * pt
        way = self._flight(x, Px, y, Py, e, given)
        x, Px, y, Py = self._run((x, Px, y, Py), way, given, sign)
        return join(x, damping * Px, y, damping * Py, tau + sign * way.late, damping * e)

    def pullback(self, X: Array, reference: Reference, p: Parameters, X1_bar: Array) -> tuple[Array, Array, Cotangents]:
        """Back through the turn at given T, then through T and the delay by e, M and the reference."""
        given = self._given(reference, p)
        x, px, y, py, _, pt = rows(X)
        xb, pxb, yb, pyb, taub, ptb = rows(X1_bar)
        u0, u1 = reference.beta_gamma, given.after.beta_gamma
        unit, damping, w2 = per_particle(u0), per_particle(1.0 / u1), per_particle(given.w2)
        Px, Py, e = unit * px, unit * py, unit * pt
        way = self._flight(x, Px, y, Py, e, given)
        c, s, by_c, by_s, by_down = _turn(w2, way.proper, self.standing)
        down = w2 * s
        a, b, eb = damping * pxb, damping * pyb, damping * ptb
        x1, Px1, y1, Py1 = self._run((x, Px, y, Py), way, given, 1.0)
        u1_bar = -over_particles(Px1 * a + Py1 * b + e * eb) / u1
        T_bar = Px1 * xb + Py1 * yb - w2 * (x1 * a + y1 * b)
        M_bar = 0.5 * (way.cubic * T_bar + way.energetic * taub)
        e_bar = eb - way.energetic * T_bar - (1.0 + _mass(x, Px, y, Py, w2)) * way.cubic * taub
        twice = 2.0 * M_bar
        Px_bar, Py_bar = s * xb + c * a + twice * Px, s * yb + c * b + twice * Py
        X_bar = join(
            c * xb - down * a + twice * w2 * x,
            unit * Px_bar,
            c * yb - down * b + twice * w2 * y,
            unit * Py_bar,
            taub,
            unit * e_bar,
        )
        (by_g0, by_u0), (by_g1, by_u1) = ((over_particles(taub * d) for d in end) for end in way.late_by)
        gain_bar = over_particles(way.by_gain * T_bar)
        after_bar = by_g1 + (u1_bar + by_u1) * given.after.inverse_beta  # of gamma at the end
        along = over_particles(px * Px_bar + py * Py_bar + pt * e_bar)
        gamma_bar = after_bar + by_g0 - over_particles(way.energetic * T_bar)
        length_bar = over_particles(way.proper * T_bar + way.late * taub) / given.length
        w2_bar = over_particles(
            by_c * (x * xb + Px * a + y * yb + Py * b)
            + by_s * (Px * xb + Py * yb)
            - by_down * (x * a + y * b)
            + (x * x + y * y) * M_bar
        )
        bars = self._bars(reference, p, after_bar + gain_bar, length_bar, w2_bar)
        return X_bar, reference.pull_back(gamma=gamma_bar, beta_gamma=by_u0 + along), bars


def _mass(x: Array, Px: Array, y: Array, Py: Array, w2: Array) -> Array:
    return Px * Px + Py * Py + w2 * (x * x + y * y)


def _turn(w2: Array, T: Array, standing: bool) -> tuple[Array | float, ...]:
    """c = cos(w T) and s = sin(w T)/w, then the derivatives by w^2 of c, s and w^2 s."""
    if not standing:
        return 1.0, T, 0.0, 0.0, 0.0
    c, c1, c2, c3 = stumpff(w2 * T * T, 4)
    s = T * c1
    return c, s, -0.5 * T * s, 0.5 * T * T * T * (c3 - c2), 0.5 * (s + T * c)


@dataclass(frozen=True)
class LinearRFBody(_Body):
    """First order of `RFBody` about the reference."""

    def _entries(self, reference: Reference, p: Parameters, back: bool = False) -> tuple[Entries, _Given, Flight]:
        given = self._given(reference, p)
        zero = namespace(given.gain).zeros_like(given.gain)
        way = flight(given.ends, given.gain, given.length, zero, zero)
        c, s = _turn(given.w2, way.proper, self.standing)[:2]
        u, u1, sign = reference.beta_gamma, given.after.beta_gamma, -1.0 if back else 1.0
        if back:
            u, u1 = u1, u
        s, cubic = sign * s, sign * way.cubic
        down, damping = -given.w2 * s / u1, u / u1
        entries: Entries = {(0, 0): c, (0, 1): s * u, (1, 1): c * damping, (4, 4): 1.0}
        entries |= {(1, 0): down, (4, 5): -cubic * u, (5, 5): damping}
        entries |= {(2, 2): c, (2, 3): s * u, (3, 2): down, (3, 3): c * damping}
        return entries, given, way

    def forward(self, X: Array, reference: Reference, p: Parameters) -> Array:
        """Matrix times X."""
        return apply(self._entries(reference, p)[0], X)

    def inverse(self, X1: Array, reference: Reference, p: Parameters) -> Array:
        """Matrix of the way back times X1."""
        return apply(self._entries(reference, p, back=True)[0], X1)

    def pullback(self, X: Array, reference: Reference, p: Parameters, X1_bar: Array) -> tuple[Array, Array, Cotangents]:
        """Transposed matrix times the cotangent; parameters through the sums over particles."""
        entries, given, way = self._entries(reference, p)
        B = outer_sums(X1_bar, X, entries)
        (g0, u0), (g1, u1) = given.ends
        T, J, w2 = way.proper, way.cubic, given.w2
        c, s, by_c, by_s, by_down = _turn(w2, T, self.standing)
        damping = u0 / u1
        c_bar = B[0, 0] + B[2, 2] + damping * (B[1, 1] + B[3, 3])
        s_bar, down_bar = u0 * (B[0, 1] + B[2, 3]), -(B[1, 0] + B[3, 2]) / u1
        damping_bar = B[5, 5] + c * (B[1, 1] + B[3, 3])
        T_bar = -w2 * s * c_bar + c * s_bar + w2 * c * down_bar
        w2_bar = by_c * c_bar + by_s * s_bar + by_down * down_bar
        J_bar = -u0 * B[4, 5]
        u0_bar = s * (B[0, 1] + B[2, 3]) - J * B[4, 5] + damping_bar / u1
        u1_bar = (w2 * s * (B[1, 0] + B[3, 2]) / u1 - damping * damping_bar) / u1
        # J = L (g0 + g1)/(u0 u1 w), w = g0 u1 + g1 u0
        w, by_J = g0 * u1 + g1 * u0, J * J_bar
        g0_bar, g1_bar = by_J * (1.0 / (g0 + g1) - u1 / w), by_J * (1.0 / (g0 + g1) - u0 / w)
        u0_bar, u1_bar = u0_bar - by_J * (1.0 / u0 + g1 / w), u1_bar - by_J * (1.0 / u1 + g0 / w)
        after_bar = g1_bar + u1_bar * given.after.inverse_beta
        gamma_bar = after_bar + g0_bar - way.energetic * T_bar
        length_bar = (T * T_bar + by_J) / given.length
        bars = self._bars(reference, p, after_bar + way.by_gain * T_bar, length_bar, w2_bar)
        return apply(transpose(entries), X1_bar), reference.pull_back(gamma=gamma_bar, beta_gamma=u0_bar), bars
