"""Values that are plausible, and values that nobody expects."""

from __future__ import annotations

import copy
from random import Random
from typing import Any

NASTY: tuple[Any, ...] = (
    None, True, False, 0, -0.0, 1, -1, 2, 0.5, 1e-300, 1e300, -1e300, 1e-9, float("nan"), float("inf"),
    -float("inf"), 10**9, 10**20, 10**400, -(10**9), 2**31, 2**63, "", " ", "x", "nan", "1e3", "1 mm", "5 GeV",
    "-3 kicks", "0x10", "12:30", "on", "yes", "null", "../../etc/passwd", "/dev/zero", "a" * 300, "q.k1", "qf.k1",
    "beam.n", "*", "[", "[1", "{}", "ä", "μm", "\u202e", [], [[]], {}, {"a": 1}, [1], [1, 2], [1, 2, 3], [0, 0, 0],
    [float("nan")], [1e9, 1e9, 1e9], ["x"], [None], [[1, 2], [3]], {"k1": 1}, {"fixed": {}}, [[[[[[]]]]]],
    "electron", "proton", "gaussian", "exact", "linear", "auto", "__class__", "__import__('os')", "%s", "{0}",
    "!!python/object", "&a", "${HOME}", "~",
)  # fmt: skip


def nasty(random: Random) -> Any:
    """One of them."""
    return copy.deepcopy(random.choice(NASTY))


def paths(tree: Any, path: tuple = ()) -> list[tuple]:
    """Every place in nested dicts and lists, from the root on."""
    found = [path]
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in pairs:
        found += paths(value, (*path, key))
    return found


def at(tree: Any, path: tuple) -> Any:
    """What is there."""
    for key in path:
        tree = tree[key]
    return tree


def put(tree: Any, path: tuple, value: Any) -> Any:
    """The tree with something else there."""
    if not path:
        return value
    at(tree, path[:-1])[path[-1]] = value
    return tree


def mutated(tree: Any, random: Random) -> Any:
    """The tree with one thing in it changed: another value, another place, another name, more or less of it."""
    places = paths(tree)[1:]
    if not places:
        return tree
    numbers = [p for p in places if isinstance(at(tree, p), int | float)]
    path = random.choice(numbers if numbers and random.random() < 0.4 else places)
    value, parent = at(tree, path), at(tree, path[:-1])
    kind = random.randrange(9)
    if kind == 0 and isinstance(parent, dict):
        parent[random.choice([f"{path[-1]}s", str(path[-1])[::-1], str(path[-1])[1:], "length", "name", "k9", ""])] = (
            parent.pop(path[-1])
        )
    elif kind == 1:
        del parent[path[-1]]
    elif kind == 2:
        put(tree, path, copy.deepcopy(at(tree, random.choice(places))))
    elif kind == 3 and isinstance(parent, list):
        parent.insert(path[-1], copy.deepcopy(value))
    elif kind in (4, 5) and isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300:
        factor = random.choice([-1.0, 0.0, 10.0, 1e3, 1e6, 1e-3, 1e-9, 0.5])
        put(tree, path, int(value * factor) if isinstance(value, int) and factor >= 1 else value * factor)
    elif kind == 6:
        put(tree, path, [value])
    elif kind == 7 and isinstance(value, str):
        put(tree, path, garbled(value, random))
    else:
        put(tree, path, nasty(random))
    return tree


def garbled(text: str, random: Random) -> str:
    """The text with some characters lost, doubled, swapped or strange."""
    letters = list(text)
    for _ in range(random.randint(1, 3)):
        k = random.randrange(len(letters) + 1)
        kind = random.randrange(4)
        if kind == 0 and letters:
            del letters[min(k, len(letters) - 1)]
        elif kind == 1:
            letters.insert(k, random.choice(list(":-[]{},#&*!|>'\"%@`\n\t \x00\u2028\udc80é0e+~\\")))
        elif kind == 2 and letters:
            letters.insert(k, letters[min(k, len(letters) - 1)])
        elif len(letters) > 1:
            j = random.randrange(len(letters) - 1)
            letters[j], letters[j + 1] = letters[j + 1], letters[j]
    return "".join(letters)
