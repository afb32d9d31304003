"""Beams of moments: `MomentBeam`, its linear space charge, its way through a line and back."""

from __future__ import annotations

from backbeam.moment_beam.beam import MomentBeam
from backbeam.moment_beam.linear_space_charge import LinearSpaceCharge

__all__ = ["LinearSpaceCharge", "MomentBeam"]
