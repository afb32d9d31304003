"""A beam under way, its cotangents, and what all steps of a run share.

The state is four arrays, so that a library that compiles or records sees nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from backbeam.arrays import Array
from backbeam.reference import Reference

if TYPE_CHECKING:
    from backbeam.species import Species

ALIVE, LOST_BEFORE = -1, -2
"""Values of ``lost_at`` under way: alive, or lost before this plan began. From 0 on: the step of the plan."""


class State(NamedTuple):
    """A beam under way. All arrays have the full batch shape ``(...)`` in front."""

    X: Array
    """Coordinates ``(..., 6, n)``."""
    q: Array
    """Charges ``(..., n)`` [C]."""
    beta_gamma: Array
    """P0/(m c) of the reference ``(...)``."""
    lost_at: Array
    """``(..., n)``: `ALIVE`, `LOST_BEFORE`, or the number of the step at which the particle was lost."""


class Bars(NamedTuple):
    """Cotangents of a state, and of every parameter of the line (full batch shape in front)."""

    X: Array
    q: Array
    beta_gamma: Array
    parameters: dict[str, dict[str, Array]]


Parameters = Mapping[str, Mapping[str, Array]]
"""Values of the line's parameters: element name -> parameter name -> array."""


class Values(dict[str, dict[str, Array]]):
    """`Parameters` that do not change, with what steps have made of them: it lives as long as they do."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.made: dict[Any, tuple[Array, tuple[int, ...], Any]] = {}


def made_once(P: Parameters, key: Any, state: State, make: Callable[[], Any]) -> Any:
    """What a step makes of parameters and of the reference of a state, kept with the parameters."""
    if not isinstance(P, Values):
        return make()
    batch, u = tuple(state.X.shape[:-2]), state.beta_gamma
    known = P.made.get(key)
    if known is None or known[1] != batch or not _same(known[0], u):
        P.made[key] = known = (u, batch, make())
    return known[2]


def _same(known: Array, u: Array) -> bool:
    """Whether it is the same array, or on the host the same number."""
    return known is u or (type(u) is type(known) and type(u).__module__ == "numpy" and not u.ndim and bool(known == u))


@dataclass(frozen=True)
class Setting:
    """What all steps of a run share and no gradient is asked of."""

    species: Species
    masked: bool = False
    """Whether any particle may be lost: then steps leave the lost ones where they are."""

    def reference(self, state: State) -> Reference:
        """Reference of a state."""
        return Reference(state.beta_gamma, self.species)

    def alive(self, state: State) -> Array:
        """Boolean ``(..., n)``."""
        return state.lost_at == ALIVE

    def keep(self, state: State) -> tuple[Array, ...]:
        """The part of a state that changes on the way: 48 B/particle in float64, and who is lost where any can be."""
        return (state.X, state.beta_gamma, state.lost_at) if self.masked else (state.X, state.beta_gamma)

    def restore(self, kept: tuple[Array, ...], like: State) -> State:
        """The state of which `keep` kept the changing part."""
        return State(kept[0], like.q, kept[1], kept[2] if len(kept) == 3 else like.lost_at)


def added(
    parameters: dict[str, dict[str, Array]], owner: str, bars: Mapping[str, Array]
) -> dict[str, dict[str, Array]]:
    """The running sums with cotangents of some parameters of one owner."""
    if not bars:
        return parameters
    mine = dict(parameters[owner])
    for name, bar in bars.items():
        mine[name] = mine[name] + bar
    return {**parameters, owner: mine}
