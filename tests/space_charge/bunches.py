"""Bunches for the tests of space charge; NumPy arrays, turned into another library's by `given`."""

from __future__ import annotations

import math
from functools import cache

import called
import jax
import numpy as np

from backbeam.reference import Reference
from backbeam.species import KNOWN, VACUUM_PERMITTIVITY

GRID = (8, 9, 10)
"""The grid of most tests: with 200 particles on it, JAX compiles a kick once for all of them."""
COULOMB = 1.0 / (4.0 * math.pi * VACUUM_PERMITTIVITY)


def reference(species="proton", kinetic_energy=20e6, batch=()):
    """Reference with NumPy parameters; in a batch every energy is another."""
    species = KNOWN.get(species, species)
    steps = 1.0 + 0.1 * np.arange(math.prod(batch)).reshape(batch)
    return Reference.from_kinetic_energy(kinetic_energy * steps, species)


def warm(n=200, batch=(), lost=None, seed=1):
    """A warm bunch off the axis: X, q, alive, ds."""
    rng = np.random.default_rng(seed)
    scale = np.array([1e-3, 2e-3, 2e-3, 1e-3, 3e-3, 2e-3])[:, None]
    middle = np.array([1e-2, 1e-3, 0.0, 0.0, 2e-3, 1e-3])[:, None]
    X = middle + scale * rng.normal(size=(*batch, 6, n))
    q = (1.0 + 0.3 * rng.normal(size=(*batch, n))) * 1e-9 / n
    alive = None if lost is None else rng.random((*batch, n)) > lost
    return X, q, alive, np.full(batch, 0.1)


def at_rest(r, ref):
    """Coordinates of a cold beam whose particles are at r (3, n), z in the laboratory."""
    zero = np.zeros_like(r[0])
    return np.stack([r[0], zero, r[1], zero, -r[2] / ref.beta, zero])


def ball(n, radius, ref, seed=2):
    """Points of a ball, uniform in the rest frame: (3, n), z in the laboratory."""
    rng = np.random.default_rng(seed)
    v = rng.normal(size=(3, n))
    v *= radius * rng.random(n) ** (1.0 / 3.0) / np.sqrt(np.sum(v * v, axis=0))
    return v / np.array([1.0, 1.0, float(ref.gamma)])[:, None]


def momenta(X):
    """(px, py, pt), the rows that are kicked."""
    return X[[1, 3, 5]]


def expected_kick(rest_field, r, ref, ds):
    """Kick (3, n) at points r (z in the laboratory) from rest_field(r' (3, n)) -> (3, n) [V/m].

    Transverse: E = gamma E', of which the magnetic force leaves 1/gamma^2, for ds/(beta c); energy: E' ds.
    """
    stretch = np.array([1.0, 1.0, float(ref.gamma)])[:, None]
    force = rest_field(r * stretch) * np.array([1.0 / (float(ref.gamma) * float(ref.beta))] * 2 + [1.0])[:, None]
    return ref.species.charge_number * force * ds / float(ref.momentum)


def given(backend, *arrays, dtype="float64"):
    """Arrays of the adapter's library; booleans and None stay what they are."""
    made = []
    for a in arrays:
        if a is None:
            made.append(None)
        elif np.asarray(a).dtype == bool:
            made.append(backend.asarray(np.asarray(a)))
        else:
            made.append(backend.asarray(np.asarray(a), dtype=dtype))
    return made


def reference_for(backend, ref, dtype="float64"):
    """The same reference in the adapter's library."""
    return Reference(given(backend, ref.beta_gamma, dtype=dtype)[0], ref.species)


@cache
def _function(name, kick, method, species):
    def function(X, q, alive, beta_gamma, ds, *more):
        return getattr(called, method)(kick, X, q, alive, Reference(beta_gamma, species), ds, *more)

    if name != "jax":
        return function
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})


def run(backend, kick, method, X, q, alive, ref, ds, *more, dtype="float64"):
    """Call a method of a kick in the adapter's library (compiled, in JAX); NumPy arrays in and out."""
    arrays = given(backend, X, q, alive, ref.beta_gamma, ds, *more, dtype=dtype)
    found = _function(backend.name, kick, method, ref.species)(*arrays)
    several = found if isinstance(found, tuple) else (found,)
    assert all(str(a.dtype).endswith(dtype) for a in several)
    found = tuple(backend.to_numpy(a) for a in several)
    return found if len(found) > 1 else found[0]


def worst(a, b):
    """Largest deviation of a from b over the largest of b."""
    a, b = np.asarray(a), np.asarray(b)
    return float(np.max(np.abs(a - b)) / np.max(np.abs(b)))


def worst_row(a, b):
    """`worst` of the worst of the six coordinates."""
    return max(worst(a[..., k, :], b[..., k, :]) for k in range(6))
