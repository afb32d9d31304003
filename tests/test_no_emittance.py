"""A beam of no size or no emittance: what is asked of it is 0, and so is its gradient; rounding is no slope."""

from __future__ import annotations

import numpy as np
import pytest

import backbeam as bb

NAMES = [f"{what}_{plane}" for what in ("emittance", "normalized_emittance", "beta", "alpha") for plane in "xyz"]
SIZES = [f"sigma_{name}" for name in ("x", "px", "y", "py", "tau", "pt")] + ["energy_spread"]
MISMATCHES = [bb.observables.mismatch(plane, beta=2.0, alpha=0.3) for plane in "xyz"]


def on_a_line(dtype, library, offset):
    """Momenta in proportion to positions."""
    x = 1e-3 * np.random.default_rng(0).normal(size=300)
    X = np.stack([x + offset, 0.7 * x - offset, -x, 0.3 * x, 2.0 * x, 0.1 * x + offset]).astype(dtype)
    return bb.Beam.from_arrays(X, species="electron", kinetic_energy=1e8, charge=1e-10).to(library)


def linear():
    q, d = bb.Quadrupole(0.3, k1=3.0, name="q", model="linear"), bb.Drift(0.7, name="d", model="linear")
    return bb.Line([d, q, d]) * 3


@pytest.mark.parametrize("offset", [0.0, 1e-3])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("library", "adjoint"), [("numpy", "reversible"), ("torch", "store"), ("torch", "tape")])
def test_of_a_beam_on_a_line(library, adjoint, dtype, offset):
    beam = on_a_line(dtype, library, offset)
    for objective in [bb.observables.named(name) for name in NAMES] + MISMATCHES:
        value, found = bb.value_and_grad(objective, linear(), beam, ["q.k1", "beam.coordinates"], adjoint=adjoint)
        assert float(value) == 0.0, objective.name
        for bar in found.values():
            assert not beam.backend.to_numpy(bar).any(), objective.name


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_of_a_point(library, dtype):
    X = np.array([1.1e-3, 2.3e-4, -0.7e-3, 1.3e-4, 0.3, 1.7e-3])[:, None] + np.zeros((6, 777))
    beam = bb.Beam.from_arrays(X.astype(dtype), species="electron", kinetic_energy=1e8, charge=1e-10).to(library)
    for name in (*NAMES, *SIZES):
        value, found = bb.value_and_grad(bb.observables.named(name), linear(), beam, ["q.k1", "beam.coordinates"])
        assert float(value) == 0.0, name
        for bar in found.values():
            assert not beam.backend.to_numpy(bar).any(), name
    assert not beam.backend.to_numpy(beam.moments().sigma).any()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_small_emittance_is_one(dtype):
    """A hundred rounding units of the momenta are seen, to a tenth."""
    beam = on_a_line(dtype, "numpy", 0.0)
    X = np.array(beam.coordinates)
    unit = 100.0 * np.finfo(dtype).eps * np.std(X[1])
    r = np.random.default_rng(1).normal(size=300) * unit
    X[1] += r.astype(dtype)
    found = bb.Beam.from_arrays(X, species="electron", kinetic_energy=1e8, charge=1e-10).emittance("x")
    assert float(found) == pytest.approx(float(np.std(X[0]) * unit), rel=0.1)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_of_moments(dtype):
    cov = np.zeros((6, 6))
    v = np.array([1e-3, 7e-4, 2e-3, -1e-4, 1e-3, 1e-4])
    cov += np.outer(v, v)
    reference = on_a_line("float64", "numpy", 0.0).reference
    beam = bb.MomentBeam(np.zeros(6, dtype), cov.astype(dtype), reference, 1e-10)
    for name in NAMES:
        value, found = bb.value_and_grad(bb.observables.named(name), linear(), beam, ["q.k1"])
        assert float(value) == 0.0 and float(found["q.k1"]) == 0.0, name


def test_lattice_functions_of_a_beam_without_emittance_are_refused():
    with pytest.raises(bb.InputError, match=r"start is a beam without one in x; allowed: a beam with an emittance"):
        bb.Twiss.of(on_a_line("float64", "numpy", 0.0))
