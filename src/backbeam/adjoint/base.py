"""What an adjoint is, and how a plan is cut into the pieces that adjoints work on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from backbeam.arrays import Array, namespace
from backbeam.plan import count_kicks, count_readings

if TYPE_CHECKING:
    from backbeam.adjoint.sweep import Sweep
    from backbeam.plan import Bars, Parameters, Plan, Setting, State, Step
    from backbeam_backends import Backend


class Diagnosis(NamedTuple):
    """What is known of a gradient after it was made."""

    anchors: int = 0
    """Number of states that were kept, besides the first and the last."""
    mismatch: Array | None = None
    """Largest relative deviation of a reconstructed state from the true one, of the batch shape; None: not measured."""


class Working(NamedTuple):
    """What an adjoint holds at once besides what it keeps, in the words of `backbeam.memory`."""

    measured_as: str
    """The adjoint whose measured working set it is."""
    maps: int = 0
    """Maps beyond the first whose states are made anew together."""
    states: int = 0
    """Whole states under way besides."""


@dataclass(frozen=True)
class Adjoint:
    """Base of the strategies. They hold settings only, and compare by value.

    One is a file with one class: what it does (`forward`, `backward`, `check`), and what it costs. Its settings that
    the command line and problem files may say are fields with ``metadata={"option": what they are called}``.
    """

    known: ClassVar[dict[str, type[Adjoint]]] = {}
    """Every adjoint by what problem files and the command line call it."""
    taped: ClassVar[bool] = False
    """Whether the library's own tape does it: then `forward` and `backward` are never called."""
    resumes: ClassVar[bool] = False
    """Whether `forward` and `backward` look at their ``sweep``: then each can be left and taken up."""
    noun: ClassVar[str] = "kept state"
    """What `Diagnosis.anchors` counts."""
    place: ClassVar[int | None] = None
    """Its place in tables, and among equals where `Auto` chooses; None: neither, for its memory is not foretold."""

    def __init_subclass__(cls) -> None:
        Adjoint.known[cls.__name__.lower()] = cls

    @property
    def name(self) -> str:
        """What the command line calls it."""
        return type(self).__name__.lower()

    # -- what is said of it ------------------------------------------------------------------------------------------

    def options(self) -> dict[str, Any]:
        """Its settings that can be said from outside, by name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if "option" in f.metadata}

    def describe(self) -> str:
        """Name and settings, as the command line takes them."""
        changed = {f.name: getattr(self, f.name) for f in fields(self) if "option" in f.metadata}
        plain = {name: value for name, value in changed.items() if type(value) is int}
        return " ".join([self.name, *(f"--{name.replace('_', '-')} {value}" for name, value in plain.items())])

    def kept_bytes(self, plan: Plan, dtype: str, masked: bool) -> int:
        """Bytes that it keeps at most, each particle, beyond the beam itself. The plan has no loops."""
        return 0

    def working(self, plan: Plan) -> Working:
        """What it holds besides; by default as `Store` does."""
        return Working("store")

    def relative_time(self, plan: Plan, measured: Mapping[str, float]) -> float:
        """About the time of a gradient over that of the tracking, from those that were measured by name."""
        return measured.get(self.name, math.inf)

    def variants(self, dtype: str, plan: Plan, fits: Callable[[Adjoint], bool]) -> tuple[Adjoint, ...]:
        """Itself with settings that are worth a look for a budget, of which ``fits`` knows."""
        return (self,)

    # -- what it does ------------------------------------------------------------------------------------------------

    def forward(
        self,
        backend: Backend,
        plan: Plan,
        setting: Setting,
        state: State,
        P: Parameters,
        sweep: Sweep | None = None,
    ) -> tuple[State, tuple[Array, ...], Any]:
        """Run a plan. Returns the last state, the readings, and what `backward` needs besides them.

        ``sweep`` is for one that `resumes`: where to go on, and who is told how far it has come; None: all in one go.
        """
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
        sweep: Sweep | None = None,
    ) -> tuple[Bars, Diagnosis]:
        """Pull cotangents back through a plan, from the last state to the first. It may use up ``kept``."""
        raise NotImplementedError

    def check(self, backend: Backend, report: Diagnosis, bars: Bars) -> Bars:
        """Raise if the report says that the gradient is not to be trusted; under tracing, make it NaN instead."""
        return bars


def cut(plan: Plan, every: int) -> tuple[Plan, ...]:
    """Cut a plan into pieces of at most ``every`` kicks, or of as many maps where it has no kick."""
    counts_maps = count_kicks(plan) == 0

    def weigh(step: Step) -> int:
        return (0 if step.reads and not step.moves else step.width) if counts_maps else step.kicks

    pieces: list[Plan] = []
    piece: list[Step] = []
    weight = 0
    waiting = list(reversed(plan))
    while waiting:
        step = waiting.pop()
        own = weigh(step)
        if own and weight >= every:
            pieces.append(tuple(piece))
            piece, weight = [], 0
        if weight + own > every:
            step, *rest = step.split(every - weight)
            waiting += rest
            own = weigh(step)
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


COORDINATES, LOST_AT = 6, 4
"""Numbers of a state that change on the way, each particle; and bytes that say where it was lost."""


def state_bytes(dtype: str) -> int:
    """Bytes of a kept state, each particle: 48 in float64."""
    return COORDINATES * {"float64": 8, "float32": 4}[dtype]


def bytes_between(pieces: Sequence[Plan], dtype: str, masked: bool) -> int:
    """Bytes of the states between pieces. An array that no step has replaced since the last of them is the same one."""
    moved = lost = False
    total = 0
    for piece in pieces[:-1]:
        moved = moved or any(step.moves for step in piece)
        lost = lost or any(step.loses for step in piece)
        total += moved * state_bytes(dtype) + (masked and lost) * LOST_AT
        moved = lost = False
    return total


def zero_parameters(state: State, P: Parameters, core: dict[str, dict[str, int]]) -> dict[str, dict[str, Array]]:
    """Cotangents of zero for all parameters, each with the full batch shape in front; like ones are one array."""
    xp = namespace(state.X)
    batch = tuple(state.beta_gamma.shape)
    known: dict[tuple[int, ...], Array] = {}

    def zero(value: Array, rank: int) -> Array:
        own = tuple(value.shape[value.ndim - rank :]) if rank else ()
        if own not in known:
            known[own] = xp.broadcast_to(xp.zeros_like(value), batch + own)
        return known[own]

    return {n: {f: zero(v, core[n][f]) for f, v in fields.items()} for n, fields in P.items()}
