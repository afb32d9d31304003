"""How objectives are written in problem files and on the command line.

::

    sum      sigma_x + 2 sigma_y - 1e-3          spaces around + and - where a name could have them
    product  2 sigma_x    emittance_x * emittance_y    sigma_x / sigma_y
    power    (sigma_x - 1e-3)**2    sigma_x^2
    function log(emittance_x)    sqrt(...)    abs(mean_x)
    place    sigma_x @ m1    sigma_x @ "m 1"    mean_x @ bpm[2]    sigma_y @ start
    name     sigma_x    reading:bpm1.x    tune_x    optics.beta_x @ m1
    call     quantile(x, 0.95)    mismatch(x, beta=3.0, alpha=-1.0)    charge_within(2e-3, 1e-3, width=1e-4)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from backbeam.errors import InputError
from backbeam.observables.algebra import log, sqrt
from backbeam.observables.base import Objective
from backbeam.observables.planes import mismatch
from backbeam.observables.quantiles import quantile
from backbeam.observables.within import charge_within

FUNCTIONS: dict[str, Callable[[Any], Any]] = {"log": log, "sqrt": sqrt, "abs": abs}
CALLS: dict[str, Callable[..., Objective]] = {
    "quantile": quantile,
    "mismatch": mismatch,
    "charge_within": charge_within,
}
"""Objectives with settings, as from Python."""
ALLOWED = "an objective, or a formula such as 2 sigma_x + (sigma_y @ m1 - 1e-3)**2"
DEEPEST = 50
"""Brackets within brackets: more are refused."""
_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
    | (?P<name>reading:(?:"[^"]*"|\S)*?\.[xy](?=[\s()*/^+-]|$)|[A-Za-z_][\w.]*)
    | @\s*(?P<place>"[^"]*"|[^\s"()*/^@]+)
    | (?P<sign>\*\*|[-+*/^(),=])
    )""",
    re.VERBOSE,
)


Named = Callable[[str, str | None], Objective]
"""What a name means, at a place or at the end."""


def parse(text: str, named: Named) -> Objective:
    """The objective that a text is of.

    Raises
    ------
    InputError
        For a text that is none, with what is not understood.
    """
    reader = _Reader(text, named)
    found = reader.sum(0)
    if reader.tokens or not isinstance(found, Objective):
        raise reader.error()
    return found


class _Reader:
    """Tokens from left to right: (kind, text)."""

    def __init__(self, text: str, named: Named) -> None:
        self.text, self.named = text, named
        self.tokens: list[tuple[str, str]] = []
        at, end = 0, len(text.rstrip())
        while at < end:
            match = _TOKEN.match(text, at)
            if match is None:
                raise self.error()
            kind = match.lastgroup or ""
            self.tokens.append((kind, match[kind]))
            at = match.end()
        self.tokens.reverse()

    def error(self) -> InputError:
        return InputError("objective", self.text, ALLOWED)

    def taken(self, *signs: str) -> str:
        """The next token if it is one of these signs, else nothing."""
        if self.tokens and self.tokens[-1][0] == "sign" and self.tokens[-1][1] in signs:
            return self.tokens.pop()[1]
        return ""

    def sum(self, depth: int) -> Any:
        """Terms with + and - between them."""
        if depth > DEEPEST:
            raise self.error()
        found = self.signed(depth)
        while sign := self.taken("+", "-"):
            term = self.product(depth)
            found = found + term if sign == "+" else found - term
        return found

    def signed(self, depth: int) -> Any:
        """A term that may begin with a sign."""
        sign = self.taken("+", "-")
        found = self.product(depth)
        return -found if sign == "-" else found

    def product(self, depth: int) -> Any:
        """Factors; a number may stand before a name as it is."""
        is_number = bool(self.tokens) and self.tokens[-1][0] == "number"
        found = self.power(depth)
        while self.tokens:
            kind, text = self.tokens[-1]
            if sign := self.taken("*", "/"):
                factor = self.power(depth)
                try:
                    found = found * factor if sign == "*" else found / factor
                except (ZeroDivisionError, OverflowError):
                    raise self.error() from None
            elif is_number and (kind == "name" or text == "("):
                found = found * self.power(depth)
            else:
                break
            is_number = False
        return found

    def power(self, depth: int) -> Any:
        """An atom, with an exponent that is a number."""
        found = self.atom(depth)
        if self.taken("**", "^"):
            sign = self.taken("+", "-")
            if not self.tokens or self.tokens[-1][0] != "number":
                raise self.error()
            exponent = float(self.tokens.pop()[1])
            try:
                found = found ** (-exponent if sign == "-" else exponent)
            except (ZeroDivisionError, OverflowError):
                raise self.error() from None
        return found

    def atom(self, depth: int) -> Any:
        """A number, a name, a function, or a sum in brackets; each may be at a place."""
        if not self.tokens:
            raise self.error()
        kind, text = self.tokens.pop()
        if kind == "number":
            return float(text)
        if kind == "name" and text in FUNCTIONS:
            if not self.taken("("):
                raise self.error()
            inner = self.closed(depth)
            if not isinstance(inner, Objective):
                raise self.error()
            return FUNCTIONS[text](inner)
        if kind == "name" and text in CALLS and self.taken("("):
            return self.called(CALLS[text])
        if kind == "name":
            return self.named(text, self.place())
        if text != "(":
            raise self.error()
        return self.closed(depth)

    def called(self, function: Callable[..., Objective]) -> Objective:
        """What stands between the brackets of a call: words and numbers, some of them by name."""
        given: list[Any] = []
        options: dict[str, Any] = {}
        while not self.taken(")"):
            value = self.word()
            if isinstance(value, str) and self.taken("="):
                options[value] = self.word()
            else:
                given.append(value)
            if not self.taken(",") and (not self.tokens or self.tokens[-1] != ("sign", ")")):
                raise self.error()
        try:
            return function(*given, **options).at(self.place())
        except TypeError:
            raise self.error() from None

    def word(self) -> str | float:
        """A name, or a number with or without a sign."""
        sign = -1.0 if self.taken("-") else 1.0
        kind, text = self.tokens.pop() if self.tokens else ("", "")
        if kind == "number":
            return sign * float(text)
        if kind != "name" or sign < 0.0:
            raise self.error()
        return text

    def closed(self, depth: int) -> Any:
        """A sum, its closing bracket, and perhaps a place."""
        found = self.sum(depth + 1)
        if not self.taken(")"):
            raise self.error()
        place = self.place()
        if place is None:
            return found
        if not isinstance(found, Objective):
            raise self.error()
        return found.at(place)

    def place(self) -> str | None:
        """A place behind what was read."""
        if self.tokens and self.tokens[-1][0] == "place":
            return self.tokens.pop()[1].strip('"')
        return None
