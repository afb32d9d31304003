"""Pieces of a hard pole face: each undone, the exit the mirror of the entrance, and no precision lost between them."""

from __future__ import annotations

import numpy as np
import pytest
from motion import electrons, particles

from backbeam.maps import face_pieces
from backbeam.maps.hard_edge import HardEdge
from backbeam.reference import Reference

PIECES = (face_pieces.Turn, face_pieces.TurnInField, face_pieces.Fringe, face_pieces.Softening,
          face_pieces.GradientInWedge)  # fmt: skip
P = {"length": 0.8, "angle": 0.4, "e": 0.15, "fint": 0.5, "hgap": 0.02, "k1": 3.0}


def face(sign):
    """A turned face with all that a face can have."""
    return face_pieces.Face(electrons(), sign, *map(np.asarray, (0.5, 0.35, 0.01, 3.0)))


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("kind", PIECES)
def test_each_is_undone_and_pulls_back(kind, sign):
    piece, X, h = kind(face(sign)), particles(7, 5e-3), 1e-6
    X1 = piece.forward(X)
    assert np.abs(piece.inverse(X1) - X).max() < 1e-16 + 1e-15 * np.abs(X).max()
    rng = np.random.default_rng(3)
    bar, direction = rng.normal(size=X.shape), rng.normal(size=X.shape)
    X_bar, _ = piece.pullback(X, X1, bar)
    slope = (piece.forward(X + h * direction) - piece.forward(X - h * direction)) / (2.0 * h)
    assert np.sum(X_bar * direction) == pytest.approx(np.sum(bar * slope), rel=1e-8)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("name", ["h", "extent", "k1"])
def test_each_knows_what_it_is_made_of(name, sign):
    X, h = particles(7, 5e-3), 1e-6
    bar, at = np.random.default_rng(4).normal(size=X.shape), face(sign)
    for kind in PIECES:
        _, found = kind(at).pullback(X, kind(at).forward(X), bar)
        more, less = (kind(at._replace(**{name: getattr(at, name) + step})).forward(X) for step in (h, -h))
        assert found.get(name, 0.0) == pytest.approx(np.sum(bar * (more - less)) / (2.0 * h), rel=1e-6, abs=1e-10)


def test_the_exit_is_the_entrance_run_back_in_time():
    """In the plane of the bend; off it a fringe of first order in the field differs by amplitudes to the third."""
    p = {name: np.asarray(value) for name, value in P.items()}
    turned = np.asarray([1.0, -1.0, 1.0, -1.0, -1.0, 1.0])[:, None]
    entrance, exit_ = (HardEdge(True, True, 0.5, False, end, True) for end in ("entrance", "exit"))
    for off_the_plane, allowed in ((0.0, 1e-17), (1.0, 5e-3**3)):
        X = particles(9, 5e-3)
        X[2:4] *= off_the_plane
        back = turned * entrance.inverse(turned * X, electrons(), p)
        assert np.abs(exit_.forward(X, electrons(), p) - back).max() < allowed


def test_the_angle_of_a_face_is_differentiated_in_single_precision():
    """The two turns, one against the other, leave of order one only the kick: 1e-3 of what each of them gives."""
    X = particles(50, 1e-3)
    bar = np.random.default_rng(5).normal(size=X.shape)
    for end in ("entrance", "exit"):
        map = HardEdge(True, True, 0.5, False, end, True)
        exact, found = (
            map.pullback(X.astype(dtype), reference(dtype), {k: np.asarray(v, dtype) for k, v in P.items()},
                         bar.astype(dtype))[2]["e"]
            for dtype in (np.float64, np.float32)
        )  # fmt: skip
        assert found == pytest.approx(exact, abs=1e-9)  # of 50 turns with cotangents of order one


def reference(dtype):
    """Electrons of 20 MeV in a data type."""
    return Reference(electrons().beta_gamma.astype(dtype), electrons().species)
