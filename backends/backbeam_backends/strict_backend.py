"""array_api_strict: nothing but the standard. For tests: what runs here leans on no library's extras."""

from __future__ import annotations

import array_api_strict
import numpy as np

from backbeam_backends.base import Backend, Array


class StrictBackend(Backend):
    """Adapter of array_api_strict."""

    name = "array_api_strict"
    distribution = "array-api-strict"
    extra = "test"
    namespace = array_api_strict

    def to_numpy(self, array: Array) -> np.ndarray:
        """Return the NumPy array inside."""
        return np.array(np.from_dlpack(array))

    def scatter_add(self, values: Array, index: Array, size: int) -> Array:
        """Through NumPy: the standard has no scatter."""
        index, weights = self.to_numpy(index), self.to_numpy(values)
        summed = np.stack([np.bincount(index, weights=w, minlength=size) for w in weights])
        return self.namespace.asarray(summed.astype(weights.dtype))
