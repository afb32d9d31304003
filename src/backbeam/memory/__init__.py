"""How much memory a gradient takes: known before the run, and measured.

**The peak** of a gradient is the most bytes of arrays that it holds at once beyond what was there before it began: the
beam and the loaded libraries. It is

    kept + max over the kinds of steps of their working set

and each part is linear in the number of particles and of grid cells (arXiv 2605.27282 found this for a tape).

============== =========================================================================================================
``kept``       states that an adjoint keeps, counted by the code that cuts the plan for it
``features``   what memory is linear in: particles, cells, ...; and which kind a step is of
``table``      bytes for each of them, by library, device and data type: ``coefficients.json``, which
               ``python benchmarks/memory --calibrate`` measures
``model``      both put together: the peak of every adjoint, for a line and a beam
``forecast``   the model of a problem file, before its beam is drawn
``planner``    the fastest adjoint that fits
``amounts``    8GiB <-> bytes
``taping``     what a library records for `Tape`, counted by the library
``resident``   resident memory of this process
============== =========================================================================================================
"""

from __future__ import annotations

from backbeam.memory.model import Model, Needs
from backbeam.memory.planner import Choice, choose, is_taped, resolve

__all__ = ["Choice", "Model", "Needs", "choose", "is_taped", "resolve"]
