"""The wake of a table: a function computed or measured elsewhere, at distances from 0 on, linear in between.

It is averaged over the triangle of a cloud by a Gauss rule of six points on each side. What the table has between these
is not seen; it must be longer than the beam, or what is beyond its end is 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

from array_api_compat import device

from backbeam.arrays import namespace
from backbeam.effects.quadrature import GAUSS
from backbeam.effects.wake.base import Wake
from backbeam.errors import InputError
from backbeam.parameters import parameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backbeam.arrays import Array


@dataclass(frozen=True, kw_only=True)
class TableWake(Wake):
    """Wake function from a table.

    Parameters
    ----------
    distance:
        Distances behind the charge [m], ascending from 0.
    wake:
        W there [V/C], [V/(C m)] transverse; along elements that of each metre.
    scale:
        What it is multiplied by.

    Examples
    --------
    >>> wake = bb.TableWake(at="c1", distance=[0.0, 1e-3, 2e-3], wake=[1e15, 5e14, 2e14])
    >>> wake.at
    ('c1',)
    """

    distance: tuple[float, ...] = field(kw_only=False)
    wake: tuple[float, ...] = field(kw_only=False)
    scale: Array | float = parameter(1.0, unit="1", kw_only=True)

    kind: ClassVar[str] = "table_wake"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("distance", "wake"):
            object.__setattr__(self, name, self._numbers(name))
        if self.distance[0] != 0.0 or not all(a < b for a, b in pairwise(self.distance)):
            raise InputError(self._label("distance"), "a table", "distances in m that ascend from 0")
        if len(self.distance) != len(self.wake):
            raise InputError(self._label("wake"), f"{len(self.wake)} numbers", f"{len(self.distance)}, as of distances")

    def _numbers(self, name: str) -> tuple[float, ...]:
        try:
            numbers = tuple(float(a) for a in getattr(self, name))
        except (TypeError, ValueError):
            numbers = ()
        if len(numbers) < 2 or not all(math.isfinite(a) for a in numbers):
            raise InputError(self._label(name), getattr(self, name), "at least two finite numbers")
        return numbers

    def averaged(self, spacing: Array, p: Mapping[str, Array]) -> Array:
        """W averaged over triangles."""
        return p["scale"][:, None] * self._average(spacing)[0]

    def averaged_slopes(self, spacing: Array, p: Mapping[str, Array]) -> tuple[Array, Array, dict[str, Array]]:
        """W averaged over triangles, and its derivatives."""
        W, slope = self._average(spacing)
        scale = p["scale"][:, None]
        return scale * W, scale * slope, {"scale": W}

    def _average(self, spacing: Array) -> tuple[Array, Array]:
        """Average for scale 1, and its derivative with respect to the spacing: ``(B, nodes)``."""
        xp = namespace(spacing)
        node = xp.arange(self.nodes, dtype=spacing.dtype, device=device(spacing))
        value, slope = 0.0, 0.0
        for v, weight in GAUSS:
            for at in (node + v, node - v):
                W, W_slope = self._read(spacing[:, None] * at)
                value = value + weight * (1.0 - v) * W
                slope = slope + weight * (1.0 - v) * at * W_slope
        return value, slope

    def _read(self, distance: Array) -> tuple[Array, Array]:
        """W and its slope at distances ``(B, nodes)``; 0 before the first and beyond the last."""
        xp = namespace(distance)
        given = lambda a: xp.asarray(a, dtype=distance.dtype, device=device(distance))  # noqa: E731
        knots, values = given(self.distance), given(self.wake)
        rises = given(
            [(b - a) / (t - s) for (s, t), (a, b) in zip(pairwise(self.distance), pairwise(self.wake), strict=True)]
        )
        flat = xp.reshape(distance, (-1,))
        index = xp.clip(xp.searchsorted(knots, flat, side="right") - 1, 0, len(self.distance) - 2)
        rise = xp.take(rises, index)
        inside = (flat >= 0.0) & (flat <= self.distance[-1])
        W = xp.take(values, index) + (flat - xp.take(knots, index)) * rise
        zero = xp.zeros_like(flat)
        found = (xp.where(inside, W, zero), xp.where(inside, rise, zero))
        return tuple(xp.reshape(a, distance.shape) for a in found)
