"""What the tests of maps share: drawing a beam and parameters, and calling a map on any library."""

from __future__ import annotations

import numpy as np
from map_cases import Case

from backbeam.reference import Reference
from backbeam.species import species_named


def draw(case: Case, seed: int, n: int = 7, batch: tuple[int, ...] = ()) -> tuple[np.ndarray, np.ndarray, dict]:
    """Coordinates, beta_gamma and parameters on the host, float64."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1.0, 1.0, (*batch, 6, n)) * case.size
    reference = Reference.from_kinetic_energy(np.asarray(case.kinetic_energy), species_named(case.species))
    beta_gamma = reference.beta_gamma * (1.0 + 0.1 * rng.uniform(-1, 1, batch))
    core = {"matrix": (6, 6), "field_cos": (3,), "field_sin": (3,)}
    p = {k: np.asarray(rng.uniform(lo, hi, (*batch, *core.get(k, ())))) for k, (lo, hi) in case.ranges.items()}
    if "matrix" in p:
        p["matrix"] = p["matrix"] + np.eye(6)
    return X, np.asarray(beta_gamma), p


class Mover:
    """A map of a case as plain functions of arrays, on one library."""

    def __init__(self, case: Case, backend, dtype: str = "float64") -> None:
        self.case, self.backend, self.dtype = case, backend, dtype
        self.species = species_named(case.species)

    def up(self, value):
        """From the host."""
        if isinstance(value, dict):
            return {k: self.up(v) for k, v in value.items()}
        return self.backend.asarray(value, dtype=self.dtype)

    def down(self, value) -> np.ndarray:
        """To the host, in float64."""
        if isinstance(value, dict):
            return {k: self.down(v) for k, v in value.items()}
        return np.asarray(self.backend.to_numpy(value), dtype=np.float64)

    def reference(self, beta_gamma):
        return Reference(beta_gamma, self.species)

    def forward(self, X, beta_gamma, p):
        """(X, beta_gamma) after the map."""
        reference = self.reference(beta_gamma)
        return self.case.map.forward(X, reference, p), self.case.map.reference_after(reference, p).beta_gamma

    def inverse(self, X1, beta_gamma1, p):
        """(X, beta_gamma) before the map."""
        reference = self.case.map.reference_before(self.reference(beta_gamma1), p)
        return self.case.map.inverse(X1, reference, p), reference.beta_gamma

    def pullback(self, X, beta_gamma, p, X1_bar, beta_gamma1_bar):
        """Cotangents of X, beta_gamma and all parameters."""
        reference = self.reference(beta_gamma)
        X_bar, bg_bar, p_bar = self.case.map.pullback(X, reference, p, X1_bar)
        more_bar, more = self.case.map.reference_pullback(reference, p, beta_gamma1_bar)
        total = {k: 0.0 * v for k, v in p.items()}
        for part in (p_bar, more):
            total = {k: v + part[k] if k in part else v for k, v in total.items()}
        return X_bar, more_bar + bg_bar, total

    def run(self, function, *arguments):
        """Call with host arrays, return host arrays."""
        out = function(*(self.up(a) for a in arguments))
        return tuple(self.down(o) for o in out)
