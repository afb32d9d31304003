"""A plan: a line compiled into steps, each of which can be taken forward and be taken back with a cotangent.

============= ==========================================================================================
``steps``     the state of a beam under way, and the kinds of steps
``compiler``  from a line to a plan
``merging``   neighbouring linear maps as one matrix
``running``   plans run forward and back
``stretches`` what lies between two kicks, block of particles by block
``calling``   one step, compiled where the library compiles
============= ==========================================================================================

A plan is a tuple of steps. A `Repeat` keeps the slices of an element together: under a trace it becomes a compiled
loop, whose size does not grow with their number.
"""

from __future__ import annotations

from backbeam.plan.calling import compiled, with_own_bars
from backbeam.plan.compiler import Slicing, compile_line, compile_pieces, count_kicks, longest_length, may_lose
from backbeam.plan.merging import merge_linear
from backbeam.plan.running import advance, as_run, replay, retreat, unroll
from backbeam.plan.steps import (
    ALIVE,
    LOST_BEFORE,
    Apply,
    Bars,
    Kick,
    Lose,
    Merged,
    Observe,
    Parameters,
    Plan,
    Repeat,
    Setting,
    State,
    Step,
)

__all__ = [
    "ALIVE",
    "LOST_BEFORE",
    "Apply",
    "Bars",
    "Kick",
    "Lose",
    "Merged",
    "Observe",
    "Parameters",
    "Plan",
    "Repeat",
    "Setting",
    "Slicing",
    "State",
    "Step",
    "advance",
    "as_run",
    "compile_line",
    "compile_pieces",
    "compiled",
    "count_kicks",
    "longest_length",
    "may_lose",
    "merge_linear",
    "replay",
    "retreat",
    "unroll",
    "with_own_bars",
]
