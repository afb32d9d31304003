"""Sector and combined-function bend: closed forms, Hamilton's equations, limits, particles of ImpactX."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from impactx_vectors import vector
from motion import arrays, electrons, integrate, jacobian, particles
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

import backbeam as bb
from backbeam.arrays import join, rows
from backbeam.maps.bend import Bend, bend
from backbeam.maps.combined_bend import CombinedBend, Field, curved_kick
from backbeam.maps.drift import DriftMap
from backbeam.maps.edge import BendEdge
from backbeam.maps.hard_edge import HardEdge
from backbeam.maps.linear import LinearBody
from backbeam.maps.multipole import Component, ThickMultipole
from backbeam.maps.splitting import splitting
from backbeam.reference import Reference


def deviation(found, wanted):
    """Largest deviation of each row, as a part of the largest coordinate."""
    return np.abs(np.asarray(found) - np.asarray(wanted)).max() / np.abs(np.asarray(wanted)).max()


def hamilton(x, px, y, py, pt, b, h, k1=0.0, k2=0.0):
    """Slopes under H = -(1 + h x) pz + pt/beta0 + h x + h^2 x^2/2 + psi."""
    X = np.asarray([[x], [0.0], [y], [0.0], [0.0], [0.0]])
    field = Field(*(np.asarray([v]) for v in (h, k1, k2)))
    _, fx, _, fy, _, _ = curved_kick(X, field, 1.0)[:, 0]
    fx, fy = fx - k1 * x, fy + k1 * y
    pz = np.sqrt(1.0 + pt * (2.0 * b + pt) - px * px - py * py)
    u = 1.0 + h * x
    return u * px / pz, h * (pz - u) + fx, u * py / pz, fy, u * (pt + b) / pz - b


@pytest.mark.parametrize("angle", [1e-6, 0.1, -np.pi / 4, 1.4])
@pytest.mark.parametrize("size", [1e-3, 3e-2])
def test_bend_solves_its_equations_of_motion(angle, size):
    X, reference = particles(1, size), electrons()
    found = Bend(0.5).forward(X, reference, arrays(length=1.4, angle=angle))
    assert deviation(found, integrate(hamilton, X, reference, 0.7, h=angle / 1.4)) < 1e-12


@pytest.mark.parametrize("radius", [0.4, -2.0])
def test_every_circle_closes_after_a_full_turn(radius):
    X, reference = particles(2, 2e-2), electrons()
    x, px, y, py, tau, pt = X
    turn = 2.0 * np.pi * abs(radius)
    found = Bend().forward(X, reference, arrays(length=turn, angle=turn / radius))
    assert deviation(found, (x, px, y + turn * py, py, tau + turn * pt, pt)) < 1e-14


def textbook(X, reference, L, h):
    """The solution as it stands in the books, which loses digits at small angles."""
    x, px, y, py, tau, pt = X
    b, s = reference.inverse_beta, h * L
    ps2 = 1.0 + pt * (2.0 * b + pt) - py**2
    pz = np.sqrt(ps2 - px**2)
    px1 = px * np.cos(s) + (pz - (1.0 + h * x)) * np.sin(s)
    x1 = (np.sqrt(ps2 - px1**2) - 1.0 + px * np.sin(s) - (pz - 1.0 - h * x) * np.cos(s)) / h
    A = (s + np.arcsin(px / np.sqrt(ps2)) - np.arcsin(px1 / np.sqrt(ps2))) / h
    return np.stack([x1, px1, y + py * A, py, tau + (pt + b) * A - L * b, pt])


@pytest.mark.parametrize("angle", [0.05, 0.7, -1.3])
def test_bend_equals_the_textbook(angle):
    X, reference = particles(3, 5e-2), electrons()
    found = Bend().forward(X, reference, arrays(length=1.1, angle=angle))
    assert deviation(found, textbook(X, reference, 1.1, angle / 1.1)) < 1e-13


def test_bend_without_angle_is_the_drift_and_so_is_its_limit():
    X, reference = particles(4, 1e-2), electrons()
    wanted = DriftMap().forward(X, reference, arrays(length=1.3))
    assert deviation(Bend().forward(X, reference, arrays(length=1.3, angle=0.0)), wanted) < 1e-15
    angles = (1e-5, -1e-5, 1e-7)
    slopes = [(Bend().forward(X, reference, arrays(length=1.3, angle=a)) - wanted) / a for a in angles]
    assert deviation(slopes[1], slopes[0]) < 1e-4
    assert deviation(slopes[2], slopes[0]) < 1e-4


def test_first_order_is_the_linear_bend():
    reference, p = electrons(), arrays(length=0.9, angle=0.6)
    linear = LinearBody(curvature=True).forward(np.eye(6), reference, p)
    assert deviation(jacobian(Bend(), np.zeros(6), reference, p), linear) < 1e-14
    p |= arrays(k1=-2.1)
    linear = LinearBody(gradient=True, curvature=True).forward(np.eye(6), reference, p)
    found = jacobian(CombinedBend(("k1",), 6, 80), np.zeros(6), reference, p)
    assert deviation(found, linear) < 1e-12


def test_low_energy_bends_more():
    X = np.asarray([[0.0], [0.0], [0.0], [0.0], [0.0], [-1e-2]])
    after = Bend().forward(X, electrons(), arrays(length=1.0, angle=0.3))
    assert after[0, 0] < 0 and after[1, 0] < 0


@pytest.mark.parametrize("angle", [0.0, 1e-4, 0.02, 0.5])
def test_single_precision_keeps_its_digits(angle):
    """The delay at small angles is a thousand times less than the textbook's terms, yet keeps its digits."""
    reference = electrons(1e9)
    narrow = Reference(reference.beta_gamma.astype(np.float32), reference.species)
    X = particles(5).astype(np.float32)
    p = arrays(length=1.0, angle=angle)
    p32 = {k: v.astype(np.float32) for k, v in p.items()}
    p = {k: v.astype(np.float64) for k, v in p32.items()}
    wide = X.astype(np.float64)
    reference = Reference(narrow.beta_gamma.astype(np.float64), reference.species)
    X[4], wide[4] = 0.0, 0.0
    found, wanted = Bend().forward(X, narrow, p32), Bend().forward(wide, reference, p)
    assert found.dtype == np.float32
    for row in range(5):
        assert np.abs(found[row] - wanted[row]).max() < 1e-6 * np.abs(wanted[row]).max(), row


# -- combined function ---------------------------------------------------------------------------------------


def log_field(X, h, k1, k2, weight):
    """ImpactX's kick: McMillan's basis (Zolkin, PRAB 20, 043501, 2017), By = k1 ln(1 + h x)/h + ..."""
    x, px, y, py, tau, pt = rows(X)
    u = 1.0 + h * x
    log = np.log(u)
    dpx = u * ((1.0 + 2.0 * (h * y) ** 2 - u * u + 2.0 * log) * k2 / (4.0 * h * h) - log / h * k1)
    dpy = y * (k1 + (u * u - 1.0) / (2.0 * h) * k2)
    return join(x, px + weight * dpx, y, py + weight * dpy, tau, pt)


def impactx_bend(X, reference, L, h, k1, k2):
    """Its splitting, with our bend between its kicks."""
    for kind, part in splitting(6, 50):
        if kind == "drift":
            X = bend(X, reference, np.asarray(part * L), np.asarray(h))
        else:
            X = log_field(X, h, k1, k2, part * L)
    return X


def test_particles_of_impactx():
    v = vector("cfbend_exact_o6")
    h, k1, k2 = v.given["k_normal"]
    found = impactx_bend(v.X, v.reference, v.given["ds"], h, k1, k2)
    assert np.abs(found - v.X1).max() < 2e-14  # 350 kicks, each rounded by it at rho + x, some 2 m


def test_gradients_are_those_of_impactx_but_for_the_basis():
    """ln(1 + h x)/h = x - h x^2/2 + ..: its k1 brings -h k1 to our k2, and the fields differ from x^3 on."""
    v = vector("cfbend_exact_o6")
    h, k1, k2 = v.given["k_normal"]
    L = v.given["ds"]
    map, p = CombinedBend(("k1", "k2"), 6, 50), arrays(length=L, angle=h * L, k1=k1, k2=k2 - h * k1)
    assert np.abs(map.forward(v.X, v.reference, p) - v.X1).max() < 2e-9
    far, near = (
        np.abs(map.forward(s * v.X, v.reference, p) - impactx_bend(s * v.X, v.reference, L, h, k1, k2)).max()
        for s in (0.2, 0.1)
    )
    assert far / near == pytest.approx(8.0, rel=0.01)


def test_field_of_the_kick_is_maxwellian_and_as_told_on_the_plane():
    h, k1, k2 = 0.8, 1.7, -9.0
    field = Field(*(torch.asarray([v], dtype=torch.float64) for v in (h, k1, k2)))

    def force(at):
        """(psi_x, psi_y)/(1 + h x): By and -Bx."""
        zero = torch.zeros_like(at[0])
        kicked = curved_kick(torch.stack([at[0], zero, at[1], zero, zero, zero])[:, None], field, 1.0)
        return torch.stack([k1 * at[0] - kicked[1, 0], -k1 * at[1] - kicked[3, 0]]) / (1.0 + h * at[0])

    for x, y in ((0.02, 0.03), (-0.1, 0.07), (0.05, -0.2)):
        J = torch.func.jacrev(force)(torch.asarray([x, y], dtype=torch.float64))
        u = 1.0 + h * x
        # What the dropped term -h^3 (k2 - h k1) y^6/(240 u^3) would have cancelled.
        assert float(J[0, 0] + J[1, 1]) == pytest.approx(h**3 * (k2 - h * k1) * y**4 / (8.0 * u**4), rel=1e-9)
        plane = force(torch.asarray([x, 0.0], dtype=torch.float64))
        assert float(plane[0]) == pytest.approx(k1 * x + k2 * x * x / 2.0, rel=1e-14)
        assert float(plane[1]) == 0.0


def test_combined_bend_solves_its_equations_of_motion():
    X, reference = particles(6, 1e-2), electrons()
    p = arrays(length=1.2, angle=0.6, k1=2.3, k2=-15.0)
    found = CombinedBend(("k1", "k2"), 6, 60, 0.5).forward(X, reference, p)
    assert deviation(found, integrate(hamilton, X, reference, 0.6, h=0.5, k1=2.3, k2=-15.0)) < 1e-12


@pytest.mark.parametrize("order", [2, 4, 6])
def test_error_falls_with_the_order(order):
    X, reference, p = particles(7, 1e-2), electrons(), arrays(length=1.2, angle=0.6, k1=2.3)
    wanted = integrate(hamilton, X, reference, 1.2, h=0.5, k1=2.3)
    maps = (CombinedBend(("k1",), order, steps) for steps in (4, 8))
    coarse, fine = (np.abs(map.forward(X, reference, p) - wanted).max() for map in maps)
    assert np.log2(coarse / fine) == pytest.approx(order, abs=0.25)


def test_combined_bend_without_angle_is_the_straight_magnet():
    X, reference = particles(8, 1e-2), electrons()
    p = arrays(length=0.4, angle=0.0, k1=5.0, k2=-60.0)
    straight = ThickMultipole((Component("k1", 1), Component("k2", 2)), 6, 40)
    found = CombinedBend(("k1", "k2"), 6, 20).forward(X, reference, p)
    assert deviation(found, straight.forward(X, reference, p)) < 1e-11


def test_combined_bend_without_gradients_is_the_bend():
    X, reference = particles(9, 1e-2), electrons()
    p = arrays(length=0.4, angle=0.5, k1=0.0, k2=0.0)
    found = CombinedBend(("k1", "k2"), 4, 3).forward(X, reference, p)
    assert deviation(found, Bend().forward(X, reference, p)) < 1e-14


def test_pieces_make_the_whole():
    X, reference, p = particles(10, 1e-2), electrons(), arrays(length=0.9, angle=-1.1)
    pieces = X
    for fraction in (0.2, 0.5, 0.3):
        pieces = Bend(fraction).forward(pieces, reference, p)
    assert deviation(pieces, Bend().forward(X, reference, p)) < 1e-14


def test_quarter_turn_is_geometry():
    """A uniform field over pi/2 from the axis of a circle: the particle ends where compass and ruler say."""
    rho, x0 = 1.0, 0.01
    X = np.asarray([[x0], [0.0], [0.0], [0.0], [0.0], [0.0]])
    x1 = Bend().forward(X, electrons(), arrays(length=rho * np.pi / 2, angle=np.pi / 2))[0, 0]
    # A circle of radius rho about (x0, 0), seen from the bend's centre, meets the exit at sqrt(rho^2 - x0^2).
    assert x1 == pytest.approx(np.sqrt(rho**2 - x0**2) - rho, rel=1e-12)


@pytest.mark.parametrize("p", [0.1, 0.2])
def test_a_particle_turns_more_than_a_quarter_turn_more_than_the_reference(p):
    """A tenth of the reference momentum, in and out at slopes of the two signs: the angle is not its sine's."""
    reference = electrons(1e9)
    bg = float(reference.beta_gamma)
    pt = (np.sqrt(1.0 + (p * bg) ** 2) - np.sqrt(1.0 + bg * bg)) / bg
    X = np.asarray([[0.0], [0.9 * p if p < 0.15 else 0.1], [0.0], [0.01], [0.0], [pt]])
    found = Bend().forward(X, reference, arrays(length=0.15, angle=0.15))
    assert deviation(found, integrate(hamilton, X, reference, 0.15, h=1.0)) < 1e-11
    together = CombinedBend(("k1",), 6, 20).forward(X, reference, arrays(length=0.15, angle=0.15, k1=0.0))
    assert deviation(together, found) < 1e-11


def test_field_apart_from_the_curvature():
    """A straight stretch of design in a field: the exact orbit is a circle, seen from a straight line, and so on."""
    X, reference = particles(12, 1e-2), electrons()

    def bent(x, px, y, py, pt, b, h, k0):
        pz = np.sqrt(1.0 + pt * (2.0 * b + pt) - px * px - py * py)
        u = 1.0 + h * x
        return u * px / pz, h * pz - u * k0, u * py / pz, 0.0, u * (pt + b) / pz - b

    found = CombinedBend(("k0",), 6, 20).forward(X, reference, arrays(length=0.8, angle=0.2, k0=0.27))
    assert deviation(found, integrate(bent, X, reference, 0.8, h=0.25, k0=0.27)) < 1e-12
    same = CombinedBend(("k0",), 6, 2).forward(X, reference, arrays(length=0.8, angle=0.2, k0=0.25))
    assert deviation(same, Bend().forward(X, reference, arrays(length=0.8, angle=0.2))) < 1e-14


@pytest.mark.parametrize(
    ("length", "angle", "k1"), [(1.0, 0.3, 2.0), (2.9, 0.07, 0.054), (0.5, 0.05, 8.0), (1.0, 0.05, -5.0)]
)
@pytest.mark.parametrize(("order", "steps"), [(2, 1), (6, 2)])
def test_small_amplitudes_are_those_of_the_matrix(length, angle, k1, order, steps):
    reference, p = electrons(), arrays(length=length, angle=angle, k1=k1)
    exact = jacobian(CombinedBend(("k1",), order, steps), np.zeros(6), reference, p)
    linear = jacobian(LinearBody(gradient=True, curvature=True), np.zeros(6), reference, p)
    assert np.abs(exact - linear).max() < 1e-13 * np.abs(linear).max()


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_orbits_in_the_plane_through_hard_faces_are_compass_and_ruler(share):
    """A uniform field between two planes, and no field outside: a straight line, a circle, a straight line."""
    angle, length, k0 = 0.7, 1.3, 0.6
    p = arrays(length=length, angle=angle, k0=k0)
    reference, rho = electrons(), length / angle
    X = particles(13, 5e-3)
    X[2:4] = 0.0
    maps = [HardEdge(False, False, share, True, "entrance"), CombinedBend(("k0",), 6, 40),
            HardEdge(False, False, share, True, "exit")]  # fmt: skip
    found = X
    for map in maps:
        found = map.forward(found, reference, p)
    for k, (x, px, _, _, _, pt) in enumerate(X.T):
        momentum = np.sqrt(1.0 + pt * (2.0 * float(reference.inverse_beta) + pt))
        wanted = compass_and_ruler(x, px / momentum, k0 / momentum, rho, angle, share * angle)
        assert found[0, k] == pytest.approx(wanted[0], abs=1e-12)
        assert found[1, k] == pytest.approx(momentum * wanted[1], abs=1e-12)


def compass_and_ruler(x, sine, turn, rho, angle, face):
    """Place and sine of the slope at the exit of a bend between two planes; all in the (x, s) of the entrance."""

    def normal(a):
        return np.asarray([-np.sin(a), np.cos(a)])

    def arc(s):
        c, v = 1.0 - np.cos(turn * s), np.sin(turn * s)
        return r + np.asarray([d[0] * v - d[1] * c, d[1] * v + d[0] * c]) / turn

    end, last = rho * np.asarray([np.cos(angle) - 1.0, np.sin(angle)]), normal(angle - face)
    d, r = np.asarray([sine, np.sqrt(1.0 - sine * sine)]), np.asarray([x, 0.0])
    r = r - d * (r @ normal(face)) / (d @ normal(face))
    s = brentq(lambda s: (arc(s) - end) @ last, 0.1, 2.5, xtol=1e-15, rtol=1e-15)
    r, c, v = arc(s), np.cos(turn * s), np.sin(turn * s)
    d = np.asarray([d[0] * c - d[1] * v, d[1] * c + d[0] * v])
    r = r - d * ((r - end) @ normal(angle)) / (d @ normal(angle))
    across = np.asarray([np.cos(angle), np.sin(angle)])
    return (r - end) @ across, d @ across


def test_the_gradient_in_the_wedge_of_a_turned_face_is_that_of_the_equations_of_motion():
    """SPEAR3's bend: x and px of second order in the start, in the plane, integrated from face to face."""
    length, angle, k1 = 1.08837093518965, 0.138599675893667, -0.33
    face, h = angle / 2, angle / length

    def along(s, u, field):
        pz, wide = np.sqrt(1.0 - u[1] * u[1]), 1.0 + h * u[0]
        return [wide * u[1] / pz, h * pz - field * wide * (h + k1 * u[0])]

    def beyond(s, x):
        """How far behind the plane of a face a point is, s from the end of the reference's arc."""
        return (1.0 / h + x) * np.sin(s * h) - ((1.0 / h + x) * np.cos(s * h) - 1.0 / h) * np.tan(face)

    def through(x):
        s, u = 0.0, [x, 0.0]
        for field, place in ((0.0, lambda s, u, f: beyond(s, u[0])), (1.0, lambda s, u, f: beyond(length - s, u[0]))):
            place.terminal = True
            way = solve_ivp(along, (s, length), u, args=(field,), events=place, method="DOP853", rtol=1e-13, atol=1e-16)
            s, u = way.t[-1], way.y[:, -1]
        return solve_ivp(along, (s, length), u, args=(0.0,), method="DOP853", rtol=1e-13, atol=1e-16).y[:, -1]

    x = np.arange(1, 7) * 1e-3
    bend = bb.SectorBend(length, angle=angle, k1=k1, e1=face, e2=face, fringe="hard", steps=4)
    X = np.zeros((6, 6))
    X[0] = x
    beam = bb.Beam.from_arrays(X, species="electron", kinetic_energy=3e9, charge=0.0)
    found, wanted = bb.track(bb.Line([bend]), beam).coordinates[:2], np.asarray([through(one) for one in x]).T
    for ours, theirs in zip(found, wanted, strict=True):
        (first, second), expected = (np.polynomial.polynomial.polyfit(x, v / x, 4)[:2] for v in (ours, theirs))
        assert first == pytest.approx(expected[0], rel=1e-9) and second == pytest.approx(expected[1], abs=1e-6)


def test_second_order_dispersion_of_a_chicane_with_hard_faces():
    """Four rectangular bends of 12 degrees, their faces at right angles to the chicane: the path has a closed form."""
    angle, length, arm, b = float(np.deg2rad(12.0)), 0.4, 1.5, float(electrons(1e9).inverse_beta)
    straight, h = length * np.sin(angle) / angle, 1e-3
    X = np.zeros((6, 3))
    X[5] = -h, 0.0, h

    def path(pt):
        """tau of the energy pt: in each bend the sine of the angle is over the momentum."""
        p = np.sqrt(1.0 + pt * (2.0 * b + pt))
        turned = np.arcsin(np.sin(angle) / p)
        return (4.0 * straight * turned / np.sin(turned) + 2.0 * arm * np.cos(angle) / np.cos(turned)) * (pt + b) / p

    faces = ((angle, 0.0, angle), None, (-angle, -angle, 0.0), (-angle, 0.0, -angle), None, (angle, angle, 0.0))
    elements = [
        bb.Drift(arm) if f is None else bb.SectorBend(length, angle=f[0], e1=f[1], e2=f[2], fringe="hard")
        for f in faces
    ]
    start = bb.Beam.from_arrays(X, species="electron", kinetic_energy=1e9, charge=0.0)
    tau = bb.track(bb.Line(elements), start).coordinates[4]
    found, wanted = ((t[0] - 2.0 * t[1] + t[2]) / (2.0 * h * h) for t in (tau, [path(pt) for pt in X[5]]))
    assert found == pytest.approx(wanted, rel=1e-6)


def test_hard_edge_to_first_order_is_the_linear_one():
    reference = electrons()
    p = arrays(length=0.8, angle=0.4, e=0.15, fint=0.5, hgap=0.02)
    for end in ("entrance", "exit"):
        hard = jacobian(HardEdge(True, True, 0.5, False, end), np.zeros(6), reference, p)
        linear = jacobian(BendEdge(True, True, 0.5), np.zeros(6), reference, p)
        assert np.abs(hard - linear).max() < 1e-15
