"""From a line to a plan: which steps, in which order, with the kicks of effects between parts of maps.

Each effect cuts an element into slices of its own, and kicks in the middle of each: half map, kick, half map, which is
of second order in the length of a slice. Where several effects act in one element, their kicks stand at all these
places in order, and the element's map goes from each to the next. The sequence reads the same from both ends, so it
stays of second order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from backbeam import backends
from backbeam.effects.base import Effect, Place, Term
from backbeam.elements.aperture import Aperture, Opening
from backbeam.elements.base import Bound, Element
from backbeam.elements.called import Called
from backbeam.errors import InputError, Said
from backbeam.maps.held import DESIGN, Held
from backbeam.observation import Observation
from backbeam.plan.apply import Apply
from backbeam.plan.call import Call
from backbeam.plan.kick import Kick
from backbeam.plan.lose import Lose
from backbeam.plan.observe import Observe
from backbeam.plan.repeat import Repeat
from backbeam.plan.running import Plan
from backbeam.plan.spacing import spaced
from backbeam.plan.step import Step
from backbeam.scalars import make_plain

if TYPE_CHECKING:
    from backbeam.line import Line
    from backbeam.maps.base import Map


LONGEST_STEP = 1e30
"""A step beyond this [m] is taken for a slip."""
MOST_SLICES = 1_000_000
"""More slices of one element than this are taken for a slip."""


WHOLE = Fraction(0), Fraction(1)


@dataclass(frozen=True)
class Slicing:
    """How thick elements are cut: into a number of slices each, or into slices no longer than a step [m].

    Raises
    ------
    InputError
        If both are given, or one of them is out of range. No slices: no kicks.
    """

    slices: int | None = None
    step: float | None = None

    def __post_init__(self) -> None:
        make_plain(self)
        if self.slices is not None and self.step is not None:
            raise InputError("track.step", self.step, "slices or step, not both")
        if self.slices is not None and (type(self.slices) is not int or not 0 <= self.slices <= MOST_SLICES):
            raise InputError("track.slices", self.slices, f"a whole number, at least 0 and at most {MOST_SLICES}")
        step = self.step
        is_number = isinstance(step, int | float) and not isinstance(step, bool)
        if step is not None and not (is_number and 0 < step <= LONGEST_STEP):
            raise InputError("track.step", step, "a length in m, greater than 0")

    def count(self, element: Element, name: str, effect: Effect | None = None) -> int:
        """Number of slices of a thick element: the effect's, the element's, else by this rule."""
        slices, step = (effect.slices, effect.step) if effect is not None else (None, None)
        if slices is None and step is None:
            slices, step = (element.slices, None) if element.slices is not None else (self.slices, self.step)
        if step is None:
            return 1 if slices is None else slices
        longest = longest_length(element.length, name)
        count = longest / step * (1.0 - 1e-12)
        if not count <= MOST_SLICES:
            allowed = f"a length in m that makes at most {MOST_SLICES} slices of {name}, {longest:g} m"
            raise InputError("track.step", step, allowed)
        return max(1, math.ceil(count))


def longest_length(length: Any, name: str) -> float:
    """Return a length as a plain number, the longest of a batch."""
    if isinstance(length, int | float):
        return abs(float(length))
    backend = backends.of(length)
    if backend.traced([length]):
        raise InputError("track.step", f"a step, while {name}.length is traced", "slices, whose number is fixed")
    return float(abs(backend.to_numpy(length)).max())


def _ends(element: Element) -> tuple[tuple[Bound, ...], tuple[Bound, ...]]:
    """Maps before and after the element's own: into and out of its frame, and its edges."""
    into, out = ((), ()) if isinstance(element, Aperture) else (element.into(), element.out_of())
    return (*into, *element.entrance()), (*element.exit(), *out)


def held(bound: Bound, element: Element, name: str) -> tuple[Map, str, tuple[tuple[str, str], ...]]:
    """What a step applies: the map, its field held where the element has a design momentum."""
    if element.design_momentum is None:
        return bound.map, name, bound.names
    scaled = tuple(mine for mine, field in bound.names if field in element.strengths())
    if not scaled:
        return bound.map, name, bound.names
    return Held(bound.map, scaled), name, (*bound.names, (DESIGN, DESIGN))


class Compiler:
    """Turns the elements of a line into steps, and numbers the places where particles can be lost."""

    def __init__(self, line: Line, slicing: Slicing, effects: Mapping[str, Effect]) -> None:
        self.elements, self.names = line.elements, line.sequence
        self.slicing, self.effects = slicing, effects
        self.losses = 0
        self.spaced = {
            label: spaced(effect, self.elements, self.names)
            for label, effect in effects.items()
            if effect.every is not None
        }
        self._check_number()

    def _check_number(self) -> None:
        """Raise `InputError` for more kicks than anybody waits for, before the first of them is made."""
        number = 0
        for effect in self.effects.values():
            for element, name in zip(self.elements, self.names, strict=True):
                if effect.at is None and effect.every is None and effect.acts_along(element, name):
                    number += self.slicing.count(element, name, effect)
                if number > MOST_SLICES:
                    raise InputError("track", Said(f"at least {number} kicks"), f"at most {MOST_SLICES} in a line")

    def steps(self, bounds: tuple[Bound, ...], name: str, element: Element) -> tuple[Step, ...]:
        """Steps of some maps of the element of that name."""
        return tuple(self._step(bound, name, element) for bound in bounds)

    def _step(self, bound: Bound, name: str, element: Element) -> Step:
        if isinstance(bound.map, Opening):
            self.losses += 1
            return Lose(bound.map, self.losses - 1, name, next((into.map for into in element.into()), None))
        if isinstance(bound.map, Observation):
            return Observe(bound.map, name)
        if isinstance(bound.map, Called):
            return Call(bound.map, name)
        return Apply(*held(bound, element, name))

    def element(self, place: int) -> Plan:
        """All steps of an element; neighbouring half maps are merged, and rounds that are alike are a loop."""
        element, name = self.elements[place], self.names[place]
        before, after = _ends(element)
        head, tail = self.steps(before, name, element), self.steps(after, name, element)
        kicks = self._kicks(place)
        if not element.divisible:
            at_once = tuple(kick for found in kicks.values() for kick in found)
            return (*head, *at_once, *self.steps(element.body(1.0), name, element), *tail)
        if not kicks:
            return (*head, *self.steps(element.piece(*WHOLE), name, element), *tail)
        rounds, rest = self._rounds(element, name, kicks)
        looped: list[Step] = []
        for one, alike in groupby(rounds):
            count = len(list(alike))
            looped += one if count == 1 else (Repeat(one, count),)
        return (*head, *looped, *rest, *tail)

    def _rounds(self, element: Element, name: str, kicks: Mapping[Fraction, Plan]) -> tuple[list[Plan], Plan]:
        """Maps to each place in order, with what stands there; and the maps from the last of them to the end."""
        bodies: dict[tuple[Bound, ...], Plan] = {}

        def body(start: Fraction, stop: Fraction) -> Plan:
            bounds = element.piece(start, stop) if stop > start else ()
            if bounds not in bodies:
                bodies[bounds] = self.steps(bounds, name, element)
            return bodies[bounds]

        rounds: list[Plan] = []
        done = Fraction(0)
        for place in sorted(kicks):
            rounds.append((*body(done, place), *kicks[place]))
            done = place
        return rounds, body(done, Fraction(1))

    def placed(self, place: int) -> list[tuple[Fraction, Step]]:
        """Steps of an element as `element` has them, without loops, each with the part of it that lies before it."""
        element, name = self.elements[place], self.names[place]
        before, after = _ends(element)
        head, tail = self.steps(before, name, element), self.steps(after, name, element)
        kicks = self._kicks(place)
        begin, end = WHOLE
        found: list[tuple[Fraction, Step]] = [(begin, step) for step in head]
        done = begin
        if element.divisible:
            rounds, rest = self._rounds(element, name, kicks)
            for at, one in zip(sorted(kicks), rounds, strict=True):
                maps = len(one) - len(kicks[at])
                found += [(done if k < maps else at, step) for k, step in enumerate(one)]
                done = at
        else:
            rest = tuple(kick for found in kicks.values() for kick in found)
            rest = (*rest, *self.steps(element.body(1.0), name, element))
        return [*found, *((done, step) for step in rest), *((end, step) for step in tail)]

    def pieces(self, place: int) -> list[Plan]:
        """Steps of an element slice by slice, to look at the beam in between."""
        element, name = self.elements[place], self.names[place]
        if not element.divisible:
            return [self.element(place)]
        acting = [effect for effect in self.effects.values() if effect.acts_along(element, name)]
        slices = self._shown(element, name, acting)
        before, after = _ends(element)
        kicks = self._kicks(place)
        cuts = {Fraction(j, slices) for j in range(1, slices)}
        rounds, rest = self._rounds(element, name, {p: kicks.get(p, ()) for p in (*kicks, *cuts)})
        pieces: list[Plan] = [self.steps(before, name, element)]
        for at, one in zip(sorted({*kicks, *cuts}), rounds, strict=True):
            pieces[-1] = (*pieces[-1], *one)
            if at in cuts:
                pieces.append(())
        pieces[-1] = (*pieces[-1], *rest, *self.steps(after, name, element))
        return pieces

    def looks(self, place: int) -> list[tuple[float, int, Plan]]:
        """Slice ends as (fraction of the element, number of its steps before it, maps from there to it)."""
        element, name = self.elements[place], self.names[place]
        steps = len([inner for step in self.element(place) for inner in step.unrolled()])
        if not element.divisible:
            return [(1.0, steps, ())]
        acting = [effect for effect in self.effects.values() if effect.acts_along(element, name)]
        slices = self._shown(element, name, acting)
        kicks = self._kicks(place)
        rounds, _ = self._rounds(element, name, kicks)
        done, count, ahead = Fraction(0), len(self.steps(_ends(element)[0], name, element)), sorted(kicks)
        found: list[tuple[float, int, Plan]] = []
        for cut in (Fraction(j, slices) for j in range(1, slices)):
            while ahead and ahead[0] <= cut:
                done = ahead.pop(0)
                count += len(rounds.pop(0))
            beyond = self.steps(element.piece(done, cut), name, element) if cut > done else ()
            found.append((1.0 / slices, count, beyond))
        return [*found, (1.0 / slices, steps, ())]

    def _shown(self, element: Element, name: str, acting: list[Effect]) -> int:
        """Number of slices after which the beam is looked at: the finest that an effect makes, at least one."""
        if not _long(element):
            return 1
        return max(1, *(self.slicing.count(element, name, e) for e in acting or (None,)))

    def _tests(self, place: int) -> dict[Fraction, Plan]:
        """Tests of an element's own opening, by the part of it that lies before them: the frame there is its own."""
        element, name = self.elements[place], self.names[place]
        if element.aperture is None:
            return {}
        parts = element.aperture_tests if _long(element) else 0
        found: dict[Fraction, Plan] = {}
        for k in range(parts + 1):
            self.losses += 1
            found[Fraction(k, parts or 1)] = (Lose(element.aperture, self.losses - 1, name),)
        return found

    def _kicks(self, place: int) -> dict[Fraction, Plan]:
        """Tests, kicks of all effects, and looks in an element, by the part of it that lies before them."""
        element, name = self.elements[place], self.names[place]
        found = self._tests(place)
        for label, effect in self.effects.items():
            if effect.at is not None:
                count = int(name in effect.at)
            else:
                count = self.slicing.count(element, name, effect) if effect.acts_along(element, name) else 0
            own = {field: ((label, field, 1.0),) for field in effect.parameters()}
            bare = effect.bare()
            for middle, length in self.spaced.get(label, {}).get(place, ()):
                kick = Kick(bare, name, tuple({**own, "length": length}.items()))
                found[middle] = (*found.get(middle, ()), kick)
            alike: dict[tuple[tuple[str, tuple[Term, ...]], ...], Kick] = {}
            for k in range(0 if label in self.spaced else count):
                part = Place(self.elements, self.names, place, Fraction(k, count), Fraction(k + 1, count))
                needs = effect.needs(part)
                if needs is None:
                    continue
                terms = tuple({**own, **needs}.items())
                if terms not in alike:
                    alike[terms] = Kick(bare, name, terms)
                middle = Fraction(2 * k + 1, 2 * count)
                found[middle] = (*found.get(middle, ()), alike[terms])
        if element.is_thick and (looks := self.steps(element.middle(), name, element)):
            found[Fraction(1, 2)] = (*found.get(Fraction(1, 2), ()), *looks)
        return found


def _long(element: Element) -> bool:
    """Whether an element is not known to have no length."""
    return element.divisible and not (isinstance(element.length, int | float) and element.length == 0)


def compile_line(
    line: Line, slicing: Slicing, effects: Mapping[str, Effect], behind: Mapping[int, Plan] | None = None
) -> Plan:
    """Steps of a line in which effects act, by name; and others, by the number of elements behind which they stand."""
    compiler, more = Compiler(line, slicing, effects), behind or {}
    plan = [*more.get(0, ())]
    for place in range(len(line)):
        plan += (*compiler.element(place), *more.get(place + 1, ()))
    return tuple(plan)


def compile_pieces(line: Line, slicing: Slicing, effects: Mapping[str, Effect]) -> list[tuple[str, float, Plan]]:
    """(element, fraction of its length, steps) for every slice of a line."""
    compiler = Compiler(line, slicing, effects)
    pieces: list[tuple[str, float, Plan]] = []
    for place, name in enumerate(compiler.names):
        found = compiler.pieces(place)
        pieces += [(name, 1.0 / len(found), piece) for piece in found]
    return pieces


class Look(NamedTuple):
    """A place to look at the beam: a side branch of the way, which the beam itself does not take."""

    element: str
    passed: int
    """Elements behind it, its own too."""
    fraction: float
    """Of the element's length, since the look before."""
    steps: int
    """Steps of the plan before it, each map by itself and without loops."""
    beyond: Plan
    """Maps from there to the place."""


def compile_looks(line: Line, slicing: Slicing, effects: Mapping[str, Effect]) -> list[Look]:
    """Places after every slice of a line, in order."""
    compiler = Compiler(line, slicing, effects)
    found: list[Look] = []
    before = 0
    for place, name in enumerate(compiler.names):
        for fraction, steps, beyond in compiler.looks(place):
            found.append(Look(name, place + 1, fraction, before + steps, beyond))
        before = found[-1].steps
    return found
