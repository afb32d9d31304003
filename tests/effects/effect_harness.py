"""What the tests of effects share: drawing a beam, and calling an effect on any library."""

from __future__ import annotations

import jax
import numpy as np
from effect_cases import Case

from backbeam.effects import Bunch
from backbeam.reference import Reference
from backbeam.species import species_named


def draw(case: Case, batch: tuple[int, ...] = (), n: int = 40, lost: float = 0.2, seed: int = 1):
    """X, q, alive, beta_gamma and p on the host; every beam of a batch is given other values."""
    rng = np.random.default_rng(seed)
    X = np.asarray(case.sizes)[:, None] * rng.normal(size=(*batch, 6, n))
    q = np.sign(species_named(case.species).charge_number) * case.charge / n * (1.0 + 0.3 * rng.random((*batch, n)))
    alive = rng.random((*batch, n)) > lost
    reference = Reference.from_kinetic_energy(np.asarray(case.kinetic_energy), species_named(case.species))
    beta_gamma = np.asarray(reference.beta_gamma * (1.0 + 0.1 * rng.random(batch)))
    return X, q, alive, beta_gamma, {k: np.asarray(v * (1.0 + 0.1 * rng.random(batch))) for k, v in case.p.items()}


def call(case: Case, method: str, X, q, alive, beta_gamma, p, *more):
    """Call a method of the effect with arrays of any library; bars become (X, q, beta_gamma, p)."""
    bunch = Bunch(X, q, alive, Reference(beta_gamma, species_named(case.species)))
    found = getattr(case.effect, method)(bunch, p, *more)
    if method == "pullback":
        return tuple(found)
    return (found[0], *found[1]) if method == "reverse" else found


def run(backend, case: Case, method: str, *arguments, dtype: str = "float64"):
    """Call a method in the library of an adapter, compiled in JAX: from host arrays to host arrays in float64."""

    def up(a):
        if a is None or isinstance(a, dict):
            return a and {k: up(v) for k, v in a.items()}
        a = np.asarray(a)
        return backend.asarray(a) if a.dtype == bool else backend.asarray(a, dtype=dtype)

    def down(a):
        if isinstance(a, dict | tuple):
            return {k: down(v) for k, v in a.items()} if isinstance(a, dict) else tuple(down(v) for v in a)
        assert str(a.dtype).endswith(dtype)
        return np.asarray(backend.to_numpy(a), dtype=np.float64)

    function = lambda *arguments: call(case, method, *arguments)  # noqa: E731
    if backend.name == "jax":
        function = jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})
    return down(function(*(up(a) for a in arguments)))


def worst(found, wanted) -> float:
    """Largest deviation over the largest that is wanted; of dictionaries, over the largest of each."""
    if isinstance(wanted, dict):
        assert set(found) == set(wanted)
        return max((worst(found[k], wanted[k]) for k in wanted), default=0.0)
    assert np.shape(found) == np.shape(wanted)
    assert np.all(np.isfinite(found))
    size = np.max(np.abs(wanted))
    return float(np.max(np.abs(np.asarray(found) - wanted)) / (size if size > 0.0 else 1.0))


def without(bars, X1_bar):
    """Bars with that of X beyond the identity's, row by row: it holds all that the effect does."""
    X_bar, *others = bars
    rows = {k: X_bar[..., k, :] - X1_bar[..., k, :] for k in range(6)}
    return rows, *others
