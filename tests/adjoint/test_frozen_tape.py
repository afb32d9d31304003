"""``grid_gradient="frozen"`` holds the box still for a library's own tape as for our pullbacks."""

from __future__ import annotations

import numpy as np
import pytest

import backbeam as bb
from backbeam.effects.space_charge.extents import RmsExtent

MODELS = {
    "box": lambda how: bb.SpaceCharge3D((8, 8, 8), "beam", how),
    "rms": lambda how: bb.SpaceCharge3D((8, 8, 8), RmsExtent(7.0), how),
    "two levels": lambda how: bb.SpaceCharge3D((8, 8, 8), "auto", how),
    "fixed time": lambda how: bb.SpaceCharge3D((8, 8, 8), "beam", how, plane="t"),
    "corner": lambda how: bb.SpaceCharge2DPipe(0.2, 0.2, 0.2, (5, 7), "corner", how),
}
OBJECTIVE = bb.observables.sigma("x") + bb.observables.emittance("y")
WRT = ["d.length", "beam.charge", "beam.kinetic_energy"]


def gradient(model, how, library, adjoint):
    X = np.random.default_rng(0).normal(size=(6, 300)) * np.array([[1e-3, 1e-4] * 2 + [1e-3, 1e-3]]).T
    X[:, 0] *= 20.0 if model == "two levels" else 1.0
    beam = bb.Beam.from_arrays(X, species="electron", kinetic_energy=3e6, charge=2e-9).to(library)
    line = bb.Line([bb.Drift(0.3, name="d")])
    found = bb.value_and_grad(OBJECTIVE, line, beam, WRT, space_charge=MODELS[model](how), slices=2, adjoint=adjoint)[1]
    return np.array([float(found[name]) for name in WRT])


@pytest.mark.parametrize(("library", "model"), [*(("torch", model) for model in MODELS), ("jax", "rms")])
def test_the_tape_does_not_see_the_box(library, model):
    ours, tape = (gradient(model, "frozen", *how) for how in (("numpy", "store"), (library, "tape")))
    np.testing.assert_allclose(tape, ours, rtol=1e-9)
    assert np.max(np.abs(gradient(model, "exact", "numpy", "store") / ours - 1.0)) > 1e-7


def test_our_pullbacks_do_not_see_it_on_pytorch_either():
    np.testing.assert_allclose(*(gradient("box", "frozen", name, "store") for name in ("torch", "numpy")), rtol=1e-9)
