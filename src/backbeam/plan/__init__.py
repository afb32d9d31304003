"""A plan: a line compiled into steps, each of which can be taken forward and be taken back with a cotangent.

============= ==========================================================================================
``state``     a beam under way, its cotangents, and what all steps share
``step``      the protocol of every step, and how it is called
``apply``     a map of an element
``kick``      a kick of an effect
``lose``      an opening
``observe``   a reading
``judge``     the value of an objective, read on the way
``repeat``    the slices of an element as a loop
``circulate`` the turns of a ring
``merged``    neighbouring linear maps as one matrix
``watched``   particles that turn round
``sites``     where the numbers of losses are on the line
``stretch``   what lies between two kicks, block of particles by block
``fan``       steps with several cotangents
``compiler``  from a line to a plan
``running``   plans run forward and back
============= ==========================================================================================

A plan is a tuple of steps. A `Repeat` keeps the slices of an element together: under a trace it becomes a compiled
loop, whose size does not grow with their number.
"""

from __future__ import annotations

from backbeam.plan.apply import Apply
from backbeam.plan.circulate import Circulate
from backbeam.plan.compiler import Look, Slicing, compile_line, compile_looks, compile_pieces, longest_length
from backbeam.plan.fan import Rows, fanned
from backbeam.plan.judge import Judge
from backbeam.plan.kick import Kick
from backbeam.plan.lose import Lose
from backbeam.plan.merged import Merged, merge_linear
from backbeam.plan.observe import Observe
from backbeam.plan.repeat import Repeat
from backbeam.plan.running import (
    Plan,
    advance,
    as_run,
    count_kicks,
    count_readings,
    may_lose,
    replay,
    retreat,
    stretches,
    unroll,
)
from backbeam.plan.state import ALIVE, LOST_BEFORE, Bars, Parameters, Setting, State, Values
from backbeam.plan.step import Step
from backbeam.plan.watched import BEYOND_MEASURE, TapedWatch, Watched, is_sound, watched

__all__ = [
    "ALIVE",
    "BEYOND_MEASURE",
    "LOST_BEFORE",
    "Apply",
    "Bars",
    "Circulate",
    "Judge",
    "Kick",
    "Look",
    "Lose",
    "Merged",
    "Observe",
    "Parameters",
    "Plan",
    "Repeat",
    "Rows",
    "Setting",
    "Slicing",
    "State",
    "Step",
    "TapedWatch",
    "Values",
    "Watched",
    "advance",
    "as_run",
    "compile_line",
    "compile_looks",
    "compile_pieces",
    "count_kicks",
    "count_readings",
    "fanned",
    "is_sound",
    "longest_length",
    "may_lose",
    "merge_linear",
    "replay",
    "retreat",
    "stretches",
    "unroll",
    "watched",
]
