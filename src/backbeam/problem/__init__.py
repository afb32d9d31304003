"""Problem files: YAML that says a beam, a lattice, space charge and how to track.

::

    title: FODO cell
    beam: {distribution: waterbag, species: electron, n: 10000, kinetic_energy: 2e9, charge: 1e-9, ...}
    lattice:                      # see `backbeam.problem.lattice`
      - drift: {length: 0.25}
      - quadrupole: {length: 1.0, k1: 1.0, name: qf}
    space_charge: {model: 3d, grid: [32, 32, 32], extent: beam}    # or null
    track: {slices: 4}            # or {step: 0.05}, a length in m
    gradient: {objective: sigma_x, wrt: [qf.k1], adjoint: reversible}
    optimize: {targets: [sigma_x = 1e-3], vary: {qf.k1: [0, 5]}}    # see `backbeam.problem.optimizing`
    run: {backend: numpy, dtype: float64}

All numbers are in SI units, energies in eV, angles in rad. `Problem.load` reads a file or a shipped example.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbeam.late import late
from backbeam.problem.examples import example_names
from backbeam.problem.outcome import Outcome, moments_of
from backbeam.problem.problem import Problem
from backbeam.problem.text import ProblemError

if TYPE_CHECKING:
    from backbeam.problem.differentiation import Derivative, Question, question
    from backbeam.problem.optimizing import Optimization, best_problem, optimization

__all__ = [
    "Derivative",
    "Optimization",
    "Outcome",
    "Problem",
    "ProblemError",
    "Question",
    "best_problem",
    "example_names",
    "moments_of",
    "optimization",
    "question",
]

_LATE = {
    "backbeam.problem.differentiation": ("Derivative", "Question", "question"),
    "backbeam.problem.optimizing": ("Optimization", "best_problem", "optimization"),
}
"""Modules that are imported when one of these is first asked for: a run asks for none."""

__getattr__ = late(__name__, _LATE)
