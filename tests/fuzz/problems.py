"""Problem files: plausible ones, with something wrong in most.

Accepted or refused in one line; what is accepted is written out and read again as the same, holds no number that is
none, and its run gives finite moments or is refused.
"""

from __future__ import annotations

import copy
import math
import sys
import warnings
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from campaign import Fault
from values import garbled, mutated

from backbeam.elements import Element
from backbeam.errors import BackbeamError, BackbeamWarning
from backbeam.problem import Problem, question
from backbeam.problem.text import write_tree

sys.path.insert(0, str(Path(__file__).parent.parent / "elements"))
from element_cases import CASES as ELEMENTS

KINDS = sorted(Element.kinds, key=len, reverse=True)

EFFECTS: tuple[dict[str, Any], ...] = (
    {"csr": {"nodes": 24}}, {"steady_csr": {"nodes": 24}},
    {"resonator_wake": {"R": 3e3, "Q": 2.0, "frequency": 4e11, "nodes": 24}},
    {"resonator_wake": {"R": 1e5, "Q": 0.8, "frequency": 4e11, "component": "dipole", "nodes": 24, "name": "w"}},
    {"resistive_wall_wake": {"radius": 0.01, "conductivity": 6e6, "nodes": 24}},
    {"table_wake": {"distance": [0.0, 1e-4, 3e-4], "wake": [1e15, 5e14, 0.0], "nodes": 24}},
    {"space_charge_3d": {"grid": [6, 6, 6]}},
)  # fmt: skip
SPACE_CHARGE: tuple[dict[str, Any] | None, ...] = (
    None, None, {"grid": [6, 7, 8]}, {"grid": [8, 8, 8], "extent": "beam", "order": 2},
    {"grid": [6, 6, 6], "at": "t"}, {"grid": [8, 8, 8], "extent": {"rms": {"sigmas": 8.0}}},
    {"model": "2.5d", "grid": [8, 8, 8]},
    {"model": "pipe", "width": 0.1, "height": 0.1, "length": 0.5, "modes": [4, 4], "grid_gradient": "frozen"},
)  # fmt: skip
MOST = {"particles": 200, "kicks": 60, "elements": 60, "nodes": 20_000}
"""More than this is not run: nothing in it is strange but its size."""


def element(random: Random, name: str | None = None) -> dict[str, Any]:
    """One of the elements of the tests."""
    label = random.choice(list(ELEMENTS))
    kind = next(k for k in KINDS if label.startswith(k))
    given = {k: v.tolist() if isinstance(v, np.ndarray) else _plain(v) for k, v in ELEMENTS[label].items()}
    if name is not None:
        given["name"] = name
    return {kind: given or None}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    return {k: _plain(v) for k, v in value.items()} if isinstance(value, dict) else value


def lattice(random: Random) -> Any:
    """A list of elements, or definitions and a line with repetitions."""
    if random.random() < 0.6:
        names = random.sample(["q", "qf", "b1", "BPM.1", None, None, None, "a:b", "e[2]"], random.randint(1, 5))
        return [element(random, name) for name in names]
    define: dict[str, Any] = {name: element(random) for name in ("qf", "d", "m")}
    define["cell"] = ["qf", "d", {"repeat": 2, "line": ["m"]}]
    line: list[Any] = random.choices(["cell", "qf", "d", element(random)], k=random.randint(1, 4))
    found: dict[str, Any] = {"define": define, "line": line}
    if random.random() < 0.2:
        found |= {"knobs": {"kq": 3.0}, "model": random.choice(["exact", "linear"]), "steps": 2}
    return found


def beam(random: Random) -> dict[str, Any]:
    """A beam of few particles."""
    found: dict[str, Any] = {
        "distribution": random.choice(["gaussian", "gaussian", "waterbag", "kv", "semigaussian", "uniform_ellipsoid"]),
        "species": random.choice(["electron", "proton"]), "n": random.randint(1, 40),
        "kinetic_energy": random.choice([2e6, 1e8, 1e9, "250 MeV"]),
        "charge": random.choice([0.0, 1e-12, 1e-9, "1 nC"]),
    }  # fmt: skip
    if found["distribution"] == "uniform_ellipsoid":
        return found | {"radius": 1e-3}
    found |= {"sigma_x": 1e-3, "sigma_y": 2e-3, "sigma_px": 1e-4, "sigma_py": 1e-4, "sigma_tau": 1e-3, "sigma_pt": 1e-3}
    return found


def tree(random: Random) -> dict[str, Any]:
    """A plausible problem."""
    found: dict[str, Any] = {"title": "fuzz", "beam": beam(random), "lattice": lattice(random)}
    found["space_charge"] = copy.deepcopy(random.choice(SPACE_CHARGE))
    if random.random() < 0.3:
        found["effects"] = copy.deepcopy(random.choices(EFFECTS, k=random.randint(1, 2)))
    if random.random() < 0.5:
        found["track"] = random.choice([{"slices": 1}, {"slices": 3}, {"step": 0.3}, {"on_turn": "lose"}])
    if random.random() < 0.3:
        found["gradient"] = {"objective": "sigma_x + 0.5 emittance_y", "wrt": ["*.k1", "beam.charge"]}
    if random.random() < 0.3:
        found["run"] = {"dtype": random.choice(["float64", "float32"])}
    return found


def case(random: Random) -> str:
    """One file, read and run."""
    given: Any = tree(random)
    for _ in range(random.choice([0, 1, 1, 1, 1, 2])):
        given = mutated(copy.deepcopy(given), random)  # no part of it twice
    text = write_tree(given)
    if random.random() < 0.15:
        text = garbled(text, random)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BackbeamWarning)
        return read_and_run(text, random.random() < 0.1)


def read_and_run(text: str, differentiate: bool) -> str:
    """What becomes of the text of a problem file."""
    try:
        problem = Problem.parse(text)
    except BackbeamError as error:
        return checked(error, "refused")
    again = Problem.parse(problem.dump())
    if repr(again.tree) != repr(problem.tree):
        raise Fault(f"another problem when written and read again: {again.tree}")
    for section in ("lattice", "space_charge", "effects", "track", "gradient"):
        for number in numbers_in(problem.tree.get(section)):
            if not math.isfinite(number):
                raise Fault(f"accepted {number} in {section}")
    if any(isinstance(n, int) and n > 200 for n in steps_in(problem.tree["lattice"])):
        return "accepted, too large to run"
    course = problem.course()
    if fine(problem.tree.get("track") or {}):
        return "accepted, too large to run"
    size = problem.tree["beam"].get("n", 0)
    size = size if isinstance(size, int | float) else 0
    grid = max(math.prod(grid) for grid in (*grids_in(problem.tree), (1,)))
    if size > MOST["particles"] or len(course.line) > MOST["elements"] or grid > MOST["nodes"]:
        return "accepted, too large to run"
    try:
        substeps = sum(getattr(getattr(step, "map", None), "substeps", 1) for step in course.plan)
    except BackbeamError as error:
        return checked(error, "accepted, refused when run")
    if course.kicks > MOST["kicks"] or sum(step.width for step in course.plan) + substeps > 2000:
        return "accepted, too large to run"
    try:
        run = problem.run()
    except BackbeamError as error:
        return checked(error, "accepted, refused when run")
    check_summary(run.summary())
    if differentiate:
        try:
            asked = question(problem, "sigma_x", ["beam.charge"])
            found = problem.differentiate(asked)
        except BackbeamError as error:
            return checked(error, "accepted, run, gradient refused")
        if not all(math.isfinite(v) for v in found.gradient.values()):
            raise Fault(f"a gradient that is no number: {found.gradient}")
        return "accepted, run, differentiated"
    return "accepted, run"


def checked(error: BackbeamError, verdict: str) -> str:
    """The verdict, if what the error says is one line."""
    said = str(error)
    if not said or "\n" in said or len(said) > 2000 or not said.isprintable():
        raise Fault(f"an error that is not one line: {said!r}"[:300])
    return verdict


def check_summary(found: dict[str, Any]) -> None:
    """Every moment is a number, and nobody came into being."""
    for when in ("initial", "final"):
        for name in ("mean", "sigma", "emittance", "normalized_emittance"):
            if None in found[when][name].values():
                raise Fault(f"accepted, and {name} of the {when} beam is {found[when][name]}")
    if not 0 <= found["lost"] <= found["particles"]:
        raise Fault(f"{found['lost']} of {found['particles']} lost")


def steps_in(value: Any) -> list[Any]:
    """All that is called steps in plain data."""
    if isinstance(value, dict):
        return [value.get("steps")] + [n for one in value.values() for n in steps_in(one)]
    return [n for one in value for n in steps_in(one)] if isinstance(value, list) else []


def grids_in(value: Any) -> list[Any]:
    """All that is called a grid in plain data."""
    if isinstance(value, dict):
        mine = [value["grid"]] if isinstance(value.get("grid"), list) else []
        return mine + [grid for one in value.values() for grid in grids_in(one)]
    return [grid for one in value for grid in grids_in(one)] if isinstance(value, list) else []


def fine(track: dict[str, Any]) -> bool:
    """Whether slices are so many that even to list them takes seconds."""
    slices, step = track.get("slices"), track.get("step")
    return (isinstance(slices, int | float) and slices > 1e4) or (isinstance(step, int | float) and step < 1e-4)


def numbers_in(value: Any) -> list[float]:
    """All floats in plain data."""
    if isinstance(value, float):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [number for one in inner for number in numbers_in(one)]
