"""What memory is linear in, and which kind a step of a plan is of."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backbeam.plan import Step
    from backbeam_backends.meters import Meter

Features = dict[str, float]
"""``fixed``: 1. ``particle``: number of particles; ``hand``: of those in the blocks that threads have in hand, where a
library parts them; ``whole``, and no ``particle``: of those that one such block holds. ``cell``: of nodes. ``face``: of
nodes that a grid one larger each way has more. ``share``: of nodes of the grids that threads fill besides. ``wave``:
particles times waves of both planes. ``substep``: particles times substeps of an integrator."""


def features(step: Step, n: int, batch: int, host: Meter | None = None) -> Features:
    """Sizes that a step's memory depends on, for ``batch`` beams of ``n`` particles.

    ``host`` is the meter of an adapter that works with threads of this machine's processor, if one does.
    """
    found: Features = {"fixed": 1.0, "particle": float(batch * n)}
    if host is not None:
        hand = float(batch * host.in_hand(n, step.block(batch)))
        found |= {"particle": 0.0, "whole": hand} if hand == batch * n else {"hand": hand}
    return found | step.sizes(n, batch, host.deposit_grids(batch, n) if host is not None else 0)


def weigh(coefficients: dict[str, float], sizes: Features) -> float:
    """Bytes: the sum over features. Where a single block was never measured, it counts as any particles."""
    known = {"whole": coefficients.get("particle", 0.0), **coefficients}
    return sum(coefficient * sizes.get(name, 0.0) for name, coefficient in known.items())
