"""Undo every step, and keep nothing: memory that does not grow with the number of kicks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar

from array_api_compat import device

from backbeam.adjoint.base import Adjoint, Report, Working, bytes_between, cut, deal
from backbeam.arrays import Array, namespace
from backbeam.errors import InputError, TrackingError
from backbeam.plan import Bars, State, advance, count_kicks, replay, retreat

if TYPE_CHECKING:
    from backbeam.plan import Parameters, Plan, Setting
    from backbeam_backends import Backend

FLOAT32_ANCHORS = 16
"""Kicks between anchors in float32, unless told otherwise."""


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
        Largest deviation of a reconstructed coordinate, relative to the largest of its row. None: the square root of
        the rounding unit, 1.5e-8 in float64 and 3.5e-4 in float32.

    Not for lines that cannot be undone: maps that lose digits (a nearly singular matrix), chaotic motion over many
    turns in float32. There use anchors, `Checkpoint` or `Store`.
    """

    anchor_every: int | str | None = field(default="auto", metadata={"option": "anchors"})
    tolerance: float | None = None

    def __post_init__(self) -> None:
        every = self.anchor_every
        if every is not None and every != "auto" and (type(every) is not int or every < 1):
            raise InputError("adjoint.anchor_every", every, "a whole number, at least 1, or None, or 'auto'")
        if self.tolerance is not None and not self.tolerance > 0:
            raise InputError("adjoint.tolerance", self.tolerance, "a number greater than 0")

    noun: ClassVar[str] = "anchor"
    place: ClassVar[int | None] = 1

    def spacing(self, is_float32: bool) -> int | None:
        """Kicks between anchors; None: no anchors."""
        if self.anchor_every == "auto":
            return FLOAT32_ANCHORS if is_float32 else None
        return self.anchor_every

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
        self, backend: Backend, plan: Plan, setting: Setting, state: State, P: Parameters
    ) -> tuple[State, tuple[Array, ...], Any]:
        """Run, and keep the anchors."""
        anchors, readings = [], ()
        for k, piece in enumerate(self._pieces(plan, _is_float32(state))):
            if k:
                anchors.append(setting.keep(state))
            state, found = advance(piece, setting, state, P)
            readings = (*readings, *found)
        return state, readings, anchors

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
        """Undo piece by piece; where a piece begins, compare with the true state and go on from that."""
        compare = backend.compile(mismatch)
        pieces = self._pieces(plan, _is_float32(first))
        starts = [first, *(setting.restore(a, first) for a in kept)]
        worst, state = None, last
        held = [bars]  # handed over, for a name here would hold on to what the piece has used up
        del bars
        for piece, start, mine in zip(
            reversed(pieces), reversed(starts), reversed(deal(readings_bar, pieces)), strict=True
        ):
            if piece and not piece[0].undoes:
                held.append(replay(piece, setting, start, P, held.pop(), mine))
                state = start
                continue
            rebuilt, found = retreat(piece, setting, state, P, held.pop(), mine)
            held.append(found)
            found = compare(rebuilt.X, start.X, state.X)
            worst = found if worst is None else namespace(found).maximum(worst, found)
            state = start
            del rebuilt, found
        if worst is None:
            worst = namespace(first.X).zeros_like(first.beta_gamma)
        return held.pop(), Report(anchors=len(kept), mismatch=worst)

    def check(self, backend: Backend, report: Report, bars: Bars) -> Bars:
        """Compare the measured mismatch with the tolerance."""
        worst = report.mismatch
        xp = namespace(worst)
        tolerance = self.tolerance if self.tolerance is not None else float(xp.finfo(worst.dtype).eps) ** 0.5
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
            advice = "anchor it more often (Reversible(anchor_every=...)), or use Store() or Checkpoint()"
            raise TrackingError(
                f"the reversible gradient is refused: a reconstructed state is off by {largest:.1e} of its size, "
                f"tolerance {tolerance:.1e}; {advice}"
            )
        return bars


def apart(piece: Plan) -> list[Plan]:
    """A piece with the steps that cannot be undone by themselves, each the only one of a piece of its own."""
    found: list[Plan] = []
    for undoes, steps in groupby(piece, key=lambda step: step.undoes):
        some = tuple(steps)
        found += (some,) if undoes else ((step,) for step in some)
    return found or [()]


def _is_float32(state: State) -> bool:
    return state.X.dtype == namespace(state.X).float32


def _trailing(array: Array, ndim: int) -> Array:
    """The array with so many axes, those added behind."""
    return namespace(array).reshape(array, (*array.shape, *[1] * (ndim - array.ndim)))


def mismatch(rebuilt: Array, true: Array, other_end: Array) -> Array:
    """Largest deviation of coordinates ``(..., 6, n)`` relative to the largest of their row at either end of a piece.

    A row that is next to nothing (a cold beam has px = 0) is measured against a thousandth of the largest of its kind.
    Returns the batch shape.
    """
    xp = namespace(rebuilt)
    if rebuilt.shape[-1] == 0:
        return xp.zeros(rebuilt.shape[:-2], dtype=rebuilt.dtype, device=device(rebuilt))
    deviation = xp.max(xp.abs(rebuilt - true), axis=-1)
    size = xp.maximum(xp.max(xp.abs(true), axis=-1), xp.max(xp.abs(other_end), axis=-1))
    worst = xp.zeros_like(deviation[..., 0])
    tiny = float(xp.finfo(rebuilt.dtype).smallest_normal)
    for kind in (0, 1):  # positions, then momenta
        largest = xp.max(size[..., kind::2], axis=-1, keepdims=True)
        scale = xp.maximum(size[..., kind::2], 1e-3 * largest) + tiny
        worst = xp.maximum(worst, xp.max(deviation[..., kind::2] / scale, axis=-1))
    # A NaN must not pass for a small number.
    return xp.where(xp.isfinite(worst), worst, xp.full_like(worst, float("inf")))
