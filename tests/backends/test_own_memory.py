"""What a user changes in an array of another library changes nothing in a beam made from it, nor the other way."""

from __future__ import annotations

import numpy as np
import pytest

import backbeam as bb

GIVEN = {"species": "electron", "kinetic_energy": 1e7}


def coordinates():
    return np.random.default_rng(2).normal(size=(6, 8)) * 1e-3


@pytest.mark.parametrize("library", ["numpy", "torch", "jax"])
def test_from_numpy(library):
    X, q = coordinates(), np.full(8, -1e-12)
    beam = bb.Beam.from_arrays(X, charges=q, backend=library, **GIVEN)
    before = [np.array(beam.backend.to_numpy(a)) for a in (beam.coordinates, beam.charges)]
    X[...], q[...] = 7.0, 7.0
    for array, was in zip((beam.coordinates, beam.charges), before, strict=True):
        np.testing.assert_array_equal(beam.backend.to_numpy(array), was)


@pytest.mark.parametrize("there", ["numpy", "jax"])
def test_to_another_library(there):
    beam = bb.Beam.from_arrays(coordinates(), charge=1e-12, backend="torch", **GIVEN)
    other = beam.to(there)
    was = np.array(other.backend.to_numpy(other.coordinates))
    beam.coordinates[...] = 7.0
    np.testing.assert_array_equal(other.backend.to_numpy(other.coordinates), was)


def test_jax_charges_beside_numpy_coordinates_are_taken_over():
    import jax.numpy as jnp

    with pytest.raises(bb.InputError, match="charges"):
        bb.Beam.from_arrays(coordinates(), charges=jnp.full(8, -1e-12), **GIVEN)
