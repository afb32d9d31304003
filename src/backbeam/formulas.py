"""Formulas of named variables: evaluated for numbers or arrays of any library, and differentiated in reverse.

A formula is a tree of `Variable`, `Property` (a parameter of an element, ``q1->k1``) and `Operation`; numbers stand for
themselves. Formulas are immutable, hashable, and add and multiply like numbers, so that a reader can turn MV into V
before anybody knows how many. They hold no values: those come from outside, one for each variable.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

from backbeam.arrays import namespace
from backbeam.errors import InputError

Value = Any
"""A number, or an array of any library."""


class Formula:
    """Base of what is not known yet: a variable, or what is made of variables."""

    def __add__(self, other: Any) -> Any:
        return operation("+", self, other)

    def __radd__(self, other: Any) -> Any:
        return operation("+", other, self)

    def __sub__(self, other: Any) -> Any:
        return operation("-", self, other)

    def __rsub__(self, other: Any) -> Any:
        return operation("-", other, self)

    def __mul__(self, other: Any) -> Any:
        return operation("*", self, other)

    def __rmul__(self, other: Any) -> Any:
        return operation("*", other, self)

    def __truediv__(self, other: Any) -> Any:
        return operation("/", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return operation("/", other, self)

    def __pow__(self, other: Any) -> Any:
        return operation("^", self, other)

    def __neg__(self) -> Any:
        return operation("neg", self)

    @property
    def names(self) -> frozenset[str]:
        """Names of the variables in it; a property as ``owner->name``."""
        raise NotImplementedError


@dataclass(frozen=True)
class Variable(Formula):
    """A variable by its name."""

    name: str

    @property
    def names(self) -> frozenset[str]:
        """Its name."""
        return frozenset((self.name,))

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Property(Formula):
    """A parameter of an element: ``q1->k1``. A reader puts its formula in its place before it is evaluated."""

    owner: str
    name: str

    @property
    def names(self) -> frozenset[str]:
        """``owner->name``."""
        return frozenset((f"{self.owner}->{self.name}",))

    def __str__(self) -> str:
        return f"{self.owner}->{self.name}"


@dataclass(frozen=True)
class Operation(Formula):
    """An operator or a function, by its name in `RULES`, and what it is applied to."""

    symbol: str
    arguments: tuple[Any, ...]

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.symbol, self.arguments))

    @cached_property
    def names(self) -> frozenset[str]:
        """Names of all variables in it."""
        return frozenset().union(*(a.names for a in self.arguments if isinstance(a, Formula)))

    @cached_property
    def depth(self) -> int:
        """How deep it is nested."""
        return 1 + max((depth(a) for a in self.arguments), default=0)

    def __str__(self) -> str:
        return text_of(self)

    def __reduce__(self) -> Any:
        return Operation, (self.symbol, self.arguments)


DEEPEST = 200
"""A formula that is nested deeper is refused."""


def depth(formula: Any) -> int:
    """How deep a formula is nested; 0 for a number."""
    return formula.depth if isinstance(formula, Operation) else int(isinstance(formula, Formula))


def operation(symbol: str, *arguments: Any) -> Any:
    """Formula of an operator or function; a number if all arguments are numbers, and ``a + 0``, ``a * 1`` are ``a``.

    Raises
    ------
    InputError
        For a function that there is not, or as many arguments as it does not take.
    """
    if symbol not in RULES:
        raise InputError("function", symbol, f"one of {', '.join(s for s in RULES if s.isalnum())}")
    rule = RULES[symbol]
    if len(arguments) != rule.arity:
        raise InputError(f"{symbol}()", f"{len(arguments)} arguments", f"{rule.arity}")
    if not any(isinstance(a, Formula) for a in arguments):
        return apply(symbol, arguments)
    first, second = arguments if len(arguments) == 2 else (arguments[0], None)
    if symbol == "+" and _is(first, 0.0):
        return second
    if symbol in "+-" and _is(second, 0.0):
        return first
    if symbol == "*" and _is(first, 1.0):
        return second
    if symbol in "*/" and _is(second, 1.0):
        return first
    found = Operation(symbol, arguments)
    if found.depth > DEEPEST:
        raise InputError("formula", f"nested {found.depth} deep", f"at most {DEEPEST}")
    return found


def _is(a: Any, number: float) -> bool:
    return not isinstance(a, Formula) and not hasattr(a, "shape") and a == number


def apply(symbol: str, arguments: tuple[Value, ...] | list[Value]) -> Value:
    """Value of one operation on numbers or arrays.

    Raises
    ------
    InputError
        For what has no value, such as the root of -1.
    """
    plain = all(isinstance(a, int | float) for a in arguments)
    try:
        found = RULES[symbol].value(math if plain else namespace(*arguments), *arguments)
    except (ValueError, OverflowError, ZeroDivisionError, AttributeError) as error:
        if plain and not isinstance(error, AttributeError):
            raise InputError(symbol, list(arguments), "arguments for which it has a value") from None
        raise InputError(symbol, "an array", "plain numbers: array libraries do not have it") from None
    if isinstance(found, complex):
        raise InputError(symbol, list(arguments), "arguments for which it has a real value")
    return found


def evaluate(formula: Any, value_of: Callable[[str], Value]) -> Value:
    """Value of a formula; ``value_of`` gives that of each variable by name."""
    if not isinstance(formula, Formula):
        return formula
    if isinstance(formula, Operation):
        arguments = [evaluate(a, value_of) if isinstance(a, Formula) else a for a in formula.arguments]
        return apply(formula.symbol, arguments)
    return value_of(str(formula))


def slopes(formula: Any, value_of: Callable[[str], Value], cotangent: Value) -> Iterator[tuple[str, Value]]:
    """Cotangents of the variables of a formula, from that of its value; a variable that comes twice comes twice."""
    if isinstance(formula, Operation):
        values = [evaluate(a, value_of) for a in formula.arguments]
        m = math if all(isinstance(v, int | float) for v in values) else namespace(*values)
        for argument, slope in zip(formula.arguments, RULES[formula.symbol].slopes, strict=True):
            if isinstance(argument, Formula):
                yield from slopes(argument, value_of, cotangent * slope(m, *values))
    elif isinstance(formula, Formula):
        yield str(formula), cotangent


def substitute(formula: Any, known: Callable[[Formula], Any]) -> Any:
    """Return the formula with other things in the place of variables and properties, where ``known`` gives one."""
    if isinstance(formula, Operation):
        arguments = [substitute(a, known) for a in formula.arguments]
        if all(a is b for a, b in zip(arguments, formula.arguments, strict=True)):
            return formula
        return operation(formula.symbol, *arguments)
    if isinstance(formula, Formula):
        found = known(formula)
        return formula if found is None else found
    return formula


# -- operations -------------------------------------------------------------------------------------------------------


class Rule(NamedTuple):
    """What an operation is, and its slope by each argument; ``m`` is the module math or an array namespace."""

    value: Callable[..., Value]
    slopes: tuple[Callable[..., Value], ...]

    @property
    def arity(self) -> int:
        """Number of arguments."""
        return len(self.slopes)


def _quotient_or_zero(m: Any, a: Value, b: Value) -> Value:
    """a/b, and 0 where b is 0: MAD's division."""
    if isinstance(b, int | float):
        return a / b if b else 0.0 * a
    b = b + 0.0 * a
    nothing = b == 0.0
    return m.where(nothing, m.zeros_like(b), a / m.where(nothing, m.ones_like(b), b))


def _power(m: Any, a: Value, b: Value) -> Value:
    return a**b


def _power_by_exponent(m: Any, a: Value, b: Value) -> Value:
    if m is math:
        return a**b * math.log(a) if a > 0.0 else 0.0
    a, positive = a + 0.0 * b, a + 0.0 * b > 0.0
    return m.where(positive, a**b * m.log(m.where(positive, a, m.ones_like(a))), m.zeros_like(a))


def _power_by_base(m: Any, a: Value, b: Value) -> Value:
    if m is math and (b == 0.0 or (a == 0.0 and b < 1.0)):
        return 0.0
    return b * a ** (b - 1)


def _sinc(m: Any, a: Value) -> Value:
    if m is math:
        return math.sin(a) / a if a else 1.0
    small = abs(a) < 1e-4
    safe = m.where(small, m.ones_like(a), a)
    return m.where(small, 1.0 - a * a / 6.0, m.sin(safe) / safe)


def _sinc_slope(m: Any, a: Value) -> Value:
    """(cos a - sin a/a)/a, by its series where that cancels."""
    series = -a / 3.0 * (1.0 - a * a / 10.0 * (1.0 - a * a / 28.0))
    if m is math:
        return series if abs(a) < 0.03 else (math.cos(a) - math.sin(a) / a) / a
    small = abs(a) < 0.03
    safe = m.where(small, m.ones_like(a), a)
    return m.where(small, series, (m.cos(safe) - m.sin(safe) / safe) / safe)


def _sign(m: Any, a: Value) -> Value:
    return math.copysign(1.0, a) if m is math else m.sign(a)


def _flat(m: Any, *a: Value) -> Value:
    return 0.0


def _larger(m: Any, a: Value, b: Value) -> Value:
    return max(a, b) if m is math else m.where(a + 0.0 * b >= b, a + 0.0 * b, b + 0.0 * a)


def _smaller(m: Any, a: Value, b: Value) -> Value:
    return -_larger(m, -a, -b)


def _is_larger(m: Any, a: Value, b: Value) -> Value:
    return float(a >= b) if m is math else m.where(a >= b, m.ones_like(a + 0.0 * b), m.zeros_like(a + 0.0 * b))


def _truncated(m: Any, a: Value) -> Value:
    return float(m.trunc(a)) if m is math else m.trunc(a)


_TWO_OVER_ROOT_PI = 2.0 / math.sqrt(math.pi)

RULES: dict[str, Rule] = {
    "+": Rule(lambda m, a, b: a + b, (lambda m, a, b: 1.0, lambda m, a, b: 1.0)),
    "-": Rule(lambda m, a, b: a - b, (lambda m, a, b: 1.0, lambda m, a, b: -1.0)),
    "*": Rule(lambda m, a, b: a * b, (lambda m, a, b: b, lambda m, a, b: a)),
    "/": Rule(lambda m, a, b: a / b, (lambda m, a, b: 1.0 / b, lambda m, a, b: -a / (b * b))),
    "/0": Rule(
        _quotient_or_zero,
        (lambda m, a, b: _quotient_or_zero(m, 1.0, b), lambda m, a, b: _quotient_or_zero(m, -a, b * b)),
    ),
    "^": Rule(_power, (_power_by_base, _power_by_exponent)),
    "neg": Rule(lambda m, a: -a, (lambda m, a: -1.0,)),
    "sqrt": Rule(lambda m, a: m.sqrt(a), (lambda m, a: 0.5 / m.sqrt(a),)),
    "exp": Rule(lambda m, a: m.exp(a), (lambda m, a: m.exp(a),)),
    "log": Rule(lambda m, a: m.log(a), (lambda m, a: 1.0 / a,)),
    "log10": Rule(lambda m, a: m.log10(a), (lambda m, a: 1.0 / (a * math.log(10.0)),)),
    "sin": Rule(lambda m, a: m.sin(a), (lambda m, a: m.cos(a),)),
    "cos": Rule(lambda m, a: m.cos(a), (lambda m, a: -m.sin(a),)),
    "tan": Rule(lambda m, a: m.tan(a), (lambda m, a: 1.0 + m.tan(a) ** 2,)),
    "asin": Rule(lambda m, a: m.asin(a), (lambda m, a: 1.0 / m.sqrt(1.0 - a * a),)),
    "acos": Rule(lambda m, a: m.acos(a), (lambda m, a: -1.0 / m.sqrt(1.0 - a * a),)),
    "atan": Rule(lambda m, a: m.atan(a), (lambda m, a: 1.0 / (1.0 + a * a),)),
    "sinh": Rule(lambda m, a: m.sinh(a), (lambda m, a: m.cosh(a),)),
    "cosh": Rule(lambda m, a: m.cosh(a), (lambda m, a: m.sinh(a),)),
    "tanh": Rule(lambda m, a: m.tanh(a), (lambda m, a: 1.0 - m.tanh(a) ** 2,)),
    "atan2": Rule(
        lambda m, a, b: m.atan2(a, b) if m is math else m.atan2(a + 0.0 * b, b + 0.0 * a),
        (lambda m, a, b: b / (a * a + b * b), lambda m, a, b: -a / (a * a + b * b)),
    ),
    "sinc": Rule(_sinc, (_sinc_slope,)),
    "abs": Rule(lambda m, a: abs(a), (_sign,)),
    "erf": Rule(lambda m, a: m.erf(a), (lambda m, a: _TWO_OVER_ROOT_PI * m.exp(-a * a),)),
    "erfc": Rule(lambda m, a: m.erfc(a), (lambda m, a: -_TWO_OVER_ROOT_PI * m.exp(-a * a),)),
    "floor": Rule(lambda m, a: float(m.floor(a)) if m is math else m.floor(a), (_flat,)),
    "ceil": Rule(lambda m, a: float(m.ceil(a)) if m is math else m.ceil(a), (_flat,)),
    "round": Rule(lambda m, a: float(round(a)) if m is math else m.round(a), (_flat,)),
    "trunc": Rule(_truncated, (_flat,)),
    "frac": Rule(lambda m, a: a - _truncated(m, a), (lambda m, a: 1.0,)),
    "mod": Rule(
        lambda m, a, b: math.fmod(a, b) if m is math else a - m.trunc(a / b) * b,
        (lambda m, a, b: 1.0, lambda m, a, b: -_truncated(m, a / b)),
    ),
    "max": Rule(_larger, (_is_larger, lambda m, a, b: 1.0 - _is_larger(m, a, b))),
    "min": Rule(_smaller, (lambda m, a, b: _is_larger(m, b, a), lambda m, a, b: 1.0 - _is_larger(m, b, a))),
}
"""Every operation. ``/0`` is MAD's division, which gives 0 for a divisor of 0."""


# -- as text ----------------------------------------------------------------------------------------------------------

_BINDS = {"+": 1, "-": 1, "*": 2, "/": 2, "/0": 2, "neg": 3, "^": 4}


_PLAIN = re.compile(r"[A-Za-z_](?:[\w$#%]|\.(?=[\w$#]))*(?:->\w+)?")


def quoted(name: str) -> str:
    """A name, in quotes if it could be taken for something else."""
    return name if _PLAIN.fullmatch(name) else f"'{name}'"


def text_of(formula: Any, name: Callable[[str], str] = quoted) -> str:
    """Text of a formula, as every reader here understands it; ``name`` may rewrite the names of variables."""
    if isinstance(formula, Variable | Property):
        return name(str(formula))
    if not isinstance(formula, Operation):
        number = float(formula)
        return repr(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)
    symbol, arguments = formula.symbol, formula.arguments
    if symbol not in _BINDS:
        return f"{symbol}({', '.join(text_of(a, name) for a in arguments)})"
    mine = _BINDS[symbol]
    if symbol == "neg":
        return f"-{_operand(arguments[0], mine, name)}"
    first, second = arguments
    left = _operand(first, mine + (symbol == "^"), name)
    right = _operand(second, mine + 1, name)
    sign = {"/0": "/", "^": "^", "*": "*", "/": "/"}.get(symbol, f" {symbol} ")
    return f"{left}{sign}{right}"


def _operand(formula: Any, least: int, name: Callable[[str], str]) -> str:
    text = text_of(formula, name)
    binds = _BINDS.get(formula.symbol, 9) if isinstance(formula, Operation) else 9 if text[0] != "-" else 3
    return text if binds >= least and not (text[0] == "-" and least > 1) else f"({text})"


# -- variables that depend on each other ------------------------------------------------------------------------------


class Definitions(Protocol):
    """What names stand for: a mapping, or what is like one in this."""

    def get(self, name: str, /) -> Any:
        """Formula or value of a name; None where there is none."""


def in_order(definitions: Definitions, wanted: Iterable[str]) -> list[str]:
    """Names that are wanted and all that they are made of, each behind those that it is made of.

    Raises
    ------
    InputError
        If one is made of itself.
    """
    done: dict[str, None] = {}
    under_way: dict[str, None] = {}
    stack = [(name, False) for name in sorted(wanted, reverse=True)]
    while stack:
        name, ready = stack.pop()
        if name in done:
            continue
        formula = definitions.get(name)
        below = sorted(formula.names, reverse=True) if isinstance(formula, Formula) else ()
        if ready or not below:
            under_way.pop(name, None)
            done[name] = None
            continue
        under_way[name] = None
        stack.append((name, True))
        for other in below:
            if other in under_way:
                raise InputError(other, text_of(definitions.get(other)), "a formula that does not lead back to itself")
            if other not in done:
                stack.append((other, False))
    return list(done)
