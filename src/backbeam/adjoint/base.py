"""What an adjoint is, and how a plan is cut into the pieces that adjoints work on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from backbeam.arrays import Array, namespace
from backbeam.plan import Bars, State, count_kicks, count_readings

if TYPE_CHECKING:
    from backbeam.plan import Parameters, Plan, Setting, Step
    from backbeam_backends import Backend


class Report(NamedTuple):
    """What is known of a gradient after it was made."""

    anchors: int = 0
    """Number of states that were kept, besides the first and the last."""
    mismatch: Array | None = None
    """Largest relative deviation of a reconstructed state from the true one, of the batch shape; None: not measured."""


@dataclass(frozen=True)
class Adjoint:
    """Base of the strategies. They hold settings only, and compare by value."""

    @property
    def name(self) -> str:
        """What the command line calls it."""
        return type(self).__name__.lower()

    def forward(
        self, backend: Backend, plan: Plan, setting: Setting, state: State, P: Parameters
    ) -> tuple[State, tuple[Array, ...], Any]:
        """Run a plan. Returns the last state, the readings, and what `backward` needs besides them."""
        raise NotImplementedError

    def backward(
        self,
        backend: Backend,
        plan: Plan,
        setting: Setting,
        first: State,
        last: State,
        kept: Any,
        P: Parameters,
        bars: Bars,
        readings_bar: tuple[Array, ...],
    ) -> tuple[Bars, Report]:
        """Pull cotangents back through a plan, from the last state to the first. It may use up ``kept``."""
        raise NotImplementedError

    def check(self, backend: Backend, report: Report, bars: Bars) -> Bars:
        """Raise if the report says that the gradient is not to be trusted; under tracing, make it NaN instead."""
        return bars


def cut(plan: Plan, every: int) -> tuple[Plan, ...]:
    """Cut a plan into pieces of at most ``every`` kicks, or of as many maps where it has no kick."""
    counts_maps = count_kicks(plan) == 0
    pieces: list[Plan] = []
    piece: list[Step] = []
    weight = 0
    waiting = list(reversed(plan))
    while waiting:
        step = waiting.pop()
        own = int(not step.reads) if counts_maps else step.kicks
        if own and weight >= every:
            pieces.append(tuple(piece))
            piece, weight = [], 0
        if weight + own > every:
            step, *rest = step.split(every - weight)
            waiting += rest
            own = step.kicks
        piece.append(step)
        weight += own
    pieces.append(tuple(piece))
    return tuple(pieces)


def deal(readings_bar: tuple[Array, ...], pieces: tuple[Plan, ...]) -> list[tuple[Array, ...]]:
    """Give each piece the cotangents of its own readings."""
    dealt, start = [], 0
    for piece in pieces:
        stop = start + count_readings(piece)
        dealt.append(tuple(readings_bar[start:stop]))
        start = stop
    return dealt


def zero_bars(state: State, P: Parameters, core: dict[str, dict[str, int]]) -> Bars:
    """Cotangents of zero for a state and for all parameters, each with the full batch shape in front."""
    xp = namespace(state.X)
    batch = tuple(state.beta_gamma.shape)

    def zero(value: Array, rank: int) -> Array:
        own = tuple(value.shape[value.ndim - rank :]) if rank else ()
        return xp.broadcast_to(xp.zeros_like(value), batch + own)

    parameters = {n: {f: zero(v, core[n][f]) for f, v in fields.items()} for n, fields in P.items()}
    return Bars(xp.zeros_like(state.X), xp.zeros_like(state.q), xp.zeros_like(state.beta_gamma), parameters)
