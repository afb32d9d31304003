"""Tensors inside lines and beams."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from backbeam.beam import Beam
from backbeam.elements import Element
from backbeam.parameters import flatten, unflatten
from backbeam.trees import flatten_beam, flatten_line, unflatten_beam, unflatten_line


def mapped(tree: Any, function: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """A line or a beam with a function of every tensor in it; parameters of modules are theirs, and stay."""

    def each(leaf: Any) -> Any:
        if isinstance(leaf, Element):
            leaves, static = flatten(leaf)
            return unflatten(static, tuple(each(value) for value in leaves))
        if isinstance(leaf, list | tuple):
            return type(leaf)(each(value) for value in leaf)
        if isinstance(leaf, dict):
            return {name: each(value) for name, value in leaf.items()}
        return function(leaf) if isinstance(leaf, torch.Tensor) and not isinstance(leaf, nn.Parameter) else leaf

    flat, whole = (flatten_beam, unflatten_beam) if isinstance(tree, Beam) else (flatten_line, unflatten_line)
    leaves, static = flat(tree)
    return whole(static, tuple(each(leaf) for leaf in leaves))
