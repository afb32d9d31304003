"""Random lines on NumPy and PyTorch: the gradients of all adjoints agree, and agree with differences, or are refused.

All elements, openings, energy changes, effects, both data types, batches of beams. Derivatives are compared next to
themselves and, for those that are small by cancellation, next to value over parameter.
"""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from campaign import Fault

import backbeam as bb
from backbeam import backends
from backbeam.effects import Effect, ResistiveWallWake, ResonatorWake, SteadyCSR, TableWake
from backbeam.elements import Element
from backbeam.gradient import differentiate
from backbeam.observables import emittance, mean, sigma

sys.path.insert(0, str(Path(__file__).parent.parent / "elements"))
from element_cases import CASES as ELEMENTS

KINDS = sorted(Element.kinds, key=len, reverse=True)
LABELS = sorted(ELEMENTS)
TABLE = tuple(np.linspace(0.0, 6e-3, 30))
EFFECTS: tuple[Any, ...] = (
    lambda: bb.SpaceCharge3D((6, 7, 8)), lambda: bb.SpaceCharge3D((8, 8, 8), "beam", order=2),
    lambda: bb.SpaceCharge3D((6, 6, 6), "beam", at="t"), lambda: bb.SpaceCharge25D((8, 8, 8)),
    lambda: bb.SpaceCharge3D((8, 8, 8), bb.RmsExtent(8.0)), lambda: bb.SpaceCharge2DPipe(0.2, 0.2, 0.5, (4, 5)),
    lambda: bb.CSR(nodes=24), lambda: SteadyCSR(nodes=24),
    lambda: ResonatorWake(R=3e3, Q=2.0, frequency=4e11, nodes=24),
    lambda: ResonatorWake(R=1e5, Q=0.8, frequency=4e11, component="dipole", nodes=24),
    lambda: ResistiveWallWake(radius=0.01, conductivity=6e6, nodes=24),
    lambda: TableWake(distance=TABLE, wake=tuple(1e13 * np.cos(900.0 * np.array(TABLE))), nodes=24),
)  # fmt: skip
OF_BEAM = ("beam.charge", "beam.kinetic_energy", "beam.sigma_x", "beam.sigma_pt", "beam.mean_y")
SIZES = {"sigma_x": 1e-3, "sigma_y": 8e-4, "sigma_px": 3e-4, "sigma_py": 2e-4, "sigma_tau": 1e-3, "sigma_pt": 2e-3}


@dataclass(frozen=True)
class Scenario:
    """What is differentiated."""

    line: bb.Line
    beam: bb.Beam
    objective: Any
    wrt: tuple[str, ...]
    options: dict[str, Any]

    def on(self, library: str) -> bb.Beam:
        """The beam there."""
        return self.beam.to(library)


def scenario(structure: Random, numbers: Random, particles: int | None = None) -> Scenario:
    """Elements, effects, data type and what is asked for by one random, numbers by the other."""
    elements: list[Any] = []
    for k in range(structure.randint(1, 6)):
        label = structure.choice(LABELS)
        kind = next(name for name in KINDS if label.startswith(name))
        fields = dict(ELEMENTS[label])
        for name in Element.kinds[kind].parameter_names():
            if isinstance(fields.get(name), float):
                fields[name] = (
                    fields[name] * numbers.uniform(0.6, 1.4) * (1.0 if name in POSITIVE else numbers.choice(SIGNS))
                )
        elements.append(Element.kinds[kind](**fields, name=f"e{k}"))
    elements.append(bb.Drift(0.4 * numbers.uniform(0.5, 1.5), name="end"))
    if structure.random() < 0.3:
        elements.append(structure.choice(elements))
    line = bb.Line(elements)
    effects: list[Effect] = [structure.choice(EFFECTS)() for _ in range(structure.choice([0, 1, 1, 2]))]
    options = {"effects": effects, "slices": structure.choice([1, 1, 2]) if effects else None}
    dtype = structure.choice(["float64", "float64", "float32"])
    beam = a_beam(structure, numbers, dtype, particles or structure.randint(20, 50))
    weights = [numbers.uniform(0.2, 1.0) for _ in range(4)]
    terms = structure.sample([sigma("x"), sigma("y"), sigma("tau"), sigma("pt"), mean("x"), emittance("x")], 4)
    objective = sum((w * t for w, t in zip(weights[1:], terms[1:], strict=True)), weights[0] * terms[0])
    known = [name for name, value in line.parameters.items() if np.shape(value) == ()]
    of_effects = [name for name, value in course(line, effects).parameters.items() if name not in line.parameters]
    of_effects = [name for name in of_effects if np.shape(course(line, effects).get(name)) == ()]
    of_beam = list(OF_BEAM) if beam.recipe is not None else ["beam.charge", "beam.kinetic_energy"]
    wrt = [
        structure.choice(known),
        *structure.sample([*known, *of_effects, *of_beam], min(3, len(known) + len(of_beam))),
    ]
    return Scenario(line, beam, objective, tuple(dict.fromkeys(wrt)), options)


TINY = 1e-300
"""Of a beam that is all lost every derivative is 0."""
POSITIVE = (
    "length",
    "half_x",
    "half_y",
    "frequency",
    "lrad",
    "kx",
    "ky",
    "kt",
    "hgap",
    "design_momentum",
    "angle",
    "aperture",
)
SIGNS = (1.0, 1.0, -1.0)


def course(line: bb.Line, effects: list[Effect]) -> Any:
    """The course that has their parameters."""
    from backbeam.course import Course

    return Course.of(line, effects=effects)


def a_beam(structure: Random, numbers: Random, dtype: str, particles: int) -> bb.Beam:
    """A Gaussian beam, or a batch of two."""
    given = {name: size * numbers.uniform(0.5, 1.5) for name, size in SIZES.items()} | {"mean_y": 1e-4}
    given |= {"species": structure.choice(["electron", "electron", "proton"]), "n": particles, "dtype": dtype}
    given["kinetic_energy"] = {"electron": 20e6, "proton": 3e8}[given["species"]] * numbers.uniform(0.5, 2.0)
    beam = bb.Beam.gaussian(charge=numbers.choice([1e-12, 1e-10, 1e-9]), seed=numbers.randrange(1000), **given)
    if structure.random() > 0.15:
        return beam
    both = np.stack([np.asarray(beam.coordinates), 0.8 * np.asarray(beam.coordinates)])
    energy = float(beam.kinetic_energy)
    return bb.Beam.from_arrays(both, species=given["species"], kinetic_energy=energy, charge=float(abs(beam.charge)))


# -- gradients ---------------------------------------------------------------------------------------------------------


def gradient(given: Scenario, library: str, adjoint: Any) -> tuple[np.ndarray, dict[str, np.ndarray], int] | str:
    """Value, derivatives in float64, number lost; or "refused"."""
    host = backends.get(library).to_numpy
    try:
        with np.errstate(all="ignore"):
            found = differentiate(
                given.objective, given.line, given.on(library), given.wrt, adjoint=adjoint, **given.options
            )
    except (bb.TrackingError, bb.InputError) as error:
        return str(error)
    slopes = {name: np.asarray(host(slope), dtype=np.float64) for name, slope in found.gradient.items()}
    for name, slope in slopes.items():
        if not np.isfinite(slope).all():
            raise Fault(f"{library}, {adjoint}: the derivative by {name} is {slope}")
    return np.asarray(host(found.value), dtype=np.float64), slopes, int(np.sum(host(found.beam.lost)))


def compare(given: Scenario, one: Any, other: Any, tolerance: float, what: str) -> None:
    """Raise for derivatives that differ by more, next to themselves and a tenth of it next to value over parameter."""
    if one[2] != other[2]:
        return  # at the edge of an opening rounding decides
    for name, slope in one[1].items():
        scale = natural(given, name, one[0])
        off = np.abs(other[1][name] - slope) / (np.abs(slope) + 0.1 * scale + TINY)
        if not (off <= tolerance).all():
            raise Fault(f"{what}: the derivative by {name} is {other[1][name]} for {slope}, scale {scale}")


def natural(given: Scenario, name: str, value: np.ndarray) -> np.ndarray:
    """Value over parameter: what a derivative is of the order of."""
    owner, _, field = name.rpartition(".")
    at = (
        given.beam.parameters().get(field)
        if owner == "beam"
        else course(given.line, given.options["effects"]).get(name)
    )
    return np.abs(value) / max(
        float(np.max(np.abs(np.asarray(at)))) if at is not None else 0.0, 1e-3 * UNITS.get(field, 1.0)
    )


UNITS = {
    "charge": 1e-12,
    "kinetic_energy": 1e9,
    "sigma_x": 1e-3,
    "sigma_pt": 1e-3,
    "mean_y": 1e-3,
    "dx": 1e-1,
    "dy": 1e-1,
}


def case(random: Random) -> str:
    """One line, by every adjoint."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bb.errors.BackbeamWarning)
        try:
            given = scenario(random, random)
        except bb.InputError:
            return "no such line"
        return judged(given, random, ("torch",))


def judged(given: Scenario, random: Random, others: tuple[str, ...]) -> str:
    """All gradients beside that of NumPy with `Store`."""
    single = given.beam.dtype == "float32"
    exact, loose = (3e-2, 5e-2) if single else (1e-7, 1e-3)
    best = gradient(given, "numpy", bb.Store())
    refused = isinstance(best, str)
    slots = bb.Checkpoint(random.randint(1, 3))
    ways = [("numpy", bb.Reversible(), loose), ("numpy", slots, exact)]
    for library in others:
        mine = random.choice([bb.Store(), bb.Reversible(), slots]) if library == "torch" else bb.Reversible()
        ways += [(library, mine, loose if isinstance(mine, bb.Reversible) else exact), (library, bb.Tape(), exact)]
    reversible_refused = False
    for library, adjoint, tolerance in ways:
        found = gradient(given, library, adjoint)
        if isinstance(found, str):
            if not refused and not (isinstance(adjoint, bb.Reversible) and "is refused" in found):
                raise Fault(f"{library}, {adjoint} refuses what NumPy's Store does not: {found}")
            reversible_refused = not refused
        elif refused:
            raise Fault(f"{library}, {adjoint} does not refuse what NumPy's Store does: {best}")
        else:
            compare(given, best, found, tolerance, f"{library}, {adjoint}")
    if refused:
        return "refused by all"
    verdict = "agree, reversible refused" if reversible_refused else "agree"
    if single:
        return f"{verdict}, float32"
    return f"{verdict}, {differences(given, best, random)}"


def differences(given: Scenario, best: Any, random: Random) -> str:
    """One derivative beside central differences of several steps, of which the closest counts."""
    name = random.choice(given.wrt)
    scale, closest = natural(given, name, best[0]), np.inf
    for step in (1e-5, 1e-6, 1e-4, 1e-7):
        moved = []
        for sign in (1.0, -1.0):
            found = value_at(given, name, sign * step)
            if found is None or found[1] != best[2]:
                return "no differences at an edge"
            moved.append(found)
        slope = (moved[0][0] - moved[1][0]) / (moved[0][2] - moved[1][2])
        off = np.abs(slope - best[1][name]) / (np.abs(best[1][name]) + 1e-2 * scale + TINY)
        closest = min(closest, float(np.max(off)))
        if closest < 1e-3:
            return "as differences"
    raise Fault(f"the derivative by {name} is {best[1][name]}, off its differences by {closest:.1e}, scale {scale}")


def value_at(given: Scenario, name: str, relative: float) -> tuple[np.ndarray, int, float] | None:
    """Value and number lost with a parameter a little off, and the parameter; None where there is none."""
    owner, _, field = name.rpartition(".")
    line, beam, effects = given.line, given.beam, given.options["effects"]
    if owner == "beam":
        if beam.recipe is None and field == "kinetic_energy":
            return None  # momenta are in units of the reference's
        at = float(np.asarray(beam.parameters()[field]).flat[0])
        at += relative * max(abs(at), UNITS[field])
        beam = beam.with_parameters(**{field: at}) if beam.recipe is not None else with_charge(beam, at)
    else:
        whole = course(line, effects)
        at = float(whole.get(name))
        at += relative * max(abs(at), 1e-3)
        changed = whole.replace({name: at})
        line, effects = changed.line, list(changed.effects.values())
    try:
        with np.errstate(all="ignore"):
            out = bb.track(line, beam, **{**given.options, "effects": effects})
    except bb.errors.BackbeamError:
        return None
    return np.asarray(given.objective(out)), int(np.sum(out.lost)), at


def with_charge(beam: bb.Beam, charge: float) -> bb.Beam:
    """The beam with another total charge."""
    return beam.replace(charges=beam.charges * (charge / float(abs(np.asarray(beam.charge)).flat[0])))
