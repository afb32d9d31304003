"""Nested tuples, lists and dicts of arrays, numbers, text and None, as text and arrays by name; and back again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


def taken_apart(value: Any, to_numpy: Callable[[Any], np.ndarray]) -> tuple[Any, dict[str, np.ndarray]]:
    """Plain data with names in the place of arrays, and the arrays by these names. Tuples become lists."""
    arrays: dict[str, np.ndarray] = {}

    def plain(one: Any) -> Any:
        if isinstance(one, Mapping):
            return {"dict": {name: plain(inner) for name, inner in one.items()}}
        if isinstance(one, tuple | list):
            return [plain(inner) for inner in one]
        if one is None or type(one) in (bool, int, float, str):  # a NumPy scalar is a float, too
            return one
        name = f"array_{len(arrays)}"
        arrays[name] = to_numpy(one)
        return {"array": name}

    return plain(value), arrays


def put_together(plain: Any, arrays: Mapping[str, np.ndarray], made: Callable[[np.ndarray], Any]) -> Any:
    """What `taken_apart` took apart, with each array as it is made of NumPy's."""
    if isinstance(plain, list):
        return [put_together(inner, arrays, made) for inner in plain]
    if not isinstance(plain, dict):
        return plain
    if "array" in plain:
        return made(arrays[plain["array"]])
    return {name: put_together(inner, arrays, made) for name, inner in plain["dict"].items()}
