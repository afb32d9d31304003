"""The array API as `Symbol` sees it: the part that one pass over the particles can do."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from functools import partial, reduce
from typing import Any, NoReturn

import numpy as np

from backbeam_backends.fusing.graph import BOOL, FUNCTIONS, Graph, Node, Untraceable
from backbeam_backends.fusing.symbols import PARTICLES, SHORT, Dim, Shape, Symbol, cells, each, joint_shape

_NAMES = {
    "abs": "abs", "sqrt": "sqrt", "exp": "exp", "expm1": "expm1", "log": "log", "log1p": "log1p", "sin": "sin",
    "cos": "cos", "tan": "tan", "asin": "asin", "acos": "acos", "atan": "atan", "sinh": "sinh", "cosh": "cosh",
    "tanh": "tanh", "asinh": "asinh", "floor": "floor", "ceil": "ceil", "logical_not": "not", "negative": "neg",
    "add": "add", "subtract": "sub", "multiply": "mul", "divide": "div", "minimum": "min", "maximum": "max",
    "logical_and": "and", "logical_or": "or", "logical_xor": "xor", "bitwise_and": "and", "bitwise_or": "or",
    "less": "lt", "less_equal": "le", "greater": "gt", "greater_equal": "ge", "equal": "eq", "not_equal": "ne",
    "atan2": "atan2", "hypot": "hypot",
}  # fmt: skip
_PLAIN = (bool, int, float)
_BOOLEAN = ("and", "or", "xor", "not")
_EXACT = ("add", "sub", "mul", "min", "max", "neg", "abs", "lt", "le", "gt", "ge", "eq", "ne")
"""Operations that are the same for whole numbers."""


class Namespace:
    """Namespace of the symbols of one graph. It passes for NumPy's, whose adapter then runs its loops."""

    __name__ = "backbeam_backends.fusing.numpy"

    float64, float32, int32, int64, bool = np.float64, np.float32, np.int32, np.int64, np.bool_
    pi, inf, nan, newaxis = np.pi, np.inf, np.nan, None
    finfo, iinfo = staticmethod(np.finfo), staticmethod(np.iinfo)

    def __init__(self, graph: Graph, host: Callable[[str, Symbol], Symbol] | None = None) -> None:
        self.graph = graph
        self.linalg = _Linalg(host)

    def __getattr__(self, name: str) -> Any:
        if name in _NAMES:
            return lambda *args: self.call(_NAMES[name], *args)
        if name.startswith("__"):
            raise AttributeError(name)
        raise Untraceable(f"function {name}")

    # -- making symbols ------------------------------------------------------------------------------------------

    def symbol(self, value: Any, dtype: np.dtype | None = None) -> Symbol:
        """A symbol of whatever can be one: a symbol, a number, a small array of the host."""
        if isinstance(value, Symbol):
            if value.space is not self:
                raise Untraceable("symbols of two traces met")
            return value if dtype is None else self.astype(value, dtype)
        if isinstance(value, list | tuple):
            if any(isinstance(v, Symbol) for v in value):
                return self.stack([self.symbol(v, dtype) for v in value])
        array = np.asarray(value, dtype=dtype)
        if array.size > SHORT or array.dtype.kind not in "fib":
            raise Untraceable(f"a constant of {array.size} numbers of type {array.dtype}")
        nodes = np.empty(array.shape, dtype=object)
        for place in np.ndindex(array.shape):
            nodes[place] = self.graph.constant(array[place], array.dtype)
        return Symbol(self, nodes, array.shape, array.dtype)

    def asarray(self, value: Any, *, dtype: Any = None, device: Any = None, copy: Any = None) -> Symbol:
        """Symbol of a constant."""
        return self.symbol(value, None if dtype is None else np.dtype(dtype))

    def full(self, shape: Any, value: Any, *, dtype: Any = None, device: Any = None) -> Symbol:
        """The same number everywhere."""
        shape = tuple(shape) if isinstance(shape, tuple | list) else (shape,)
        return self.broadcast_to(self.asarray(value, dtype=dtype), shape)

    def zeros(self, shape: Any, *, dtype: Any = None, device: Any = None) -> Symbol:
        """Zeros."""
        return self.full(shape, 0.0, dtype=dtype or np.float64)

    def ones(self, shape: Any, *, dtype: Any = None, device: Any = None) -> Symbol:
        """Ones."""
        return self.full(shape, 1.0, dtype=dtype or np.float64)

    def full_like(self, x: Symbol, value: Any, *, dtype: Any = None, device: Any = None) -> Symbol:
        """The same number, in the shape of x."""
        return self.full(x.shape, value, dtype=dtype or x.dtype)

    def zeros_like(self, x: Symbol, *, dtype: Any = None, device: Any = None) -> Symbol:
        """Zeros in the shape of x."""
        return self.full_like(x, 0, dtype=dtype)

    def ones_like(self, x: Symbol, *, dtype: Any = None, device: Any = None) -> Symbol:
        """Ones in the shape of x."""
        return self.full_like(x, 1, dtype=dtype)

    # -- one element at a time -----------------------------------------------------------------------------------

    def call(self, op: str, *given: Any) -> Symbol:
        """An elementwise operation, with NumPy's rules for types: a plain number has none of its own."""
        symbols, dtype = self._together(*given)
        if op not in FUNCTIONS or (op in _BOOLEAN) != (dtype == BOOL):
            raise Untraceable(f"{op} of {dtype}")
        if dtype.kind in "iu" and op not in _EXACT:
            dtype = np.dtype(np.float64)
        parts = [s if s.dtype is dtype else self.astype(s, dtype) for s in symbols]
        nodes = each(partial(self.graph.call, op), *(p.nodes for p in parts))
        result = nodes.flat[0].dtype if nodes.size else dtype
        return Symbol(self, nodes, joint_shape(*(p.shape for p in parts)), result)

    def _together(self, *given: Any) -> tuple[list[Symbol], np.dtype]:
        """Symbols of operands, and their common type."""
        strong = [None if type(g) in _PLAIN else self.symbol(g) for g in given]
        types = {s.dtype for s in strong if s is not None}
        dtype = types.pop() if len(types) == 1 else BOOL
        if dtype.kind != "f":  # else plain numbers change nothing
            dtype = np.result_type(*(g if s is None else s.dtype for s, g in zip(strong, given, strict=True)))
        return [self.symbol(g, dtype) if s is None else s for s, g in zip(strong, given, strict=True)], dtype

    def where(self, condition: Any, yes: Any, no: Any) -> Symbol:
        """One of two."""
        condition = self.symbol(condition)
        symbols, dtype = self._together(yes, no)
        a, b = (self.astype(s, dtype) for s in symbols)
        nodes = each(self.graph.where, condition.nodes, a.nodes, b.nodes)
        return Symbol(self, nodes, joint_shape(condition.shape, a.shape, b.shape), dtype)

    def clip(self, x: Symbol, min: Any = None, max: Any = None) -> Symbol:
        """Between two bounds."""
        x = x if min is None else self.call("max", x, min)
        return x if max is None else self.call("min", x, max)

    def square(self, x: Symbol) -> Symbol:
        """x times x."""
        return x * x

    def isnan(self, x: Symbol) -> Symbol:
        """Only NaN differs from itself."""
        return x != x

    def isfinite(self, x: Symbol) -> Symbol:
        """Neither infinite nor NaN."""
        return abs(x) < np.inf

    def astype(self, x: Symbol, dtype: Any, *, copy: builtins.bool = True, device: Any = None) -> Symbol:
        """Another type."""
        dtype = np.dtype(dtype)
        if x.dtype == dtype:
            return x
        return Symbol(self, each(lambda node: self.graph.cast(node, dtype), x.nodes), x.shape, dtype)

    # -- shapes --------------------------------------------------------------------------------------------------

    def broadcast_to(self, x: Any, shape: Sequence[int | Dim]) -> Symbol:
        """Repeat along axes."""
        x, shape = self.symbol(x), tuple(shape)
        joint = joint_shape(x.shape, shape)
        if len(joint) != len(shape) or any(a is not b and a != b for a, b in zip(joint, shape, strict=True)):
            raise Untraceable(f"{x.shape} broadcast to {shape}")
        return Symbol(self, np.broadcast_to(x.nodes, cells(joint)), joint, x.dtype)

    def broadcast_arrays(self, *arrays: Any) -> list[Symbol]:
        """Repeat along axes, to one shape."""
        symbols = [self.symbol(a) for a in arrays]
        shape = joint_shape(*(s.shape for s in symbols))
        return [self.broadcast_to(s, shape) for s in symbols]

    def reshape(self, x: Symbol, shape: Any) -> Symbol:
        """Regroup unrolled axes; the others stay where they are between them."""
        shape = tuple(shape) if isinstance(shape, tuple | list) else (shape,)
        if _segments(x.shape) != _segments(shape):
            raise Untraceable(f"{x.shape} as {shape}")
        return Symbol(self, x.nodes.reshape(cells(shape)), shape, x.dtype)

    def permute_dims(self, x: Symbol, axes: Sequence[int]) -> Symbol:
        """Axes in another order."""
        return Symbol(self, np.transpose(x.nodes, axes), tuple(x.shape[k] for k in axes), x.dtype)

    def matrix_transpose(self, x: Symbol) -> Symbol:
        """Exchange the last two axes."""
        return self.permute_dims(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))

    def moveaxis(self, x: Symbol, source: int, destination: int) -> Symbol:
        """Move one axis."""
        order = [k for k in range(x.ndim) if k != source % x.ndim]
        order.insert(destination % x.ndim, source % x.ndim)
        return self.permute_dims(x, order)

    def expand_dims(self, x: Symbol, *, axis: int = 0) -> Symbol:
        """A new axis of length 1."""
        place = axis % (x.ndim + 1)
        return x[(*[slice(None)] * place, None, Ellipsis)]

    def squeeze(self, x: Symbol, axis: int) -> Symbol:
        """Leave out an axis of length 1."""
        if isinstance(x.shape[axis], Dim) or x.shape[axis] != 1:
            raise Untraceable(f"squeeze of an axis of length {x.shape[axis]}")
        return x[(*[slice(None)] * (axis % x.ndim), 0, Ellipsis)]

    def stack(self, arrays: Sequence[Any], *, axis: int = 0) -> Symbol:
        """Join along a new axis."""
        symbols = [self.symbol(a) for a in arrays]
        shape = symbols[0].shape
        if any(len(s.shape) != len(shape) or joint_shape(s.shape, shape) != shape for s in symbols):
            raise Untraceable("shapes of a stack")
        place = axis % (len(shape) + 1)
        parts = [self.expand_dims(s, axis=place) for s in symbols]
        return self.concat(parts, axis=place)

    def concat(self, arrays: Sequence[Any], *, axis: int = 0) -> Symbol:
        """Join along an unrolled axis."""
        symbols = [self.symbol(a) for a in arrays]
        shape, place = symbols[0].shape, axis % symbols[0].ndim
        if any(isinstance(s.shape[place], Dim) for s in symbols):
            raise Untraceable("particles are joined with others")
        if any(s.shape[:place] + s.shape[place + 1 :] != shape[:place] + shape[place + 1 :] for s in symbols):
            raise Untraceable("shapes of a concatenation")
        dtype = np.result_type(*(s.dtype for s in symbols))
        nodes = np.concatenate([self.astype(s, dtype).nodes for s in symbols], axis=place)
        return Symbol(self, nodes, (*shape[:place], nodes.shape[place], *shape[place + 1 :]), dtype)

    def flip(self, x: Symbol, *, axis: int) -> Symbol:
        """Turn round an unrolled axis."""
        if isinstance(x.shape[axis], Dim):
            raise Untraceable("the order of particles")
        return Symbol(self, np.flip(x.nodes, axis), x.shape, x.dtype)

    # -- over axes -----------------------------------------------------------------------------------------------

    def sum(self, x: Symbol, *, axis: Any = None, keepdims: builtins.bool = False, dtype: Any = None) -> Symbol:
        """Sum along axes."""
        return self._along(x, axis, keepdims, "add", self.graph.sum)

    def max(self, x: Symbol, *, axis: Any = None, keepdims: builtins.bool = False) -> Symbol:
        """Largest number along axes, NaN if there is one."""
        return self._along(x, axis, keepdims, "max", partial(self.graph.extreme, "largest"))

    def min(self, x: Symbol, *, axis: Any = None, keepdims: builtins.bool = False) -> Symbol:
        """Smallest number along axes, NaN if there is one."""
        return self._along(x, axis, keepdims, "min", partial(self.graph.extreme, "smallest"))

    def _along(
        self, x: Symbol, axis: Any, keepdims: builtins.bool, two: str, particles: Callable[[Node], Node]
    ) -> Symbol:
        """Reduce unrolled axes two by two, in order, and that of particles last."""
        axes = range(x.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
        wanted = {k % x.ndim for k in axes}
        nodes = x.nodes
        for k in sorted(wanted, key=lambda k: x.shape[k] is PARTICLES):
            if x.shape[k] is PARTICLES:
                nodes = each(particles, nodes)
            elif isinstance(x.shape[k], Dim) or not x.shape[k]:
                raise Untraceable(f"{two} along an axis of length {x.shape[k]}")
            else:
                parts = np.split(nodes, nodes.shape[k], k)
                nodes = reduce(partial(each, partial(self.graph.call, two)), parts)
        shape = tuple(1 if k in wanted else m for k, m in enumerate(x.shape))
        whole = Symbol(self, nodes, shape, x.dtype)
        return whole if keepdims else whole[tuple(0 if k in wanted else slice(None) for k in range(x.ndim))]

    def matmul(self, a: Any, b: Any) -> Symbol:
        """Product of matrices, entry by entry."""
        a, b = self.symbol(a), self.symbol(b)
        if a.ndim < 2 or b.ndim < 2:
            raise Untraceable("a product with a vector")
        inner, other = a.shape[-1], b.shape[-2]
        if inner is not other and (isinstance(inner, Dim) or isinstance(other, Dim) or inner != other):
            raise Untraceable(f"a product of {a.shape} and {b.shape}")
        return self.sum(a[..., :, :, None] * b[..., None, :, :], axis=-2)


class _Linalg:
    """Linear algebra, of an input alone: it is done on the host, before the pass over the particles."""

    def __init__(self, host: Callable[[str, Symbol], Symbol] | None) -> None:
        self.host = host

    def __getattr__(self, name: str) -> Any:
        if name != "inv" or self.host is None:
            raise Untraceable(f"function linalg.{name}")
        return lambda x: self.host(name, x)


def _segments(shape: Shape) -> list[Any]:
    """Numbers of elements between the axes that are not unrolled, and these axes."""
    found: list[Any] = [1]
    for m in shape:
        if isinstance(m, Dim):
            found += [id(m), 1]
        else:
            found[-1] *= m if type(m) is int and m >= 0 else _bad(m)
    return found


def _bad(length: Any) -> NoReturn:
    raise Untraceable(f"an axis of length {length!r}")


__all__ = ["Namespace", "Node"]
