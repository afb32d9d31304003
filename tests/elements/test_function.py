"""Functions of a beam as elements: their values, inverses, and gradients by their own weights."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
import torch

import backbeam as bb

SIGMA = bb.observables.sigma("x")
ADJOINTS = [bb.Reversible(), bb.Store(), bb.Checkpoint(1), bb.Tape()]


def beam(backend="torch", **more):
    return bb.Beam.gaussian(
        n=40, species="electron", kinetic_energy=5e7, charge=1e-9, sigma_x=1e-3, sigma_px=1e-3, sigma_y=1e-3,
        sigma_tau=1e-3, mean_x=3e-4, seed=3, backend=backend, **more,
    )  # fmt: skip


def kick(xp):
    """px += a x^2 + b <x>: it looks at the whole beam."""

    def function(b, a, c):
        X = b.coordinates
        px = X[1] + a * X[0] ** 2 + c * xp.mean(X[0])
        return b.replace(coordinates=xp.stack([X[0], px, *X[2:]]))

    def inverse(b, a, c):
        X = b.coordinates
        px = X[1] - a * X[0] ** 2 - c * xp.mean(X[0])
        return xp.stack([X[0], px, *X[2:]])

    return function, inverse


def line(xp, with_inverse, a=3.0, c=0.2):
    function, inverse = kick(xp)
    weights = {"a": xp.asarray(a, dtype=xp.float64), "c": xp.asarray(c, dtype=xp.float64)}
    return bb.Line([
        bb.Drift(0.4, name="d"),
        bb.Function(function, inverse=inverse if with_inverse else None, weights=weights, name="f"),
        bb.Quadrupole(0.3, 2.0, name="q"), bb.Drift(0.5),
    ])  # fmt: skip


@pytest.mark.parametrize("with_inverse", [True, False])
@pytest.mark.parametrize("adjoint", ADJOINTS, ids=lambda a: a.name)
def test_gradients_by_weights_and_by_what_is_around(adjoint, with_inverse):
    wrt = ["f.a", "f.c", "q.k1", "d.length", "beam.sigma_x"]
    _, found = bb.value_and_grad(SIGMA, line(torch, with_inverse), beam(), wrt, adjoint=adjoint)
    for name, h in (("f.a", 1e-4), ("f.c", 1e-5), ("q.k1", 1e-5), ("d.length", 1e-5)):
        value = float(line(torch, True).get(name))
        up, down = (float(SIGMA(bb.track(line(torch, True).replace({name: torch.tensor(value + s, dtype=torch.float64)
                    if name[0] == "f" else value + s}), beam()))) for s in (h, -h))  # fmt: skip
        assert float(found[name]) == pytest.approx((up - down) / (2 * h), rel=1e-6), name


@pytest.mark.parametrize("looks", [False, True], ids=["at once", "one by one"])
def test_weights_in_a_batch_are_those_of_each_beam(looks):
    """All at once; one by one where the function looks at a number, which no `vmap` allows."""
    calls = []

    def function(b, a):
        calls.append(tuple(b.coordinates.shape))
        X = b.coordinates
        if looks and len(X.shape) == 2 and float(X.detach()[0].sum()) > 1e9:
            return X
        return torch.cat([X[..., :1, :], X[..., 1:2, :] + (a * X[..., :1, :]).sin(), X[..., 2:, :]], -2)

    def made(length):
        weights = {"a": torch.tensor(0.7, dtype=torch.float64)}
        return bb.Line([bb.Drift(length, name="d"), bb.Function(function, weights=weights, name="f"), bb.Drift(0.5)])

    lengths, wrt = (0.2, 0.5, 0.9), ["f.a", "d.length"]
    _, found = bb.value_and_grad(SIGMA, made(torch.tensor(lengths, dtype=torch.float64)), beam(), wrt)
    assert (len(calls) <= 4) != looks and (3, 6, 40) in calls
    for k, length in enumerate(lengths):
        _, alone = bb.value_and_grad(SIGMA, made(length), beam(), wrt)
        for name in wrt:
            assert float(found[name][k]) == pytest.approx(float(alone[name]), rel=1e-11)


def test_on_jax():
    _, found = bb.value_and_grad(SIGMA, line(jnp, False), beam("jax"), ["f.a", "f.c", "q.k1"])
    _, wanted = bb.value_and_grad(SIGMA, line(torch, False), beam(), ["f.a", "f.c", "q.k1"])
    for name, value in wanted.items():
        assert float(found[name]) == pytest.approx(float(value), rel=1e-10)


@pytest.mark.parametrize("adjoint", [bb.Reversible(), bb.Tape()], ids=lambda a: a.name)
def test_a_module_learns(adjoint):
    """Its parameters get .grad through backward(); the same by both ways."""
    torch.manual_seed(0)
    module = torch.nn.Linear(40, 40, bias=False, dtype=torch.float64)
    element = bb.Function(module, name="net")
    out = bb.track(bb.Line([bb.Drift(0.4), element, bb.Drift(0.4)]), beam(), space_charge=bb.SpaceCharge3D((6, 6, 6)),
                   adjoint=adjoint)  # fmt: skip
    out.sigma()[0].backward()
    assert module.weight.grad is not None
    got = module.weight.grad.clone()
    h = 1e-6
    with torch.no_grad():
        values = []
        for s in (h, -2 * h):
            module.weight[3, 5] += s
            values.append(float(bb.track(bb.Line([bb.Drift(0.4), bb.Function(module), bb.Drift(0.4)]), beam(),
                                         space_charge=bb.SpaceCharge3D((6, 6, 6))).sigma()[0]))  # fmt: skip
    assert float(got[3, 5]) == pytest.approx((values[0] - values[1]) / (2 * h), rel=1e-5)


def test_numpy_takes_a_pullback():
    class Twice:
        def __call__(self, b):
            return 2.0 * b.coordinates

        def pullback(self, b, bar):
            return 2.0 * bar

    made = bb.Line([bb.Drift(0.1, name="d"), bb.Function(Twice(), name="f"), bb.Drift(0.3)])
    _, found = bb.value_and_grad(SIGMA, made, beam("numpy"), ["d.length"])
    h = 1e-5
    up, down = (float(SIGMA(bb.track(made.replace({"d.length": 0.1 + s}), beam("numpy")))) for s in (h, -h))
    assert float(found["d.length"]) == pytest.approx((up - down) / (2 * h), rel=1e-7)
    with pytest.raises(bb.InputError, match="pullback"):
        plain = bb.Line([bb.Function(lambda b: b.coordinates, name="f")])
        bb.value_and_grad(SIGMA, plain, beam("numpy"), ["beam.charge"])


def test_its_length_counts_and_nothing_acts_along_it():
    made = bb.Line([bb.Function(lambda b: b.coordinates, length=0.7), bb.Drift(0.3)])
    assert made.length == pytest.approx(1.0)
    assert bb.count_kicks(made, space_charge=bb.SpaceCharge3D(), slices=4) == 4
    assert [s for s, _, _ in bb.trace(made, beam("numpy"))] == pytest.approx([0.0, 0.7, 1.0])


def test_what_is_no_function():
    with pytest.raises(bb.InputError, match=r"f\.function"):
        bb.Function(3, name="f")
    with pytest.raises(bb.InputError, match=r"f\.dx"):
        bb.Function(lambda b, dx: b, weights={"dx": np.ones(())}, name="f")
    with pytest.raises(bb.InputError, match="of shape"):
        bb.track(bb.Line([bb.Function(lambda b: b.coordinates[0], name="f")]), beam("numpy"))
