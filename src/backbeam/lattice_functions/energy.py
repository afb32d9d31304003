"""Momentum of the reference along a line: it changes in the maps that accelerate, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbeam.arrays import Array, namespace
from backbeam.reference import Reference

if TYPE_CHECKING:
    from backbeam.lattice_functions.passages import Passages
    from backbeam.species import Species


def references(passages: Passages, species: Species, vector: Array, start: Array, batch: tuple[int, ...]) -> Array:
    """P0/(m c) at the start and after every map ``(..., K + 1)``."""
    xp, K = namespace(start), len(passages.steps)
    start = xp.broadcast_to(start, batch)
    runs, last = [], 0
    for k in passages.accelerating:
        runs.append(_spread(start, k + 1 - last))
        start = _after(passages, species, vector, start, k)
        last = k + 1
    return xp.concat([*runs, _spread(start, K + 1 - last)], axis=-1)


def references_pullback(
    passages: Passages, species: Species, vector: Array, along: Array, bar: Array
) -> tuple[Array, dict[tuple[str, str], Array]]:
    """Cotangents of the momentum at the start and of the parameters, from those along the line ``(..., K + 1)``."""
    xp, last = namespace(bar), bar.shape[-1]
    total = xp.zeros_like(bar[..., 0])
    parameters: dict[tuple[str, str], Array] = {}
    for k in reversed(passages.accelerating):
        total = total + xp.sum(bar[..., k + 1 : last], axis=-1)
        step = passages.steps[k]
        reference = Reference(along[..., k], species)
        total, own = step.map.reference_pullback(reference, _own(passages, vector, k), total)
        for mine, field in step.names:
            if mine in own:
                key = (step.element, field)
                parameters[key] = parameters[key] + own[mine] if key in parameters else own[mine]
        last = k + 1
    return total + xp.sum(bar[..., :last], axis=-1), parameters


def _after(passages: Passages, species: Species, vector: Array, beta_gamma: Array, k: int) -> Array:
    """Momentum after map k."""
    reference = Reference(beta_gamma, species)
    return passages.steps[k].map.reference_after(reference, _own(passages, vector, k)).beta_gamma


def _own(passages: Passages, vector: Array, k: int) -> dict[str, Array]:
    """Parameters of map k, which are numbers."""
    step = passages.steps[k]
    return {mine: vector[..., passages.slots[step.element, field][0]] for mine, field in step.names}


def _spread(value: Array, count: int) -> Array:
    xp = namespace(value)
    return xp.broadcast_to(value[..., None], (*value.shape, count))
