"""A beamline: elements in order, nested, named, repeated, immutable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property
from numbers import Integral
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from backbeam import backends
from backbeam.alignment import Spread, with_errors
from backbeam.backwards import backwards
from backbeam.elements.base import Element
from backbeam.errors import InputError
from backbeam.formulas import Formula
from backbeam.holding import hold_fields
from backbeam.knobs import Knobs

if TYPE_CHECKING:
    from backbeam.floor import Floor
    from backbeam.reference import Reference

MOST_TIMES = 1_000_000
"""A line repeated more often than this is taken for a slip."""


class Line:
    """Elements in the order in which the beam meets them.

    A line may hold other lines, and the same element or line many times: it is then one element, whose
    parameters are shared. ``line * 3`` and ``a + b`` make longer lines.

    Parameters
    ----------
    items:
        Elements and lines.
    name:
        Optional name, for tables.
    knobs:
        Variables by name, numbers or formulas, of which parameters of the elements are formulas; see `backbeam.knobs`.
        Those of the lines among the items join them.

    Raises
    ------
    InputError
        If an item is neither element nor line, if two different elements bear one name, or two different knobs.

    Examples
    --------
    >>> cell = bb.Line([bb.Quadrupole(0.2, k1=3.0, name="qf"), bb.Drift(1.0, name="d")])
    >>> ring = cell * 8
    >>> len(ring), f"{ring.length:.1f} m"
    (16, '9.6 m')
    >>> ring.replace({"qf.k1": 4.0}).get("qf.k1")
    4.0
    """

    def __init__(
        self, items: Iterable[Element | Line], name: str | None = None, *, knobs: Mapping[str, Any] | None = None
    ) -> None:
        try:
            self.items: tuple[Element | Line, ...] = tuple(items)
        except TypeError:
            raise InputError("line", items, "a list of elements and lines") from None
        self.name = name
        for k, item in enumerate(self.items):
            if not isinstance(item, Element | Line):
                raise InputError(f"line[{k}]", item, "an element or a line")
        self.knobs = knobs if isinstance(knobs, Knobs) else Knobs(knobs)
        """Values of the line's variables by name."""
        for item in self.items:
            if isinstance(item, Line):
                self.knobs = self.knobs.joined(item.knobs)
        backends.introduce()
        self._named  # noqa: B018  (raises for two elements of one name)

    @classmethod
    def _of(cls, items: list[Element | Line], name: str | None, knobs: Knobs) -> Line:
        """A line of items that need no check: they may be placeholders of a transformation."""
        line = object.__new__(cls)
        line.items, line.name, line.knobs = tuple(items), name, knobs
        return line

    @cached_property
    def remembered(self) -> dict[Any, Any]:
        """What has been made of the line and is the same each time, for a line never changes: its plans."""
        return {}

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "remembered"}

    # -- as a sequence ----------------------------------------------------------------------------------------------

    @cached_property
    def elements(self) -> tuple[Element, ...]:
        """All elements, flat, in order."""
        flat: list[Element] = []
        for item in self.items:
            flat.extend(item.elements if isinstance(item, Line) else (item,))
        return tuple(flat)

    def __iter__(self) -> Iterator[Element]:
        return iter(self.elements)

    def __len__(self) -> int:
        return len(self.elements)

    def __reversed__(self) -> Iterator[Element]:
        return reversed(self.elements)

    def __contains__(self, item: object) -> bool:
        """Whether there is an element of that name, or that element itself."""
        return item in self._named if isinstance(item, str) else any(item is e for e in self._named.values())

    @overload
    def __getitem__(self, at: str | int) -> Element: ...

    @overload
    def __getitem__(self, at: slice) -> Line: ...

    def __getitem__(self, at: str | int | slice) -> Element | Line:
        """The element of a name or at a place; of a slice, the part of the line, from name to name with both of them.

        A name that comes more than once is, as the beginning, its first passage, and as the end the first one from
        there on.
        """
        if isinstance(at, str):
            return self._find(at)
        if not isinstance(at, slice):
            return self.elements[at]
        start, stop = at.start, at.stop
        if isinstance(start, str):
            start = self._place(start, 0)
        if isinstance(stop, str):
            stop = self._place(stop, start or 0) + 1
        return Line(self.elements[slice(start, stop, at.step)], knobs=self.knobs)

    def _place(self, name: str, begin: int) -> int:
        self._find(name)
        try:
            return self.sequence.index(name, begin)
        except ValueError:
            raise InputError("line", name, f"an element behind place {begin}") from None

    def of_kind(self, kind: str | type[Element]) -> dict[str, Element]:
        """The distinct elements of a kind, by name: ``line.of_kind("quadrupole")`` or ``line.of_kind(bb.Quadrupole)``.

        Raises
        ------
        InputError
            For a kind that there is not.
        """
        word = getattr(kind, "kind", kind)
        found = {name: element for name, element in self._named.items() if element.kind == word}
        if not found and word not in Element.kinds:
            raise InputError("kind", kind, f"a class of element, or one of {', '.join(sorted(Element.kinds))}")
        return found

    def __add__(self, other: Line | Element) -> Line:
        """A line with no name of its own grows in place, so that a thousand additions nest nothing."""
        if isinstance(other, Element):
            return self + Line([other])
        if not isinstance(other, Line):
            return NotImplemented
        mine = self.items if self.name is None else (self,)
        line = Line._of([*mine, other], None, self.knobs.joined(other.knobs))
        # What is known of both need not be found again: a line that grows does so in time that grows with its length.
        for name, element in other._given_names.items():
            if self._given_names.get(name, element) is not element:
                raise _two_of(name)
        line.__dict__["elements"] = self.elements + other.elements
        line.__dict__["_given_names"] = self._given_names | other._given_names
        return line

    def __radd__(self, other: Element) -> Line:
        return Line([other]) + self if isinstance(other, Element) else NotImplemented

    def __mul__(self, count: int) -> Line:
        if isinstance(count, bool) or not isinstance(count, Integral) or not 0 <= count <= MOST_TIMES:
            raise InputError("line *", count, f"a whole number of times, from 0 to {MOST_TIMES}")
        return Line([self] * int(count), name=self.name)

    __rmul__ = __mul__

    def __repr__(self) -> str:
        label = f" {self.name!r}" if self.name else ""
        length = f"{self.length:.10g}" if isinstance(self.length, int | float) else self.length
        return f"<Line{label}: {len(self)} elements, {length} m>"

    # -- names ------------------------------------------------------------------------------------------------------

    @cached_property
    def _given_names(self) -> dict[str, Element]:
        """The elements that have a name of their own, by it; `InputError` for two of one name."""
        named: dict[str, Element] = {}
        for element in self.elements:
            if element.name is not None and named.setdefault(element.name, element) is not element:
                raise _two_of(element.name)
        return named

    @cached_property
    def _named(self) -> dict[str, Element]:
        """The distinct elements by name, in order of appearance; those without a name are numbered by kind."""
        named = self._given_names
        distinct = {id(e): e for e in self.elements}.values()
        counts: dict[str, int] = {}
        ordered: dict[str, Element] = {}
        for element in distinct:
            name = element.name
            while name is None or (element.name is None and name in named):
                counts[element.kind] = counts.get(element.kind, 0) + 1
                name = f"{element.kind}_{counts[element.kind]}"
            ordered[name] = element
        return ordered

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the distinct elements."""
        return tuple(self._named)

    @cached_property
    def sequence(self) -> tuple[str, ...]:
        """Name of every element in order; a repeated element's comes again."""
        name_of = {id(e): n for n, e in self._named.items()}
        return tuple(name_of[id(e)] for e in self.elements)

    @cached_property
    def has_clocks(self) -> bool:
        """Whether a cavity keeps time by itself; see `backbeam.clock`."""
        return any(element.kind == "rf_cavity" and element.clock for element in self._named.values())

    def passages(self, passed: int) -> tuple[tuple[str, ...], np.ndarray]:
        """Names of the distinct elements, and how often each was passed when so many are behind, turn after turn."""
        turns, rest = divmod(passed, max(1, len(self)))
        names, passages = self._passages
        passages = passages * turns
        if rest:
            counts = Counter(self.sequence[:rest])
            passages = passages + np.asarray([counts[name] for name in names], dtype=np.int32)
        return names, passages

    @cached_property
    def _passages(self) -> tuple[tuple[str, ...], np.ndarray]:
        counts = Counter(self.sequence)
        return self.names, np.asarray([counts[name] for name in self.names], dtype=np.int32)

    def _find(self, name: str) -> Element:
        try:
            return self._named[name]
        except KeyError:
            close = get_close_matches(name, self._named, 3)
            allowed = " or ".join(close) if close else "the name of an element of the line"
            raise InputError("element", name, allowed) from None

    # -- parameters -------------------------------------------------------------------------------------------------

    @property
    def parameters(self) -> dict[str, Any]:
        """Value of every parameter that is present, as ``name.parameter``."""
        return {f"{n}.{p}": v for n, e in self._named.items() for p, v in e.parameters().items()}

    def get(self, path: str) -> Any:
        """Value of ``name.parameter``, or of a knob; None where the parameter is absent."""
        if path in self.knobs:
            return self.knobs[path]
        element, field = self._split(path)
        return getattr(self._find(element), field)

    def _split(self, path: str) -> tuple[str, str]:
        name, dot, field = path.rpartition(".")
        if not dot and path in self:
            fields = ", ".join(self[path].parameter_names())
            raise InputError("parameter", path, f"{path} with one of {fields}; an element as a whole by with_elements")
        if not dot and self.knobs:
            close = get_close_matches(path, self.knobs, 2)
            raise InputError(path, path, " or ".join(close) if close else "a knob of the line, or name.parameter")
        element = self._find(name)
        allowed = (*element.parameter_names(), *element.static())
        if field not in allowed:
            close = get_close_matches(field, allowed, 1)
            hint = close[0] if close else ", ".join(element.parameter_names())
            raise InputError("parameter", path, f"{name}.{hint}" if close else f"{name} with one of {hint}")
        return name, field

    def replace(self, changes: Mapping[str, Any]) -> Line:
        """Return a new line with other values: ``line.replace({"qf.k1": 30.0})``; every use of the element changes.

        A knob changes all that follows from it: ``line.replace({"kqf": 0.3})``. A parameter that is given a value of
        its own follows no knob any more.

        Raises
        ------
        InputError
            For an unknown element, parameter or knob.
        """
        if not isinstance(changes, Mapping):
            raise InputError("changes", changes, "a mapping such as {'qf.k1': 30.0}")
        turned = {name: value for name, value in changes.items() if name in self.knobs}
        knobs = self.knobs.replace(turned) if turned else self.knobs
        by_element = self._following(knobs, frozenset(turned)) if turned else {}
        # All of an element at once: some parameters go together.
        wanted: dict[str, dict[str, Any]] = {}
        for path, value in changes.items():
            if path not in turned:
                name, field = self._split(path)
                wanted.setdefault(name, {})[field] = value
        for name, values in wanted.items():
            by_element[name] = by_element.get(name, self._named[name]).replace(**values)
        return self._rebuilt(by_element, knobs)

    def _following(self, knobs: Knobs, turned: frozenset[str]) -> dict[str, Element]:
        """Elements whose parameters follow knobs that were turned, with the values that they have now."""
        found = {}
        for name, element in self._named.items():
            moved = {
                field: knobs.evaluate(formula)
                for field, formula in element.formulas
                if self._knows(formula) and turned & self.knobs.behind(formula)
            }
            if moved:
                found[name] = element.replace(**moved, formulas=element.formulas)
        return found

    def formulas(self) -> dict[str, Formula]:
        """Formulas of the parameters that follow knobs, as ``name.parameter``."""
        return {f"{n}.{p}": f for n, e in self._named.items() for p, f in e.formulas if self._knows(f)}

    def _knows(self, formula: Formula) -> bool:
        """Whether all knobs of a formula are here: an element may have come from another line."""
        return all(name in self.knobs for name in formula.names)

    def with_elements(self, replacements: Mapping[str, Element]) -> Line:
        """Return a new line with whole elements exchanged by name; shared elements stay shared."""
        return self._rebuilt(replacements, self.knobs)

    def _rebuilt(self, replacements: Mapping[str, Element], knobs: Knobs) -> Line:
        swap = {id(self._find(name)): new for name, new in replacements.items()}
        lines: dict[int, Line] = {}

        def rebuild(item: Element | Line) -> Element | Line:
            if isinstance(item, Element):
                return swap.get(id(item), item)
            if id(item) not in lines:
                own = knobs if item.knobs is self.knobs else knobs.only(item.knobs)
                lines[id(item)] = Line([rebuild(i) for i in item.items], name=item.name, knobs=own)
            return lines[id(item)]

        return rebuild(self)  # type: ignore[return-value]

    def hold_fields(self, reference: Reference) -> Line:
        """Return the line with the field of every magnet held at what it is for this reference at the beginning.

        Afterwards a cavity that is out of phase changes the focusing behind it, as in a machine::

            machine = line.hold_fields(beam.reference)
            track(machine.replace({"cavity.phase": 0.1}), beam)

        Raises
        ------
        InputError
            If one element is passed at two momenta, or for a bend whose model is linear: it has no field of its own.
        """
        return hold_fields(self, reference)

    def with_errors(self, errors: Mapping[str, Mapping[str, Spread]], seed: int) -> Line:
        """Return the line with errors of alignment drawn for every passage; the second of a ``q`` is ``q@2``.

        ::

            machine = line.with_errors({"q*": {"dx": 1e-4, "dy": 1e-4, "roll": 1e-3}, "b*": {"roll": 5e-4}}, seed=1)

        A number is the rms of a normal distribution; see `backbeam.alignment`.
        """
        return with_errors(self, errors, seed)

    def backwards(self) -> Line:
        """Return the line that undoes this one, space charge included: ``track(line.backwards(), track(line, beam))``.

        Raises
        ------
        InputError
            For an element that no element undoes: a cavity, a patch that turns about more than one axis.
        """
        return backwards(self)

    def floor(self, start: Sequence[float] = (0.0,) * 6) -> Floor:
        """Where its elements stand: X, Y, Z, theta, phi, psi as in MAD-X's survey, see `backbeam.floor`."""
        from backbeam.floor import floor

        return floor(self, start)

    @property
    def length(self) -> Any:
        """Total length [m]."""
        return sum((e.length for e in self.elements if e.is_thick), 0.0)


def _two_of(name: str) -> InputError:
    allowed = "one element a name: use the same object twice, or give the second another name"
    return InputError("line", name, allowed)
