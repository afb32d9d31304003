"""Reverse Polish notation, as in elegant's lattices: ``0.03865 2 *``, and ``1 x + sto y``, which stores a variable."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from backbeam.errors import InputError
from backbeam.formulas import operation

_DEGREE = math.pi / 180.0

BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: operation("+", a, b),
    "-": lambda a, b: operation("-", a, b),
    "*": lambda a, b: operation("*", a, b),
    "/": lambda a, b: operation("/", a, b),
    "pow": lambda a, b: operation("^", a, b),
    "atan2": lambda a, b: operation("atan2", a, b),
    "max2": lambda a, b: operation("max", a, b),
    "min2": lambda a, b: operation("min", a, b),
}
UNARY: dict[str, Callable[[Any], Any]] = {
    **{name: partial(operation, name) for name in "sqrt sin cos tan asin acos atan exp abs".split()},
    "ln": lambda a: operation("log", a),
    "log": lambda a: operation("log10", a),
    "sqr": lambda a: operation("*", a, a),
    "chs": lambda a: operation("neg", a),
    "rec": lambda a: operation("/", 1.0, a),
    "int": lambda a: operation("trunc", a),
    "dsin": lambda a: operation("sin", _DEGREE * a),
    "dcos": lambda a: operation("cos", _DEGREE * a),
    "dtan": lambda a: operation("tan", _DEGREE * a),
    "dasin": lambda a: operation("asin", a) / _DEGREE,
    "dacos": lambda a: operation("acos", a) / _DEGREE,
    "datan": lambda a: operation("atan", a) / _DEGREE,
    "dtor": lambda a: _DEGREE * a,
    "rtod": lambda a: a / _DEGREE,
}
KNOWN = {"pi": math.pi, "log_e": math.log10(math.e), "c_cgs": 2.99792458e10, "c_mks": 299792458.0, "HUGE": 1e300}
"""Names that need no ``sto``."""
LONGEST = 10_000
"""Words of an expression."""


def evaluate_rpn(text: str, variables: Mapping[str, Any], store: Callable[[str, Any], None] | None = None) -> Any:
    """What is left on the stack: a number or formula; None where all has been stored.

    Parameters
    ----------
    text:
        The expression.
    variables:
        What the names of variables stand for.
    store:
        What ``sto`` does with a name and a value; None: it may not stand here.

    Raises
    ------
    InputError
        For what is no expression; its field is ``expression``.
    """
    stack: list[Any] = []
    words = text.split()
    if len(words) > LONGEST:
        raise InputError("expression", text, f"at most {LONGEST} words")

    def pop() -> Any:
        if not stack:
            raise InputError("expression", text, "an operand before every operator")
        return stack.pop()

    k = 0
    while k < len(words):
        word = words[k]
        k += 1
        if word in BINARY:
            b, a = pop(), pop()
            stack.append(BINARY[word](a, b))
        elif word in UNARY:
            stack.append(UNARY[word](pop()))
        elif word == "swap":
            b, a = pop(), pop()
            stack += [b, a]
        elif word == "=":
            stack.append(pop())
            stack.append(stack[-1])
        elif word == "pop":
            pop()
        elif word == "sto" and store is not None:
            if k == len(words):
                raise InputError("expression", text, "a name behind sto")
            value = pop()
            store(words[k], value)
            stack.append(value)
            k += 1
        else:
            stack.append(_operand(word, variables, text))
    return stack[-1] if stack else None


def _operand(word: str, variables: Mapping[str, Any], text: str) -> Any:
    if word in variables:
        return variables[word]
    if word in KNOWN:
        return KNOWN[word]
    try:
        value = float(word) if "_" not in word else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError("expression", text, f"numbers, operators and stored variables: not {word!r}")
    return value
