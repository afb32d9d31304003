"""Twenty fixed plans on JAX beside NumPy: the numbers in them are random, so that what is compiled serves again.

All have as many particles, so that a kind of element that stands in several plans is compiled once.
"""

from __future__ import annotations

import warnings
from random import Random

from gradients import judged, scenario

import backbeam as bb

SECONDS = 600.0
PLANS, EACH, PARTICLES = 20, 25, 32


def numbered(number: int, random: Random) -> str:
    """Case so many: the first 25 are of the first plan."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bb.errors.BackbeamWarning)
        plan = number // EACH % PLANS
        for trial in range(50):
            try:
                given = scenario(Random(f"plan {plan} {trial}"), random, PARTICLES)
                return judged(given, random, ("jax",))
            except bb.InputError:
                continue
    return "no such line"
