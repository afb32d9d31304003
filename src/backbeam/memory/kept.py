"""How many states an adjoint keeps: counted with the functions that cut the plan for the run itself."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from backbeam.adjoint import Adjoint, Checkpoint, Reversible, Store
from backbeam.adjoint.base import cut
from backbeam.adjoint.checkpoint import spine, split
from backbeam.adjoint.reversible import FLOAT32_ANCHORS
from backbeam.adjoint.store import groups
from backbeam.plan import count_kicks, unroll

if TYPE_CHECKING:
    from backbeam.plan import Plan

COORDINATES, LOST_AT = 6, 4
"""Numbers of a state that change on the way, each particle; and bytes that say where it was lost."""


def state_bytes(dtype: str) -> int:
    """Bytes of a kept state, each particle: 48 in float64."""
    return COORDINATES * {"float64": 8, "float32": 4}[dtype]


def anchor_spacing(adjoint: Reversible, dtype: str) -> int | None:
    """Kicks between the anchors of a reversible run; None: no anchors."""
    if adjoint.anchor_every == "auto":
        return FLOAT32_ANCHORS if dtype == "float32" else None
    return adjoint.anchor_every


def kept_bytes(adjoint: Adjoint, plan: Plan, dtype: str, masked: bool) -> int:
    """Bytes that an adjoint keeps at most, each particle, beyond the beam itself. Nothing is known of a tape here."""
    plan = unroll(plan)
    if isinstance(adjoint, Reversible):
        every = anchor_spacing(adjoint, dtype)
        return 0 if every is None else _between(cut(plan, every), dtype, masked)
    if isinstance(adjoint, Store):
        return _between(groups(plan), dtype, masked)
    if isinstance(adjoint, Checkpoint):
        pieces = cut(plan, 1)
        edges = [0, *spine(len(pieces), adjoint.slots), len(pieces)]
        return _between([sum(pieces[a:b], ()) for a, b in pairwise(edges)], dtype, masked)
    raise TypeError(f"{adjoint.name} keeps what the library records")


def _between(pieces: list[Plan] | tuple[Plan, ...], dtype: str, masked: bool) -> int:
    """Bytes of the states between pieces. An array that no step has replaced since the last of them is the same one."""
    moved = lost = False
    total = 0
    for piece in pieces[:-1]:
        moved = moved or any(step.moves for step in piece)
        lost = lost or any(step.loses for step in piece)
        total += moved * state_bytes(dtype) + (masked and lost) * LOST_AT
        moved = lost = False
    return total


def longest_piece(plan: Plan) -> int:
    """The most maps of a piece between two kicks, which `Checkpoint` makes anew together."""
    if count_kicks(plan) == 0:
        return 1
    return max(sum(s.moves and not s.kicks for s in piece) for piece in cut(unroll(plan), 1))


def longest_stretch(pieces: int, slots: int) -> int:
    """The most pieces between two states that `Checkpoint` keeps."""
    return max(b - a for a, b in pairwise([0, *spine(pieces, slots), pieces]))


def recomputed(pieces: int, slots: int) -> int:
    """Number of pieces that `Checkpoint` runs forward again on the way back."""

    def stretch(length: int, slots: int) -> int:
        """As in `Checkpoint.backward`: so many pieces from the state before the first of them."""
        total = 0
        while length > 1:
            middle = split(length, slots)
            total += middle + known(length - middle, max(slots - 1, 0))
            length = middle
        return total

    memory: dict[tuple[int, int], int] = {}

    def known(length: int, slots: int) -> int:
        if slots == 0 or length < 2:
            return length * (length - 1) // 2
        if (length, slots) not in memory:
            memory[length, slots] = stretch(length, slots)
        return memory[length, slots]

    places = [0, *spine(pieces, slots)]
    total, stop = 0, pieces
    for used, start in reversed(list(enumerate(places))):
        total += known(stop - start, slots - used)
        stop = start
    return total
