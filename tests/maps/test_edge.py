"""Dipole edges: formula, ImpactX's first-order fringe, and the rectangular magnet as a whole."""

from __future__ import annotations

import numpy as np
import pytest
from impactx_vectors import vector
from motion import arrays, electrons, particles

from backbeam.elements import RectangularBend, SectorBend
from backbeam.errors import InputError
from backbeam.maps.edge import BendEdge, DipoleEdgeMap


def test_fringe_of_impactx_is_the_first_order_of_ours():
    v = vector("dipedge_linear")
    e, h, gK = v.given["psi"], 1.0 / v.given["rc"], v.given["g"] * v.given["K2"]
    sine, cosine = np.sin(e), np.cos(e)
    first = (1.0 + sine**2) / cosine**3 * gK * h * h
    plain = DipoleEdgeMap().forward(v.X, v.reference, arrays(curvature=h, e=e))
    plain[3] += first * v.X[2]
    assert np.abs(plain - v.X1).max() < 1e-18

    full = arrays(curvature=h, e=e, fint=v.given["K2"], hgap=0.5 * v.given["g"])
    found = DipoleEdgeMap(fringe=True).forward(v.X, v.reference, full)
    turn = h * gK * (1.0 + sine**2) / cosine
    beyond = h * (np.tan(e) - np.tan(e - turn)) - first
    assert 0 < abs(beyond) < 1.1 * h * np.tan(e) * turn**2 / cosine**2  # tan'' of the angle
    assert np.abs(found[3] - v.X1[3] - beyond * v.X[2]).max() < 1e-18
    assert np.array_equal(found[[0, 1, 2, 4, 5]], plain[[0, 1, 2, 4, 5]])


def test_edge_of_a_bend_takes_curvature_and_share_from_it():
    X, reference = particles(1), electrons()
    own = arrays(length=0.8, angle=0.3, e=-0.1, fint=0.4, hgap=0.02)
    alone = arrays(curvature=0.3 / 0.8, e=0.15 - 0.1, fint=0.4, hgap=0.02)
    found = BendEdge(True, True, 0.5).forward(X, reference, own)
    assert np.abs(found - DipoleEdgeMap(True, True).forward(X, reference, alone)).max() < 1e-19
    found = BendEdge(False, False, 0.5).forward(X, reference, own)
    assert np.abs(found - DipoleEdgeMap().forward(X, reference, alone | arrays(e=0.15))).max() < 1e-19


def test_fringe_acts_without_a_face_angle():
    X, reference = particles(2), electrons()
    found = DipoleEdgeMap(False, True).forward(X, reference, arrays(curvature=0.5, fint=0.6, hgap=0.03))
    focus = 0.5 * np.tan(2.0 * 0.5 * 0.03 * 0.6)
    assert found[1] == pytest.approx(X[1], abs=1e-19)
    assert found[3] == pytest.approx(X[3] + focus * X[2], rel=1e-12)


def through(element, X, reference):
    """All maps of an element."""
    values = arrays(**element.parameters())
    for bound in (*element.entrance(), *element.body(1.0), *element.exit()):
        X = bound.map.forward(X, reference, {mine: values[name] for mine, name in bound.names})
    return X


@pytest.mark.parametrize("angle", [0.4, -0.4])
def test_rectangle_does_not_focus_in_its_plane(angle):
    """Parallel faces: x drifts over a length rho sin(angle); each face focuses y by tan(angle/2)/rho."""
    rho = 0.9 / angle
    R = through(RectangularBend(0.9, angle, model="linear"), np.eye(6), electrons())
    assert R[:2, :2] == pytest.approx(np.asarray([[1.0, rho * np.sin(angle)], [0.0, 1.0]]), abs=1e-14)
    k = np.tan(angle / 2) / rho
    assert R[3, 2] == pytest.approx(-2.0 * k + k * k * 0.9, rel=1e-13)


def test_rectangle_is_a_sector_with_faces():
    X, reference = particles(3), electrons()
    rectangle = RectangularBend(0.9, 0.4, k1=1.2, e1=0.05, e2=-0.03, fint=0.4, hgap=0.02)
    sector = SectorBend(0.9, 0.4, k1=1.2, e1=0.25, e2=0.17, fint=0.4, hgap=0.02)
    assert np.abs(through(rectangle, X, reference) - through(sector, X, reference)).max() < 1e-17


def test_sector_without_faces_has_no_edges():
    element = SectorBend(0.5, 0.2)
    assert element.entrance() == element.exit() == ()
    element = SectorBend(0.5, 0.2, e2=0.1)
    assert element.entrance() == () and len(element.exit()) == 1
    assert len(SectorBend(0.5, 0.2, fint=0.5, hgap=0.01).entrance()) == 1


@pytest.mark.parametrize("fields", [{"fint": 0.5}, {"hgap": 0.01}])
def test_half_a_fringe_is_refused(fields):
    with pytest.raises(InputError, match=r"(hgap|fint) is None"):
        SectorBend(0.5, 0.2, **fields)
