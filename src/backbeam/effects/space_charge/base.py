"""What models of space charge have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from backbeam.effects.base import Effect

BLOCK = 25_600
"""Particles of a block. Little is done to each of them in a pass, so that blocks are large."""
LEAST_BLOCK = 256
"""Of however large a batch."""


@dataclass(frozen=True, kw_only=True)
class SpaceCharge(Effect):
    """A kick of the beam by its own field over a length, ``p["length"]`` [m]. Its kind is ``space_charge_<model>``."""

    numbers: ClassVar[float | None] = None

    @classmethod
    def model(cls) -> str:
        """What ``space_charge: {model: ...}`` of problem files calls it."""
        return cls.kind.removeprefix("space_charge_")

    def block(self, batch: int) -> int | None:
        """Particles of a block."""
        return max(LEAST_BLOCK, BLOCK // batch)
