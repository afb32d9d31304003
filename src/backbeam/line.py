"""A beamline: elements in order, nested, named, repeated, immutable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import cached_property
from typing import Any

from backbeam import backends
from backbeam.elements.base import Element
from backbeam.errors import InputError


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

    Raises
    ------
    InputError
        If an item is neither element nor line, or if two different elements bear one name.
    """

    def __init__(self, items: Iterable[Element | Line], name: str | None = None) -> None:
        self.items: tuple[Element | Line, ...] = tuple(items)
        self.name = name
        for k, item in enumerate(self.items):
            if not isinstance(item, Element | Line):
                raise InputError(f"line[{k}]", item, "an element or a line")
        backends.introduce()
        self._named  # noqa: B018  (raises for two elements of one name)

    @classmethod
    def _of(cls, items: list[Element | Line], name: str | None) -> Line:
        """A line of items that need no check: they may be placeholders of a transformation."""
        line = object.__new__(cls)
        line.items, line.name = tuple(items), name
        return line

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

    def __getitem__(self, name: str) -> Element:
        """The element of that name."""
        return self._find(name)

    def __add__(self, other: Line) -> Line:
        return Line([self, other])

    def __mul__(self, count: int) -> Line:
        return Line([self] * count, name=self.name)

    __rmul__ = __mul__

    def __repr__(self) -> str:
        label = f" {self.name!r}" if self.name else ""
        length = f"{self.length:.10g}" if isinstance(self.length, int | float) else self.length
        return f"<Line{label}: {len(self)} elements, {length} m>"

    # -- names ------------------------------------------------------------------------------------------------------

    @cached_property
    def _named(self) -> dict[str, Element]:
        """The distinct elements by name, in order of appearance; those without a name are numbered by kind."""
        named: dict[str, Element] = {}
        seen: set[int] = set()
        distinct = [e for e in self.elements if not (id(e) in seen or seen.add(id(e)))]
        for element in distinct:
            if element.name is None:
                continue
            if element.name in named:
                allowed = "one element a name: use the same object twice, or give the second another name"
                raise InputError("line", element.name, allowed)
            named[element.name] = element
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

    @property
    def sequence(self) -> tuple[str, ...]:
        """Name of every element in order; a repeated element's comes again."""
        name_of = {id(e): n for n, e in self._named.items()}
        return tuple(name_of[id(e)] for e in self.elements)

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
        """Value of ``name.parameter``; None where the parameter is absent."""
        element, field = self._split(path)
        return getattr(self._find(element), field)

    def _split(self, path: str) -> tuple[str, str]:
        name, _, field = path.rpartition(".")
        element = self._find(name)
        allowed = (*element.parameter_names(), *element.static())
        if field not in allowed:
            close = get_close_matches(field, allowed, 1)
            hint = close[0] if close else ", ".join(element.parameter_names())
            raise InputError("parameter", path, f"{name}.{hint}" if close else f"{name} with one of {hint}")
        return name, field

    def replace(self, changes: Mapping[str, Any]) -> Line:
        """Return a new line with other values: ``line.replace({"qf.k1": 30.0})``; every use of the element changes.

        Raises
        ------
        InputError
            For an unknown element or parameter.
        """
        by_element: dict[str, dict[str, Any]] = {}
        for path, value in changes.items():
            name, field = self._split(path)
            by_element.setdefault(name, {})[field] = value
        return self.with_elements({n: self._named[n].replace(**c) for n, c in by_element.items()})

    def with_elements(self, replacements: Mapping[str, Element]) -> Line:
        """Return a new line with whole elements exchanged by name; shared elements stay shared."""
        swap = {id(self._named[name]): new for name, new in replacements.items()}
        lines: dict[int, Line] = {}

        def rebuild(item: Element | Line) -> Element | Line:
            if isinstance(item, Element):
                return swap.get(id(item), item)
            if id(item) not in lines:
                lines[id(item)] = Line([rebuild(i) for i in item.items], name=item.name)
            return lines[id(item)]

        return rebuild(self)  # type: ignore[return-value]

    @property
    def length(self) -> Any:
        """Total length [m]."""
        return sum((e.length for e in self.elements if e.is_thick), 0.0)
