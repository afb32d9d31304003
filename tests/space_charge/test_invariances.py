"""What the kick may not depend on, value and gradient; and a sum over point charges, each at its own crossing."""

from __future__ import annotations

import numpy as np
import pytest
from bunches import COULOMB, reference, worst
from called import forward, inverse, pullback
from hypothesis import given, settings
from hypothesis import strategies as st

import backbeam as bb
from backbeam.effects.space_charge import (
    AutoExtent,
    BeamExtent,
    FixedExtent,
    RmsExtent,
    SpaceCharge3D,
    SpaceCharge25D,
)

DS = np.asarray(0.05)
MODEL = SpaceCharge3D((8, 9, 10))
SEEDS = st.integers(0, 10**6)


def bunch(seed, n=60):
    rng = np.random.default_rng(seed)
    scale = np.array([1e-3, 2e-3, 2e-3, 1e-3, 3e-3, 2e-3])[:, None]
    X = scale * rng.normal(size=(6, n)) + 0.3 * scale * rng.normal(size=(6, 1))
    q = (0.5 + rng.random(n)) * 1e-9 / n
    return X, q, rng.normal(size=X.shape)


def both(X, q, ref, bar):
    """Kick, and what of the cotangents goes through the field."""
    X_bar, q_bar, *_ = pullback(MODEL, X, q, None, ref, DS, bar)
    return forward(MODEL, X, q, None, ref, DS) - X, X_bar - bar, q_bar


def same(found, wanted, tolerance=1e-9):
    for a, b in zip(found, wanted, strict=True):
        assert worst(a, b) < tolerance


@settings(max_examples=10)
@given(SEEDS, st.floats(-1.0, 1.0), st.floats(-0.1, 0.1), st.floats(-0.1, 0.1))
def test_shift(seed, late, dx, dy):
    """When and where the bunch arrives."""
    X, q, bar = bunch(seed)
    shift = np.array([dx, 0, dy, 0, late, 0])[:, None]
    wanted = both(X, q, reference(), bar)
    found = both(X + shift, q, reference(), bar)
    same(found, wanted, 1e-7)  # a position of 1 m has 1e-13 of a cell
    assert abs(np.sum(found[1][4])) < 1e-9 * np.sum(np.abs(found[1][4]))


@settings(max_examples=10)
@given(SEEDS, st.floats(0.5, 2.0))
def test_reference(seed, factor):
    """Which reference describes it: the same momenta in units of another P0."""
    X, q, bar = bunch(seed)
    ref = reference()
    u0, u1 = float(ref.beta_gamma), factor * float(ref.beta_gamma)
    other = ref.with_beta_gamma(np.asarray(u1))
    Y = X.copy()
    Y[[1, 3, 5]] *= u0 / u1
    Y[5] += (float(ref.gamma) - float(other.gamma)) / u1
    scale = np.array([1, u1 / u0] * 3)[:, None]
    kick, X_bar, q_bar = both(X, q, ref, bar)
    found = both(Y, q, other, bar * scale)
    same((found[0] * scale, found[1] / scale, found[2]), (kick, X_bar, q_bar))


@settings(max_examples=10)
@given(SEEDS, st.integers(1, 5))
def test_particles_without_charge(seed, count):
    """Anywhere, for the others."""
    X, q, bar = bunch(seed)
    more = np.random.default_rng(seed + 1).normal(size=(6, count)) * 1e-2
    wanted = both(X, q, reference(), bar)
    bars = np.concatenate([bar, np.zeros((6, count))], axis=1)
    found = both(np.concatenate([X, more], axis=1), np.concatenate([q, np.zeros(count)]), reference(), bars)
    same([a[..., : q.size] for a in found], wanted, 1e-11)


@settings(max_examples=10)
@given(SEEDS)
def test_order_and_mirrors(seed):
    """The order of particles, and a mirror in x, in y, or in both, which is half a turn about the axis."""
    X, q, bar = bunch(seed)
    kick, X_bar, q_bar = both(X, q, reference(), bar)
    order = np.random.default_rng(seed).permutation(q.size)
    same(both(X[:, order], q[order], reference(), bar[:, order]), (kick[:, order], X_bar[:, order], q_bar[order]))
    for rows in ([0, 1], [2, 3], [0, 1, 2, 3]):
        sign = np.ones((6, 1))
        sign[rows] = -1.0
        same(both(sign * X, q, reference(), sign * bar), (sign * kick, sign * X_bar, q_bar))


def test_quarter_turn():
    """With as many nodes along x as along y."""
    X, q, _ = bunch(3)
    model, turn = SpaceCharge3D((9, 9, 8)), [2, 3, 0, 1, 4, 5]
    kick = forward(model, X, q, None, reference(), DS) - X
    turned = np.array([-1, -1, 1, 1, 1, 1])[:, None] * X[turn]
    found = forward(model, turned, q, None, reference(), DS) - turned
    assert worst(found, np.array([-1, -1, 1, 1, 1, 1])[:, None] * kick[turn]) < 1e-11


EXTENTS = {
    "beam": SpaceCharge3D((8, 9, 10), BeamExtent()),
    "order 2": SpaceCharge3D((8, 9, 10), order=2),
    "rms": SpaceCharge3D((8, 9, 10), RmsExtent(7.0)),
    "two levels": SpaceCharge3D((8, 9, 10), AutoExtent(levels=2)),
    "fixed": SpaceCharge3D((8, 9, 10), FixedExtent((-0.02,) * 3, (0.02, 0.03, 0.02))),
    "2.5D": SpaceCharge25D((8, 9, 10), profile="sliced"),
}


@pytest.mark.parametrize("extent", EXTENTS)
@settings(max_examples=5)
@given(seed=SEEDS, far=st.booleans())
def test_momentum_stays_and_the_kick_is_undone(extent, seed, far):
    """Sums of q dpx, q dpy, q dpt next to those of their magnitudes, with and without particles without charge."""
    X, q, _ = bunch(seed)
    model, at_rest = EXTENTS[extent], np.array([1.0, 0.0] * 3)[:, None]
    if far:
        q[:5] = 0.0
        X[:, :5] *= 30.0
    kick = (forward(model, at_rest * X, q, None, reference(), DS) - at_rest * X)[[1, 3, 5]]
    assert np.all(np.abs(np.sum(q * kick, axis=1)) <= 5e-15 * np.sum(np.abs(q * kick), axis=1))
    X1 = forward(model, X, q, None, reference(), DS)
    assert worst(inverse(model, X1, q, None, reference(), DS), X) < 1e-15


def run_through(X, q, angle):
    """End, turned back, and slopes of its size along x, of a line with kicks and a beam that are turned."""
    roll = {"roll": angle}
    elements = [
        bb.Quadrupole(0.1, k1=4.0, name="q", **roll),
        bb.Drift(0.2, name="d"),
        bb.Quadrupole(0.1, k1=-4.0, **roll),
    ]
    beam = bb.Beam.from_arrays(turned(X, angle), species="proton", kinetic_energy=20e6, charges=q)
    how = {"space_charge": SpaceCharge3D((9, 9, 8)), "slices": 2}
    size = bb.observables.sigma("x" if angle in (0.0, np.pi) else "y")
    wrt = ["q.k1", "d.length", "beam.charges", "beam.coordinates"]
    value, slopes = bb.value_and_grad(size, bb.Line(elements), beam, wrt, **how)
    end = bb.track(bb.Line(elements), beam, **how).coordinates
    *others, X_bar = (slopes[name] for name in wrt)
    return turned(end, -angle), value, *others, turned(X_bar, -angle)


def turned(X, angle):
    """Coordinates of a beam that is rolled as a magnet is."""
    cosine, sine = np.cos(angle), np.sin(angle)
    x, y = X[:2], X[2:4]
    return np.concatenate([cosine * x - sine * y, sine * x + cosine * y, X[4:]])


@settings(max_examples=3)
@given(SEEDS, st.sampled_from([0.5 * np.pi, np.pi, -0.5 * np.pi]))
def test_line_and_beam_are_turned_together(seed, angle):
    """By quarters, with as many nodes along x as along y: the grid has no more symmetries."""
    X, q, _ = bunch(seed)
    same(run_through(X, q, angle), run_through(X, q, 0.0))


# -- point charges -----------------------------------------------------------------------------------------------------


def pushed(X, q, ref, ds):
    """Kick (3, n) by the fields of point charges in uniform motion, each with its own velocity.

    Particle i crosses the plane at its own time; the others are then where their own velocities have brought them. The
    force is q (E + v x B) of a charge in uniform motion (Jackson, *Classical Electrodynamics*, ch. 11), for ds/v_z.
    """
    u0 = float(ref.beta_gamma)
    gamma = float(ref.gamma) + u0 * X[5]
    u = u0 * np.stack([X[1], X[3], np.zeros_like(gamma)])
    u[2] = np.sqrt(gamma**2 - 1.0 - u[0] ** 2 - u[1] ** 2)
    beta = u / gamma
    later = X[4][:, None] - X[4][None, :]  # c times (crossing of i - crossing of j)
    R = np.stack([X[0][:, None] - X[0][None, :], X[2][:, None] - X[2][None, :], np.zeros_like(later)])
    R = R - beta[:, None, :] * later[None, :, :]
    along = np.sum(R * u[:, None, :], axis=0)
    distance = np.sum(R * R, axis=0) + along**2 + np.where(np.eye(q.size) > 0, np.inf, 0.0)
    E = COULOMB * q[None, None, :] * gamma[None, None, :] * R / distance**1.5
    B = np.cross(np.broadcast_to(beta[:, None, :], E.shape), E, axis=0)
    force = np.sum(E, axis=2) + np.cross(beta, np.sum(B, axis=2), axis=0)
    energy = np.sum(beta * np.sum(E, axis=2), axis=0)
    scale = ref.species.charge_number * float(ds) / (beta[2] * float(ref.momentum))
    return np.stack([force[0], force[1], energy]) * scale


@pytest.mark.parametrize("case", ["cold", "tilted", "diverging", "chirped"])
def test_sum_over_point_charges(case):
    """Means of kick times position agree: for two charges it is finite however near they are, and noise is small."""
    rng, ref, n = np.random.default_rng(8), reference("electron", 8e6), 2000
    r = rng.normal(size=(3, n)) * np.array([1e-3, 1e-3, 5e-3])[:, None]
    X = np.zeros((6, n))
    X[0], X[2], X[4] = r
    if case == "tilted":
        X[0] += 0.3 * X[4]
    if case == "diverging":
        X[1], X[3] = X[0], X[2]  # gamma sigma_x' = 0.017
    if case == "chirped":
        X[5] = 4.0 * X[4]
    q, ds = np.full(n, -1e-10 / n), np.asarray(0.01)
    kick = (forward(SpaceCharge3D((32, 32, 32)), X, q, None, ref, ds) - X)[[1, 3, 5]]
    wanted = pushed(X, q, ref, ds)
    for k in range(3):
        found, target = np.sum(kick[k] * X[2 * k]), np.sum(wanted[k] * X[2 * k])
        assert found == pytest.approx(target, rel=0.02), (case, k)
