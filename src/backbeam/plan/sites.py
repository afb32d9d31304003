"""Where the numbers of a plan's places of loss are: the element, its passage, and how far along the line.

The tests of openings are numbered in the order in which they were compiled; behind them, each step that is watched
has the number of its place in the plan, each map by itself and without loops.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from backbeam import backends
from backbeam.losses import REASONS, Sites
from backbeam.plan.compiler import Compiler, Slicing

if TYPE_CHECKING:
    from backbeam.effects.base import Effect
    from backbeam.line import Line


def compile_sites(line: Line, slicing: Slicing, effects: Mapping[str, Effect]) -> Sites:
    """The sites of the plan of a line in which effects act."""
    compiler = Compiler(line, slicing, effects)
    names, index = line.names, {name: k for k, name in enumerate(line.names)}
    met: Counter[str] = Counter()
    begin: Any = 0.0
    lost: dict[int, tuple[int, int, int, Any]] = {}
    turned: list[tuple[int, int, int, Any]] = []
    for place, (name, element) in enumerate(zip(compiler.names, compiler.elements, strict=True)):
        met[name] += 1
        length = element.length if element.is_thick else 0.0
        for fraction, step in compiler.placed(place):
            s = begin + float(fraction) * length if fraction else begin
            for number, (_, reason) in step.losing.items():
                lost[number] = index[name], REASONS.index(reason), met[name], s
            turned.append((index[name], REASONS.index("turned round"), met[name], s))
        begin = begin + length
    sites = [lost[number] for number in range(len(lost))] + turned
    which, why, nth = np.asarray([site[:3] for site in sites], dtype=np.int32).reshape(-1, 3).T
    return Sites(names, which, why, nth, _along([site[3] for site in sites]))


def _along(s: list[Any]) -> Any:
    """Ways as an array ``(S,)``, or with a batch in front; NumPy's, unless one of them is traced."""
    arrays = [a for a in s if hasattr(a, "shape")]
    backend = backends.of(arrays[0]) if arrays else None
    if backend is not None and backend.traced(arrays):
        xp = backend.namespace
        found = [backend.constant(xp.asarray(a)) for a in s]
        return xp.stack(xp.broadcast_arrays(*found), axis=-1)
    numbers = [backend.to_numpy(a) if backend is not None and hasattr(a, "shape") else a for a in s]
    return np.stack(np.broadcast_arrays(*numbers), axis=-1) if numbers else np.zeros(0)
