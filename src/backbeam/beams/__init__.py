"""Beams of other codes: files to macroparticles about a reference particle, and back.

`load` looks at what a file holds, not at its name. One file here is one format, with four names:

``NAME``        what it is called
``SUFFIXES``    of files that `save` writes so
``recognises``  (path, first bytes) to whether a file is one
``load``        (path, `Asked`) to a `Beam`
``save``        (beam, path), where it can be written

A package of its own adds one by an entry point of the group ``backbeam.beams`` that leads to a module, or any
object, with these names.
"""

from __future__ import annotations

from backbeam.beams.asked import Asked, BeamFileWarning
from backbeam.beams.formats import check_save, load, save
from backbeam.beams.particles import ParticleList

__all__ = ["Asked", "BeamFileWarning", "ParticleList", "check_save", "load", "save"]
