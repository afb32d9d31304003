"""Nests of arrays: taken apart into leaves and a form that can be compared, and put together again.

Both are done for each call of a kernel, so they are quick: the form is one flat list, and what puts results together
is a function written for their form.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from backbeam_backends.fusing.symbols import Symbol

LEAF = 0
"""Mark of an array in a form. Others: (a tuple's or list's class, length), (dict, keys), (None, class, value)."""

Form = tuple[Any, ...]


def flatten(tree: Any, leaves: list[Any], form: list[Any]) -> None:
    """Add the arrays of a nest of tuples, lists, dicts and arrays to ``leaves``, and all else to ``form``."""
    kind = type(tree)
    if kind is np.ndarray or kind is Symbol or isinstance(tree, np.generic):
        leaves.append(tree)
        form.append(LEAF)
        return
    if kind is dict:
        form += (dict, tuple(tree))
        branches = tree.values()
    elif isinstance(tree, tuple | list):
        form += (kind, len(tree))
        branches = tree
    elif hasattr(kind, "__cuda_array_interface__"):
        leaves.append(tree)
        form.append(LEAF)
        return
    else:
        form += (None, kind, tree)
        return
    for branch in branches:
        if type(branch) is np.ndarray:
            leaves.append(branch)
            form.append(LEAF)
        else:
            flatten(branch, leaves, form)


def builder(form: Form) -> Callable[[list[Any]], Any]:
    """A function that makes the nest of a form from its leaves."""
    names: dict[str, Any] = {}
    marks, count = iter(form), iter(range(len(form)))

    def name(value: Any) -> str:
        names[f"c{len(names)}"] = value
        return f"c{len(names) - 1}"

    def written() -> str:
        mark = next(marks)
        if mark is None:
            next(marks)
            return name(next(marks))
        if mark == LEAF:
            return f"v[{next(count)}]"
        inside = next(marks)
        if mark is dict:
            return "{" + ", ".join(f"{name(key)}: {written()}" for key in inside) + "}"
        parts = [written() for _ in range(inside)]
        if hasattr(mark, "_fields"):
            return f"{name(mark)}({', '.join(parts)})"
        whole = f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"
        return whole if mark is tuple else f"{name(mark)}({whole})"

    return eval(f"lambda v: {written()}", names)
