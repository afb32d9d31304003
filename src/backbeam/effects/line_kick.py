"""Kicks by what a beam leaves along a line: wakes, synchrotron radiation. One engine for all of them.

A particle at tau changes a momentum by

    d_i = a_i sum_j R(tau_i - tau_j) q_j b_j

with R the response of what surrounds the beam: what a unit of charge does to a momentum at a distance from it, on one
side of it alone, *behind* it (a wake) or *ahead* of it (radiation in a bend). a_i and b_j are 1 or a transverse
position. On a line of nodes (`backbeam.effects.mesh.line`) the charges b_j q_j become C, the sum a convolution R * C,
and the particles read it there by the weights with which they charged it; so R is averaged over the cloud of a
particle, a triangle of two spacings. A single particle feels the half of what it leaves at distance 0.

To add one: a subclass of `LineKick` that says which momenta move (`channels`) and what the response is.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from backbeam.arrays import join, namespace, over_particles, rows
from backbeam.effects.base import Effect, EffectBars
from backbeam.effects.mesh.line import LineMesh, convolve, correlate, line_mesh
from backbeam.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backbeam.arrays import Array
    from backbeam.effects.base import Bunch
    from backbeam.reference import Reference

MOST_NODES = 1_000_000
"""Of a line."""

X_ROW, PX_ROW, Y_ROW, PY_ROW, TAU_ROW, PT_ROW = range(6)


class Channel(NamedTuple):
    """A momentum that moves: rows of the coordinates."""

    moved: int
    source: int | None = None
    """The position by which a charge counts; None: it counts as it is."""
    own: int | None = None
    """The position by which the kick is multiplied; None: all at one tau get the same."""


class Response(NamedTuple):
    """Change of a momentum per charge, averaged over a cloud, at distances of 0, 1, ... nodes; and its derivatives."""

    value: Array
    """``(B, nodes)`` [1/C], or [1/(C m)], [1/(C m^2)] with one or two positions"""
    spacing: Array
    """Its derivative with respect to the spacing ``(B, nodes)`` [1/(C m)]."""
    beta_gamma: Array
    """And to that of the reference."""
    p: dict[str, Array]
    """And to parameters, by name."""


@dataclass(frozen=True, kw_only=True)
class LineKick(Effect):
    """A kick along a line of nodes from the first living particle to the last.

    Those without charge are on the line, too: they feel a wake behind the beam as in it. One that is far away makes the
    line long and its nodes coarse.

    Parameters
    ----------
    nodes:
        Number of nodes along the beam, at least 4. What is shorter than their distance is averaged over.
    """

    nodes: int = 256

    ahead: ClassVar[bool] = False
    """Whether charges act ahead of themselves, and not behind."""
    point: ClassVar[float] = 1e-12
    """Length of the line of a beam without length [m]."""

    def __post_init__(self) -> None:
        super().__post_init__()
        is_whole = isinstance(self.nodes, Integral) and not isinstance(self.nodes, bool)
        if not is_whole or not 4 <= self.nodes <= MOST_NODES:
            raise InputError(self._label("nodes"), self.nodes, f"a whole number, at least 4 and at most {MOST_NODES}")
        object.__setattr__(self, "nodes", int(self.nodes))

    def channels(self) -> tuple[Channel, ...]:
        """Which momenta move."""
        raise NotImplementedError

    def response(self, spacing: Array, reference: Reference, p: Mapping[str, Array]) -> Array:
        """`Response.value`. ``spacing``, the reference's and the values of ``p`` are ``(B,)``."""
        raise NotImplementedError

    def response_slopes(self, spacing: Array, reference: Reference, p: Mapping[str, Array]) -> Response:
        """The response and its derivatives."""
        raise NotImplementedError

    # -- the kick ----------------------------------------------------------------------------------------------------

    def forward(self, bunch: Bunch, p: Mapping[str, Array]) -> Array:
        """Coordinates after the kick."""
        return self._kicked(bunch, p, 1.0)

    def inverse(self, bunch: Bunch, p: Mapping[str, Array]) -> Array:
        """Coordinates before the kick, from the bunch after it."""
        return self._kicked(bunch, p, -1.0)

    def pullback(self, bunch: Bunch, p: Mapping[str, Array], X1_bar: Array) -> EffectBars:
        """Cotangents at the bunch before the kick."""
        return self._back(_laid(bunch, p, self), X1_bar)[1]

    def reverse(self, bunch: Bunch, p: Mapping[str, Array], X1_bar: Array) -> tuple[Array, EffectBars]:
        """X before the kick and its cotangents, from the bunch after it: one convolution serves both."""
        beam = _laid(bunch, p, self)
        kicks, bars = self._back(beam, X1_bar)
        return self._moved(bunch, beam, kicks, -1.0), bars

    def sizes(self, n: int, batch: int, grids: int) -> dict[str, float]:
        """Nothing that counts beside the particles."""
        return {}

    def _kicked(self, bunch: Bunch, p: Mapping[str, Array], sign: float) -> Array:
        beam = _laid(bunch, p, self)
        response = self.response(beam.mesh.spacing, beam.reference, beam.p)
        left = self._spread(response, beam.mesh.deposit(self._sources(beam)))
        return self._moved(bunch, beam, beam.mesh.gather(left), sign)

    def _back(self, beam: _Beam, X1_bar: Array) -> tuple[Array, EffectBars]:
        """What is felt ``(k, B, n)``, and the cotangents.

        With F the transpose of `_spread`, a cotangent of a kick acts on the nodes as a charge does: it is deposited, F
        makes a line of it, and the charges read that.
        """
        xp, mesh, shape = namespace(beam.X), beam.mesh, X1_bar.shape
        response = self.response_slopes(mesh.spacing, beam.reference, beam.p)
        sources = self._sources(beam)
        charge = mesh.deposit(sources)
        left = self._spread(response.value, charge)
        kicks = mesh.gather(left)

        bars = list(rows(xp.reshape(X1_bar, beam.X.shape)))
        felt = [_living(bars[c.moved], beam.alive) for c in self.channels()]
        kick_bar = xp.stack(
            [f if c.own is None else f * beam.row(c.own) for c, f in zip(self.channels(), felt, strict=True)]
        )
        left_bar = mesh.deposit(kick_bar)
        charge_bar = self._gathered(response.value, left_bar)
        source_bar = mesh.gather(charge_bar)
        position_bar = xp.sum(kick_bar * mesh.slope(left) + sources * mesh.slope(charge_bar), axis=0)

        q_bar = 0.0
        for k, c in enumerate(self.channels()):
            if c.own is not None:
                bars[c.own] = bars[c.own] + felt[k] * kicks[k, ...]
            if c.source is None:
                q_bar = q_bar + source_bar[k, ...]
            else:
                q_bar = q_bar + beam.row(c.source) * source_bar[k, ...]
                bars[c.source] = bars[c.source] + beam.q * source_bar[k, ...]

        pair = (left_bar, charge) if self.ahead else (charge, left_bar)
        response_bar = xp.sum(correlate(*pair), axis=0)
        by = lambda slope: over_particles(response_bar * slope)  # noqa: E731
        bars[TAU_ROW] = bars[TAU_ROW] + mesh.pull_back(position_bar, by(response.spacing))
        batch = shape[:-2]
        return kicks, EffectBars(
            xp.reshape(join(*bars), shape),
            xp.reshape(_living(q_bar, beam.alive), (*batch, shape[-1])),
            xp.reshape(by(response.beta_gamma), batch),
            {name: xp.reshape(by(slope), batch) for name, slope in response.p.items()},
        )

    def _spread(self, response: Array, charge: Array) -> Array:
        """What charges leave on the nodes."""
        return correlate(response, charge) if self.ahead else convolve(response, charge)

    def _gathered(self, response: Array, left_bar: Array) -> Array:
        """The transpose of `_spread`."""
        return convolve(response, left_bar) if self.ahead else correlate(response, left_bar)

    def _sources(self, beam: _Beam) -> Array:
        """Charges by which each channel is driven ``(k, B, n)``."""
        parts = (beam.q if c.source is None else beam.q * beam.row(c.source) for c in self.channels())
        return namespace(beam.q).stack(tuple(parts))

    def _moved(self, bunch: Bunch, beam: _Beam, kicks: Array, sign: float) -> Array:
        """Coordinates with their momenta moved by what is felt."""
        parts = list(rows(beam.X))
        for k, c in enumerate(self.channels()):
            kick = sign * kicks[k, ...]
            kick = kick if c.own is None else kick * beam.row(c.own)
            parts[c.moved] = parts[c.moved] + _living(kick, beam.alive)
        return namespace(beam.X).reshape(join(*parts), bunch.X.shape)


class _Beam(NamedTuple):
    """What a kick is given, with one batch axis, on its line."""

    X: Array
    q: Array
    """Charges ``(B, n)`` [C], 0 for particles that are not alive."""
    alive: Array | None
    reference: Reference
    p: dict[str, Array]
    mesh: LineMesh

    def row(self, k: int) -> Array:
        """A coordinate ``(B, n)``, 0 for particles that are not alive."""
        return _living(self.X[:, k, :], self.alive)


def _laid(bunch: Bunch, p: Mapping[str, Array], effect: LineKick) -> _Beam:
    """Bring everything to one batch axis, and the particles on a line."""
    xp = namespace(bunch.X)
    batch, n = bunch.X.shape[:-2], bunch.X.shape[-1]
    zero = xp.zeros_like(bunch.X[..., 0, 0])
    X = xp.reshape(bunch.X, (-1, 6, n))
    q, alive = xp.reshape(xp.broadcast_to(bunch.q, (*batch, n)), (-1, n)), bunch.alive
    if alive is not None:
        alive = xp.reshape(xp.broadcast_to(alive, (*batch, n)), (-1, n))
        q = _living(q, alive)
    flat = lambda a: xp.reshape(zero + a, (-1,))  # noqa: E731
    reference = bunch.reference.with_beta_gamma(flat(bunch.reference.beta_gamma))
    mesh = line_mesh(X[:, TAU_ROW, :], alive, effect.nodes, effect.point)
    return _Beam(X, q, alive, reference, {name: flat(a) for name, a in p.items()}, mesh)


def _living(row: Array, alive: Array | None) -> Array:
    """Row ``(B, n)`` with 0 for particles that are not alive."""
    return row if alive is None else namespace(row).where(alive, row, namespace(row).zeros_like(row))
