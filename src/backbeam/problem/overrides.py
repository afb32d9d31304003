"""``--set path=value``: change any field of a problem's plain data.

A path names keys and, in brackets, places in lists: ``beam.n``, ``track.slices``, ``space_charge.grid``,
``lattice.line[2].repeat``; ``lattice.qf.k1`` is a parameter of the element of that name, wherever it stands, and
``lattice.knobs.kqf`` a knob. Both names may have dots: ``lattice.mq.a1.k1``.
A value is read as a problem file would be. null takes a key away. What the new data mean is checked when they
are read, as if a file had said so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from copy import deepcopy
from typing import Any

from backbeam.errors import InputError
from backbeam.problem.lattice import KEYS as LATTICE_KEYS
from backbeam.problem.lattice import read_lattice, with_knobs
from backbeam.problem.text import ProblemError, Tree, read_tree

_EXCLUDES = {
    ("track", "slices"): "step",
    ("track", "step"): "slices",
    ("beam", "kinetic_energy"): "reference_momentum",
    ("beam", "reference_momentum"): "kinetic_energy",
}
"""Setting one takes the other away."""
_TOKEN = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_PATH = re.compile(r"[^.\[\]]+(?:\[\d+\])*(?:\.[^.\[\]]+(?:\[\d+\])*)*")


def split_override(text: str, tree: Tree | None = None) -> tuple[str, Any]:
    """Return path and value of ``path=value``. The name of an element of the problem may have a ``=`` itself.

    Raises
    ------
    InputError
        If it has no ``=``.
    ProblemError
        If the value is not YAML.
    """
    path, equals, value = text.partition("=")
    if "=" in value and path.startswith("lattice."):
        cuts = (k for k, character in enumerate(text) if character == "=")
        at = next((k for k in cuts if _names_element(tree or {}, text[:k].strip())), len(path))
        path, value = text[:at], text[at + 1 :]
    if not equals or not path.strip():
        raise InputError("--set", text, "path=value, such as beam.n=1000000")
    try:
        return path.strip(), read_tree(value, "value")
    except ProblemError as error:
        raise ProblemError(f"--set {text}: {error}") from None


def override(tree: Tree, path: str, value: Any) -> Tree:
    """Return a copy of a problem's data with another value at a path.

    Raises
    ------
    InputError
        For a path that leads nowhere.
    """
    if path.startswith("lattice.") and (not _is_key(path) or _names_element(tree, path)):
        tree = deepcopy(tree)
        _set_in_lattice(tree, path, path.removeprefix("lattice."), value)
        return tree
    if not _PATH.fullmatch(path):
        raise InputError("--set", path, "a path such as beam.n, space_charge.grid or lattice.qf.k1")
    tokens: list[Any] = [name or int(index) for name, index in _TOKEN.findall(path)]
    tree = deepcopy(tree)
    if tokens[0] == "lattice" and isinstance((*tokens, 0)[1], str) and isinstance(tree.get("lattice"), list):
        tree["lattice"] = {"line": tree["lattice"]}
    _assign(tree, tokens, value, path)
    if tuple(tokens) in _EXCLUDES and value is not None:
        tree[tokens[0]].pop(_EXCLUDES[tuple(tokens)], None)
    return tree


def _is_key(path: str) -> bool:
    """Whether a path into the lattice goes on with a key of it, and not with the name of an element or a knob."""
    return re.split(r"[.\[]", path)[1] in {*LATTICE_KEYS, "file"} - {"knobs"}


def _names_element(tree: Tree, path: str) -> bool:
    """Whether a path is one of a parameter of an element: keys of the lattice may be names as well."""
    owner, dot, _ = path.removeprefix("lattice.").rpartition(".")
    if not dot:
        return False
    try:
        return owner in read_lattice(tree.get("lattice")).line
    except InputError:
        return False


def _set_in_lattice(tree: Tree, path: str, rest: str, value: Any) -> None:
    """Set a knob, or ``name.parameter`` where the element of that name stands."""
    if rest.startswith("knobs.") and not _names_element(tree, path):
        tree["lattice"] = with_knobs(tree.get("lattice"), {rest.removeprefix("knobs."): value})
        return
    owner, dot, field = rest.rpartition(".")
    if not dot:
        raise InputError(path, value, f"lattice.{rest}.parameter, such as lattice.{rest}.length")
    first, *places = [name or int(index) for name, index in _TOKEN.findall(field)]
    lattice = read_lattice(tree.get("lattice"))
    home = lattice.home(owner)
    (kind,) = home
    _assign(home, [kind, first, *places], value, path)


def _assign(node: Any, tokens: list[Any], value: Any, path: str) -> None:
    """Put a value at the end of a path; mappings on the way are made where there are none."""
    *way, last = tokens
    for token, following in zip(way, tokens[1:], strict=True):
        node = _step(node, token, path, make=isinstance(following, str))
    if isinstance(last, int):
        if not isinstance(node, list) or last >= len(node):
            raise InputError(path, value, _reach(node))
        node[last] = value
    elif not isinstance(node, MutableMapping):
        raise InputError(path, value, _reach(node))
    elif value is None:
        node.pop(last, None)
    else:
        node[last] = value


def _step(node: Any, token: str | int, path: str, make: bool) -> Any:
    if isinstance(token, int):
        if not isinstance(node, list) or token >= len(node):
            raise InputError("--set", path, _reach(node))
        return node[token]
    if not isinstance(node, MutableMapping):
        raise InputError("--set", path, _reach(node))
    if node.get(token) is None and make:
        node[token] = {}
    return node.get(token)


def _reach(node: Any) -> str:
    """What a path can go on with."""
    if isinstance(node, list):
        return f"[0] ... [{len(node) - 1}] at this place"
    if isinstance(node, Mapping):
        return f"one of {', '.join(map(str, node))} at this place"
    return "a path to something that there is"
