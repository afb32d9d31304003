"""From a line to a plan: which steps, in which order, with the kicks of space charge between half maps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backbeam import backends
from backbeam.elements.aperture import Aperture, Opening
from backbeam.elements.base import Bound, Element
from backbeam.errors import InputError
from backbeam.maps.held import DESIGN, Held
from backbeam.observation import Observation
from backbeam.plan.steps import Apply, Kick, Lose, Observe, Plan, Repeat, Step

if TYPE_CHECKING:
    from backbeam.line import Line
    from backbeam.maps.base import Map


MOST_SLICES = 1_000_000
"""More slices of one element than this are taken for a slip."""


@dataclass(frozen=True)
class Slicing:
    """How thick elements are cut: into a number of slices each, or into slices no longer than a step [m].

    Raises
    ------
    InputError
        If both are given, or if one of them is not positive.
    """

    slices: int | None = None
    step: float | None = None

    def __post_init__(self) -> None:
        if self.slices is not None and self.step is not None:
            raise InputError("track.step", self.step, "slices or step, not both")
        if self.slices is not None and (type(self.slices) is not int or not 1 <= self.slices <= MOST_SLICES):
            raise InputError("track.slices", self.slices, f"a whole number, at least 1 and at most {MOST_SLICES}")
        step = self.step
        is_number = isinstance(step, int | float) and not isinstance(step, bool)
        if step is not None and not (is_number and 0 < step < math.inf):
            raise InputError("track.step", step, "a length in m, greater than 0")

    def count(self, element: Element, name: str) -> int:
        """Number of slices of a thick element: its own, else by this rule."""
        if element.slices is not None:
            return element.slices
        if self.step is None:
            return self.slices or 1
        longest = longest_length(element.length, name)
        slices = longest / self.step * (1.0 - 1e-12)
        if not slices <= MOST_SLICES:
            allowed = f"a length in m that makes at most {MOST_SLICES} slices of {name}, {longest:g} m"
            raise InputError("track.step", self.step, allowed)
        return max(1, math.ceil(slices))


def longest_length(length: Any, name: str) -> float:
    """Return a length as a plain number, the longest of a batch."""
    if isinstance(length, int | float):
        return float(length)
    backend = backends.of(length)
    if backend.traced([length]):
        raise InputError("track.step", f"a step, while {name}.length is traced", "slices, whose number is fixed")
    return float(backend.to_numpy(length).max())


def _ends(element: Element) -> tuple[tuple[Bound, ...], tuple[Bound, ...]]:
    """Maps before and after the element's own: into and out of its frame, and its edges."""
    into, out = ((), ()) if isinstance(element, Aperture) else (element.into(), element.out_of())
    return (*into, *element.entrance()), (*element.exit(), *out)


def held(bound: Bound, element: Element, name: str) -> tuple[Map, str, tuple[tuple[str, str], ...]]:
    """What a step applies: the map, its field held where the element has a design momentum."""
    scaled = tuple(mine for mine, field in bound.names if field in element.strengths())
    if element.design_momentum is None or not scaled:
        return bound.map, name, bound.names
    return Held(bound.map, scaled), name, (*bound.names, (DESIGN, DESIGN))


class _Compiler:
    """Turns bound maps into steps, and numbers the places where particles can be lost."""

    def __init__(self) -> None:
        self.losses = 0

    def steps(self, bounds: tuple[Bound, ...], name: str, element: Element) -> tuple[Step | Observe, ...]:
        """Steps of some maps of the element of that name."""
        return tuple(self._step(bound, name, element) for bound in bounds)

    def _step(self, bound: Bound, name: str, element: Element) -> Step | Observe:
        if isinstance(bound.map, Opening):
            self.losses += 1
            return Lose(bound.map, self.losses - 1, name, next((into.map for into in element.into()), None))
        if isinstance(bound.map, Observation):
            return Observe(bound.map, name)
        return Apply(*held(bound, element, name))

    def element(self, element: Element, name: str, slices: int, kicks: bool) -> Plan:
        """All steps of an element; neighbouring half maps are merged."""
        before, after = _ends(element)
        head, tail = self.steps(before, name, element), self.steps(after, name, element)
        if not kicks:
            return (*head, *self.steps(element.body(1.0), name, element), *tail)
        half = self.steps(element.body(0.5 / slices), name, element)
        kick = Kick(name, 1.0 / slices)
        if slices == 1:
            return (*head, *half, kick, *half, *tail)
        whole = self.steps(element.body(1.0 / slices), name, element)
        return (*head, *half, kick, Repeat((*whole, kick), slices - 1), *half, *tail)

    def pieces(self, element: Element, name: str, slices: int, kicks: bool) -> list[Plan]:
        """Steps of an element slice by slice, to look at the beam in between."""
        before, after = _ends(element)
        if not element.is_thick:
            bounds = (*before, *element.body(1.0), *after)
            return [self.steps(bounds, name, element)]
        whole = self.steps(element.body(1.0 / slices), name, element)
        half = self.steps(element.body(0.5 / slices), name, element)
        one: Plan = (*half, Kick(name, 1.0 / slices), *half) if kicks else whole
        pieces = [one] * slices
        pieces[0] = (*self.steps(before, name, element), *pieces[0])
        pieces[-1] = (*pieces[-1], *self.steps(after, name, element))
        return pieces


def _kicked(element: Element) -> bool:
    """Whether space charge acts in the element: it is thick, and not known to have no length."""
    return element.is_thick and not (isinstance(element.length, int | float) and element.length == 0)


def compile_line(line: Line, slicing: Slicing, space_charge: bool) -> Plan:
    """Steps of a line, space charge inside every thick element."""
    compiler = _Compiler()
    plan: list[Step | Observe | Repeat] = []
    for element, name in zip(line.elements, line.sequence, strict=True):
        kicks = space_charge and _kicked(element)
        plan += compiler.element(element, name, slicing.count(element, name) if kicks else 1, kicks)
    return tuple(plan)


def compile_pieces(line: Line, slicing: Slicing, space_charge: bool) -> list[tuple[str, float, Plan]]:
    """(element, fraction of its length, steps) for every slice of a line."""
    compiler = _Compiler()
    pieces: list[tuple[str, float, Plan]] = []
    for element, name in zip(line.elements, line.sequence, strict=True):
        slices = slicing.count(element, name) if _kicked(element) else 1
        for piece in compiler.pieces(element, name, slices, space_charge and _kicked(element)):
            pieces.append((name, 1.0 / slices, piece))
    return pieces


def count_kicks(plan: Plan) -> int:
    """Number of space-charge kicks in a plan."""
    total = 0
    for step in plan:
        if isinstance(step, Repeat):
            total += step.count * count_kicks(step.steps)
        elif isinstance(step, Kick):
            total += 1
    return total


def may_lose(plan: Plan) -> bool:
    """Whether a plan has an aperture."""
    return any(isinstance(step, Lose) for step in plan)
