"""Classes that are known because they are defined: nobody keeps a list of them.

A subclass of an element or an effect enters itself, wherever it is written, and the adapters of libraries that
transform functions of objects (JAX's pytrees) hear of it. This is the one place where defining a class changes what
others see.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Tree(NamedTuple):
    """A class that a library's transformations can take apart into arrays and put together again."""

    cls: type
    flatten: Callable[[Any], tuple[Any, Any]]
    """object -> (children, static)."""
    unflatten: Callable[[Any, Any], Any]
    """static, children -> object; it must not look at the children, which may be placeholders."""


_TREES: list[Tree] = []
_WATCHERS: list[Callable[[Tree], None]] = []


def enter(tree: Tree) -> None:
    """Make a class known to all who watch."""
    _TREES.append(tree)
    for watcher in _WATCHERS:
        watcher(tree)


def watch(watcher: Callable[[Tree], None]) -> None:
    """Tell of each class, those that are known and those to come."""
    _WATCHERS.append(watcher)
    for tree in tuple(_TREES):
        watcher(tree)
