"""Where the results of a block of particles go: straight to their places among those of all particles.

A kernel that is run block by block would write each result twice: into an array of its own, and from there into the
one for all particles. The blocks are alike: what the first one makes in turn, and which of it is a result, is what
those after it do. So the first block is watched, and the others are given the places of their results when they ask
for memory. A block that turns out otherwise is copied, as the first one is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any
from weakref import ReferenceType, ref

import numpy as np


class Making:
    """What one block asks memory for, in order; some of it has a place already."""

    def __init__(self, places: dict[int, np.ndarray] | None = None) -> None:
        self.places = {} if places is None else places
        self.is_watched = places is None
        self.made: list[ReferenceType[np.ndarray]] = []
        """In a watched block; what is let go on the way is let go."""
        self.turn = 0

    def empty(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Memory for a result of a kernel."""
        place = self.places.get(self.turn)
        self.turn += 1
        if place is None or place.shape != shape or place.dtype != dtype:
            place = np.empty(shape, dtype)
        if self.is_watched:
            self.made.append(ref(place))
        return place

    def of(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What a function returns, whose kernels ask here."""
        token = _MAKING.set(self)
        try:
            return function(*arguments)
        finally:
            _MAKING.reset(token)

    def results(self, found: Sequence[np.ndarray]) -> dict[int, int]:
        """Which of them was made when: {in turn: number of the result}."""
        turns = {id(array): turn for turn, one in enumerate(self.made) if (array := one()) is not None}
        return {turns[id(array)]: k for k, array in enumerate(found) if id(array) in turns}

    def settle(self, found: Sequence[np.ndarray], places: Sequence[np.ndarray], turns: dict[int, int]) -> None:
        """Copy into their places the results that are not there."""
        given = {k: self.places[turn] for turn, k in turns.items() if turn in self.places}
        away = [k for k, array in enumerate(found) if array is not given.get(k)]
        if any(k in given for k in away):  # memory of a place may be that of another result
            found = [array.copy() if k in away else array for k, array in enumerate(found)]
        for k in away:
            places[k][...] = found[k]


_MAKING: ContextVar[Making | None] = ContextVar("making", default=None)
"""That of the block that is under way in this context."""


def empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Memory for a result of a kernel: its place, if it is one of a block's."""
    making = _MAKING.get()
    return np.empty(shape, dtype) if making is None else making.empty(shape, dtype)
