"""Bmad's superposition: elements put on top of a line that is there already, at places of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from backbeam.lattices.description import LatticeError, Location

NEAR = 1e-9
"""Shorter pieces [m] are none."""


@dataclass(frozen=True)
class Piece:
    """An element of the line, or the part of it from ``begin`` to ``end`` of its length."""

    name: str
    begin: float = 0.0
    end: float = 1.0


@dataclass(frozen=True)
class Request:
    """An element that is to be put at an offset from the origin of another; without one, from the line's start."""

    name: str
    ref: str | None
    offset: float
    ref_origin: str
    ele_origin: str
    place: Location


SHARE = {"beginning": 0.0, "begin": 0.0, "start": 0.0, "center": 0.5, "centre": 0.5, "end": 1.0}


def superimpose(
    pieces: list[Piece], requests: list[Request], length: Callable[[str], float], gives_way: Callable[[str], bool]
) -> list[Piece]:
    """The line with all that is asked for on top of it, in turn.

    Parameters
    ----------
    pieces:
        The line as it is.
    requests:
        What is put where.
    length:
        Length of an element by name.
    gives_way:
        Whether an element is a drift, of which a longer part may vanish below what is put there.

    Raises
    ------
    LatticeError
        For a reference that is not in the line, and for two magnets in one place.
    """
    for request in requests:
        for middle in sorted(_places(pieces, request, length), reverse=True):
            pieces = _put(pieces, request, middle, length, gives_way)
    return pieces


def _places(pieces: list[Piece], request: Request, length: Callable[[str], float]) -> Iterator[float]:
    """Where the beginning of the element is to be, for each of its references."""
    share = SHARE[request.ele_origin] * length(request.name)
    if request.ref is None:
        yield request.offset - share
        return
    s, found = 0.0, False
    for piece in pieces:
        whole = length(piece.name)
        if piece.name == request.ref and piece.begin == 0.0:
            found = True
            yield s + SHARE[request.ref_origin] * whole + request.offset - share
        s += whole * (piece.end - piece.begin)
    if not found:
        raise LatticeError(request.place, f"{request.name} is to be at {request.ref}, which is not in the line")


def _put(
    pieces: list[Piece],
    request: Request,
    start: float,
    length: Callable[[str], float],
    gives_way: Callable[[str], bool],
) -> list[Piece]:
    """The line with one element put at one place."""
    own = length(request.name)
    stop = start + own
    found: list[Piece] = []
    s, done = 0.0, False
    total = sum(length(p.name) * (p.end - p.begin) for p in pieces)
    if start < -NEAR or stop > total + NEAR:
        raise LatticeError(request.place, f"{request.name} would be at {start:.6g} m, outside the line")
    for piece in pieces:
        here = length(piece.name) * (piece.end - piece.begin)
        end = s + here
        if end <= start + NEAR or (done and s >= stop - NEAR):
            found.append(piece)
        else:
            if not done and s >= start - NEAR and own == 0.0:
                found += [Piece(request.name), piece]
                done = True
            else:
                before, after = start - s, end - stop
                if own > 0.0 and not gives_way(piece.name):
                    raise LatticeError(request.place, f"{request.name} would overlap {piece.name}")
                if before > NEAR:
                    found.append(_part(piece, 0.0, before / here))
                if not done:
                    found.append(Piece(request.name))
                    done = True
                if here == 0.0:
                    found.append(piece)
                elif after > NEAR:
                    found.append(_part(piece, 1.0 - after / here, 1.0))
        s = end
    return found if done else [*found, Piece(request.name)]


def _part(piece: Piece, begin: float, end: float) -> Piece:
    """Part of a piece; twelve digits, so that the same cut of the same element is the same piece wherever it is."""
    span = piece.end - piece.begin
    return Piece(piece.name, round(piece.begin + begin * span, 12), round(piece.begin + end * span, 12))
