"""Objectives of which some leaves are of the beam, and some of the optics of the line.

The optics are found first, and are numbers to the beam's gradient; their own cotangents follow from the values of all
leaves, and go back through their tables. Both gradients are by the same names: the reference of the optics is the
beam's, so ``beam.kinetic_energy`` and ``beam.beta_gamma`` count for both.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
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


def with_known(objective: Any, known: Mapping[Any, Array]) -> Any:
    """An objective with leaves whose values are known; any other function as it is."""
    if not isinstance(objective, Objective):
        return objective
    return objective.over(lambda leaf: Fixed(leaf, known[leaf]) if leaf in known else leaf)


def differentiate_mixed(
    objective: Objective,
    course: Course,
    beam: Beam,
    wrt: Sequence[str],
    differentiate: Callable[[Objective, Sequence[str]], Gradient],
) -> Gradient:
    """Gradient of one of these; ``differentiate`` is that of an objective of the beam alone, by names of the beam."""
    from backbeam.lattice_functions.objectives import of_optics, tables_of

    names = Wanted.of(course.line, wrt).names
    leaves = of_optics(objective)
    of_line = line_names(names, course.line, course.effects)
    tables = tables_of(leaves, course.line, beam, list(of_line.values()))
    known = {leaf: leaf(tables[leaf.asked]) for leaf in leaves}
    mine = beam_names(names, course.line) or ["beam.beta_gamma"][: len(names)]
    found = differentiate(with_known(objective, known), mine)
    bars = optics_bars(objective, found.beam, known)
    (more,) = line_gradients(tables, [bars], names, course.line, course.effects)
    return found._replace(gradient=summed(names, found.gradient, more, beam))


def summed(
    names: Sequence[str], of_beam: Mapping[str, Array], of_line: Mapping[str, Array], beam: Beam
) -> dict[str, Array]:
    """Derivative by each name: of the beam's leaves, of those of the optics, or both; of neither, 0."""
    gradient = {}
    for name in names:
        parts = [of_beam[name]] if name in of_beam else []
        parts += [beam.as_mine(of_line[name])] if name in of_line else []
        gradient[name] = sum(parts[1:], parts[0]) if parts else beam.as_mine(0.0)
    return gradient


def line_gradients(
    tables: Tables,
    rows: Sequence[Mapping[Any, Array]],
    names: Sequence[str],
    line: Line,
    effects: Container[str] = (),
) -> list[dict[str, Array]]:
    """Derivatives from rows of cotangents of leaves of optics, by those of the names that these have a gradient for."""
    from backbeam.lattice_functions.objectives import pull_rows

    of_line = line_names(names, line, effects)
    found = pull_rows(tables, rows, list(of_line.values())) if of_line else [{} for _ in rows]
    return [{name: row[theirs] for name, theirs in of_line.items() if theirs in row} for row in found]


def optics_bars(objective: Objective, final: Beam, known: Mapping[Any, Array]) -> dict[OfOptics, Array]:
    """Cotangents of the leaves of optics, whose values are known, from the values of all."""
    from backbeam.lattice_functions.objectives import pulled

    values = {leaf: final.as_mine(known[leaf]) if leaf in known else leaf(final) for leaf in objective.leaves}
    return {leaf: bar for leaf, bar in pulled(objective, values)[1].items() if leaf in known}


def joined(rows: Sequence[tuple[Array, dict[str, Array]]]) -> tuple[Array, dict[str, Array]]:
    """Values and gradients of several objectives as values and a Jacobian."""
    xp = namespace(rows[0][0])
    found = {name: xp.stack([gradient[name] for _, gradient in rows], axis=0) for name in rows[0][1]}
    return xp.stack([value for value, _ in rows], axis=0), found


def beam_names(names: Sequence[str], line: Line) -> list[str]:
    """Names that a beam has a gradient for: all but those of the lattice functions at the start."""
    return [name for name in names if not name.startswith("start.") or "start" in line]


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
