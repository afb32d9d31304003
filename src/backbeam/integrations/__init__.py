"""backbeam as a part of other people's frameworks: a file each, imported by who uses it and by nobody else.

=============== ========================================================= ===================
`gymnasium_env` an environment of Gymnasium, to learn to set a line      extra ``gymnasium``
`lume_model`    a `LUMEModel` of lume-base                                extra ``lume``
`xopt_machine`  an evaluator of Xopt and an environment of Badger         extra ``xopt``
=============== ========================================================= ===================

What they share is a `Machine`: settings by name in, readings by name out, whole batches at a time.
GPSR's lattice, which is a module of PyTorch, is `backbeam_torch.gpsr_lattice`.
"""

from __future__ import annotations

from backbeam.integrations.machine import Machine

__all__ = ["Machine"]
