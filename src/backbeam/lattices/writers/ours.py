"""Our own files: the section ``lattice`` of a problem, in YAML or JSON."""

from __future__ import annotations

import json

from backbeam.line import Line
from backbeam.problem.text import Tree, write_tree
from backbeam.problem.written import lattice_tree
from backbeam.reference import Reference


def _tree(line: Line, reference: Reference | None) -> Tree:
    return {**({"title": line.name} if line.name else {}), "lattice": lattice_tree(line, reference)}


def to_yaml(line: Line, reference: Reference | None = None) -> str:
    """A problem file without a beam."""
    return write_tree(_tree(line, reference))


def to_json(line: Line, reference: Reference | None = None) -> str:
    """The same as JSON, which is YAML too."""
    return json.dumps(_tree(line, reference), indent=1, allow_nan=False) + "\n"
