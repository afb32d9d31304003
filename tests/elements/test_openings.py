"""Openings: who is inside, by their areas and Matplotlib; pipes along elements, with and without kicks."""

from __future__ import annotations

from math import pi

import numpy as np
import pytest
from matplotlib.path import Path

import backbeam as bb
from backbeam.elements.openings import opening_of
from backbeam.problem.lattice import read_lattice
from backbeam.problem.text import read_tree, write_tree
from backbeam.problem.written import lattice_tree

O = bb.openings
L_SHAPE = ((0.0, 0.0), (3.0, 0.0), (3.0, 1.0), (1.0, 1.0), (1.0, 2.5), (0.0, 2.5))
AREAS = [
    (O.Rectangle(1.5, 0.5), 3.0),
    (O.Ellipse(1.5, 0.5), 0.75 * pi),
    (O.Ellipse(1.2), 1.44 * pi),
    (O.RectEllipse(2.0, 0.5, 1.0, 1.0), 2.0 * (pi / 6.0 + 0.5 * 3.0**0.5 * 0.5)),
    (O.Racetrack(1.5, 1.0, 0.5), 6.0 - (4.0 - pi) * 0.25),
    (O.Racetrack(1.5, 1.0, 0.5, 0.25), 6.0 - (4.0 - pi) * 0.125),
    (O.Polygon(L_SHAPE), 4.5),
    (O.Repeating(O.Ellipse(0.2), 1.0, 1.0), 36.0 * 0.04 * pi),
    (O.Repeating(O.Rectangle(0.1, 9.0), pitch_x=0.5), 36.0 * 0.4),
    (O.Outside(O.Rectangle(1.0, 1.0)), 32.0),
]


def grid(m=1201):
    """Points of a square of side 6."""
    u = (np.arange(m) + 0.5) / m * 6.0 - 3.0
    x, y = np.meshgrid(u, u)
    return x.ravel(), y.ravel()


@pytest.mark.parametrize("opening,area", AREAS, ids=lambda v: type(v).__name__)
def test_area(opening, area):
    x, y = grid()
    assert 36.0 * opening.passes(x, y).mean() == pytest.approx(area, rel=6e-3)


@pytest.mark.parametrize("opening,_", AREAS, ids=lambda v: type(v).__name__)
def test_same_on_every_library(opening, _, backend):
    x, y = np.random.default_rng(1).uniform(-3.0, 3.0, (2, 400))
    found = backend.to_numpy(opening.passes(backend.asarray(x), backend.asarray(y)))
    np.testing.assert_array_equal(found, opening.passes(x, y))


def test_polygon_is_that_of_matplotlib():
    rng = np.random.default_rng(2)
    corners = rng.normal(size=(9, 2))
    points = rng.uniform(-2.0, 2.0, (5000, 2))
    # One that crosses itself: even and odd differ from winding numbers, so take it apart by angle first.
    corners = corners[np.argsort(np.arctan2(corners[:, 1], corners[:, 0]))]
    wanted = Path(np.concatenate([corners, corners[:1]])).contains_points(points)
    np.testing.assert_array_equal(O.Polygon(corners).passes(*points.T), wanted)


def test_border_passes():
    for opening in (O.Rectangle(1.0, 2.0), O.Ellipse(1.0, 2.0), O.Racetrack(1.0, 2.0, 0.5), O.RectEllipse(1, 2, 1, 2)):
        assert bool(np.all(opening.passes(np.array([1.0, -1.0, 0.0]), np.array([0.0, 0.0, 2.0]))))


@pytest.mark.parametrize(
    "given,field",
    [
        (0.0, "e.aperture"), (True, "e.aperture"), ("round", "e.aperture"), ({"circle": {}}, "e.aperture"),
        ({"ellipse": {"a": 1.0}}, "e.aperture.ellipse"), ({"ellipse": {"half_x": -1.0}}, "e.aperture.ellipse.half_x"),
        ({"racetrack": {"half_x": 1.0, "half_y": 1.0, "radius_x": 2.0}}, "e.aperture.racetrack.radius_x"),
        ({"polygon": {"corners": [(0, 0), (1, 1)]}}, "e.aperture.polygon.corners"),
        ({"rectangle": {"half_x": 1.0}}, "e.aperture.rectangle"), (float("nan"), "e.aperture"),
        ({"repeating": {"opening": {"ellipse": {"half_x": 1.0}}, "pitch_x": 0.0}}, "e.aperture.repeating.pitch_x"),
    ],
)  # fmt: skip
def test_bad_input_is_named(given, field):
    with pytest.raises(bb.InputError) as caught:
        bb.Drift(1.0, aperture=given, name="e")
    assert caught.value.field == field


def test_what_problem_files_say():
    given = {"repeating": {"opening": {"rectangle": {"half_x": 1e-3, "half_y": 1e-2}}, "pitch_x": 5e-3}}
    assert opening_of(given, "f") == O.Repeating(O.Rectangle(1e-3, 1e-2), 5e-3)
    assert opening_of(5e-3, "f") == O.Ellipse(5e-3, 5e-3)


@pytest.mark.parametrize("opening,_", AREAS, ids=lambda v: type(v).__name__)
def test_a_written_line_has_the_same_openings(opening, _):
    line = bb.Line(
        [bb.Drift(1.0, aperture=opening, aperture_tests=3, name="d"), bb.Aperture(opening=opening, name="a")]
    )
    again = read_lattice(read_tree(write_tree(lattice_tree(line)), "it")).line
    assert again["d"].aperture == opening and again["d"].aperture_tests == 3 and again["a"].opening == opening


def slanted():
    X = np.zeros((6, 3))
    X[1] = 0.05, 0.001, -0.05
    return bb.Beam.from_arrays(X, species="electron", kinetic_energy=1e9, charge=1e-12)


def test_particle_that_comes_back_is_lost_in_between():
    """1 m of a quadrupole brings it back to the axis: openings at both ends would let it pass."""
    pipe = O.Rectangle(5e-3, 5e-3)
    quadrupole = bb.Quadrupole(1.0, k1=(pi / 0.99) ** 2)
    ends = bb.Line([bb.Aperture(opening=pipe), quadrupole, bb.Aperture(opening=pipe)])
    assert bb.track(ends, slanted()).lost == 0
    out = bb.track(bb.Line([quadrupole.replace(aperture=pipe)]), slanted())
    assert np.asarray(out.alive).tolist() == [False, True, False]


def test_where_in_a_pipe():
    """px = 0.05 meets a half width of 5 mm after 0.1 m: at the next test behind it; it stays there."""
    X, parts = slanted(), 40
    out = bb.track(bb.Line([bb.Drift(1.0, aperture=5e-3, aperture_tests=parts)]), X)
    first = np.ceil(5e-3 / (0.05 / np.sqrt(1 - 0.05**2)) * parts) / parts
    assert abs(out.coordinates[0, 0]) == pytest.approx(0.05 / np.sqrt(1 - 0.05**2) * first, rel=1e-12)
    assert out.coordinates[0, 1] == pytest.approx(1e-3, rel=1e-5)


@pytest.mark.parametrize("slices", [1, 3, 7])
def test_same_particles_are_lost_wherever_effects_kick(slices):
    beam = bb.Beam.gaussian(
        n=3000, species="electron", kinetic_energy=5e6, charge=0.0, seed=3, sigma_x=1e-3, sigma_px=3e-3, sigma_y=1e-3,
        sigma_py=3e-3, sigma_tau=1e-3, sigma_pt=1e-3,
    )  # fmt: skip
    pipe = {"aperture": {"ellipse": {"half_x": 4e-3, "half_y": 5e-3}}, "aperture_tests": 4}
    line = bb.Line(
        [bb.Quadrupole(0.4, k1=6.0, dx=2e-4, **pipe), bb.SectorBend(0.5, 0.2, **pipe), bb.Drift(0.3, **pipe)]
    )
    plain = bb.track(line, beam)
    kicked = bb.track(line, beam, space_charge=bb.SpaceCharge3D(grid=(8, 8, 8)), slices=slices)
    assert 300 < plain.lost < 2500
    np.testing.assert_array_equal(np.asarray(kicked.lost_at) >= 0, np.asarray(plain.lost_at) >= 0)
    np.testing.assert_array_equal(kicked.lost_at, plain.lost_at)
    *_, (_, _, looked) = bb.trace(line, beam, slices=slices)
    np.testing.assert_array_equal(np.asarray(looked.lost_at) >= 0, np.asarray(plain.lost_at) >= 0)


def test_pipe_moves_with_its_element():
    X = np.zeros((6, 2))
    X[0] = 1.5e-3, -1.5e-3
    beam = bb.Beam.from_arrays(X, species="electron", kinetic_energy=1e9, charge=1e-12)
    out = bb.track(bb.Line([bb.Drift(1.0, aperture=2e-3, dx=1e-3)]), beam)
    assert np.asarray(out.alive).tolist() == [True, False]


@pytest.mark.parametrize("adjoint", [bb.Reversible(), bb.Checkpoint(slots=1), bb.Store()], ids=repr)
def test_gradient_through_a_pipe_is_that_of_the_survivors(adjoint):
    beam = bb.Beam.gaussian(
        n=200, species="electron", kinetic_energy=5e6, charge=1e-10, seed=3, sigma_x=1e-3, sigma_px=3e-3, sigma_y=1e-3,
        sigma_py=3e-3, sigma_tau=1e-3, sigma_pt=1e-3,
    )  # fmt: skip
    line = bb.Line([bb.Quadrupole(0.4, k1=20.0, aperture=2.5e-3, aperture_tests=2, name="q"), bb.Drift(0.3, name="d")])
    options = {"space_charge": bb.SpaceCharge3D(grid=(8, 8, 8)), "slices": 2}
    objective = bb.observables.sigma("x")
    _, gradient = bb.value_and_grad(objective, line, beam, ["q.k1", "d.length"], adjoint=adjoint, **options)
    assert 20 < bb.track(line, beam, **options).lost < 180
    for name, h in (("q.k1", 1e-6), ("d.length", 1e-6)):
        ends = [bb.track(line.replace({name: line.get(name) + s * h}), beam, **options) for s in (1, -1)]
        slope = (float(ends[0].sigma("x")) - float(ends[1].sigma("x"))) / (2.0 * h)
        assert float(gradient[name]) == pytest.approx(slope, rel=2e-5)
