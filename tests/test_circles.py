"""No package of ours imports, by whatever way, one that imports it: there is a ground floor, and floors above it."""

from __future__ import annotations

import ast
from pathlib import Path

import backbeam

CORE = Path(backbeam.__file__).parent


def runtime_imports(tree):
    """Modules of ours that are imported when the code runs: in functions too, but not for a type checker alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == "backbeam":
            if node.module == "backbeam":
                yield from (f"backbeam.{alias.name}" for alias in node.names)
            else:
                yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] == "backbeam")
        yield from runtime_imports(node)


def package_of(module):
    """The second word: maps of backbeam.maps.drift."""
    return [*module.split("."), ""][1]


def graph():
    """Package -> packages that it imports."""
    found = {}
    for source in CORE.rglob("*.py"):
        first = source.relative_to(CORE).parts[0].removesuffix(".py")
        if first in ("__init__", "__main__"):
            continue
        tree = ast.parse(source.read_text(encoding="utf-8"))
        found.setdefault(first, set()).update(
            name for name in map(package_of, runtime_imports(tree)) if name not in ("", first)
        )
    return found


def circles(edges):
    """Sets of packages that reach each other."""

    def reach(start):
        seen, todo = set(), [start]
        while todo:
            for other in edges.get(todo.pop(), ()):
                if other not in seen:
                    seen.add(other)
                    todo.append(other)
        return seen

    reached = {name: reach(name) for name in edges}
    return {frozenset({a, *(b for b in reached[a] if a in reached.get(b, ()))}) for a in edges if a in reached[a]}


DOORS = {
    ("beam", "beams"), ("beam", "moment_beam"), ("lattices", "problem"), ("line", "floor"),
    ("observables", "lattice_functions"),
}  # fmt: skip
"""(who, whom) it asks only when it is called: `Beam.load`, `Beam.matched`, our own format of a lattice, `Line.floor`,
`observables.optics`."""


def test_there_are_no_circles():
    edges = {name: {other for other in found if (name, other) not in DOORS} for name, found in graph().items()}
    assert circles(edges) == set()


def test_a_circle_would_be_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == {frozenset("abc")}
    assert len(graph()) > 20
