"""Expressions of one particle: a graph whose nodes are numbers, each computed once.

A node is *uniform* (the same for all particles), *lane* (one number a particle) or *summed* (it follows from sums over
the particles, or from the largest of them). What is summed cannot flow back into a lane: one pass over the particles
must do.

Nodes are simplified as they are made, so that what a matrix multiplies by 0 and 1 costs nothing. Nothing is
reordered, but for two things: a division by a uniform number multiplies by its reciprocal, and the sum of two sums is
one sum. A product with a literal 0 is 0, whatever the other factor.
"""

from __future__ import annotations

from typing import Any

import numpy as np

UNIFORM, LANE, SUMMED = 0, 1, 2
OVER_PARTICLES = ("sum", "largest", "smallest")
"""Operations whose operand is a lane and whose result is summed."""

LARGEST = 20_000
"""Nodes of the largest graph that is worth compiling."""

BOOL = np.dtype(bool)
_COMPARE = {"lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal, "eq": np.equal}
_COMPARE["ne"] = np.not_equal
_COMMUTES = ("add", "mul", "eq", "ne", "and", "or", "xor")
_FUNCTIONS = {
    "abs": np.abs, "sqrt": np.sqrt, "exp": np.exp, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "sin": np.sin,
    "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "sinh": np.sinh,
    "cosh": np.cosh, "tanh": np.tanh, "asinh": np.arcsinh, "floor": np.floor, "ceil": np.ceil, "not": np.logical_not,
    "neg": np.negative, "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "min": np.minimum,
    "max": np.maximum, "and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor, "atan2": np.arctan2,
    "hypot": np.hypot, **_COMPARE,
}  # fmt: skip
FUNCTIONS = tuple(_FUNCTIONS)
"""Names of all elementwise operations, but for ``where`` and ``cast``."""
UFUNCS = {function.__name__: name for name, function in _FUNCTIONS.items()}
"""The same by the names that NumPy gives them."""


class Untraceable(Exception):  # noqa: N818
    """What a function does cannot be written as one pass over the particles: it must be called as it is."""


class Node:
    """A number of one particle, or of all. ``value`` is what an input, a constant or a cast is."""

    __slots__ = ("args", "dtype", "index", "kind", "nonnegative", "op", "value")

    def __init__(self, op: str, args: tuple[Node, ...], dtype: np.dtype, value: Any, kind: int, index: int) -> None:
        self.op, self.args, self.dtype, self.value, self.kind, self.index = op, args, dtype, value, kind, index
        self.nonnegative = _nonnegative(self)


def _nonnegative(node: Node) -> bool:
    """Whether the number is known to be no less than 0, or NaN."""
    args = node.args
    if node.op == "const":
        return bool(node.value >= 0)
    if node.op in ("abs", "sqrt", "count"):
        return True
    if node.op == "mul" and args[0] is args[1]:
        return node.dtype.kind == "f"
    return node.op in ("add", "mul", "div", "min", "cast") and all(a.nonnegative for a in args)


class Graph:
    """All nodes of one function, in the order in which they were made."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._known: dict[Any, Node] = {}

    def _node(self, op: str, args: tuple[Node, ...], dtype: np.dtype, value: Any = None, kind: int = UNIFORM) -> Node:
        if op in _COMMUTES and args[0].index > args[1].index:
            args = (args[1], args[0])
        key = (op, args, dtype.char, value.tobytes() if op == "const" else value)
        found = self._known.get(key)
        if found is None:
            if len(self.nodes) >= LARGEST:
                raise Untraceable(f"more than {LARGEST} operations")
            found = self._known[key] = Node(op, args, dtype, value, kind, len(self.nodes))
            self.nodes.append(found)
        return found

    def _apply(self, op: str, args: tuple[Node, ...], dtype: np.dtype, value: Any = None) -> Node:
        kinds = {a.kind for a in args}
        if LANE in kinds and SUMMED in kinds:
            raise Untraceable("a sum over the particles flows back to each of them")
        return self._node(op, args, dtype, value, max(kinds) if LANE not in kinds else LANE)

    # -- leaves --------------------------------------------------------------------------------------------------

    def input(self, leaf: int, place: int, dtype: np.dtype, lane: bool) -> Node:
        """A number of an input: its place in the leaf, of which the axis of particles is left out."""
        return self._node("input", (), dtype, (leaf, place), LANE if lane else UNIFORM)

    def constant(self, value: Any, dtype: np.dtype) -> Node:
        """A literal."""
        return self._node("const", (), dtype, np.asarray(value).astype(dtype)[()])

    def count(self, dtype: np.dtype) -> Node:
        """The number of particles."""
        return self._node("count", (), dtype)

    def element(self, node: Node) -> Node:
        """The number of one particle: of use for its type alone."""
        return self._node("element", (node,), node.dtype, None, UNIFORM)

    # -- operations ----------------------------------------------------------------------------------------------

    def cast(self, node: Node, dtype: np.dtype) -> Node:
        """The number in another type."""
        if node.dtype == dtype:
            return node
        if node.op == "const":
            return self.constant(node.value, dtype)
        return self._apply("cast", (node,), dtype)

    def where(self, condition: Node, yes: Node, no: Node) -> Node:
        """One of two."""
        if condition.op == "const":
            return yes if condition.value else no
        return yes if yes is no else self._apply("where", (condition, yes, no), yes.dtype)

    def sum(self, node: Node) -> Node:
        """Sum over the particles."""
        if node.dtype.kind != "f":
            raise Untraceable(f"a sum of {node.dtype} over the particles")
        if node.kind == SUMMED:
            raise Untraceable("a sum of sums over the particles")
        if node.kind == UNIFORM:
            return self.call("mul", self.count(node.dtype), node)
        return self._node("sum", (node,), node.dtype, None, SUMMED)

    def extreme(self, op: str, node: Node) -> Node:
        """Largest ("largest") or smallest ("smallest") number of all particles, NaN if any is."""
        if node.dtype.kind != "f" or node.kind == SUMMED:
            raise Untraceable(f"{op} {node.dtype} of the particles")
        return node if node.kind == UNIFORM else self._node(op, (node,), node.dtype, None, SUMMED)

    def call(self, op: str, *args: Node) -> Node:
        """An elementwise operation on operands of one type."""
        dtype = BOOL if op in _COMPARE else args[0].dtype
        if dtype.kind in "iu" and op not in ("add", "sub", "mul", "min", "max", "neg", "abs"):
            raise Untraceable(f"{op} of {dtype}")
        if all(a.op == "const" for a in args):
            with np.errstate(all="ignore"):
                return self.constant(_FUNCTIONS[op](*(a.value for a in args)), dtype)
        return self._simplified(op, args) or self._apply(op, args, dtype)

    def _simplified(self, op: str, args: tuple[Node, ...]) -> Node | None:
        """A simpler node for an operation, if there is one."""
        if op in ("neg", "not"):
            return args[0].args[0] if args[0].op == op else None
        if len(args) != 2:
            return None
        a, b = args
        if op in ("add", "sub", "mul", "div"):
            return self._arithmetic(op, a, b)
        if op in ("and", "or"):
            for known, other in ((a, b), (b, a)):
                if known.op == "const":
                    return other if bool(known.value) == (op == "and") else known
        # A comparison with NaN is false as well.
        below = (op == "lt" and a.nonnegative and _is(b, lambda v: v <= 0)) or (
            op == "gt" and b.nonnegative and _is(a, lambda v: v <= 0)
        )
        return self.constant(False, BOOL) if below else None

    def _arithmetic(self, op: str, a: Node, b: Node) -> Node | None:
        if op == "mul":
            for known, other in ((a, b), (b, a)):
                if known.op == "const" and known.value in (0, 1, -1):
                    return known if known.value == 0 else other if known.value == 1 else self.call("neg", other)
            return None
        if op == "div":
            if _is(b, lambda v: v == 1):
                return a
            if a.kind == LANE and b.kind == UNIFORM:
                return self.call("mul", a, self.call("div", self.constant(1, b.dtype), b))
            return None
        if _is(b, lambda v: v == 0):
            return a
        if _is(a, lambda v: v == 0):
            return b if op == "add" else self.call("neg", b)
        if b.op == "neg":
            return self.call("sub" if op == "add" else "add", a, b.args[0])
        if op == "add" and a.op == "neg":
            return self.call("sub", b, a.args[0])
        if a.op == b.op == "sum":
            return self.sum(self.call(op, a.args[0], b.args[0]))
        return None


def _is(node: Node, test: Any) -> bool:
    return node.op == "const" and bool(test(node.value))
