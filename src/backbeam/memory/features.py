"""What memory is linear in, and which kind a step of a plan is of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backbeam.plan import Apply, Kick, Lose, Merged, Observe

if TYPE_CHECKING:
    from backbeam_backends import Backend

Features = dict[str, float]
"""``fixed``: 1. ``particle``: number of particles; ``hand``: of those in the blocks that threads have in hand, where a
library parts them; ``whole``, and no ``particle``: of those that one such block holds. ``cell``: of nodes. ``face``: of
nodes that a grid one larger each way has more. ``share``: of nodes of the grids that threads fill besides. ``wave``:
particles times waves of both planes. ``substep``: particles times substeps of an integrator."""

KICKS_OF_ORDER = {2: 1, 4: 3, 6: 7}
CORRECTIONS_OF_ORDER = {2: 1, 4: 2, 6: 3}
"""Of a quadrupole."""


def kind(step: Any) -> str:
    """Name of the kind of a step: of the effect, of the map, of the observation."""
    if isinstance(step, Kick):
        return type(step.effect).__name__
    if isinstance(step, Apply):
        return type(step.map).__name__
    if isinstance(step, Observe):
        return type(step.observation).__name__
    if isinstance(step, Merged | Lose):
        return type(step).__name__
    raise TypeError(f"{step} has no kind")


def features(step: Any, n: int, batch: int, host: Backend | None = None) -> Features:
    """Sizes that a step's memory depends on, for ``batch`` beams of ``n`` particles.

    ``host`` is the adapter that does the work with threads of this machine's processor, if one does.
    """
    found: Features = {"fixed": 1.0, "particle": float(batch * n)}
    if host is not None:
        block = step.effect.block(batch) if isinstance(step, Kick) else None
        hand = float(batch * host.in_hand(n, block))
        found |= {"particle": 0.0, "whole": hand} if hand == batch * n else {"hand": hand}
    if isinstance(step, Kick):
        found |= step.effect.sizes(n, batch, host.deposit_grids(batch, n) if host is not None else 0)
    if isinstance(step, Apply):
        found["substep"] = float(batch * n * substeps(step.map))
    return found


def substeps(map: Any) -> int:
    """Number of kicks of an integrator; 1 for a map that is no integrator."""
    order = getattr(map, "order", None)
    by_order = CORRECTIONS_OF_ORDER if type(map).__name__ == "ThickQuadrupole" else KICKS_OF_ORDER
    return getattr(map, "steps", 1) * by_order.get(order, 1)


def weigh(coefficients: dict[str, float], sizes: Features) -> float:
    """Bytes: the sum over features. Where a single block was never measured, it counts as any particles."""
    known = {"whole": coefficients.get("particle", 0.0), **coefficients}
    return sum(coefficient * sizes.get(name, 0.0) for name, coefficient in known.items())
