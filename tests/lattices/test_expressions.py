"""Expressions: what they are worth in each format's spelling, and their derivatives on every array library."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest

from backbeam.errors import InputError
from backbeam.formulas import RULES, Formula, Operation, Property, Variable, evaluate, operation, slopes, text_of
from backbeam.lattices.expressions import Dialect

PLAIN = Dialect()
MAD = Dialect(zero_division=True)


@pytest.mark.parametrize(
    "text,value",
    [
        ("1+2*3", 7.0), ("8/2/2", 2.0), ("1-2-3", -4.0), ("-2^2", -4.0), ("2^-1", 0.5), ("2*-3", -6.0),
        ("2^3^2", 64.0), ("2**3**2", 512.0), ("1d-3", 1e-3), ("1.e3", 1e3), (".5", 0.5), ("-(-(3))", 3.0),
        ("sqrt(16) + abs(-2)", 6.0), ("atan2(1, 1)", math.pi / 4), ("sinc(0)", 1.0), ("round(2.5)", 2.0),
        ("frac(-1.25)", -0.25), ("mod(7, 4)", 3.0), ("max(1, 2) - min(1, 2)", 1.0), ("erf(0) + erfc(0)", 1.0),
    ],
)  # fmt: skip
def test_what_has_no_variables_is_a_number(text, value):
    assert PLAIN.parse(text) == pytest.approx(value, abs=1e-15)


def test_division_by_zero_is_zero_in_mad_alone():
    assert evaluate(MAD.parse("a/b"), {"a": 3.0, "b": 0.0}.__getitem__) == 0.0
    with pytest.raises(InputError, match="arguments for which it has a value"):
        evaluate(PLAIN.parse("a/b"), {"a": 3.0, "b": 0.0}.__getitem__)


def test_names_and_parameters_of_elements():
    assert PLAIN.parse("KQ.F$1") == Variable("kq.f$1") and Dialect(lower=False).parse("KQ") == Variable("KQ")
    assert PLAIN.parse("q1 -> k1") == PLAIN.parse("q1[k1]") == Property("q1", "k1")
    xsuite = Dialect(lower=False, item=lambda own, key, more: Variable(key) if own == "vars" else Property(key, more))
    assert xsuite.parse("vars['a.b'] * element_refs['q'].k1") == operation("*", Variable("a.b"), Property("q", "k1"))
    assert PLAIN.parse("a*b").names == {"a", "b"} and PLAIN.parse("q->l + a").names == {"q->l", "a"}


@pytest.mark.parametrize(
    "text", ["a+b*c - d/(e - f)", "-a^2", "(-a)^2", "a - (b - c)", "a/(b*c)", "a*(b/c)", "-(a + b)", "a^-b", "sin(a)^b",
             "a + (b + c)", "(a^b)^c", "a^(b^c)", "2*(-3*a)", "q->k1/2", "a--b", "-2.5e-7*a"],
)  # fmt: skip
def test_text_of_a_formula_reads_as_the_same_formula(text):
    formula = MAD.parse(text)
    assert MAD.parse(text_of(formula)) == formula
    assert pickle.loads(pickle.dumps(formula)) == formula and hash(formula) == hash(MAD.parse(text))


@pytest.mark.parametrize(
    "text", ["a+", "1.5.2", "5 6", "2e", "a b", "(", ")", "", "foo(2)", "sin()", "sin(1, 2)", "@", "a = 3",
             "__import__('os')", "a.b()", "lambda: 3", "sqrt(-1)", "1/0", "10^1000"],
)  # fmt: skip
def test_what_is_no_expression_gets_one_line(text):
    with pytest.raises(InputError) as error:
        PLAIN.parse(text)
    assert "\n" not in str(error.value)


def test_depth_and_length_are_limited():
    deep = ("(" * 300 + "a", "-" * 300 + "a", "sin(" * 150 + "a" + ")" * 150, "a" + "+1" * 60000, "a+" * 250 + "a")
    for text in deep:
        with pytest.raises(InputError):
            PLAIN.parse(text)


# -- derivatives ------------------------------------------------------------------------------------------------------

POINTS = {"asin": (0.3,), "acos": (-0.4,), "atan2": (0.7, -1.2), "^": (1.3, 2.7), "mod": (7.3, 2.1), "sinc": (0.02,)}


@pytest.mark.parametrize("symbol", RULES)
def test_slopes_are_differences(symbol):
    rule = RULES[symbol]
    point = POINTS.get(symbol, (0.7, 1.9)[: rule.arity])
    for k in range(rule.arity):
        names = [f"v{j}" for j in range(rule.arity)]
        formula = Operation(symbol, tuple(Variable(n) for n in names))

        def at(h, k=k, formula=formula, names=names):
            moved = [p + h * (j == k) for j, p in enumerate(point)]
            return evaluate(formula, dict(zip(names, moved, strict=True)).__getitem__)

        h = 1e-3
        wanted = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
        found = dict(slopes(formula, dict(zip(names, point, strict=True)).__getitem__, 1.7))[names[k]]
        assert found == pytest.approx(1.7 * wanted, rel=1e-9, abs=1e-9)


NOT_OF_ARRAYS = ("erf", "erfc")


@pytest.mark.parametrize("symbol", [s for s in RULES if s not in NOT_OF_ARRAYS])
def test_arrays_of_every_library_give_what_numbers_give(symbol, backend):
    rule = RULES[symbol]
    point = POINTS.get(symbol, (0.7, 1.9)[: rule.arity])
    formula = Operation(symbol, tuple(Variable(f"v{j}") for j in range(rule.arity)))
    values = {f"v{j}": backend.asarray(np.asarray([p, 1.01 * p]), dtype="float64") for j, p in enumerate(point)}
    plain = {f"v{j}": p for j, p in enumerate(point)}
    found = backend.to_numpy(evaluate(formula, values.__getitem__))
    assert found.shape == (2,) and found[0] == pytest.approx(evaluate(formula, plain.__getitem__), rel=1e-14, abs=1e-15)
    wanted = dict(slopes(formula, plain.__getitem__, 1.0))
    one = backend.asarray(np.ones(2), dtype="float64")
    for name, slope in slopes(formula, values.__getitem__, one):
        assert backend.to_numpy(slope)[0] == pytest.approx(wanted[name], rel=1e-13, abs=1e-14)
    for j, number in enumerate(point if rule.arity == 2 else ()):  # a knob beside a number of the file
        beside = values | {f"v{j}": number}
        mixed = backend.to_numpy(evaluate(formula, beside.__getitem__))
        assert mixed[0] == pytest.approx(found[0], rel=1e-14, abs=1e-15)
        for name, slope in slopes(formula, beside.__getitem__, one):
            assert backend.to_numpy(slope)[0] == pytest.approx(wanted[name], rel=1e-13, abs=1e-14)


def test_arithmetic_of_formulas_reads_like_that_of_numbers():
    a = Variable("a")
    assert str(1e6 * a) == "1000000*a" and (a + 0.0) is a and (1.0 * a) is a and isinstance(2.0 - a / 3.0, Formula)
    assert evaluate((2.0 - a) ** 2 / -a, {"a": 4.0}.__getitem__) == -1.0
