"""Objectives of one's own, at the end and on the way: against what the package's own give, and against differences."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch

import backbeam as bb
from backbeam import observables as obs

LINE = bb.Line([
    bb.Drift(0.4, name="d"), bb.Quadrupole(0.3, 2.0, name="q"), bb.Monitor(name="m"), bb.Drift(0.5, name="e"),
    bb.Quadrupole(0.2, -3.0, name="p"), bb.Drift(0.3),
])  # fmt: skip
WRT = ["q.k1", "d.length", "p.k1", "beam.sigma_x", "beam.kinetic_energy", "beam.charge"]
PIC = {"space_charge": bb.SpaceCharge3D((6, 6, 6)), "slices": 2}


def beam(backend="torch", n=60, **more):
    return bb.Beam.gaussian(
        n=n, species="electron", kinetic_energy=3e6, charge=1e-9, sigma_x=1e-3, sigma_px=1e-3, sigma_y=8e-4,
        sigma_tau=1e-3, mean_x=3e-4, seed=3, backend=backend, **more,
    )  # fmt: skip


def variance(beam):
    """Of x: of all charges the same, none lost."""
    x = beam.coordinates[..., 0, :]
    return ((x - x.mean(-1)[..., None]) ** 2).mean(-1)


class Variance(obs.Objective):
    """By hand, as a subclass."""

    name = "variance"

    def __call__(self, beam):
        return beam.sigma("x") ** 2

    def pullback(self, beam, bar):
        return obs.sigma("x").pullback(beam, 2.0 * beam.sigma("x") * bar)


class ByHand:
    """By hand, of a library that does not differentiate."""

    def __call__(self, beam):
        return beam.sigma("x") ** 2

    def pullback(self, beam, bar):
        return obs.sigma("x").pullback(beam, 2.0 * beam.sigma("x") * bar)


def beside_its_value(beam):
    """As `value_and_grad` takes one of NumPy."""
    found = obs.sigma("x").pullback(beam, 2.0 * beam.sigma("x"))
    return beam.sigma("x") ** 2, {"coordinates": found.coordinates, "charges": found.charges}


WAYS = {
    "torch": (variance, "torch"), "a subclass": (Variance(), "torch"), "a subclass, numpy": (Variance(), "numpy"),
    "by hand": (ByHand(), "numpy"), "beside its value": (beside_its_value, "numpy"),
}  # fmt: skip


@pytest.mark.parametrize("place", ["q", "end"])
@pytest.mark.parametrize("way", WAYS)
def test_it_is_what_the_package_has(way, place):
    """In a formula, with kicks, by all names."""
    function, backend = WAYS[way]
    mine = function.at(place) if isinstance(function, obs.Objective) else obs.own(function, at=place)
    other = obs.sigma("y", at="d")
    value, found = bb.value_and_grad(mine / other + 3.0 * mine, LINE, beam(backend), WRT, **PIC)
    theirs = obs.sigma("x", at=place) ** 2
    wanted, slopes = bb.value_and_grad(theirs / other + 3.0 * theirs, LINE, beam("numpy"), WRT, **PIC)
    assert float(value) == pytest.approx(float(wanted), rel=1e-12)
    for name in WRT:
        assert float(found[name]) == pytest.approx(float(slopes[name]), rel=1e-10), name


def test_on_jax():
    bars = [obs.own(variance).pullback(beam(backend), beam(backend).as_mine(0.7)) for backend in ("jax", "torch")]
    np.testing.assert_allclose(bars[0].coordinates, bars[1].coordinates, rtol=1e-12, atol=1e-18)


@pytest.mark.parametrize("adjoint", [bb.Store(), bb.Checkpoint(1), bb.Tape()], ids=lambda a: a.name)
def test_by_every_adjoint(adjoint):
    mine = obs.own(variance, at="q")
    _, wanted = bb.value_and_grad(mine, LINE, beam(), WRT[:4])
    _, found = bb.value_and_grad(mine, LINE, beam(), WRT[:4], adjoint=adjoint)
    for name, slope in wanted.items():
        assert float(found[name]) == pytest.approx(float(slope), rel=1e-9, abs=1e-20), name


def test_readings_and_the_path_length_count_in_a_formula():
    def seen(beam):
        return beam.readings["m"][0] * beam.s

    def value(length):
        out = bb.track(LINE.replace({"d.length": length}), beam("numpy", mean_px=1e-3))
        return float(seen(out) * out.sigma("x"))

    h = 1e-5
    wanted = (value(0.4 + h) - value(0.4 - h)) / (2.0 * h)
    _, found = bb.value_and_grad(obs.own(seen) * obs.sigma("x"), LINE, beam(mean_px=1e-3), ["d.length"])
    assert float(found["d.length"]) == pytest.approx(wanted, rel=1e-8)


def test_in_questions_and_their_answers():
    """A function, a Target of one, and a batch of settings of it."""
    target = bb.Target(variance, 4e-7, at="e", tol=1e-9)
    f = bb.function([target, "sigma_y"], LINE, beam(), ["q.k1", "p.k1"])
    theirs = bb.Target(obs.sigma("x", at="e") ** 2, 4e-7, tol=1e-9)
    wanted = bb.function([theirs, "sigma_y"], LINE, beam(), ["q.k1", "p.k1"])
    np.testing.assert_allclose(f.jacobian(f.x0), wanted.jacobian(f.x0), rtol=1e-9, atol=1e-9)
    X = np.stack([f.x0, 1.1 * f.x0])
    np.testing.assert_allclose(f.jacobian(X), wanted.jacobian(X), rtol=1e-9, atol=1e-9)
    x = torch.tensor(f.x0, requires_grad=True)
    f(x).backward()
    np.testing.assert_allclose(x.grad, f.gradient(f.x0), rtol=1e-9)
    found = bb.match(bb.Target(variance, 8e-7, at="e"), LINE, beam(), {"q.k1": (0.0, 6.0)}, progress=False)
    assert found.success and "variance @ e" in found.table()


def test_of_a_beam_of_moments():
    moments = bb.MomentBeam.of(beam())
    mine, theirs = obs.own(lambda b: b.sigma("x") ** 2, at="q"), obs.sigma("x", at="q") ** 2
    value, found = bb.value_and_grad(mine, LINE, moments, ["q.k1", "d.length"])
    wanted, slopes = bb.value_and_grad(theirs, LINE, moments, ["q.k1", "d.length"])
    assert float(value) == pytest.approx(float(wanted), rel=1e-12)
    assert float(found["d.length"]) == pytest.approx(float(slopes["d.length"]), rel=1e-10)


def test_a_place_takes_no_memory():
    """By undoing, next to the same at the end."""
    given, line = beam("numpy", n=4_000), LINE * 10

    def peak(place):
        mine = obs.own(ByHand(), at=place)
        bb.value_and_grad(mine, line, given, ["q.k1"], adjoint=bb.Reversible())
        tracemalloc.start()
        bb.value_and_grad(mine, line, given, ["q.k1"], adjoint=bb.Reversible())
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak("e[4]") < 1.1 * peak("end")


@pytest.mark.parametrize(
    ("function", "backend", "said"),
    [
        (lambda b: b.coordinates[0], "torch", "a real number for each setting"),
        (lambda b: "a", "torch", "str"),
        (lambda b: b.sigma("x"), "numpy", "no gradient on numpy"),
        (lambda b: (b.sigma("x"), {"coordinate": 1.0}), "numpy", "cotangents of coordinates"),
    ],
)
def test_what_it_must_not_give(function, backend, said):
    for place in (None, "q"):
        with pytest.raises(bb.InputError, match=said):
            bb.value_and_grad(obs.own(function, at=place, name="f"), LINE, beam(backend), ["q.k1"])


def test_what_is_no_function():
    for wrong in (3, obs.sigma("x"), "sigma_x"):
        with pytest.raises(bb.InputError, match="own is"):
            obs.own(wrong)
    value, _ = bb.value_and_grad(obs.own(lambda b: b.s * b.sigma("x"), at="q"), LINE, beam(), ["q.k1"])
    assert np.isnan(float(value)), "no wrong number either"
