"""Text of an expression to a formula: one grammar for MAD-X, PALS, Bmad and Xsuite.

They differ in little: ``^`` or ``**``, ``q1->k1``, ``q1[k1]`` or ``vars['k1']``, and what some names mean; a name that
would not be one, such as ``'a:b'``, is quoted. A `Dialect`
says that. Nothing is executed: what comes out is a `backbeam.formulas.Formula` or a number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from backbeam.errors import InputError
from backbeam.extras import need
from backbeam.formulas import RULES, Property, Variable, operation

GRAMMAR = r"""
?start: sum
?sum: product | sum PLUS product -> binary | sum MINUS product -> binary
?product: unary | product TIMES unary -> binary | product OVER unary -> binary
?unary: power | MINUS unary -> negative | PLUS unary -> positive
?power: atom | atom (RAISED exponent)+ -> powers
?exponent: atom | MINUS exponent -> negative
?atom: NUMBER -> number
    | NAME "(" (sum ("," sum)*)? ")" -> call
    | NAME ARROW NAME -> property
    | NAME "[" (NAME | QUOTED) "]" ["." NAME] -> item
    | NAME -> name
    | QUOTED -> quoted
    | "(" sum ")"
RAISED.2: "^" | "**"
PLUS: "+"
MINUS: "-"
TIMES: "*"
OVER: "/"
ARROW.3: /\s*->\s*/
NAME: /[A-Za-z_](?:[\w$#%]|\.(?=[\w$#]))*/
NUMBER: /(?:\d+\.?\d*|\.\d+)(?:[eEdD][+-]?\d+)?/
QUOTED: /'[^']*'|"[^"]*"/
%ignore /\s+/
"""

DEEPEST = 100
"""More brackets in each other are refused."""
LONGEST = 100_000
"""An expression of more characters is refused."""
NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*")
NAME = re.compile(r"\s*[A-Za-z_][\w.$#%]*\s*")


@dataclass(frozen=True, eq=False)
class Dialect:
    """What is particular to the expressions of one format.

    Parameters
    ----------
    lower:
        Whether names mean the same in capitals.
    zero_division:
        Whether x/0 is 0.
    functions:
        Functions beyond those of `backbeam.formulas.RULES`, or other meanings of them: they take formulas or numbers
        and give one.
    constants:
        Names that are numbers whatever a file says.
    item:
        What ``name[key]`` and ``name['key'].attribute`` mean, from the three texts, the last None where there is none;
        as it stands ``name[key]`` is the parameter of an element.
    """

    lower: bool = True
    zero_division: bool = False
    functions: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    constants: Mapping[str, float] = field(default_factory=dict)
    item: Callable[[str, str, str | None], Any] | None = None

    def parse(self, text: str) -> Any:
        """Formula or number of a text.

        Raises
        ------
        InputError
            If it is no expression; its field is ``expression``.
        """
        if NUMBER.fullmatch(text):
            return float(text)
        if NAME.fullmatch(text):
            return self.named(text.strip())
        if len(text) > LONGEST:
            raise InputError("expression", text, f"at most {LONGEST} characters")
        lark = _lark()
        try:
            return _build(_parser().parse(text), self)
        except lark.UnexpectedInput as error:
            place = getattr(error, "pos_in_stream", None)
            near = text[place:].strip()[:20] if isinstance(place, int) and place >= 0 else ""
            what = f"an expression, which {'ends too early' if not near else f'cannot go on with {near!r}'}"
            raise InputError("expression", text.strip(), f"{what.replace('which', 'where this one')}") from None

    def spelled(self, name: str) -> str:
        """A name as it is kept."""
        return name.lower() if self.lower else name

    def named(self, name: str) -> Any:
        """What a name stands for: a constant or a variable."""
        name = self.spelled(name)
        return self.constants[name] if name in self.constants else Variable(name)

    def call(self, function: str, arguments: list[Any]) -> Any:
        """Value of a function that stands in a text."""
        if function in self.functions:
            return self.functions[function](*arguments)
        if function not in RULES:
            known = sorted({*self.functions, *(s for s in RULES if s.isalnum() and s != "neg")})
            raise InputError("function", function, f"one of {', '.join(known)}")
        return operation(function, *arguments)


def _lark() -> Any:
    (lark,) = need("lattice", "lark", purpose="reading lattices of other codes")
    return lark


@cache
def _parser() -> Any:
    return _lark().Lark(GRAMMAR, parser="lalr", maybe_placeholders=True)


def _build(tree: Any, dialect: Dialect, level: int = 0) -> Any:
    """Formula of a tree."""
    if level > DEEPEST:
        raise InputError("expression", "nested too deep", f"at most {DEEPEST} brackets in each other")
    kind, children = str(tree.data), tree.children

    def below(child: Any) -> Any:
        return _build(child, dialect, level + 1)

    match kind:
        case "number":
            return float(re.sub("[dD]", "e", children[0]))
        case "name":
            return dialect.named(str(children[0]))
        case "quoted":
            return Variable(str(children[0])[1:-1])
        case "property":
            return Property(dialect.spelled(str(children[0])), dialect.spelled(str(children[2])))
        case "item":
            owner, key = str(children[0]), str(children[1]).strip("'\"")
            more = None if children[2] is None else str(children[2])
            if dialect.item is not None:
                return dialect.item(owner, key, more)
            return Property(dialect.spelled(owner), dialect.spelled(key))
        case "call":
            arguments = [below(c) for c in children[1:] if c is not None]
            return dialect.call(dialect.spelled(str(children[0])), arguments)
        case "negative":
            return operation("neg", below(children[1]))
        case "positive":
            return below(children[1])
        case "powers":
            return _powers(children, below)
    return _sum(tree, dialect, level)


def _sum(tree: Any, dialect: Dialect, level: int) -> Any:
    """A chain of operators that bind alike, from the left, however long it is."""
    chain = []
    while hasattr(tree, "data") and tree.data == "binary":
        tree, sign, right = tree.children
        chain.append((str(sign), right))
    found = _build(tree, dialect, level + 1)
    for sign, right in reversed(chain):
        if sign == "/" and dialect.zero_division:
            sign = "/0"
        found = operation(sign, found, _build(right, dialect, level + 1))
    return found


def _powers(children: list[Any], below: Callable[[Any], Any]) -> Any:
    """``a^b^c`` from the left, as MAD-X has it; ``a**b**c`` from the right, as Python has it."""
    values, signs = [below(c) for c in children[0::2]], [str(c) for c in children[1::2]]
    if "**" in signs:
        found = values[-1]
        for value in reversed(values[:-1]):
            found = operation("^", value, found)
        return found
    found = values[0]
    for value in values[1:]:
        found = operation("^", found, value)
    return found
