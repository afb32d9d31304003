"""Optics: orbit, lattice functions, tunes and what follows from them, of any line, with gradients.

``finding`` is the door; ``solution`` says in which order things are found, ``table`` is what a user holds.
"""

from __future__ import annotations

from backbeam.lattice_functions.finding import optics
from backbeam.lattice_functions.gradient import pullback, value_and_grad
from backbeam.lattice_functions.start import Twiss
from backbeam.lattice_functions.table import Optics

__all__ = ["Optics", "Twiss", "optics", "pullback", "value_and_grad"]
