"""Particles without charge beyond all of it: what they get, and that they change nothing."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from bunches import at_rest, momenta, reference, run, warm, worst, worst_row
from called import forward, inverse
from scipy.special import erf

import backbeam as bb
from backbeam import backends
from backbeam.effects import Bunch
from backbeam.effects.space_charge import FixedExtent, RmsExtent, SpaceCharge3D, SpaceCharge25D
from backbeam.errors import BackbeamWarning, InputError
from backbeam.species import VACUUM_PERMITTIVITY

DS, N, CHARGE, SIGMA = np.asarray(0.1), 20_000, -1e-9, 1e-3
REF = reference("electron", 10e6)


def probed(places, long=1.0, model=None):
    """Kick (3, k) at places (3, k) in rms sizes of a Gaussian bunch, so many times as long as wide at rest."""
    sizes = SIGMA * np.array([1.0, 1.0, long / float(REF.gamma)])[:, None]
    r = np.concatenate([np.random.default_rng(3).normal(size=(3, N)), places], axis=1) * sizes
    X, q = at_rest(r, REF), np.append(np.full(N, CHARGE / N), np.zeros(places.shape[1]))
    return momenta(forward(model or SpaceCharge3D((32, 32, 32)), X, q, None, REF, DS) - X)[:, N:]


@pytest.mark.parametrize(("distance", "few"), [(5.0, 0.03), (9.0, 0.02), (18.0, 0.02), (40.0, 0.02), (1e3, 0.03)])
def test_field_of_a_ball(distance, few):
    """Coulomb's law, of the charge inside, in any direction."""
    v = np.random.default_rng(4).normal(size=(3, 30))
    v *= distance / np.sqrt(np.sum(v * v, axis=0))
    inside = erf(distance / np.sqrt(2.0)) - np.sqrt(2.0 / np.pi) * distance * np.exp(-0.5 * distance**2)
    field = CHARGE * inside / (4.0 * np.pi * VACUUM_PERMITTIVITY * SIGMA**2) * v / distance**3
    u, mass = float(REF.beta_gamma), REF.species.mass
    wanted = -field * float(DS) / mass / np.array([u * u, u * u, u])[:, None]
    assert worst(probed(v), wanted) < few


@pytest.mark.parametrize("model", [SpaceCharge3D((32, 32, 32)), SpaceCharge25D((32, 32, 32))])
def test_field_of_a_long_bunch(model):
    """At its side that of a line of charge."""
    long, x, z = 1e4, np.array([5.0, 6.0, 9.0, 15.0]), np.array([0.0, 0.5, -1.0, 1.0])
    density = CHARGE * np.exp(-0.5 * z * z) / (np.sqrt(2.0 * np.pi) * long * SIGMA)
    u, mass = float(REF.beta_gamma), REF.species.mass
    wanted = -density / (2.0 * np.pi * VACUUM_PERMITTIVITY * x * SIGMA) * float(DS) / (u * u * mass)
    found = probed(np.stack([x, np.zeros(4), z]), long, model)
    np.testing.assert_allclose(found[0], wanted, rtol=0.05)


def test_charges_and_each_other_are_as_they_were():
    """To the bit; and what is kicked is undone."""
    X, q, alive, ds = warm(lost=0.1)
    more = np.random.default_rng(6).normal(size=(6, 40)) * np.geomspace(1e-3, 1.0, 40)
    model, ref = SpaceCharge3D((8, 9, 10)), reference()

    def kicked(k):
        count = more[:, :k].shape[1]
        given = np.append(q, np.zeros(count)), np.append(alive, np.ones(count, bool)), ref, ds
        X1 = forward(model, np.append(X, more[:, :k], axis=1), *given)
        assert worst_row(inverse(model, X1, *given), np.append(X, more[:, :k], axis=1)) < 1e-15
        return X1

    several = kicked(40)
    np.testing.assert_array_equal(several[:, : q.size], kicked(0))
    np.testing.assert_array_equal(several[:, : q.size + 20], kicked(20))
    assert np.all(np.any(several[:, q.size :] != more, axis=0))


@pytest.mark.parametrize("extent", [FixedExtent((-0.02,) * 3, (0.04, 0.03, 0.03)), RmsExtent(7.0), None])
def test_compiled_loops_do_the_same(extent):
    """Numba's, from 4096 particles on, and array operations."""
    X, q, _, ds = warm(n=5000)
    q[:20] = 0.0
    X[:, :20] *= np.geomspace(2.0, 100.0, 20)
    ref, bar = reference(), np.random.default_rng(7).normal(size=X.shape)
    model = SpaceCharge3D((8, 9, 10), **({} if extent is None else {"extent": extent}))
    for method, more in (("forward", ()), ("pullback", (bar,))):
        found, wanted = (
            run(backends.get(name), model, method, X, q, None, ref, ds, *more) for name in ("numpy", "array_api_strict")
        )
        for a, b in zip(*((a,) if method == "forward" else a for a in (found, wanted)), strict=True):
            assert worst(a, b) < 1e-11


def test_a_run_decides_by_its_beam():
    X, q, _, _ = warm()
    model = SpaceCharge3D((8, 9, 10))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for charges, far in ((q, False), (np.where(np.arange(q.size) < 3, 0.0, q), True)):
            assert model.settled(Bunch(X, charges, None, reference())).far is far
    X[0, 1] = 1.0
    charges[2:] = q[2:]
    with pytest.warns(BackbeamWarning, match="1 particle without charge, more than four widths"):
        assert "wider" in model.settled(Bunch(X, charges, None, reference())).describe()
    with pytest.raises(InputError, match=r"space_charge\.far"):
        SpaceCharge3D(far="yes")
    near, edge = (
        forward(SpaceCharge3D((8, 9, 10), far=far), X, charges, None, reference(), DS) for far in (None, False)
    )
    assert abs(near[1, 1] - X[1, 1]) < 1e-2 * abs(edge[1, 1] - X[1, 1])
    beam = bb.Beam.from_arrays(X, species="proton", kinetic_energy=20e6, charges=charges)
    with pytest.warns(BackbeamWarning, match="without charge"):
        bb.track(bb.Line([bb.Drift(0.1)]), beam, space_charge=model)
