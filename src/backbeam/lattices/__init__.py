"""Lattices of other codes: readers, the words that they share, and writers.

``expressions``  text to formulas: one grammar for all formats
``description``  what a reader returns
``mapping``      kinds to elements: one table for all formats
``sources``      files, with limits
``loading``      `load`, and how a reader is found
"""

from __future__ import annotations

from backbeam.lattices.description import Description, Item, LatticeError, Location, Note, Report, reference_particle
from backbeam.lattices.loading import Loaded, Reader, load
from backbeam.lattices.sources import Sources

__all__ = [
    "Description",
    "Item",
    "LatticeError",
    "Loaded",
    "Location",
    "Note",
    "Reader",
    "Report",
    "Sources",
    "load",
    "reference_particle",
]
