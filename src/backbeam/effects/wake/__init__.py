"""Wakes: what a beam leaves in its surroundings acts on what comes behind. One file for each way to know one.

=================== =================================================================
``base``            what they share: components, signs, units
``resonator``       a mode of given shunt impedance, quality and frequency
``resistive_wall``  a thick, round wall of given conductivity
``table``           a wake function computed elsewhere
=================== =================================================================
"""

from __future__ import annotations

from backbeam.effects.wake.base import COMPONENTS, Wake
from backbeam.effects.wake.resistive_wall import ResistiveWallWake
from backbeam.effects.wake.resonator import ResonatorWake
from backbeam.effects.wake.table import TableWake

__all__ = ["COMPONENTS", "ResistiveWallWake", "ResonatorWake", "TableWake", "Wake"]
