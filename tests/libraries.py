"""Which cases run on which library.

JAX compiles a program for each case, data type and batch shape, and takes seconds for each. Every map's pullback is
compared with JAX's own differentiation, and every element is tracked with JAX once; what else is asked of all libraries
is asked of JAX for one case in eight.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from backbeam import backends

LIBRARIES = ("numpy", "torch", "jax", "array_api_strict")
ONE_IN = 8


def few_on_jax(name: str, cases: Sequence[Any], label: Any = str) -> pytest.MarkDecorator:
    """Parametrize ``name`` and ``backend``: every case on every library, on JAX one in eight."""
    pairs = [
        pytest.param(case, backends.get(library), id=f"{label(case)}-{library}")
        for k, case in enumerate(cases)
        for library in LIBRARIES
        if library != "jax" or k % ONE_IN == 0
    ]
    return pytest.mark.parametrize((name, "backend"), pairs)
