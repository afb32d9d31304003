"""Objectives of which some leaves are of the beam, and some of the optics of the line.

The optics are found first, and are numbers to the beam's gradient; their own cotangents follow from the values of all
leaves, and go back through their tables. Both gradients are by the same names: the reference of the optics is the
beam's, so ``beam.kinetic_energy`` and ``beam.beta_gamma`` count for both.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backbeam.arrays import Array, namespace
from backbeam.beam import Beam, BeamCotangent
from backbeam.errors import InputError
from backbeam.knob_gradient import Wanted
from backbeam.observables.base import Objective
from backbeam.paths import is_of_beam

if TYPE_CHECKING:
    from backbeam.course import Course
    from backbeam.gradient import Gradient
    from backbeam.lattice_functions.objectives import OfOptics, Tables
    from backbeam.line import Line

OF_BOTH = ("kinetic_energy", "beta_gamma")
"""What of a beam is the reference's."""


@dataclass(frozen=True, eq=False)
class Fixed(Objective):
    """A leaf whose value is known, whatever the beam."""

    leaf: Objective
    known: Array

    @property
    def name(self) -> str:
        """That of the leaf."""
        return self.leaf.name

    def __call__(self, beam: Beam) -> Array:
        """The value, of the beam's batch shape."""
        xp = namespace(beam.coordinates)
        value = beam.as_mine(self.known)
        return xp.broadcast_to(value, beam.coordinates.shape[:-2]) if value.ndim < beam.coordinates.ndim - 2 else value

    def pullback(self, beam: Beam, bar: Array) -> BeamCotangent:
        """Nothing."""
        xp = namespace(beam.coordinates)
        return BeamCotangent(xp.zeros_like(beam.coordinates), xp.zeros_like(beam.charges), xp.zeros_like(bar))


def is_mixed(objective: Any) -> bool:
    """Whether a leaf is of the optics."""
    from backbeam.lattice_functions.objectives import of_optics

    return bool(of_optics(objective))


def differentiate_mixed(
    objective: Objective, course: Course, beam: Beam, wrt: Sequence[str], **options: Any
) -> Gradient:
    """`backbeam.gradient.differentiate_course` for these."""
    from backbeam.gradient import differentiate_course
    from backbeam.lattice_functions.objectives import of_optics, tables_of

    names = Wanted.of(course.line, wrt).names
    leaves = of_optics(objective)
    of_line = line_names(names, course.line, course.effects)
    tables = tables_of(leaves, course.line, beam, list(of_line.values()))
    values: dict[Objective, Array] = {leaf: leaf(tables[leaf.asked]) for leaf in leaves}
    of_beam = [name for name in names if not name.startswith("start.") or "start" in course.line]
    fixed = objective.over(lambda leaf: Fixed(leaf, values[leaf]) if leaf in values else leaf)
    found = differentiate_course(fixed, course, beam, of_beam or ["beam.beta_gamma"], **options)
    bars = optics_bars(objective, found.beam, values)
    gradient = {name: found.gradient[name] for name in of_beam}
    for name, part in line_gradient(tables, bars, names, course.line, course.effects).items():
        part = beam.as_mine(part)
        gradient[name] = gradient[name] + part if name in gradient else part
    return found._replace(gradient={name: gradient[name] for name in names})


def line_gradient(
    tables: Tables, bars: Mapping[Any, Array], names: Sequence[str], line: Line, effects: Container[str] = ()
) -> dict[str, Array]:
    """Derivatives from cotangents of leaves of optics, by those of the names that these have a gradient for."""
    from backbeam.lattice_functions.objectives import pull_tables

    of_line = line_names(names, line, effects)
    found = pull_tables(tables, bars, list(of_line.values())) if of_line else {}
    return {name: found[theirs] for name, theirs in of_line.items() if theirs in found}


def optics_bars(objective: Objective, final: Beam, values: Mapping[Objective, Array]) -> dict[OfOptics, Array]:
    """Cotangents of the leaves of optics, from the values of all."""
    known = {leaf: final.as_mine(values[leaf]) if leaf in values else leaf(final) for leaf in objective.leaves}
    bars: dict[Any, Array] = {}
    value = objective.from_leaves(known)
    objective.to_leaves(known, namespace(value).ones_like(value), bars)
    return {leaf: bar for leaf, bar in bars.items() if leaf in values}


def line_names(names: Sequence[str], line: Line, effects: Container[str] = ()) -> dict[str, str]:
    """Names that the optics have a gradient for, and what they call them.

    Raises
    ------
    InputError
        For the reference's own, which are the beam's here.
    """
    found = {}
    for name in names:
        owner, _, field = name.rpartition(".")
        if is_of_beam(name, line):
            if field in OF_BOTH:
                found[name] = f"reference.{field}"
        elif owner == "reference" and owner not in line:
            raise InputError("wrt", name, f"beam.{field}, the beam's reference being that of the optics")
        elif owner not in effects:
            found[name] = name
    return found
