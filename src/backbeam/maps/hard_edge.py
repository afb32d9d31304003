"""Pole face of a bend with a hard edge: exact flight to the face's plane, the fringe there, exact flight in the field.

The face of `backbeam.maps.edge` is the first order of this one. What a fringe of finite extent changes, it changes here
in the same way, by a linear kick in y.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backbeam.maps.edge import BendEdge
from backbeam.maps.face_pieces import Face, Fringe, GradientInWedge, Piece, Softening, Turn, TurnInField

if TYPE_CHECKING:
    from backbeam.arrays import Array
    from backbeam.maps.base import Cotangents, Parameters
    from backbeam.reference import Reference


@dataclass(frozen=True)
class HardEdge(BendEdge):
    """Pole face of a bend, exact in all orders of x and its slope, of second order in y.

    At the entrance: the axes turn by the face angle e onto the plane of the face (a `wedge` without field), the field
    begins there (`fringe`), and they turn back in it (a `wedge` with it). At the exit the same from the other end. A
    gradient k1 acts in the wedge of the field by a thin kick of second order.

    Parameters
    ----------
    face, fringe, share, field:
        As in `backbeam.maps.edge.BendEdge`.
    end:
        "entrance" or "exit".
    gradient:
        Whether there is a gradient k1 [1/m^2] in the bend.
    """

    end: str = "entrance"
    gradient: bool = False

    @property
    def parameters(self) -> tuple[str, ...]:
        """Those of the face, and k1."""
        return (*super().parameters, *(("k1",) if self.gradient else ()))

    def _pieces(self, reference: Reference, p: Parameters) -> tuple[Piece, ...]:
        """In order: those of the entrance, and at the exit from the last."""
        sign = 1.0 if self.end == "entrance" else -1.0
        face = Face(
            reference, sign, self._curvature(p), self._angle(p), self._extent(p), p["k1"] if self.gradient else 0.0
        )
        soft = (Softening(face),) if self.fringe else ()
        gradient = (GradientInWedge(face),) if self.gradient else ()
        pieces = (Turn(face), Fringe(face), *soft, TurnInField(face), *gradient)
        return pieces if self.end == "entrance" else pieces[::-1]

    def forward(self, X: Array, reference: Reference, p: Parameters) -> Array:
        """Piece by piece."""
        for piece in self._pieces(reference, p):
            X = piece.forward(X)
        return X

    def inverse(self, X1: Array, reference: Reference, p: Parameters) -> Array:
        """Piece by piece from the last."""
        for piece in self._pieces(reference, p)[::-1]:
            X1 = piece.inverse(X1)
        return X1

    def pullback(self, X: Array, reference: Reference, p: Parameters, X1_bar: Array) -> tuple[Array, Array, Cotangents]:
        """Back through the pieces; the states in between are made again."""
        pieces, states = self._pieces(reference, p), [X]
        for piece in pieces:
            states.append(piece.forward(states[-1]))
        X_bar, of = X1_bar, dict.fromkeys(("inverse_beta", "h", "e", "extent", "k1"), 0.0)
        for piece, before, behind in zip(pieces[::-1], states[-2::-1], states[:0:-1], strict=True):
            X_bar, found = piece.pullback(before, behind, X_bar)
            of |= {name: of[name] + bar for name, bar in found.items()}
        bars = self._from(p, of["h"], of["e"])
        if self.face:
            bars |= {"e": of["e"]}
        if self.fringe:
            bars |= {"fint": p["hgap"] * of["extent"], "hgap": p["fint"] * of["extent"]}
        if self.gradient:
            bars |= {"k1": of["k1"]}
        return X_bar, reference.pull_back(inverse_beta=of["inverse_beta"]), bars
