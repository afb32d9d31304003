"""Rigid misalignment: bends as bodies in space, bends of Xsuite, what symmetric bodies do not see, what it costs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rigid_geometry

import backbeam as bb
from backbeam.errors import InputError
from backbeam.maps.misalignment import Misalign

ERRORS = {"dx": 2e-3, "dy": -3e-3, "ds": 4e-3, "pitch": 0.02, "yaw": -0.03, "roll": 0.1}
LARGE = {"dx": 0.02, "dy": -0.01, "ds": 0.03, "pitch": 0.3, "yaw": -0.2, "roll": 1.2}
PIVOTS = ("entrance", "middle", "exit")

XSUITE = json.loads((Path(__file__).parents[1] / "data" / "xsuite_bends.json").read_text())
"""Protons through misaligned bends of xtrack 0.118.4: `xtrack.Bend`, ``model="bend-kick-bend"``, of 1.2 m.

Errors are its shift_x, shift_y, shift_s, rot_x_rad, rot_y_rad, rot_s_rad_no_frame about the entrance; tilt its
rot_s_rad. ``share`` is edge_entry_angle = edge_exit_angle over the angle, with edges "full"; None is without edges.
Each tracked by a line of this one element, ``zeta = -beta0 tau``, ``ptau = pt``.
"""


def beam(X):
    return bb.Beam.from_arrays(np.asarray(X), species="proton", reference_momentum=1e9, charge=0.0)


def through(elements, X):
    out = bb.track(bb.Line(elements), beam(X)).coordinates
    assert np.isfinite(out).all()
    return out


def draw(seed=3, size=2e-3, n=5):
    X = np.random.default_rng(seed).uniform(-size, size, (6, n))
    X[:, 0] = 0.0
    return X


def label(case):
    errors = "".join(case["errors"]) if len(case["errors"]) < 2 else "all"
    return f"{case['share']}-{case['degrees']:g}-{errors}-{case['tilt']:g}"


@pytest.mark.parametrize("case", [c for c in XSUITE["cases"] if c["share"] is None], ids=label)
def test_bends_of_xsuite(case):
    errors, angle = dict(case["errors"]), float(np.deg2rad(case["degrees"]))
    if case["tilt"]:
        errors["tilt"] = case["tilt"]
    found = through([bb.SectorBend(XSUITE["length"], angle=angle, **errors)], np.asarray(XSUITE["X"]))
    assert np.abs(found - np.asarray(case["X1"])).max() < 1e-14


@pytest.mark.parametrize("case", [c for c in XSUITE["cases"] if c["share"] is not None], ids=label)
def test_bends_with_hard_faces_of_xsuite(case):
    """Sector and rectangular bends, edges "full": to 1e-12."""
    errors, angle = dict(case["errors"]), float(np.deg2rad(case["degrees"]))
    if case["tilt"]:
        errors["tilt"] = case["tilt"]
    cls = bb.RectangularBend if case["share"] else bb.SectorBend
    found = through([cls(XSUITE["length"], angle=angle, fringe="hard", **errors)], np.asarray(XSUITE["X"]))
    assert np.abs(found - np.asarray(case["X1"])).max() < 1e-12


@pytest.mark.parametrize("pivot", PIVOTS)
@pytest.mark.parametrize("degrees", [1.0, -30.0, 90.0, 170.0])
@pytest.mark.parametrize("errors", [*({k: v} for k, v in ERRORS.items()), ERRORS, LARGE], ids=lambda e: "".join(e))
def test_a_bend_is_a_body_in_space(pivot, degrees, errors):
    X, angle, tilt = draw(), float(np.deg2rad(degrees)), 0.4 if len(errors) > 1 else 0.0
    if errors is LARGE and abs(degrees) > 40.0:  # or the particles would turn round
        errors = {k: 0.3 * v for k, v in LARGE.items()}
    found = through([bb.SectorBend(0.8, angle=angle, tilt=tilt, pivot=pivot, **errors)], X)
    b = float(beam(X).reference.inverse_beta)
    wanted = rigid_geometry.track(X, b, 0.8, angle, errors, pivot, tilt)
    assert np.abs(found - wanted).max() < 1e-12


@pytest.mark.parametrize("pivot", PIVOTS)
def test_a_drift_does_not_see_where_it_stands(pivot):
    X = draw(4, 1e-2)
    found = through([bb.Drift(0.8, pivot=pivot, **LARGE, tilt=0.3)], X)
    assert np.abs(found - through([bb.Drift(0.8)], X)).max() < 1e-14


def test_a_solenoid_turned_about_its_middle_about_its_own_axis_is_the_same():
    X = draw(5)
    found = through([bb.Solenoid(0.8, ks=2.0, roll=0.9, pivot="middle")], X)
    assert np.abs(found - through([bb.Solenoid(0.8, ks=2.0)], X)).max() < 1e-16


@pytest.mark.parametrize("element", [
    bb.Quadrupole(0.4, k1=5.0, **ERRORS), bb.SectorBend(0.7, angle=0.4, k1=1.0, e1=0.1, **ERRORS, tilt=0.2),
], ids=lambda e: e.kind)  # fmt: skip
def test_a_turn_about_the_middle_is_one_about_an_end_and_a_displacement(element):
    """Where the faces stand is all that counts: the same body, said from another pivot."""
    length, angle, tilt = element.length, getattr(element, "angle", 1e-12), element.tilt or 0.0
    errors = {k: getattr(element, k) for k in ERRORS}
    T = rigid_geometry.moved("middle", length, angle, tilt, errors)
    yaw, pitch = np.arctan2(T[0, 2], T[2, 2]), np.arcsin(T[1, 2])
    same = {"dx": T[0, 3], "dy": T[1, 3], "ds": T[2, 3], "yaw": yaw, "pitch": pitch,
            "roll": np.arctan2(T[1, 0], T[1, 1])}  # fmt: skip
    X = draw(6)
    found = through([element.replace(pivot="middle")], X)
    assert np.abs(found - through([element.replace(**{k: float(v) for k, v in same.items()})], X)).max() < 1e-12


def test_first_order_of_a_rolled_and_of_a_displaced_bend():
    """A rolled bend kicks out of its plane; one displaced along its entrance plane moves no orbit but by px."""
    theta, length, psi, rho = 0.1, 1.0, 1e-6, 10.0
    out = through([bb.SectorBend(length, angle=theta, roll=psi)], np.zeros((6, 1)))
    assert out[3, 0] == pytest.approx(-np.sin(theta) * psi, rel=1e-9)
    assert out[2, 0] == pytest.approx(-rho * (1.0 - np.cos(theta)) * psi, rel=1e-9)
    theta = float(np.deg2rad(138.0))
    out = through([bb.SectorBend(length, angle=theta, dx=1e-6)], np.zeros((6, 1)))
    assert abs(out[0, 0]) < 1e-11
    assert out[1, 0] == pytest.approx(1e-6 * np.sin(theta) * theta / length, rel=1e-5)


def test_tilt_bends_the_line_itself():
    """A bend tilted by a quarter turn, between rotations of the coordinates, is the bend."""
    X, c, s = draw(8), np.cos(0.7), np.sin(0.7)
    x, px, y, py, tau, pt = X
    turned = np.stack([c * x + s * y, c * px + s * py, c * y - s * x, c * py - s * px, tau, pt])
    x, px, y, py, tau, pt = through([bb.SectorBend(0.5, angle=0.6, e1=0.1)], turned)
    wanted = np.stack([c * x - s * y, c * px - s * py, c * y + s * x, c * py + s * px, tau, pt])
    assert np.abs(through([bb.SectorBend(0.5, angle=0.6, e1=0.1, tilt=0.7)], X) - wanted).max() < 1e-16


def test_frames_cost_what_is_there():
    assert bb.Quadrupole(0.2, k1=1.0).into() == ()
    plane = bb.Quadrupole(0.2, k1=1.0, dx=1e-3, roll=0.1)
    assert all(type(b.map) is Misalign for b in (*plane.into(), *plane.out_of()))
    (tilted,) = bb.SectorBend(0.2, angle=0.1, tilt=0.3).out_of()
    assert type(tilted.map) is Misalign and tilted.map.linear
    (out,) = bb.Quadrupole(0.2, k1=1.0, ds=1e-3).out_of()
    assert out.map.parameters == ("ds",)


def test_unknown_pivot():
    with pytest.raises(InputError, match="entrance or middle or exit"):
        bb.Drift(1.0, pivot="center")


@pytest.mark.parametrize("pivot", PIVOTS)
def test_gradients_through_the_whole_element(pivot):
    """All errors, length, angle and tilt of a bend at once, against differences."""
    names = [*ERRORS, "tilt", "length", "angle", "e1"]
    element = bb.SectorBend(0.7, angle=0.5, e1=0.1, pivot=pivot, tilt=0.3, **ERRORS, name="b")
    start = beam(draw(9))
    goal = bb.observables.mean("x") + 0.7 * bb.observables.mean("py") + 0.3 * bb.observables.mean("tau")
    _, found = bb.value_and_grad(goal, bb.Line([element]), start, wrt=[f"b.{n}" for n in names])
    for name in names:
        value, h = getattr(element, name), 1e-3
        points = [
            float(bb.value_and_grad(goal, bb.Line([element.replace(**{name: value + k * h})]), start, wrt=["b.e1"])[0])
            for k in (-2, -1, 1, 2)
        ]
        wanted = (points[0] - 8.0 * points[1] + 8.0 * points[2] - points[3]) / (12.0 * h)
        assert float(found[f"b.{name}"]) == pytest.approx(wanted, rel=1e-8, abs=1e-9), name
