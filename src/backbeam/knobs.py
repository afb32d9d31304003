"""Knobs of a line: named variables, of which parameters of its elements are formulas.

A knob is a value, or a formula of other knobs (``kqd`` = ``-kqf``) until it is given a value.
An element keeps the formulas of its parameters beside their values (`backbeam.elements.base.Element.formulas`), so that
lines can be added, repeated and taken apart, and the line keeps the knobs. Elements always hold the values that the
knobs give: tracking knows nothing of them, and a gradient goes from parameters to knobs by the chain rule, afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import cached_property
from typing import Any

from backbeam.errors import InputError
from backbeam.formulas import Formula, Value, evaluate, in_order, slopes, text_of


class Knobs(Mapping[str, Value]):
    """Values of knobs by name, immutable.

    Parameters
    ----------
    given:
        By name a number, an array of any library (a batch of settings), or a formula of other knobs.

    Raises
    ------
    InputError
        For a formula that leads back to itself, or to a knob that there is not.
    """

    def __init__(self, given: Mapping[str, Any] | None = None) -> None:
        self.given: dict[str, Any] = dict(given or {})
        for name, value in self.given.items():
            plain = isinstance(value, int | float) and not isinstance(value, bool)
            if not (plain or isinstance(value, Formula) or hasattr(value, "shape")):
                raise InputError(name, value, "a number, an array, or a formula of knobs")
        for name in self._order:
            self._check(name)

    @classmethod
    def _of(cls, given: dict[str, Any]) -> Knobs:
        """Knobs that need no check: their values may be placeholders of a transformation."""
        knobs = object.__new__(cls)
        knobs.given = given
        return knobs

    @cached_property
    def _order(self) -> list[str]:
        """Names, each behind those that it is made of."""
        return in_order(self.given, tuple(self.given))

    @cached_property
    def _values(self) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for name in self._order:
            value = self.given[name]
            found[name] = evaluate(value, found.__getitem__) if isinstance(value, Formula) else value
        return found

    @property
    def formulas(self) -> dict[str, Formula]:
        """Formulas of the knobs that have one."""
        return {name: value for name, value in self.given.items() if isinstance(value, Formula)}

    # -- as a mapping -----------------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Value:
        self._check(name)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.given)

    def __len__(self) -> int:
        return len(self.given)

    def __contains__(self, name: object) -> bool:
        return name in self.given

    def __repr__(self) -> str:
        said = (f"{n}: {text_of(v) if isinstance(v, Formula) else v!r}" for n, v in self.given.items())
        return f"<Knobs {', '.join(said)}>"

    def _check(self, name: str) -> None:
        if name not in self.given:
            close = get_close_matches(name, self.given, 3)
            raise InputError("knob", name, " or ".join(close) if close else "the name of a knob of the line")

    # -- what follows from them ---------------------------------------------------------------------------------------

    def evaluate(self, formula: Formula) -> Value:
        """Value of a formula of knobs."""
        return evaluate(formula, self.__getitem__)

    def replace(self, changes: Mapping[str, Any]) -> Knobs:
        """Knobs with other values; one that had a formula has a value of its own from now on."""
        for name in changes:
            self._check(name)
        return Knobs({**self.given, **changes})

    def joined(self, other: Knobs) -> Knobs:
        """Knobs of both.

        Raises
        ------
        InputError
            If one of them means different things in both.
        """
        if other is self or not other.given:
            return self
        for name in self.given.keys() & other.given.keys():
            one, two = self.given[name], other.given[name]
            if one is not two and (hasattr(one, "shape") or hasattr(two, "shape") or one != two):
                raise InputError("knob", name, f"one value in all parts of a line, here {one} and {two}")
        return Knobs({**self.given, **other.given})

    @cached_property
    def _reach(self) -> dict[str, frozenset[str]]:
        """The knobs that each is made of, itself included."""
        found: dict[str, frozenset[str]] = {}
        for name in self._order:
            value = self.given[name]
            below = (found[n] for n in value.names) if isinstance(value, Formula) else ()
            found[name] = frozenset((name,)).union(*below)
        return found

    def behind(self, formula: Formula) -> frozenset[str]:
        """All knobs that a formula depends on."""
        return frozenset().union(*(self._reach[n] for n in formula.names))

    def only(self, names: Iterable[str]) -> Knobs:
        """These knobs and those that they are made of."""
        wanted = frozenset().union(*(self._reach[n] for n in names))
        return Knobs({n: v for n, v in self.given.items() if n in wanted})

    def pull_back(
        self, bars: Iterable[tuple[Formula, Value]], beside: Callable[[Value], Value] = lambda value: value
    ) -> dict[str, Value]:
        """Cotangents of all knobs from those of formulas: the chain rule, from the last to the first.

        A knob with a formula has one too: what the outcome does when it alone is changed. ``beside`` makes the value of
        a knob one of the cotangents' library.
        """
        values = {name: beside(value) for name, value in self._values.items()}
        found: dict[str, Value] = {}

        def add(formula: Formula, bar: Value) -> None:
            for name, share in slopes(formula, values.__getitem__, bar):
                found[name] = found[name] + share if name in found else share

        for formula, bar in bars:
            add(formula, bar)
        for name in reversed(self._order):
            if name in found and isinstance(self.given[name], Formula):
                add(self.given[name], found[name])
        return found
