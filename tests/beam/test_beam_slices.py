"""Slices of a bunch: they add up to it, and know a chirp from a spread."""

from __future__ import annotations

import numpy as np
import pytest

import backbeam as bb
from backbeam.errors import InputError


def bunch(backend: str = "numpy") -> bb.Beam:
    X = np.random.default_rng(1).standard_normal((6, 20000)) * np.asarray([1e-3, 1e-4, 2e-3, 1e-4, 1e-2, 1e-5])[:, None]
    X[5] += 0.1 * X[4]
    return bb.Beam.from_arrays(X, species="electron", kinetic_energy=1e8, charge=1e-9, backend=backend)


@pytest.mark.parametrize("backend", ("numpy", "torch", "array_api_strict"))
def test_slices_add_up_and_leave_the_chirp_out(backend):
    beam = bunch(backend)
    found = beam.slices(50)
    host = beam.backend.to_numpy
    charge, current, tau = host(found.charge), host(found.current), host(found.tau)
    assert np.isclose(charge.sum(), -1e-9) and host(found.particles).sum() == beam.n
    peak = 1e-9 * 299792458.0 / (np.sqrt(2 * np.pi) * 1e-2)
    assert np.isclose(current[20:30].max(), peak, rtol=0.08)
    middle = np.abs(tau) < 5e-3
    width = tau[1] - tau[0]
    expected = np.sqrt(1e-5**2 + (0.1 * width) ** 2 / 12)
    assert np.allclose(host(found.sigma_pt)[middle], expected, rtol=0.06)
    assert np.allclose(host(found.mean_pt)[middle], 0.1 * tau[middle], atol=3e-5)
    assert np.allclose(host(found.emittance_x)[middle], 1e-7, rtol=0.1)


def test_one_slice_is_the_beam_and_a_point_has_no_length():
    beam = bunch()
    assert np.isclose(beam.slices(1).emittance_y[0], beam.emittance("y"))
    point = bb.Beam.from_arrays(np.zeros((6, 3)), species="electron", kinetic_energy=1e8, charge=1e-12)
    assert np.all(np.isfinite(point.slices(4).current)) and point.slices(4).particles[-1] == 3
    with pytest.raises(InputError, match="at least 1"):
        beam.slices(0)
