"""The reference particle: what the coordinates of a beam are deviations from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from backbeam.arrays import Array, namespace
from backbeam.errors import InputError
from backbeam.species import Species, species_named

HIGHEST_ENERGY = 1e24
"""More than this [eV], some thousand times that of any particle ever seen, is taken for a slip."""


@dataclass(frozen=True, eq=False)
class Reference:
    """Species and momentum of the reference particle.

    The one variable is ``beta_gamma`` = P0/(m c), because beta, gamma and their like follow from it
    without cancellation at any energy, in float32 too.

    Parameters
    ----------
    beta_gamma:
        P0/(m c), an array of the batch shape ``(...)``, usually 0-d.
    species:
        Mass and charge number.

    Examples
    --------
    >>> reference = bb.Reference.from_kinetic_energy(1e9, "proton")
    >>> f"{float(reference.gamma):.4f}"
    '2.0658'
    """

    beta_gamma: Array
    species: Species

    @classmethod
    def from_kinetic_energy(cls, kinetic_energy: Array | float, species: str | Species) -> Reference:
        """Reference of kinetic energy (gamma0 - 1) m c^2 in eV: beta gamma = sqrt(t (t + 2)), t = T/m.

        A number is one of NumPy's; a species may be called by its name.
        """
        species = species_named(species)
        if isinstance(kinetic_energy, int | float):
            kinetic_energy = np.asarray(float(kinetic_energy))
        t = kinetic_energy / species.mass
        return cls(namespace(t).sqrt(t * (t + 2.0)), species)

    def with_beta_gamma(self, beta_gamma: Array) -> Reference:
        """Same species at another momentum."""
        return replace(self, beta_gamma=beta_gamma)

    @cached_property
    def gamma(self) -> Array:
        """Lorentz factor gamma0 = sqrt(1 + (beta gamma)^2)."""
        return namespace(self.beta_gamma).sqrt(1.0 + self.beta_gamma * self.beta_gamma)

    @cached_property
    def beta(self) -> Array:
        """Velocity v0/c."""
        return self.beta_gamma / self.gamma

    @cached_property
    def inverse_beta(self) -> Array:
        """1/beta0 = E0/(P0 c)."""
        return self.gamma / self.beta_gamma

    @property
    def momentum(self) -> Array:
        """P0 c in eV."""
        return self.beta_gamma * self.species.mass

    @property
    def kinetic_energy(self) -> Array:
        """(gamma0 - 1) m c^2 in eV, from gamma - 1 = (beta gamma)^2/(gamma + 1)."""
        return self.beta_gamma * self.beta_gamma / (self.gamma + 1.0) * self.species.mass

    def pull_back(
        self,
        *,
        beta: Array | float = 0.0,
        gamma: Array | float = 0.0,
        inverse_beta: Array | float = 0.0,
        beta_gamma: Array | float = 0.0,
    ) -> Array:
        """Cotangent of ``beta_gamma`` from cotangents of what is derived from it.

        With u = beta gamma: d beta/du = 1/gamma^3, d gamma/du = beta, d(1/beta)/du = -1/(u^2 gamma).
        """
        u = self.beta_gamma
        return beta_gamma + beta / self.gamma**3 + gamma * self.beta - inverse_beta / (u * u * self.gamma)


def checked_kinetic_energy(value: float, field: str = "beam.kinetic_energy") -> float:
    """Return a positive, finite kinetic energy in eV, or raise `InputError`."""
    if not 0 < value <= HIGHEST_ENERGY:
        raise InputError(field, value, f"a kinetic energy in eV, greater than 0 and at most {HIGHEST_ENERGY:g}")
    return value
