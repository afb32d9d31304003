"""ImpactX's benchmark cases: a problem file each, and beside it what is expected of it and how closely."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from backbeam import Beam, track
from backbeam.problem import Problem
from backbeam.problem.text import read_tree

FOLDER = Path(__file__).parents[1] / "data" / "impactx"
EXPECTED = {
    path.name.partition(".")[0]: read_tree(path.read_text(), path.name)
    for path in sorted(FOLDER.glob("*.expected.yaml"))
}
"""What is expected, by the name of the problem file."""


def cases_with(key: str) -> list[str]:
    """Problems of which that is expected."""
    return [name for name, expected in EXPECTED.items() if expected.get(key)]


def problem_of(name: str) -> Problem:
    """The problem file of that name."""
    return Problem.load(FOLDER / f"{name}.yaml")


def beam_of(name: str) -> Beam:
    """The beam that the problem draws; for a case without particles, one without noise in its second moments."""
    beam = problem_of(name).beam()
    return without_noise(beam) if EXPECTED[name].get("matched") else beam


def without_noise(beam: Beam) -> Beam:
    """The same particles, moved a little: their variates have mean 0 and covariance 1 to rounding."""
    unit = beam.recipe.variates()
    unit = unit - unit.mean(axis=1, keepdims=True)
    size, axes = np.linalg.eigh(unit @ unit.T / beam.n)
    return _assembled(beam, (axes / np.sqrt(size)) @ axes.T @ unit)


def twelve_particles(beam: Beam, scale: float) -> Beam:
    """Twelve particles whose moments are those that the beam's recipe means, with all sizes times a scale."""
    unit = np.sqrt(6.0) * np.concatenate([np.eye(6), -np.eye(6)], axis=1)
    return _assembled(beam, scale * unit)


def _assembled(beam: Beam, unit: np.ndarray) -> Beam:
    recipe, reference = beam.recipe, beam.reference
    X = recipe.assemble(unit, recipe.parameters, reference.beta_gamma)
    charge = float(beam.charge)
    return Beam.from_arrays(X, species=beam.species, reference_momentum=reference.momentum, charge=charge)


def tracked(name: str, beam: Beam) -> Beam:
    """The beam at the end of the problem's line."""
    problem = problem_of(name)
    return track(problem.line(), beam, space_charge=problem.space_charge(), **problem.track_options())


def quantity(beam: Beam, name: str) -> float:
    """A moment by its name, such as sigma_tau, mean_px, emittance_z, beta_x, dispersion_x."""
    kind, _, what = name.partition("_")
    if kind in ("sigma", "mean", "emittance"):
        return float(getattr(beam, kind)(what))
    if kind == "dispersion":
        return float(beam.dispersion(what)[0])
    if what == "z":
        return float(getattr(beam.twiss("z"), kind))
    return float(getattr(without_dispersion(beam, what).twiss(what), kind))


def without_dispersion(beam: Beam, plane: str) -> Beam:
    """The beam less what its x and px, or y and py, owe to pt: of that are the Twiss parameters of ImpactX."""
    offset, slope = beam.dispersion(plane)
    off = beam.pt - beam.mean("pt")
    owed = np.zeros_like(beam.coordinates)
    first = {"x": 0, "y": 2}[plane]
    owed[first], owed[first + 1] = offset * off, slope * off
    return beam.replace(coordinates=beam.coordinates - owed)


def misses(beam: Beam, check: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """(found, expected) of whatever is further from what is expected than ``atol + rtol |expected|``."""
    found = {name: (quantity(beam, name), wanted) for name, wanted in check["values"].items()}
    rtol, atol = check["rtol"], check.get("atol", 0.0)
    return {name: (a, b) for name, (a, b) in found.items() if not abs(a - b) <= atol + rtol * abs(b)}
