"""Effects: what acts on a beam besides its elements. One file a model; see `backbeam.effects.base` for the contract."""

from __future__ import annotations

from backbeam.effects.base import Bunch, Effect, EffectBars, Place
from backbeam.effects.space_charge import SpaceCharge, SpaceCharge2DPipe, SpaceCharge3D

__all__ = ["Bunch", "Effect", "EffectBars", "Place", "SpaceCharge", "SpaceCharge2DPipe", "SpaceCharge3D"]
