"""Where a gradient can be left, and where it was: what its sweeps tell, each of its way there or back.

A `Mark` is written down by whoever keeps it; a `Journal` that begins with one takes the gradient up from there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from backbeam.adjoint.sweep import Sweep
from backbeam.errors import InputError

if TYPE_CHECKING:
    from backbeam.adjoint.base import Adjoint
    from backbeam.beam import Beam


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
