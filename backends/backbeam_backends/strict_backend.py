"""array_api_strict: nothing but the standard. For tests: what runs here leans on no library's extras.

Its devices are make-believe, but arrays of two of them refuse to meet: what stays on one here stays on a GPU.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import array_api_strict
import numpy as np

from backbeam_backends.base import Array, Backend

_ARRAY = type(array_api_strict.asarray(0.0))


class StrictBackend(Backend):
    """Adapter of array_api_strict."""

    name = "array_api_strict"
    distribution = "array-api-strict"
    extra = "test"
    namespace = array_api_strict

    def devices(self) -> list[str]:
        """The processor, and two that only the rules tell from it."""
        return ["cpu", "device1", "device2"]

    def device(self, name: str | None) -> Any:
        """``cpu``, ``device1``, ``device2``."""
        if name is not None and name not in self.devices():
            raise ValueError(f"device is {name!r}; allowed: {', '.join(self.devices())}")
        return array_api_strict.Device("CPU_DEVICE" if name in (None, "cpu") else name)

    def asarray(self, data: Any, *, dtype: str | None = None, device: str | None = None) -> Array:
        """Arrays of the library move by `to_device`; the library makes others where it is told."""
        xp, wanted = self.namespace, getattr(self.namespace, dtype) if dtype else None
        if not isinstance(data, _ARRAY):
            return xp.asarray(data, dtype=wanted, device=self.device(device))
        array = data if wanted is None else xp.astype(data, wanted, copy=False)
        return array if device is None else array.to_device(self.device(device))

    def device_name(self, array: Array) -> str:
        """``cpu``, ``device1`` or ``device2``."""
        return next(name for name in self.devices() if self.device(name) == array.device)

    def to_numpy(self, array: Array) -> np.ndarray:
        """Return the NumPy array inside."""
        return np.array(np.from_dlpack(array))

    def quiet(self) -> AbstractContextManager[Any]:
        """`numpy.errstate`: NumPy does the work."""
        return np.errstate(invalid="ignore", over="ignore", divide="ignore")

    def scatter_add(self, values: Array, index: Array, size: int) -> Array:
        """Through NumPy: the standard has no scatter."""
        places, weights = self.to_numpy(index), self.to_numpy(values)
        summed = np.stack([np.bincount(places, weights=w, minlength=size) for w in weights])
        return self.namespace.asarray(summed.astype(weights.dtype), device=values.device)
