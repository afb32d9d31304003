"""What a model of space charge is: the contract between the kick and the tracking engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backbeam.arrays import Array
    from backbeam.reference import Reference


class SpaceCharge:
    """A kick of the beam by its own field.

    A model is a frozen dataclass of settings, without arrays. It gets X ``(..., 6, n)``, charges ``(..., n)`` [C],
    ``alive`` ``(..., n)`` or None (all are), the reference, and the length ``ds`` of the kick [m] with the batch shape.
    The lost give no charge and are not moved. `inverse` undoes `forward` to rounding, `reverse` is `inverse` and
    `pullback` in one.
    """

    def forward(self, X: Array, q: Array, alive: Array | None, reference: Reference, ds: Array) -> Array:
        """Coordinates after the kick."""
        raise NotImplementedError

    def inverse(self, X1: Array, q: Array, alive: Array | None, reference: Reference, ds: Array) -> Array:
        """Coordinates before the kick, from those after it."""
        raise NotImplementedError

    def pullback(
        self, X: Array, q: Array, alive: Array | None, reference: Reference, ds: Array, X1_bar: Array
    ) -> tuple[Array, Array, Array, Array]:
        """Cotangents of X, q, ``reference.beta_gamma`` and ds, at the state before the kick."""
        raise NotImplementedError

    def reverse(
        self, X1: Array, q: Array, alive: Array | None, reference: Reference, ds: Array, X1_bar: Array
    ) -> tuple[Array, Array, Array, Array, Array]:
        """X before the kick, then what `pullback` gives there, from the state after it."""
        X = self.inverse(X1, q, alive, reference, ds)
        return (X, *self.pullback(X, q, alive, reference, ds, X1_bar))
