"""Undo every step, and keep nothing: memory that does not grow with the number of kicks."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar

from array_api_compat import device

from backbeam.adjoint.base import Adjoint, Diagnosis, Working, bytes_between, cut, deal
from backbeam.adjoint.sweep import Sweep, run_and_keep
from backbeam.arrays import Array, namespace
from backbeam.errors import InputError, TrackingError
from backbeam.plan import Bars, State, as_run, count_kicks, replay, stretches
from backbeam.scalars import make_plain

if TYPE_CHECKING:
    from backbeam.plan import Parameters, Plan, Setting
    from backbeam_backends import Backend

FLOAT32_ANCHORS = 16
"""Kicks between anchors in float32, unless told otherwise."""
ROUNDING = 64.0
"""Rounding units by which a momentum that was 0 may come back wrong, next to what it became."""


@dataclass(frozen=True)
class Reversible(Adjoint):
    """Keep the final state, undo each step and pull back on the way: 0 bytes a kick.

    Every map and the space-charge kick have an exact inverse, so the states of the forward run come back to rounding.
    Rounding grows along a line that stretches phase space; *anchors*, exact states kept now and then (48 B/particle
    each in float64), stop it. Wherever a true state is at hand, at each anchor and at the first state, the
    reconstruction is compared with it; beyond the tolerance the gradient is an error, never a silently wrong number.

    Parameters
    ----------
    anchor_every:
        Kicks between anchors (maps, where there is no kick). None: no anchors. "auto": none in float64, 16 in float32.
    tolerance:
        Largest deviation of a reconstructed coordinate of a living particle, relative to the largest of its row in the
        true state there: about the part to which derivatives are right, see `mismatch`. None: 1e-6 in float64 and
        3.5e-4, the square root of the rounding unit, in float32.

    Not for lines that cannot be undone: maps that lose digits (a nearly singular matrix), chaotic motion over many
    turns in float32. There use anchors, `Checkpoint` or `Store`.

    Examples
    --------
    >>> bb.Reversible(anchor_every=10)
    Reversible(anchor_every=10, tolerance=None)
    """

    anchor_every: int | str | None = field(default="auto", metadata={"option": "anchors"})
    tolerance: float | None = None

    def __post_init__(self) -> None:
        make_plain(self)
        every = self.anchor_every
        if not (every is None or (isinstance(every, str) and every == "auto") or (type(every) is int and every > 0)):
            raise InputError("adjoint.anchor_every", every, "a whole number, at least 1, or None, or 'auto'")
        if self.tolerance is not None and not (_is_number(self.tolerance) and 0 < self.tolerance < math.inf):
            raise InputError("adjoint.tolerance", self.tolerance, "a number greater than 0")

    resumes: ClassVar[bool] = True
    noun: ClassVar[str] = "anchor"
    place: ClassVar[int | None] = 1

    def spacing(self, is_float32: bool) -> int | None:
        """Kicks between anchors; None: no anchors."""
        every: Any = self.anchor_every
        return (FLOAT32_ANCHORS if is_float32 else None) if every == "auto" else every

    def _pieces(self, plan: Plan, is_float32: bool) -> tuple[Plan, ...]:
        every = self.spacing(is_float32)
        pieces = (plan,) if every is None else cut(plan, every)
        return tuple(part for piece in pieces for part in apart(piece))

    def kept_bytes(self, plan: Plan, dtype: str, masked: bool) -> int:
        """Those of its anchors."""
        return bytes_between(self._pieces(plan, dtype == "float32"), dtype, masked)

    def working(self, plan: Plan) -> Working:
        """As measured."""
        return Working("reversible")

    def variants(self, dtype: str, plan: Plan, fits: Callable[[Adjoint], bool]) -> tuple[Adjoint, ...]:
        """In float32 also the most anchors that fit: not more than by default, and at least none."""
        if dtype != "float32":
            return (self,)
        every = FLOAT32_ANCHORS
        while every < max(count_kicks(plan), FLOAT32_ANCHORS):
            if fits(Reversible(every)):
                return self, Reversible(every)
            every *= 2
        return self, Reversible(None)

    def forward(
        self,
        backend: Backend,
        plan: Plan,
        setting: Setting,
        state: State,
        P: Parameters,
        sweep: Sweep | None = None,
    ) -> tuple[State, tuple[Array, ...], Any]:
        """Run, and keep the anchors."""
        pieces = self._pieces(plan, _is_float32(state))
        return run_and_keep(pieces, range(1, len(pieces)), setting, state, P, sweep or Sweep())

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
        """Undo piece by piece; where a piece begins, compare with the true state and go on from that."""
        compare, sweep = backend.compile(mismatch), sweep or Sweep()
        pieces = self._pieces(plan, _is_float32(first))
        dealt = deal(readings_bar, pieces)
        k, left, worst, end, rebuilt = len(pieces) - 1, None, None, last, last
        if sweep.start is not None:
            k, left, worst, end, rebuilt, now, kept = sweep.start
            end, rebuilt, bars = State(*end), State(*rebuilt), Bars(*now)
        starts = [first, *(setting.restore(tuple(a), first) for a in kept)]
        held = [bars]  # handed over, for a name here would hold on to what the piece has used up
        del bars

        def memory(k: int, left: int | None) -> Any:
            """How to go on with so many parts of a piece; None: with all."""
            return k, left, worst, tuple(end), tuple(rebuilt), tuple(held[0]), kept[:k]

        while k >= 0:
            piece, start = pieces[k], starts[k]
            if piece and not piece[0].undoes:
                held.append(replay(piece, setting, start, P, held.pop(), dealt[k]))
            else:
                parts = stretches(as_run(piece, end))
                left = len(parts) if left is None else left
                unread = list(dealt[k][: sum(part.reads for part in parts[:left])])
                for j in reversed(range(left)):
                    try:
                        rebuilt, found = parts[j].retreat(setting, rebuilt, P, held.pop(), unread)
                    except TrackingError as error:  # what was tracked on the way there can be tracked
                        raise refused(f"a reconstructed state cannot be tracked ({error})") from error
                    held.append(found)
                    del found
                    sweep.passed(parts[j].kicks, partial(memory, k, j))
                alive = setting.alive(start) if setting.masked else None
                measured = compare(rebuilt.X, start.X, end.X, alive)
                worst = measured if worst is None else namespace(measured).maximum(worst, measured)
            end = rebuilt = start
            k, left = k - 1, None
        if worst is None:
            worst = namespace(first.X).zeros_like(first.beta_gamma)
        return held.pop(), Diagnosis(anchors=len(pieces) - 1, mismatch=worst)

    def check(self, backend: Backend, report: Diagnosis, bars: Bars) -> Bars:
        """Compare the measured mismatch with the tolerance."""
        worst: Array = report.mismatch
        xp = namespace(worst)
        tolerance = self.tolerance if self.tolerance is not None else default_tolerance(xp.finfo(worst.dtype).eps)
        good = worst <= tolerance
        if backend.traced([worst]):
            poison = xp.where(good, xp.zeros_like(worst), xp.full_like(worst, float("nan")))
            return Bars(
                bars.X + poison[..., None, None],
                bars.q + poison[..., None],
                bars.beta_gamma + poison,
                {
                    name: {field: bar + _trailing(poison, bar.ndim) for field, bar in fields.items()}
                    for name, fields in bars.parameters.items()
                },
            )
        if not bool(xp.all(good)):
            largest = float(backend.to_numpy(worst).max())
            raise refused(f"a reconstructed state is off by {largest:.1e} of its size, tolerance {tolerance:.1e}")
        return bars


def refused(why: str) -> TrackingError:
    """The error with its advice."""
    advice = "anchor it more often (Reversible(anchor_every=...)), or use Store() or Checkpoint()"
    return TrackingError(f"the reversible gradient is refused: {why}; {advice}")


def apart(piece: Plan) -> list[Plan]:
    """A piece with the steps that cannot be undone by themselves, each the only one of a piece of its own."""
    found: list[Plan] = []
    for undoes, steps in groupby(piece, key=lambda step: step.undoes):
        some = tuple(steps)
        found += (some,) if undoes else ((step,) for step in some)
    return found or [()]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_float32(state: State) -> bool:
    return state.X.dtype == namespace(state.X).float32


def _trailing(array: Array, ndim: int) -> Array:
    """The array with so many axes, those added behind."""
    return namespace(array).reshape(array, (*array.shape, *[1] * (ndim - array.ndim)))


def default_tolerance(eps: float) -> float:
    """Part to which derivatives are to be right: no better than a rounding unit allows on the way there and back."""
    return max(float(eps) ** 0.5, 1e-6)


def mismatch(rebuilt: Array, true: Array, other_end: Array, alive: Array | None) -> Array:
    """Largest deviation of rebuilt coordinates ``(..., 6, n)`` of the living next to the true state's own rows.

    A derivative is a sum over particles of cotangents times first derivatives of maps at the rebuilt state, and those
    are at most linear in it for what a map does to a small row: the kick of a quadrupole is in proportion to x. So rows
    that are right to a part r give derivatives right to about r, times the largest second derivative of a map over a
    row's size, which for magnets is of order 1. That is why a row is measured next to itself, where it is to be right,
    and not next to what it has grown to at the other end.

    A row that is next to nothing beside its kind (positions, momenta) is measured next to a thousandth of the largest
    of that kind: what it adds is small. Where a whole kind is nothing but rounding of what it becomes (a cold beam has
    no momenta), a tenth of that is what it is measured next to. Returns the batch shape.
    """
    xp = namespace(rebuilt)
    if rebuilt.shape[-1] == 0:
        return xp.zeros(rebuilt.shape[:-2], dtype=rebuilt.dtype, device=device(rebuilt))
    if alive is not None:
        rebuilt, true, other_end = (
            xp.where(alive[..., None, :], a, xp.zeros_like(a)) for a in (rebuilt, true, other_end)
        )
    deviation = xp.max(xp.abs(rebuilt - true), axis=-1)
    size, later = xp.max(xp.abs(true), axis=-1), xp.max(xp.abs(other_end), axis=-1)
    worst = xp.zeros_like(deviation[..., 0])
    info = xp.finfo(rebuilt.dtype)
    rounding, tiny = ROUNDING * float(info.eps), float(info.smallest_normal)
    for kind in (0, 1):  # positions, then momenta
        largest = xp.max(size[..., kind::2], axis=-1, keepdims=True)
        becomes = xp.max(later[..., kind::2], axis=-1, keepdims=True)
        cold = largest <= rounding * becomes
        largest = xp.where(cold, 0.1 * becomes, 1e-3 * largest)
        scale = xp.maximum(size[..., kind::2], largest) + tiny
        worst = xp.maximum(worst, xp.max(deviation[..., kind::2] / scale, axis=-1))
    # A NaN must not pass for a small number.
    return xp.where(xp.isfinite(worst), worst, xp.full_like(worst, float("inf")))
