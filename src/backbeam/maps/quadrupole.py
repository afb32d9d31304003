"""Exact thick quadrupole: its linear matrix, and a small correction for the exact Hamiltonian.

Drift-kick splittings pay for the focusing itself, which a matrix solves exactly. Here the two parts are the
linear quadrupole and what the square root adds to it, a function of the momenta alone, so that a step's error
has one more power of what is small in every beam: the relative momentum deviation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from math import sqrt
from typing import TYPE_CHECKING, NamedTuple

from backbeam.arrays import namespace, over_particles, per_particle
from backbeam.errors import InputError
from backbeam.maps.base import Map
from backbeam.maps.linear import focusing_integrals, focusing_integrals_pullback

if TYPE_CHECKING:
    from collections.abc import Callable

    from backbeam.arrays import Array
    from backbeam.maps.base import Cotangents, Parameters
    from backbeam.reference import Reference

_NODES = {
    2: ((0.5, 1.0),),
    4: ((0.5 - sqrt(3.0) / 6.0, 0.5), (0.5 + sqrt(3.0) / 6.0, 0.5)),
    6: ((0.5 - sqrt(15.0) / 10.0, 5.0 / 18.0), (0.5, 4.0 / 9.0), (0.5 + sqrt(15.0) / 10.0, 5.0 / 18.0)),
}
"""Gauss-Legendre nodes and weights on (0, 1)."""


@cache
def sequence(order: int, steps: int) -> tuple[tuple[str, float], ...]:
    """Sequence of ("turn" | "correct", weight) for a number of equal steps; weights of each kind add to 1.

    For H = A + epsilon B, corrections at the order/2 Gauss-Legendre nodes of a step h leave an error of
    O(epsilon h^order) + O(epsilon^2 h^2); all weights are positive. Neighbouring turns are merged, so a step
    costs 1, 2 or 3 corrections at order 2 (Strang), 4 or 6. Strang steps composed to order 4 or 6, as in
    `backbeam.maps.splitting`, take 3 or 7, some of them backwards, and gain only where epsilon^2 dominates.
    Sources: McLachlan, BIT 35 (1995) 258, methods (2n, 2); Laskar & Robutel, Celest. Mech. Dyn. Astron. 80
    (2001) 39, SABA_n.

    Raises
    ------
    InputError
        For an order other than 2, 4, 6 or fewer than one step.
    """
    if order not in _NODES:
        raise InputError("order", order, "2, 4 or 6")
    if steps < 1:
        raise InputError("steps", steps, "a whole number, at least 1")
    nodes = _NODES[order]
    between = [b[0] - a[0] for a, b in pairwise(nodes)]
    first = nodes[0][0]
    out: list[tuple[str, float]] = [("turn", first / steps)]
    for step in range(steps):
        border = first if step == steps - 1 else 2.0 * first
        for (_, weight), turn in zip(nodes, [*between, border], strict=True):
            out += [("correct", weight / steps), ("turn", turn / steps)]
    return tuple(out)


class PhaseAdvances(NamedTuple):
    """Matrices [[c, s], [d, c]] of both planes, over each different length of a sequence: ``(..., 2, m)``."""

    k: Array
    """Focusing strength of each plane ``(..., 2, 1)``."""
    L: Array
    """The m lengths ``(..., 1, m)``."""
    I: tuple[Array, ...]
    """Their `focusing_integrals`."""

    def entries(self) -> list[tuple[Array, ...]]:
        """Entries (c, s, d, c) of each of the m, themselves ``(..., 2)``."""
        c, s = self.I[0], self.I[1]
        d = -self.k * s
        return [(c[..., i], s[..., i], d[..., i], c[..., i]) for i in range(self.L.shape[-1])]


def turn(entries: tuple[Array, ...], Z: Array) -> Array:
    """Apply 2x2 matrices, of entries ``(..., 2)`` row by row, to both planes ``(..., 2, 2, n)``."""
    xp = namespace(Z)
    if Z.dtype == xp.float64:
        flat = xp.stack(entries, axis=-1)
        return xp.matmul(xp.reshape(flat, (*flat.shape[:-1], 2, 2)), Z)
    a, b, c, d = (entry[..., None] for entry in entries)  # see `backbeam.maps.matrices` for the reason
    q, m = Z[..., 0, :], Z[..., 1, :]
    return xp.stack([a * q + b * m, c * q + d * m], axis=-2)


def turn_sums(Z1_bar: Array, Z: Array) -> tuple[Array, Array, Array]:
    """Cotangents of c, s and d of `turn` by [[c, s], [d, c]] ``(..., 2)``."""
    xp = namespace(Z)
    if Z.dtype == xp.float64:
        B = xp.matmul(Z1_bar, xp.matrix_transpose(Z))
        return B[..., 0, 0] + B[..., 1, 1], B[..., 0, 1], B[..., 1, 0]
    s, d = (over_particles(Z1_bar[..., i, :] * Z[..., j, :]) for i, j in ((0, 1), (1, 0)))
    return xp.sum(Z1_bar * Z, axis=(-2, -1)), s, d


class Slopes(NamedTuple):
    """What a correction does over a unit of length; the momenta stay. Rows ``(..., n)``."""

    p2: Array
    """px^2 + py^2."""
    pz: Array
    excess: Array
    """1/pz - 1: of x and y, by momentum, beyond the linear drift."""
    late: Array
    """Of tau, with that of the linear drift: (pt + 1/beta0)/pz - 1/beta0."""


def _slopes_of(pt: Array, reference: Reference) -> Callable[[Array], Slopes]:
    """Slopes by the transverse momenta ``(..., 2, n)``; what depends on pt alone is computed once.

    The formulas are those of `backbeam.maps.kinematics`.
    """
    beta, b, gamma = map(per_particle, (reference.beta, reference.inverse_beta, reference.gamma))
    a = pt * (2.0 * b + pt)
    slow, ahead = a / (gamma * gamma), 1.0 + beta * pt

    def slopes(momenta: Array) -> Slopes:
        px, py = momenta[..., 0, :], momenta[..., 1, :]
        p2 = px * px + py * py
        u = a - p2
        pz = namespace(u).sqrt(1.0 + u)
        return Slopes(p2, pz, -u / (pz + pz * pz), b * (p2 - slow) / (pz * (ahead + pz)))

    return slopes


def _advance(Z: Array, advance: Array) -> Array:
    """Add momenta times ``advance (..., n)`` to the positions."""
    momenta = Z[..., 1, :]
    return namespace(Z).stack([Z[..., 0, :] + advance[..., None, :] * momenta, momenta], axis=-2)


@dataclass(frozen=True)
class ThickQuadrupole(Map):
    """Exact quadrupole: matrix, correction, matrix, at Gauss-Legendre nodes.

    H = -sqrt((1 + delta)^2 - px^2 - py^2) + pt/beta0 + k1 (x^2 - y^2)/2 is split into the linear quadrupole
    and the exact drift less the linear one::

        x += L px (1/pz - 1)      y += L py (1/pz - 1)      tau += L (delay/pz + pt/(beta0 gamma0)^2)

    1/pz - 1 = -dpz/pz cancels nothing. The linear drift in tau commutes with all the rest, and what the two
    parts hold of it adds to nothing, so neither computes it. At order 2 it is the splitting of ImpactX's
    ExactQuad.

    Parameters
    ----------
    order, steps:
        See `sequence`; the small epsilon is about pt/beta0 + (px^2 + py^2)/2.
    fraction:
        Part of the element's length that this map covers.
    """

    order: int = 4
    steps: int = 1
    fraction: float = 1.0

    @property
    def substeps(self) -> int:
        """One correction a Gauss-Legendre node."""
        return self.steps * self.order // 2

    @property
    def parameters(self) -> tuple[str, ...]:
        """Length [m] and gradient k1 [1/m^2]."""
        return ("length", "k1")

    def _lengths(self) -> tuple[float, ...]:
        """The different lengths of turns, as parts of the element's."""
        parts = (part for kind, part in sequence(self.order, self.steps) if kind == "turn")
        return tuple(self.fraction * part for part in dict.fromkeys(parts))

    def _turns(self, p: Parameters, sign: float, count: int) -> PhaseAdvances:
        xp, k1 = namespace(p["k1"]), p["k1"]
        L = xp.stack([sign * part * p["length"] for part in self._lengths()], axis=-1)[..., None, :]
        k = xp.stack([k1, -k1], axis=-1)[..., None]
        return PhaseAdvances(k, L, focusing_integrals((k,), L, count)[0])

    def _run(self, X: Array, reference: Reference, p: Parameters, sign: float) -> Array:
        lengths, turns = self._lengths(), self._turns(p, sign, 2)
        matrices = turns.entries()
        Z, pt, length = _planes(X), X[..., 5, :], per_particle(p["length"])
        slopes_at, late = _slopes_of(pt, reference), 0.0
        for kind, part in sequence(self.order, self.steps):
            scale = self.fraction * part
            if kind == "turn":
                Z = turn(matrices[lengths.index(scale)], Z)
            else:
                slopes = slopes_at(Z[..., 1, :])
                Z = _advance(Z, sign * scale * length * slopes.excess)
                late = late + scale * slopes.late
        return _coordinates(Z, X[..., 4, :] + sign * length * late, pt)

    def forward(self, X: Array, reference: Reference, p: Parameters) -> Array:
        """Run the sequence."""
        return self._run(X, reference, p, 1.0)

    def inverse(self, X1: Array, reference: Reference, p: Parameters) -> Array:
        """Run the sequence backwards: it is symmetric, so only the signs change."""
        return self._run(X1, reference, p, -1.0)

    def reverse(
        self, X1: Array, reference: Reference, p: Parameters, X1_bar: Array
    ) -> tuple[Array, Array, Array, Cotangents]:
        """Undo each turn and correction, pulling back on the way: nothing is stored."""
        lengths, turns = self._lengths(), self._turns(p, 1.0, 4)
        inverted = [(c, -s, -d, c) for c, s, d, _ in turns.entries()]
        transposed = [(c, d, s, c) for c, s, d, _ in turns.entries()]
        entry_bars: list[tuple[Array, ...]] = [(0.0, 0.0, 0.0)] * len(lengths)
        Z, pt, length = _planes(X1), X1[..., 5, :], per_particle(p["length"])
        Z_bar, tau_bar, pt_bar = _planes(X1_bar), X1_bar[..., 4, :], X1_bar[..., 5, :]
        slopes_at, e = _slopes_of(pt, reference), pt + per_particle(reference.inverse_beta)
        rest, e_bar = 1.0 / per_particle(reference.beta_gamma) ** 2, e * tau_bar
        xp = namespace(Z)
        # Rows that add up over the corrections: pt and the cotangent of tau are the same in all of them.
        late, excess, advance, G, GS, GT = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for kind, part in reversed(sequence(self.order, self.steps)):
            scale = self.fraction * part
            if kind == "turn":
                i = lengths.index(scale)
                Z = turn(inverted[i], Z)
                sums = turn_sums(Z_bar, Z)
                entry_bars[i] = tuple(a + b for a, b in zip(entry_bars[i], sums, strict=True))
                Z_bar = turn(transposed[i], Z_bar)
                continue
            momenta, positions_bar = Z[..., 1, :], Z_bar[..., 0, :]
            slopes, span = slopes_at(momenta), scale * length
            step = span * slopes.excess
            Z = _advance(Z, -step)
            # As in `drift_pullback`, but that x and y advance by 1/pz - 1 instead of 1/pz.
            along = xp.sum(momenta * positions_bar, axis=-2)
            g = span / (slopes.pz * slopes.pz * slopes.pz)
            gs = g * along
            inward = (gs + g * e_bar)[..., None, :]
            momenta_bar = Z_bar[..., 1, :] + step[..., None, :] * positions_bar + inward * momenta
            Z_bar = xp.stack([positions_bar, momenta_bar], axis=-2)
            late, excess = late + scale * slopes.late, excess + scale * (slopes.excess * along)
            advance, G, GS, GT = advance + step, G + g, GS + gs, GT + g * (rest + slopes.p2)
        from_turns, k1_bar = self._pull_turns(turns, entry_bars)
        inverse_beta_bar = over_particles(advance * tau_bar - pt * (GS + G * e_bar))
        bars = {"length": over_particles(late * tau_bar + excess) + from_turns, "k1": k1_bar}
        return (
            _coordinates(Z, X1[..., 4, :] - length * late, pt),
            _coordinates(Z_bar, tau_bar, pt_bar - e * GS - GT * tau_bar),
            reference.pull_back(inverse_beta=inverse_beta_bar),
            bars,
        )

    def _pull_turns(self, turns: PhaseAdvances, entry_bars: list) -> tuple[Array, Array]:
        """Cotangents of the element's length and of k1, from those of the entries of each different turn."""
        k, L, I = turns
        c_bar, s_bar, d_bar = (namespace(L).stack(bars, axis=-1) for bars in zip(*entry_bars, strict=True))
        k_bar, L_bar = focusing_integrals_pullback(k, L, I, (c_bar, s_bar - k * d_bar))
        k_bar = over_particles(k_bar - I[1] * d_bar)
        L_bar = L_bar[..., 0, :] + L_bar[..., 1, :]
        length_bar = sum(part * L_bar[..., i] for i, part in enumerate(self._lengths()))
        return length_bar, k_bar[..., 0] - k_bar[..., 1]

    def pullback(self, X: Array, reference: Reference, p: Parameters, X1_bar: Array) -> tuple[Array, Array, Cotangents]:
        """Run forward, then `reverse`."""
        return self.reverse(self.forward(X, reference, p), reference, p, X1_bar)[1:]


def _planes(X: Array) -> Array:
    """(x, px) and (y, py) as ``(..., 2, 2, n)``."""
    return namespace(X).reshape(X[..., :4, :], (*X.shape[:-2], 2, 2, X.shape[-1]))


def _coordinates(Z: Array, tau: Array, pt: Array) -> Array:
    """Coordinates ``(..., 6, n)`` of both planes and the two last rows."""
    transverse = namespace(Z).reshape(Z, (*Z.shape[:-3], 4, Z.shape[-1]))
    return namespace(Z).concat([transverse, tau[..., None, :], pt[..., None, :]], axis=-2)
