"""Lines and beams as trees of arrays, for libraries that transform functions of such trees (JAX's pytrees)."""

from __future__ import annotations

from typing import Any

from backbeam import registry
from backbeam.beam import Beam
from backbeam.elements.base import Element
from backbeam.knobs import Knobs
from backbeam.line import Line
from backbeam.reference import Reference


def flatten_line(line: Line) -> tuple[tuple[Any, ...], Any]:
    """Each distinct element once, and the values of knobs; how they are arranged, and the formulas of knobs.

    An element's parameters and the knobs that they follow are leaves both: a gradient is one of the parameters. Ask for
    that of a knob with `Line.replace` under the transformation.
    """
    distinct = list(line._named.values())
    place = {id(e): k for k, e in enumerate(distinct)}

    def arrange(item: Element | Line) -> Any:
        if isinstance(item, Element):
            return place[id(item)]
        return (item.name, tuple(arrange(i) for i in item.items))

    formulas = line.knobs.formulas
    values = {name: value for name, value in line.knobs.given.items() if name not in formulas}
    knobs = (tuple(line.knobs.given), tuple(formulas.items()))
    return (tuple(distinct), tuple(values.values())), (arrange(line), knobs)


def unflatten_line(static: Any, leaves: Any) -> Line:
    """Rebuild the nest; an element that was shared is shared again."""
    (arrangement, (names, formulas)), (elements, values) = static, leaves
    given = dict(formulas)
    own = iter(values)
    knobs = Knobs._of({name: given[name] if name in given else next(own) for name in names})

    def rebuild(item: Any) -> Any:
        if isinstance(item, int):
            return elements[item]
        name, items = item
        return Line._of([rebuild(i) for i in items], name, knobs)

    return rebuild(arrangement)


def flatten_beam(beam: Beam) -> tuple[tuple[Any, ...], Any]:
    """All arrays of a beam; the species. How it was drawn is left behind."""
    arrays = (beam.coordinates, beam.charges, beam.reference.beta_gamma, beam.lost_at, beam.s)
    return (*arrays, dict(beam.readings), beam.ledger), beam.reference.species


def unflatten_beam(species: Any, leaves: Any) -> Beam:
    """Rebuild without validation."""
    coordinates, charges, beta_gamma, lost_at, s, readings, ledger = leaves
    return Beam(coordinates, charges, Reference(beta_gamma, species), lost_at, s, None, readings, ledger)


registry.enter(registry.Tree(Line, flatten_line, unflatten_line))
registry.enter(registry.Tree(Beam, flatten_beam, unflatten_beam))
