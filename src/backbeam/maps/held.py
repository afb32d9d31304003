"""A map whose magnet keeps its field while the momentum of the reference moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backbeam.maps.base import Map

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backbeam.arrays import Array
    from backbeam.maps.base import Cotangents, Parameters
    from backbeam.reference import Reference

DESIGN = "design_momentum"
"""Parameter [eV]: P0 c at which the strengths are stated."""


@dataclass(frozen=True)
class Held(Map):
    """Another map, with its strengths times design momentum over the reference's: k P0 is the field, and stays.

    Parameters
    ----------
    map:
        A map that does not accelerate.
    strengths:
        Which of its parameters are a field over B rho.
    """

    map: Map
    strengths: tuple[str, ...]

    @property
    def kind(self) -> str:
        """That of the map."""
        return self.map.kind

    @property
    def substeps(self) -> int:
        """Those of the map."""
        return self.map.substeps

    @property
    def linear(self) -> bool:  # type: ignore[override]
        """As the map: strengths are the same for all particles."""
        return self.map.linear

    @property
    def affine(self) -> bool:
        """As the map."""
        return self.map.affine

    @property
    def ranks(self) -> Mapping[str, int]:
        """Those of the map."""
        return self.map.ranks

    @property
    def parameters(self) -> tuple[str, ...]:
        """The map's own, and the design momentum."""
        return (*self.map.parameters, DESIGN)

    def _scaled(self, reference: Reference, p: Parameters) -> dict[str, Array]:
        scale = p[DESIGN] / reference.momentum
        return {name: p[name] * scale if name in self.strengths else p[name] for name in self.map.parameters}

    def forward(self, X: Array, reference: Reference, p: Parameters) -> Array:
        """Follow the map."""
        return self.map.forward(X, reference, self._scaled(reference, p))

    def inverse(self, X1: Array, reference: Reference, p: Parameters) -> Array:
        """Undo the map."""
        return self.map.inverse(X1, reference, self._scaled(reference, p))

    def pullback(self, X: Array, reference: Reference, p: Parameters, X1_bar: Array) -> tuple[Array, Array, Cotangents]:
        """The map's, then through the scale."""
        return self._through_scale(reference, p, *self.map.pullback(X, reference, self._scaled(reference, p), X1_bar))

    def reverse(
        self, X1: Array, reference: Reference, p: Parameters, X1_bar: Array
    ) -> tuple[Array, Array, Array, Cotangents]:
        """Inverse and pullback with what the map shares between them."""
        X, *found = self.map.reverse(X1, reference, self._scaled(reference, p), X1_bar)
        return (X, *self._through_scale(reference, p, *found))

    def _through_scale(
        self, reference: Reference, p: Parameters, X_bar: Array, beta_gamma_bar: Array | float, bars: Cotangents
    ) -> tuple[Array, Array, Cotangents]:
        per = 1.0 / reference.momentum
        scale = p[DESIGN] * per
        total = sum(p[name] * bars[name] for name in self.strengths)
        scaled = {name: bar * scale if name in self.strengths else bar for name, bar in bars.items()}
        return X_bar, beta_gamma_bar - scale * total / reference.beta_gamma, {**scaled, DESIGN: per * total}
