"""Two levels of grids: halos, stray particles and particles without charge."""

from __future__ import annotations

import numpy as np
import pytest
from bunches import at_rest, momenta, reference, worst
from called import forward

import backbeam as bb
from backbeam.effects import Bunch
from backbeam.effects.space_charge import AutoExtent, BeamExtent, SpaceCharge3D

DS, GRID, N = np.asarray(0.1), (32, 32, 32), 20_000


def core(seed=5):
    """A Gaussian ball, and its charges."""
    ref = reference("electron", 10e6)
    r = np.random.default_rng(seed).normal(size=(3, N)) * 1e-3
    return at_rest(r / np.array([1, 1, float(ref.gamma)])[:, None], ref), np.full(N, -1e-9 / N), ref


def rms(a):
    return np.sqrt(np.mean(a**2))


@pytest.mark.parametrize("axis", [0, 2, 4])
@pytest.mark.parametrize("far", [20, 100, 300])
def test_a_stray_particle_leaves_the_core_as_it_is(far, axis):
    """Its own charge is 5e-5 of the field, the noise of another grid 1 %; one level would lose 5 to 80 % of it."""
    X, q, ref = core()
    alone = momenta(forward(SpaceCharge3D(GRID), X, q, None, ref, DS))
    X[axis, 0] = far * np.std(X[axis])
    inner = np.max(np.abs(X[[0, 2, 4]] / np.std(X[[0, 2, 4], 1:], axis=1)[:, None]), axis=0) < 3.0
    kick = momenta(forward(SpaceCharge3D(GRID), X, q, None, ref, DS))
    one = momenta(forward(SpaceCharge3D(GRID, BeamExtent()), X, q, None, ref, DS))
    for k in range(3):
        assert rms((kick - alone)[k, inner]) < 0.02 * rms(alone[k, inner])
    own = axis // 2
    assert rms((one - alone)[own, inner]) > 3.0 * rms((kick - alone)[own, inner])
    # The stray one feels the rest as a point, where the coarse grid can tell.
    if axis == 0 and far < 300:
        step = abs(q[0]) * (N - 1) / (4 * np.pi * 8.8541878128e-12) / (far * 1e-3) ** 2
        wanted = step * float(DS) / (float(ref.beta_gamma) ** 2 * ref.species.mass)
        assert abs(kick[0, 0]) == pytest.approx(wanted, rel=0.1)


def test_levels_join_without_a_step():
    """A charge that is moved across the window in small steps is kicked by a smooth curve."""
    X, q, ref = core()
    X[0, 1] = 0.05
    sc = SpaceCharge3D(GRID, AutoExtent(levels=2))
    places = np.linspace(3.5e-3, 5.5e-3, 41)
    kicks = []
    for x in places:
        X[0, 0], X[2, 0], X[4, 0] = x, 1e-4, 0.0
        kicks.append(forward(sc, X, q, None, ref, DS)[1, 0])
    steps = np.abs(np.diff(kicks))
    assert np.max(steps) < 0.05 * np.max(np.abs(kicks))


def test_particles_without_charge_change_nothing():
    """Wherever they are, to rounding; and are kicked as a charge there would be, in the box."""
    X, q, ref = core()
    sc = SpaceCharge3D(GRID)
    alone = forward(sc, X, q, None, ref, DS)
    more = np.random.default_rng(6).normal(size=(6, 50)) * np.array([1e-3, 0, 1e-3, 0, 1e-3, 1e-3])[:, None]
    more[:, :5] *= 1e3
    both, charges = np.concatenate([X, more], axis=1), np.concatenate([q, np.zeros(50)])
    found = forward(sc, both, charges, None, ref, DS)
    assert worst(found[:, :N], alone) < 1e-14
    assert np.all(np.isfinite(found))
    copied = np.concatenate([X, X[:, :50]], axis=1)
    found = momenta(forward(sc, copied, charges, None, ref, DS) - copied)
    np.testing.assert_allclose(found[:, N:], found[:, :50], rtol=1e-12)


def test_a_run_keeps_to_the_levels_that_it_begins_with():
    X, q, _ = core()
    beam = bb.Beam.from_arrays(X, species="electron", kinetic_energy=10e6, charges=q)
    X[0, 0] = 0.1
    stray = bb.Beam.from_arrays(X, species="electron", kinetic_energy=10e6, charges=q)
    for start, levels in ((beam, 1), (stray, 2)):
        bunch = Bunch(start.coordinates, start.charges, None, start.reference)
        settled = SpaceCharge3D(GRID).settled(bunch)
        assert settled.extent.levels == levels and ("two levels" in settled.describe()) == (levels == 2)
        assert settled.settled(bunch) is settled
        line = bb.Line([bb.Drift(0.1)])
        named, chosen = (bb.track(line, start, space_charge=sc) for sc in (SpaceCharge3D(GRID), settled))
        np.testing.assert_array_equal(named.coordinates, chosen.coordinates)


def test_two_levels_are_one_where_all_the_charge_is_core():
    X, q, ref = core()
    one, two = (forward(SpaceCharge3D(GRID, AutoExtent(levels=k)), X, q, None, ref, DS) for k in (1, 2))
    assert worst(two, one) < 1e-12


def test_a_beam_beyond_the_model_is_asked_about_once():
    """Transverse momenta beside m c; velocities of a slow beam."""
    X, q, _ = core()
    rng = np.random.default_rng(9)
    line = bb.Line([bb.Drift(0.01)] * 3)
    hot = X.copy()
    hot[1] = 0.01 * rng.normal(size=N)
    beam = bb.Beam.from_arrays(hot, species="electron", kinetic_energy=10e6, charges=q)
    with pytest.warns(bb.BackbeamWarning, match=r"space charge: transverse momenta are 0\.2.* of m c") as caught:
        bb.track(line, beam, space_charge=SpaceCharge3D((8, 8, 8)))
    assert len(caught) == 1
    slow = X.copy()
    slow[5] = 0.005 * rng.normal(size=N)
    beam = bb.Beam.from_arrays(slow, species="proton", kinetic_energy=2.5e6, charges=-q)
    with pytest.warns(bb.BackbeamWarning, match="velocities spread by"):
        bb.track(line, beam, space_charge=SpaceCharge3D((8, 8, 8)))
    bb.track(line, beam, space_charge=SpaceCharge3D((8, 8, 8), at="t"))
