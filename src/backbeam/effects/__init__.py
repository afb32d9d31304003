"""Effects: what acts on a beam besides its elements. One file a model; see `backbeam.effects.base` for the contract."""

from __future__ import annotations

from backbeam.effects.base import Bunch, Effect, EffectBars, Place
from backbeam.effects.csr import CSR, SteadyCSR
from backbeam.effects.space_charge import SpaceCharge, SpaceCharge2DPipe, SpaceCharge3D, SpaceCharge25D
from backbeam.effects.wake import ResistiveWallWake, ResonatorWake, TableWake, Wake

__all__ = [
    "CSR",
    "Bunch",
    "Effect",
    "EffectBars",
    "Place",
    "ResistiveWallWake",
    "ResonatorWake",
    "SpaceCharge",
    "SpaceCharge2DPipe",
    "SpaceCharge3D",
    "SpaceCharge25D",
    "SteadyCSR",
    "TableWake",
    "Wake",
]
