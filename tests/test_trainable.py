"""A line taken apart into what is trained and the rest, for JAX's transformations and for plain numbers."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import backbeam as bb

SIGMA = bb.observables.sigma("x")
ELECTRONS = {
    "n": 40, "species": "electron", "kinetic_energy": 20e6, "charge": 1e-9, "sigma_x": 1e-3, "sigma_px": 1e-3,
    "sigma_y": 1e-3, "seed": 2,
}  # fmt: skip


def line():
    q1, q2 = (bb.Quadrupole(0.1, k1=k1, name=name, model="linear") for name, k1 in (("q1", 8.0), ("q2", -6.0)))
    return bb.Line([q1, bb.Drift(0.3, name="d", model="linear"), q2])


def test_merged_again_it_is_the_same_line():
    values, rest = bb.trainable(line(), ["q1.k1", "d.length"])
    assert values == {"q1.k1": 8.0, "d.length": 0.3} and rest.line.get("q2.k1") == -6.0
    beam = bb.Beam.gaussian(**ELECTRONS)
    np.testing.assert_array_equal(bb.track(rest.merge(values), beam).coordinates, bb.track(line(), beam).coordinates)
    assert rest.merge({}).parameters == line().parameters
    with pytest.raises(bb.InputError, match=r"q1\.k1"):
        rest.merge({"q2.k1": 1.0})


def test_in_units():
    values, rest = bb.trainable(line(), {"q1.k1": 10.0, "q2.dx": 1e-4})
    assert values == {"q1.k1": 0.8, "q2.dx": 0.0}
    merged = rest.merge({"q1.k1": 0.9, "q2.dx": 2.0})
    assert merged.get("q1.k1") == 9.0 and merged.get("q2.dx") == 2e-4


def test_tensors_of_a_line_are_taken_as_they_are():
    k1 = torch.tensor([7.0, 8.0], dtype=torch.float64)
    values, rest = bb.trainable(line().replace({"q1.k1": k1}), ["q1.k1"])
    assert values["q1.k1"] is k1 and rest.merge(values).get("q1.k1") is k1


def test_jit_and_grad_on_jax_with_the_rest_as_an_argument():
    """The rest is a tree without leaves: it goes into a compiled function, and no gradient goes to it."""
    values, rest = bb.trainable(line(), ["q1.k1", "d.length"])
    beam = bb.Beam.gaussian(backend="jax", **ELECTRONS)
    traces = []

    @jax.jit
    def gradient(values, rest, beam):
        traces.append(1)
        return jax.grad(lambda values: SIGMA(bb.track(rest.merge(values), beam)))(values)

    found = gradient(values, rest, beam)
    _, wanted = bb.value_and_grad(SIGMA, line(), bb.Beam.gaussian(**ELECTRONS), list(values))
    for name, value in wanted.items():
        assert float(found[name]) == pytest.approx(float(value), rel=1e-11), name
    stepped = jax.tree.map(lambda v, g: v - 1e-2 * jnp.sign(g), values, found)
    assert set(stepped) == set(values) and jax.tree.leaves(rest) == []
    gradient(stepped, rest, beam)
    assert len(traces) == 1
