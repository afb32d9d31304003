"""A sweep of a gradient, there or back, that can be left between two parts of the way and taken up there.

An adjoint that `resumes` takes a `Sweep`. At every place where it can be left it calls `Sweep.passed`, with a function
that gives all it needs to go on: tuples, lists and dicts of arrays, numbers and None. A sweep that goes on finds the
same in `Sweep.start`. The parts are those of a sweep in one go, so its bits are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from backbeam.errors import InputError
from backbeam.plan import State, as_run, stretches

if TYPE_CHECKING:
    from backbeam.adjoint.base import Adjoint
    from backbeam.arrays import Array
    from backbeam.beam import Beam
    from backbeam.plan import Parameters, Plan, Setting


class Mark(NamedTuple):
    """Where a gradient can be left."""

    back: bool
    """Whether it is on its way back."""
    watched: bool
    """Whether particles have turned round, and each step is watched for more: `backbeam.plan.watched`."""
    kicks: int
    """Behind it in this sweep."""
    ended: Any
    """On the way back: the last state, and all readings."""
    memory: Any
    """What the adjoint needs."""
    how: tuple[str, dict[str, Any]]
    """Name and options of the adjoint: `Auto` would choose anew."""


class Sweep:
    """One way of a gradient: where it begins, and who is told how far it has come."""

    def __init__(self, start: Any = None, kicks: int = 0, tell: Callable[[int, Callable[[], Any]], None] | None = None):
        self.start, self.kicks, self.tell = start, kicks, tell

    def passed(self, kicks: int, memory: Callable[[], Any]) -> None:
        """So many kicks more are behind it, and this is how to go on from here."""
        self.kicks += kicks
        if self.tell is not None:
            self.tell(self.kicks, memory)


class Journal:
    """Where a gradient was left, if it was, and who is told each `Mark` at which it can be left.

    ``tell(back, kicks, mark)`` is given the way, the kicks behind it there, and a function that makes the mark: to make
    one takes no copy, but it is good only until the sweep goes on. An adjoint that does not resume tells nothing, or,
    if a mark ``must`` be made, is refused.
    """

    def __init__(
        self,
        tell: Callable[[bool, int, Callable[[], Mark]], None],
        start: Mark | None = None,
        must: bool = False,
    ) -> None:
        self.tell, self.start, self.must = tell, start, must

    def beside(self, beam: Beam) -> Journal:
        """With arrays of the beam's library where it was left: what was written down are NumPy's."""
        if self.start is None:
            return self
        made = beam.backend.asarray
        start = _arrays(self.start, lambda a: made(a, dtype=str(a.dtype), device=beam.device))
        return Journal(self.tell, Mark(*start), self.must)

    def adjoint(self, chosen: Adjoint) -> Adjoint:
        """The one to use: that with which it was begun."""
        if self.must and not chosen.resumes:
            able = ", ".join(name for name, kind in type(chosen).known.items() if kind.resumes)
            raise InputError("adjoint", chosen.name, f"{able}: no other can be left and taken up on the way")
        if self.start is None:
            return chosen
        name, options = self.start.how
        return replace(chosen, **options) if chosen.name == name else type(chosen).known[name](**options)

    def sweep(self, adjoint: Adjoint, back: bool, watched: bool, ended: Any = None) -> Sweep:
        """The way there or back, from where it was left."""
        how = (adjoint.name, adjoint.options())

        def tell(kicks: int, memory: Callable[[], Any]) -> None:
            self.tell(back, kicks, lambda: Mark(back, watched, kicks, ended, memory(), how))

        start = self.start
        if start is None or (start.back, start.watched) != (back, watched):
            return Sweep(tell=tell)
        return Sweep(start.memory, start.kicks, tell)


def _arrays(value: Any, made: Callable[[Any], Any]) -> Any:
    """Nested data with each array of NumPy's as it is made of it; tuples become lists."""
    if isinstance(value, tuple | list):
        return [_arrays(one, made) for one in value]
    if isinstance(value, dict):
        return {name: _arrays(one, made) for name, one in value.items()}
    return value if value is None or type(value) in (bool, int, float, str) else made(value)


def run_and_keep(
    pieces: Sequence[Plan], wanted: Collection[int], setting: Setting, state: State, P: Parameters, sweep: Sweep
) -> tuple[State, tuple[Array, ...], list[Any]]:
    """Take pieces forward and keep the states before those wanted. Returns the last state, the readings, the states."""
    first, done, kept, readings = 0, 0, [], []
    if sweep.start is not None:
        first, done, now, readings, kept = sweep.start
        state, readings, kept = State(*now), list(readings), [tuple(one) for one in kept]

    def memory(piece: int, parts: int) -> Any:
        """How to go on with so many parts of a piece behind."""
        return piece, parts, tuple(state), readings, kept

    for k in range(first, len(pieces)):
        if k in wanted and not done:
            kept.append(setting.keep(state))
        parts = stretches(as_run(pieces[k], state))
        for j, part in enumerate(parts[done:], done + 1):
            state = part.advance(setting, state, P, readings)
            sweep.passed(part.kicks, partial(memory, *((k, j) if j < len(parts) else (k + 1, 0))))
        done = 0
    return state, tuple(readings), kept
