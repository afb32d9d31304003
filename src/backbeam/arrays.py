"""The door of every array function: find the namespace of what was given, and the few shapes that recur.

backbeam's physics is written against the Python array API standard. A function takes arrays,
asks `namespace` once for the library that they belong to, and calls it ``xp`` from there on.
Nothing here or in the physics knows which library that is.

Shapes
------
``X``      coordinates ``(..., 6, n)``, a row a coordinate; leading axes are a batch
``q``      charges ``(..., n)``
parameter  the batch shape ``(...)``, or anything that broadcasts to it: usually a 0-d array
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from array_api_compat import array_namespace, is_numpy_array

Array = Any
"""An array of any library that meets the array API standard."""

COORDINATES = ("x", "px", "y", "py", "tau", "pt")
"""Names of the rows of a coordinate array, in order."""


def namespace(*arrays: Array) -> Any:
    """Return the array API namespace that the arrays share; plain Python numbers and None are passed over."""
    found = None
    for a in arrays:
        kind = type(a)
        if kind in _NO_ARRAYS:
            continue
        own = _NAMESPACES.get(kind)
        if own is None or (found is not None and own is not found):
            return _looked_for(arrays)
        found = own
    return _looked_for(arrays) if found is None else found


_NO_ARRAYS = (type(None), bool, int, float, complex)
_NAMESPACES: dict[type, Any] = {}
"""Namespace of each type of array that was met, where that hangs on the type alone: looking for it takes as long as a
sum of small arrays, five times as long as this, and 5 % of a gradient of 60 elements and 100 particles.
"""


def _looked_for(arrays: tuple[Array, ...]) -> Any:
    there = [a for a in arrays if type(a) not in _NO_ARRAYS]
    # NumPy speaks the standard itself: its layer in array_api_compat would add 0.1 s to every import.
    found = array_namespace(*there, use_compat=False if all(map(is_numpy_array, there)) else None)
    if not isinstance(found, ModuleType):
        return found  # of this array alone, as of a symbol of a trace
    for a in there:
        if hasattr(a, "dtype") and "float0" not in str(a.dtype):  # JAX's, for what has no gradient, are NumPy's
            _NAMESPACES[type(a)] = found
    return found


def broadcast(*arrays: Array) -> tuple[Array, ...]:
    """The arrays in the shape that they broadcast to; at once where they have one shape already, as most do."""
    shape = arrays[0].shape
    return arrays if all(a.shape == shape for a in arrays) else tuple(namespace(*arrays).broadcast_arrays(*arrays))


def rows(X: Array) -> tuple[Array, ...]:
    """Split ``(..., k, n)`` into its k rows ``(..., n)``."""
    return tuple(X[..., k, :] for k in range(X.shape[-2]))


def join(*parts: Array) -> Array:
    """Stack rows ``(..., n)`` into ``(..., k, n)``: the inverse of `rows`."""
    return namespace(*parts).stack(parts, axis=-2)


def per_particle(parameter: Array) -> Array:
    """Give a parameter of the batch shape ``(...)`` a trailing axis, so that it meets rows ``(..., n)``."""
    return parameter[..., None]


def over_particles(row: Array) -> Array:
    """Sum a row ``(..., n)`` over its particles: the transpose of `per_particle`."""
    return namespace(row).sum(row, axis=-1)


def sum_to_shape(cotangent: Array, shape: tuple[int, ...]) -> Array:
    """Sum a cotangent over the axes along which its primal, of the given shape, was broadcast."""
    if cotangent.shape == tuple(shape):
        return cotangent
    xp = namespace(cotangent)
    lead = cotangent.ndim - len(shape)
    axes = tuple(range(lead)) + tuple(
        lead + k for k, m in enumerate(shape) if m == 1 and cotangent.shape[lead + k] != 1
    )
    summed = xp.sum(cotangent, axis=axes, keepdims=True) if axes else cotangent
    return xp.reshape(summed, tuple(shape))
