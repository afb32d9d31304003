"""What a map is: the contract that every file of this folder meets.

A map takes the coordinates of all particles from one place to another. It is a small frozen dataclass
that holds only what is *static*: the fraction of the element that it covers, an integrator's order and
steps. Everything that a gradient is asked for comes in as an array: the coordinates ``X``, the
reference, and the parameters ``p``.

``forward(X, reference, p)``      the map
``inverse(X1, reference, p)``     undoes it, to rounding
``pullback(X, reference, p, X1_bar)``
                                  the transpose of its derivative at X, applied to a cotangent
``reverse(X1, reference, p, X1_bar)``
                                  inverse and pullback in one, for maps that share work between them

- ``X`` is ``(..., 6, n)`` and already has the full batch shape; a parameter is ``(...)`` or 0-d, of the
  same library and data type. `backbeam.arrays.per_particle` lets the two meet.
- ``reference`` is always the one *before* the map. A map that accelerates overrides
  `reference_after` and its two companions; the coordinates that it returns are deviations from the new one.
- Cotangents of parameters have the batch shape of ``X``; the caller sums them to a parameter's own shape.
- A map holds no arrays, keeps no state, raises nothing for values, and never writes into its input.
- No subtraction of two numbers of order one to get a small one, and no NaN at a singular point, in the
  value or in what an automatic differentiation of it gives: see `backbeam.maps.smooth`.

To add a map: a file with one class, and a case in ``tests/maps/map_cases.py``;
the tests that every map must pass (inverse, symplecticity, pullback, batches, every array library) follow from that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backbeam.arrays import Array
    from backbeam.reference import Reference

    Parameters = Mapping[str, Array]
    Cotangents = dict[str, Array]


KICKS_OF_ORDER = {2: 1, 4: 3, 6: 7}
"""Kicks of a step of the integrators of `backbeam.maps.splitting`."""


@dataclass(frozen=True)
class Map:
    """Base of every map."""

    accelerates: ClassVar[bool] = False
    """Whether the reference after the map differs from the one before it."""

    linear: ClassVar[bool] = False
    """Whether the map is one matrix for all particles, that of what it makes of the six unit vectors."""

    @property
    def affine(self) -> bool:
        """Whether the map is one matrix and one shift for all particles: its matrix is the same at every point."""
        return self.linear

    @property
    def kind(self) -> str:
        """What the memory model calls it."""
        return type(self).__name__.removesuffix("Map")

    @property
    def substeps(self) -> int:
        """Number of kicks of an integrator; 1 for a map that is none."""
        return getattr(self, "steps", 1) * KICKS_OF_ORDER.get(getattr(self, "order", 0), 1)

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the arrays that ``p`` must hold."""
        raise NotImplementedError

    @property
    def ranks(self) -> Mapping[str, int]:
        """Number of own axes, behind the batch, of those parameters that have any."""
        return {}

    def forward(self, X: Array, reference: Reference, p: Parameters) -> Array:
        """Coordinates ``(..., 6, n)`` after the map, from those before it."""
        raise NotImplementedError

    def inverse(self, X1: Array, reference: Reference, p: Parameters) -> Array:
        """Coordinates before the map, from those after it."""
        raise NotImplementedError

    def pullback(
        self, X: Array, reference: Reference, p: Parameters, X1_bar: Array
    ) -> tuple[Array, Array | float, Cotangents]:
        """Cotangents of X, of ``reference.beta_gamma`` and of each parameter, at the state X before the map."""
        raise NotImplementedError

    def reverse(
        self, X1: Array, reference: Reference, p: Parameters, X1_bar: Array
    ) -> tuple[Array, Array, Array | float, Cotangents]:
        """X before the map, then what `pullback` gives there, from the state X1 after it."""
        X = self.inverse(X1, reference, p)
        return (X, *self.pullback(X, reference, p, X1_bar))

    # -- maps that accelerate override these three ------------------------------------------------------------

    def reference_after(self, reference: Reference, p: Parameters) -> Reference:
        """Reference after the map, from the one before it."""
        return reference

    def reference_before(self, reference: Reference, p: Parameters) -> Reference:
        """Reference before the map, from the one after it."""
        return reference

    def reference_pullback(
        self, reference: Reference, p: Parameters, beta_gamma_bar: Array
    ) -> tuple[Array, Cotangents]:
        """Cotangents of ``beta_gamma`` before the map and of the parameters, from that of ``beta_gamma`` after it."""
        return beta_gamma_bar, {}
