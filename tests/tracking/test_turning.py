"""A particle that turns round is lost there, and the others go on as without it."""

from __future__ import annotations

import numpy as np
import pytest

import backbeam as bb
from backbeam.problem import Problem

SIGMA = bb.observables.sigma("x")


def coordinates(stray=True):
    X = np.zeros((6, 60))
    rng = np.random.default_rng(1)
    X[:] = 1e-3 * rng.standard_normal((6, 60))
    X[[1, 3, 5]] *= 0.1
    if stray:
        X[:, 17] = [0.05, 0.0, 0.0, 0.0, 0.0, 0.0]
    return X


def beam(backend="numpy", stray=True):
    X = coordinates(stray) if stray else np.delete(coordinates(), 17, axis=1)
    return bb.Beam.from_arrays(X, species="proton", kinetic_energy=1e8, charge=1e-12, backend=backend)


def line():
    return bb.Line([
        bb.Drift(1.0, name="d"), bb.ThinMultipole(k3l=1e5, name="oct"), bb.Drift(1.0, name="after"),
        bb.Quadrupole(0.3, 1.0, name="q"), bb.Drift(0.5, name="end"),
    ])  # fmt: skip


def test_it_is_lost_where_it_turns_and_the_others_go_on(backend):
    out = bb.track(line(), beam(backend.name))
    host = backend.to_numpy
    lost = host(out.lost_at) >= 0
    assert lost.nonzero()[0].tolist() == [17]
    alone = bb.track(line(), beam(stray=False))
    np.testing.assert_allclose(host(out.coordinates)[:, ~lost], alone.coordinates, rtol=1e-14, atol=1e-18)
    assert host(out.coordinates)[0, 17] == pytest.approx(0.05)
    assert host(out.coordinates)[1, 17] == pytest.approx(-1e5 * 0.05**3 / 6), "as it entered the drift"


def test_an_error_where_that_is_asked_for():
    with pytest.raises(bb.TrackingError, match=r"1 of 60 particles turn round .* in element 'after'"):
        bb.track(line(), beam(), on_turn="raise")
    with pytest.raises(bb.InputError, match=r"track\.on_turn is 'ignore'; allowed: lose or raise"):
        bb.track(line(), beam(), on_turn="ignore")


@pytest.mark.parametrize("adjoint", [bb.Reversible(), bb.Store(), bb.Checkpoint(1)], ids=lambda a: a.name)
@pytest.mark.parametrize("kicks", [False, True])
def test_gradients_as_at_an_aperture(adjoint, kicks):
    """Those of the beam that was left, by all parameters that do not move the border."""
    options = {"space_charge": bb.SpaceCharge3D((8, 8, 8)), "slices": 2} if kicks else {}
    wrt = ["q.k1", "end.length", "beam.coordinates"]
    _, found = bb.value_and_grad(SIGMA, line(), beam(), wrt, adjoint=adjoint, **options)
    # With space charge the stray one has its part in the kicks before it is lost: so differences.
    for name, h in (("q.k1", 1e-5), ("end.length", 1e-5)):
        value = line().get(name)
        up, down = (float(SIGMA(bb.track(line().replace({name: value + s}), beam(), **options))) for s in (h, -h))
        assert float(found[name]) == pytest.approx((up - down) / (2 * h), rel=2e-6), name
    if not kicks:
        assert np.all(found["beam.coordinates"][:, 17] == 0.0)


def test_the_tape_and_backward_agree_with_our_pullbacks():
    wrt = ["q.k1", "oct.k3l"]
    _, ours = bb.value_and_grad(SIGMA, line(), beam("torch"), wrt)
    _, tape = bb.value_and_grad(SIGMA, line(), beam("torch"), wrt, adjoint="tape")
    for name in wrt:
        assert np.isfinite(float(ours[name]))
        assert float(ours[name]) == pytest.approx(float(tape[name]), rel=1e-11)
    import torch

    k1 = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    bb.track(line().replace({"q.k1": k1}), beam("torch")).sigma()[0].backward()
    assert float(k1.grad) == pytest.approx(float(ours["q.k1"]), rel=1e-12)


def test_a_problem_file_says_which():
    text = """
beam: {distribution: gaussian, species: proton, n: 50, charge: 1e-12, kinetic_energy: 1e8, sigma_x: 0.02, seed: 1}
lattice: [{drift: {length: 1}}, {thin_multipole: {k3l: 1e5}}, {drift: {length: 1, name: after}}]
"""
    outcome = Problem.parse(text).run()
    assert 0 < outcome.lost < 50
    with pytest.raises(bb.TrackingError, match="turn round"):
        Problem.parse(text + "track: {on_turn: raise}\n").run()


def test_other_ends_have_their_own_words():
    stopping = bb.Line([bb.RFCavity(1.0, voltage=-3e6, frequency=1e6, name="decelerates")])
    slow = bb.Beam.gaussian(n=10, species="electron", kinetic_energy=1e6, charge=1e-12)
    with pytest.raises(bb.TrackingError, match="the reference comes to rest in element 'decelerates'"):
        bb.track(stopping, slow)
    with pytest.raises(bb.InputError, match=r"q\.k1 is"):
        bb.track(line().replace({"q.k1": np.asarray(np.nan)}), beam(stray=False))


def test_a_charge_that_nobody_means_is_asked_about():
    with pytest.warns(bb.BackbeamWarning, match="beam.charge is 1 C"):
        much = bb.Beam.gaussian(
            n=60, species="electron", kinetic_energy=1e6, charge=1.0, sigma_x=1e-3, sigma_y=1e-3, sigma_tau=1e-3
        )
    options = {"space_charge": bb.SpaceCharge3D((8, 8, 8)), "slices": 3}
    drift = bb.Line([bb.Drift(1.0)])
    assert 0 < bb.track(drift, much, **options).lost < 60
    with pytest.raises(bb.TrackingError, match=r"turn round .*; beam\.charge is 1 C: was it meant in nC or pC\?"):
        bb.track(drift, much, on_turn="raise", **options)


def test_a_reference_at_rest_is_an_error_of_trace_too():
    stopping = bb.Line([bb.Drift(0.5), bb.RFCavity(None, voltage=-3e6, frequency=1e6, name="stops"), bb.Drift(0.5)])
    slow = bb.Beam.gaussian(n=10, species="electron", kinetic_energy=1e6, charge=1e-12)
    with pytest.raises(bb.TrackingError, match=r"the reference comes to rest in element 'stops', by s = 0\.5 m"):
        list(bb.trace(stopping, slow))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_what_is_far_outside_of_a_field_is_no_result(dtype):
    """A field of a cavity grows like exp(k r/(beta gamma)): two metres off axis, nothing that comes out is a beam."""
    X = np.zeros((6, 3), dtype=dtype)
    X[0, 1] = 2.0
    beam = bb.Beam.from_arrays(X, species="proton", kinetic_energy=3e8, charge=1e-12)
    cavity = bb.RFCavity(1.0, voltage=2e7, frequency=1.3e9, phase=0.3, structure="standing", name="c")
    with pytest.raises(bb.TrackingError, match="far outside of where its fields are meant"):
        bb.track(bb.Line([cavity, bb.Drift(1.0, model="linear")]), beam)
