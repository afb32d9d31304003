"""What an effect is: what acts on a beam besides the field of its element. The contract of every file of this folder.

An effect reads the positions (x, y, tau) of all particles, their charges, who is alive, and what its own kick
conserves; and it changes momenta (px, py, pt). The positions stay, so the same field undoes the kick: an effect is
exactly reversible, and its gradient needs nothing from the way forward.

``forward(bunch, p)``             coordinates after the kick
``inverse(bunch, p)``             coordinates before it, from the bunch after it
``pullback(bunch, p, X1_bar)``    `EffectBars` at the bunch before the kick, for the cotangent of what came out
``reverse(bunch, p, X1_bar)``     inverse and pullback in one, for effects that share work between them

- ``p`` holds arrays by name: the effect's own parameters that are present, and what `needs` says of elements. Each is
  ``(..., own shape)`` or without batch axes, of the library and the type of ``bunch.X``; `bunch.X` has the full batch
  shape. An effect takes its parameters from ``p``, never from itself: what is compiled knows its static fields only.
- Cotangents have the full batch shape in front; the caller sums them.
- The lost (``bunch.alive``; None: all live) give nothing and are not moved. What has no charge gives nothing and is
  moved.
- Where an effect acts is the engine's business: `acts_in` names elements, or ``at`` does; a kick covers a part of its
  element, a `Place`, and what it has to know of it, it binds in `needs`.

Kicks of several effects at one place are taken one after the other: they read positions and move momenta, so their
order is nothing but rounding.

To add an effect: a file with one class, and a case in ``tests/effects/effect_cases.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

from backbeam.errors import InputError
from backbeam.parameters import Parametrised
from backbeam.scalars import make_plain

if TYPE_CHECKING:
    from backbeam.arrays import Array
    from backbeam.elements.base import Element
    from backbeam.reference import Reference

    Parameters = Mapping[str, Array]

LONGEST = 1e30
"""A step or a radius beyond this [m] is taken for a slip."""
Term = tuple[str, str, float]
"""(name of the owner, its parameter, factor)"""


class Bunch(NamedTuple):
    """What an effect sees of a beam."""

    X: Array
    """Coordinates ``(..., 6, n)``."""
    q: Array
    """Charges of macroparticles ``(..., n)`` [C]."""
    alive: Array | None
    """Boolean ``(..., n)``; None: all are."""
    reference: Reference
    """Reference at the kick, its parameters ``(...)``."""


class EffectBars(NamedTuple):
    """Cotangents of what an effect was given."""

    X: Array
    q: Array
    beta_gamma: Array
    p: dict[str, Array]
    """By name as in ``p``."""


@dataclass(frozen=True, eq=False)
class Place:
    """The part of an element that one kick covers, and the way that led there."""

    elements: Sequence[Element]
    """All elements of the line in order, and"""
    names: Sequence[str]
    """their names."""
    index: int
    """Which of them it is."""
    start: Fraction
    stop: Fraction
    """The part of its length, from 0 to 1. The kick stands in the middle."""

    @property
    def element(self) -> Element:
        """The element."""
        return self.elements[self.index]

    @property
    def name(self) -> str:
        """Its name."""
        return self.names[self.index]

    @property
    def fraction(self) -> float:
        """Part of the element that the kick covers."""
        return float(self.stop - self.start)

    @property
    def middle(self) -> float:
        """Where in the element the kick stands."""
        return float((self.start + self.stop) / 2)

    @property
    def way(self) -> tuple[tuple[Element, str, float], ...]:
        """(element, name, part of it) from the entrance of the last bend to the kick; empty where there was no bend.

        In a line that goes back (its lengths are negative) the beam once came from the other side: parts are negative.
        """
        length = getattr(self.element, "length", None)
        is_back = isinstance(length, int | float) and length < 0
        found = [(self.element, self.name, self.middle - 1.0 if is_back else self.middle)]
        index, step = self.index, 1 if is_back else -1
        while not self.elements[index].bends:
            index += step
            if not 0 <= index < len(self.elements):
                return ()
            found.append((self.elements[index], self.names[index], -float(step)))
        return tuple(reversed(found))

    def share(self, field: str) -> tuple[Term, ...]:
        """The part of a parameter of the element that falls to the kick: of its length, of a bend's angle."""
        return ((self.name, field, self.fraction),)

    def whole(self, field: str) -> tuple[Term, ...]:
        """A parameter of the element as it is."""
        return ((self.name, field, 1.0),)


@dataclass(frozen=True, kw_only=True)
class Effect(Parametrised):
    """Base of every effect: a frozen dataclass of static fields and of parameters (see `backbeam.parameters`).

    Parameters
    ----------
    slices, step:
        Kicks in each element, or the longest distance between them [m]; None leaves it to the element and to `track`.
    every:
        Kicks every so many metres at most, wherever elements begin and end: fewer than elements, where these are short.
    at:
        Names of elements with one kick each time the beam passes, in the middle; None: along elements.
    along:
        Names of the elements along which it acts; None: all that it acts in.
    name:
        How gradients refer to it; those without one are numbered by kind.

    Examples
    --------
    >>> bb.CSR.kind in bb.Effect.kinds
    True
    >>> bb.CSR(slices=4).slices
    4
    """

    slices: int | None = None
    step: float | None = None
    every: float | None = None
    at: tuple[str, ...] | None = None
    along: tuple[str, ...] | None = None

    kinds: ClassVar[dict[str, type[Effect]]] = {}
    """Every effect by the name that problem files call it."""
    numbers: ClassVar[float | None] = 40.0
    """Numbers a particle that a kick and its pullback hold at once, for the memory model where it was not measured;
    None: it takes a measurement."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "kind" in cls.__dict__:
            Effect.kinds[cls.kind] = cls

    def __post_init__(self) -> None:
        if self.name is not None and (not isinstance(self.name, str) or not self.name or not self.name.isprintable()):
            raise InputError("name", self.name, "text without control characters")
        for field in ("at", "along"):
            self._take_names(field)
        for together in (("slices", "step", "every", "at"), ("along", "at")):
            given = [name for name in together if getattr(self, name) is not None]
            if len(given) > 1:
                raise InputError(self._label(given[-1]), getattr(self, given[-1]), f"left out beside {given[0]}")
        make_plain(self)
        slices = self.slices
        if slices is not None and (type(slices) is not int or slices < 1):
            raise InputError(self._label("slices"), slices, "a whole number, at least 1")
        for field in ("step", "every"):
            value = getattr(self, field)
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if value is not None and not (is_number and 0 < value <= LONGEST):
                raise InputError(self._label(field), value, "a length in m, greater than 0")
        if self.every is not None and type(self).needs is not Effect.needs:
            raise InputError(
                self._label("every"), self.every, f"slices or step: {self.kind} knows the element it is in"
            )
        self._check_parameters()

    def _take_names(self, field: str) -> None:
        """Make a tuple of the names of elements in a field."""
        given = getattr(self, field)
        if given is None:
            return
        names = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, Iterable) else ()
        if not names or not all(isinstance(name, str) for name in names):
            raise InputError(self._label(field), given, "names of elements, or None for all along the line")
        object.__setattr__(self, field, names)

    # -- where it acts -----------------------------------------------------------------------------------------------

    def acts_in(self, element: Element) -> bool:
        """Whether it acts along an element: those with a length, unless that is known to be 0."""
        length = getattr(element, "length", None)
        return element.divisible and not (isinstance(length, int | float) and length == 0)

    def acts_along(self, element: Element, name: str) -> bool:
        """Whether it acts along the element of that name."""
        return self.at is None and (self.along is None or name in self.along) and self.acts_in(element)

    def needs(self, place: Place) -> dict[str, tuple[Term, ...]] | None:
        """What ``p`` has to hold of elements: name -> terms (owner, parameter, factor), which are summed.

        None: there is nothing for it to do at that place.

        By default ``length``, that of the kick [m], for an effect along elements, and nothing ``at`` points.
        """
        return {} if self.at is not None else {"length": place.share("length")}

    def idle(self, elements: Sequence[Element]) -> str:
        """Why it does nothing in a line of those elements, for a warning; empty where it does something."""
        return ""

    def settled(self, bunch: Bunch) -> Self:
        """Same effect with what it chooses by the bunch that a run begins with, and keeps to, gradient included."""
        return self

    # -- the kick ----------------------------------------------------------------------------------------------------

    def forward(self, bunch: Bunch, p: Parameters) -> Array:
        """Coordinates after the kick."""
        raise NotImplementedError

    def inverse(self, bunch: Bunch, p: Parameters) -> Array:
        """Coordinates before the kick, from the bunch after it."""
        raise NotImplementedError

    def pullback(self, bunch: Bunch, p: Parameters, X1_bar: Array) -> EffectBars:
        """Cotangents at the bunch before the kick."""
        raise NotImplementedError

    def reverse(self, bunch: Bunch, p: Parameters, X1_bar: Array) -> tuple[Array, EffectBars]:
        """X before the kick and what `pullback` gives there, from the bunch after it."""
        X = self.inverse(bunch, p)
        return X, self.pullback(bunch._replace(X=X), p, X1_bar)

    # -- what is said of it ------------------------------------------------------------------------------------------

    def describe(self) -> str:
        """What it is and how fine, in a few words for tables."""
        return self.kind

    def sizes(self, n: int, batch: int, grids: int) -> dict[str, float]:
        """What its memory is linear in besides particles, for ``batch`` beams of ``n``: see `backbeam.memory.features`.

        ``grids`` is the number of grids that threads fill besides.
        """
        return {}

    def block(self, batch: int) -> int | None:
        """Particles of a block that a thread has in hand; None: as many as the library takes."""
        return None

    def bare(self) -> Self:
        """Only what decides how a kick is made: without name, parameters, and where it acts."""
        bare = object.__new__(type(self))
        gone = {"name", "slices", "step", "every", "at", "along", *self.parameter_names()}
        for f in fields(self):
            object.__setattr__(bare, f.name, None if f.name in gone else getattr(self, f.name))
        return bare
