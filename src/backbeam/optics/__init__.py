"""Optics: orbit, lattice functions, tunes and what follows from them, of any line, with gradients.

``finding`` is the door; ``solution`` says in which order things are found, ``table`` is what a user holds.
"""

from __future__ import annotations

from backbeam.optics.finding import optics
from backbeam.optics.gradient import pullback, value_and_grad
from backbeam.optics.start import Twiss
from backbeam.optics.table import Optics

__all__ = ["Optics", "Twiss", "optics", "pullback", "value_and_grad"]
