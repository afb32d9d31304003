"""A table, or a solution, so many times as views of one: to pull several cotangents back at once, as a batch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from backbeam.arrays import Array, namespace
from backbeam.lattice_functions.linearisation import Linear
from backbeam.lattice_functions.orbit import Orbit
from backbeam.lattice_functions.solution import Beginning
from backbeam.lattice_functions.table import Optics

if TYPE_CHECKING:
    from backbeam.lattice_functions.solution import Solution

KNOWN = ("M", "A0", "v0", "growth", "A", "v", "w0", "w")
"""What a solution has found once it was asked, and need not find for each."""


def many(array: Array, count: int) -> Array:
    """So many views of an array, along an axis in front."""
    return namespace(array).broadcast_to(array, (count, *array.shape))


def spread_solution(solution: Solution, count: int) -> Solution:
    """The solution with an axis in front of its batch."""
    orbit, begun = solution.orbit, solution.beginning
    found = replace(
        solution,
        vector=many(solution.vector, count),
        beta_gamma=many(solution.beta_gamma, count),
        orbit=Orbit(
            many(orbit.z, count),
            Linear(many(orbit.linear.after, count), many(orbit.linear.R, count)),
            None if orbit.M is None else many(orbit.M, count),
        ),
        beginning=None if begun is None else Beginning(many(begun.A, count), many(begun.v, count)),
    )
    known = vars(solution)
    vars(found).update({name: many(known[name], count) for name in KNOWN if name in known})
    return found


def spread(optics: Optics, count: int) -> Optics:
    """The table with an axis in front of its batch."""
    found: Any = Optics(optics.source, spread_solution(optics.solution, count), optics.per, optics.rows)
    vars(found)["everywhere"] = {name: many(column, count) for name, column in optics.everywhere.items()}
    return found
