"""What a distribution is: a beam's recipe, which redraws it and pulls gradients back to its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from backbeam import backends
from backbeam.arrays import COORDINATES, Array, join, namespace, over_particles, per_particle, rows
from backbeam.distributions.shears import SHEARS, sheared, sheared_pullback


@dataclass(frozen=True, eq=False)
class Distribution:
    """Base of every recipe.

    ``parameters`` are what a gradient can be asked for: arrays of one library, 0-d or with leading batch
    axes. All else is static. The coordinates are ``shape(unit, parameters, beta_gamma)``, with chirp and
    dispersion if the recipe has them, ``+ mean``.
    """

    kind: str
    n: int
    seed: int
    parameters: Mapping[str, Array]

    fixed: ClassVar[tuple[str, ...]] = ()
    """Names of what shapes the beam but can have no gradient."""

    def unit(self) -> np.ndarray:
        """Draw the variates ``(6, n)`` on the host: from the seed, so the same at every call."""
        raise NotImplementedError

    def shape(self, unit: Array, parameters: Mapping[str, Array], beta_gamma: Array) -> list[Array]:
        """Return the six rows about the reference, from variates ``(6, n)`` in the parameters' library."""
        raise NotImplementedError

    def shape_pullback(
        self, unit: Array, parameters: Mapping[str, Array], beta_gamma: Array, X_bar: Array
    ) -> tuple[dict[str, Array], Array]:
        """Cotangents of the shape's parameters and of beta_gamma, of the batch shape of X_bar."""
        raise NotImplementedError

    def variates(self) -> Array:
        """Unit variates in the library, the data type and on the device of the parameters."""
        like = self.parameters["mean_x"]
        xp, backend = namespace(like), backends.of(like)
        dtype = "float32" if like.dtype == xp.float32 else "float64"
        device = None if backend.traced([like]) else backend.device_name(like)
        return backend.asarray(self.unit(), dtype=dtype, device=device)

    def assemble(self, unit: Array, parameters: Mapping[str, Array], beta_gamma: Array) -> Array:
        """Coordinates ``(..., 6, n)``; the batch is what parameters and beta_gamma broadcast to."""
        means = (parameters[f"mean_{name}"] for name in COORDINATES)
        shaped = self.shape(unit, parameters, beta_gamma)
        if self._sheared:
            shaped = sheared(shaped, parameters)
        made = [row + per_particle(m) for row, m in zip(shaped, means, strict=True)]
        xp = namespace(*made)
        return xp.stack(xp.broadcast_arrays(*made), axis=-2)

    def assemble_pullback(
        self, unit: Array, parameters: Mapping[str, Array], beta_gamma: Array, X_bar: Array
    ) -> tuple[dict[str, Array], Array]:
        """Cotangents of every parameter and of beta_gamma, each of the batch shape of X_bar."""
        found = {f"mean_{name}": over_particles(row) for name, row in zip(COORDINATES, rows(X_bar), strict=True)}
        if self._sheared:
            shears, before = sheared_pullback(self.shape(unit, parameters, beta_gamma), parameters, X_bar)
            found, X_bar = found | shears, join(*before)
        bars, beta_gamma_bar = self.shape_pullback(unit, parameters, beta_gamma, X_bar)
        return found | bars, beta_gamma_bar

    @property
    def _sheared(self) -> bool:
        return SHEARS[0] in self.parameters
