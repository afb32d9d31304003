"""Central differences on a grid, of second or fourth order: the field from the potential, and the transpose.

Both are antisymmetric, so that two charges push each other equally, where the grid has ``order/2`` guard nodes at
either end, which no particle reads. There a difference is one-sided at order 2, for grids without guards, and 0 at
order 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbeam.arrays import namespace

if TYPE_CHECKING:
    from backbeam.arrays import Array

WEIGHTS = {2: (1.0 / 2.0,), 4: (2.0 / 3.0, -1.0 / 12.0)}
"""Of the difference of the neighbours 1, 2, ... nodes away, by order (Fornberg, Math. Comp. 51 (1988) 699)."""


def _cut(f: Array, axis: int, start: int, stop: int) -> Array:
    """Slice along an axis counted from the end (-1, -2, -3)."""
    return f[(..., slice(start, stop), *(slice(None),) * (-1 - axis))]


def difference(f: Array, axis: int, order: int) -> Array:
    """Derivative along an axis (-3, -2 or -1) per spacing."""
    n, reach = f.shape[axis], order // 2
    inner = 0.0
    for far, weight in enumerate(WEIGHTS[order], start=1):
        ahead, behind = (_cut(f, axis, reach + step, n - reach + step) for step in (far, -far))
        inner = inner + weight * (ahead - behind)
    if order == 4:
        return _within(inner, axis, reach)
    first, last = _cut(f, axis, 1, 2) - _cut(f, axis, 0, 1), _cut(f, axis, n - 1, n) - _cut(f, axis, n - 2, n - 1)
    return namespace(f).concat([first, inner, last], axis=axis)


def difference_transpose(g: Array, axis: int, order: int) -> Array:
    """Transpose of `difference`."""
    n, reach = g.shape[axis], order // 2
    # What a node gives goes to the nodes around it: the same differences with the other sign, over a wider grid.
    wider = _within(_within(_cut(g, axis, reach, n - reach), axis, reach), axis, reach)
    found = -_cut(difference(wider, axis, order), axis, reach, n + reach)
    if order == 4:
        return found
    first, last = _cut(g, axis, 0, 1), _cut(g, axis, n - 1, n)
    ends = namespace(g).concat([-first, first, namespace(g).zeros_like(_cut(g, axis, 4, n)), -last, last], axis=axis)
    return found + ends


def _within(f: Array, axis: int, reach: int) -> Array:
    """Append so many zeros at either end of an axis."""
    nothing = namespace(f).zeros_like(_cut(f, axis, 0, 1))
    return namespace(f).concat([nothing] * reach + [f] + [nothing] * reach, axis=axis)
