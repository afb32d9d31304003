"""What a trial that cannot be tracked is worth: so much, with such a slope, that a line search comes back.

From the last good point a parabola is laid through the bad one, whose minimum is a tenth of the way. Line searches that
interpolate (L-BFGS-B, SLSQP, BFGS) go there; to those that compare values it is worse than where they come from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PART = 0.1
"""Of the way: where the minimum of the parabola is."""


@dataclass(frozen=True, eq=False)
class Good:
    """The last point that could be tracked and whose gradient is known."""

    x: np.ndarray
    value: float
    gradient: np.ndarray

    def beyond(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Value and gradient that stand for those of a point that cannot be tracked."""
        way = x - self.x
        square = float(way @ way)
        fall = max(abs(float(self.gradient @ way)), 1e-3 * abs(self.value), np.finfo(np.float64).tiny)
        # f + s t + q t^2 with s = -fall, least at t = PART
        bend = 0.5 * fall / PART
        slope = 2.0 * bend - fall
        gradient = slope * way / square if square else np.zeros_like(way)
        return self.value + bend - fall, gradient
