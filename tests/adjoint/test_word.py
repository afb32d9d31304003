"""The word of `Reversible`: each derivative is right to a thousandth, or the gradient is refused."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import backbeam as bb
from backbeam.gradient import differentiate

OBJECTIVE = bb.observables.sigma("x") + bb.observables.sigma("y")


def beam(dtype, size=1e-6, lost=None):
    X = np.random.default_rng(0).normal(size=(6, 100)) * size
    if lost is not None:
        X[0, 3] = lost
    return bb.Beam.from_arrays(X.astype(dtype), species="electron", kinetic_energy=1e8, charge=1e-10)


def amplifying(cells, k1=3.5):
    """The first quadrupole sees a small beam, the last a large one."""
    q = bb.Quadrupole(0.3, k1=k1, name="q", model="linear")
    return bb.Line([bb.Quadrupole(0.3, k1=1.0, name="q1"), *[q, bb.Drift(1.0, name="d", model="linear")] * cells])


def right_or_refused(line, start, wrt, adjoint):
    exact = differentiate(OBJECTIVE, line, start, wrt, adjoint=bb.Store()).gradient
    try:
        found = differentiate(OBJECTIVE, line, start, wrt, adjoint=adjoint).gradient
    except bb.TrackingError as error:
        assert "is refused" in str(error)
        return False
    for name in wrt:
        assert abs(float(found[name]) - float(exact[name])) <= 1e-3 * abs(float(exact[name])), name
    return True


@settings(max_examples=40)
@given(
    dtype=st.sampled_from(["float32", "float64"]), cells=st.integers(1, 14), k1=st.floats(-6.0, 6.0),
    size=st.sampled_from([1e-9, 1e-6, 1e-4]), octupole=st.floats(-1e3, 1e3), every=st.sampled_from([None, "auto", 3]),
)  # fmt: skip
def test_random_lines(dtype, cells, k1, size, octupole, every):
    line = amplifying(cells, k1) + bb.Line([bb.Octupole(0.1, k3=octupole, name="o"), bb.Drift(0.5)])
    right_or_refused(line, beam(dtype, size), ["q1.k1", "q.k1", "d.length"], bb.Reversible(anchor_every=every))


@pytest.mark.parametrize(("dtype", "cells"), [("float32", 7), ("float64", 16)])
def test_a_beam_that_grows_three_thousandfold(dtype, cells):
    assert not right_or_refused(amplifying(cells), beam(dtype), ["q1.k1"], bb.Reversible(anchor_every=None))
    assert right_or_refused(amplifying(cells), beam(dtype), ["q1.k1"], bb.Reversible(anchor_every=2)), "the advice"


def test_a_lost_particle_hides_nothing():
    line = bb.Line([bb.Aperture(0.05, 0.05)]) + amplifying(7)
    assert not right_or_refused(line, beam("float32", lost=0.1), ["q1.k1"], bb.Reversible(anchor_every=None))


def test_a_cold_beam_is_not_refused():
    X = np.zeros((6, 100))
    X[[0, 2, 4]] = 1e-3 * np.random.default_rng(1).normal(size=(3, 100))
    for dtype in ("float32", "float64"):
        cold = bb.Beam.from_arrays(X.astype(dtype), species="electron", kinetic_energy=1e7, charge=1e-9)
        options = {"space_charge": bb.SpaceCharge3D((8, 8, 8)), "slices": 4}
        line = bb.Line([bb.Drift(1.0, name="d")])
        exact = bb.value_and_grad(OBJECTIVE, line, cold, ["d.length", "beam.charge"], adjoint=bb.Store(), **options)[1]
        found = bb.value_and_grad(OBJECTIVE, line, cold, ["d.length", "beam.charge"], **options)[1]
        for name, value in exact.items():
            assert float(found[name]) == pytest.approx(float(value), rel=1e-4)
