"""Arrays of nodes: what a function is called with to see what it does.

A symbol has a shape like any array, but an axis over the particles has no length that a function could look at: it is
`PARTICLES`, and all arithmetic on shapes goes with it. An axis of a batch is a `Dim` as well, of known length. Along
these axes an operation is the same everywhere, so one node stands for all; every other axis is unrolled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from backbeam_backends.fusing.graph import BOOL, UFUNCS, Graph, Node, Untraceable

SHORT = 64
"""Axes that are unrolled are shorter than this, and there are at least as many particles."""


class Dim:
    """The length of an axis that is not unrolled."""

    def __init__(self, name: str, size: int | None = None) -> None:
        self.name, self.size = name, size

    def _compare(self, other: Any) -> int:
        """-1, 0 or 1, where that does not depend on the number of particles."""
        if other is self:
            return 0
        mine, its = self.size, other.size if isinstance(other, Dim) else other
        if mine is None and isinstance(its, int) and its < SHORT:
            return 1
        if its is None and isinstance(mine, int):
            return -1 if mine < SHORT else _refuse(f"a comparison of {mine} with the number of particles")
        if mine is None or not isinstance(its, int):
            _refuse(f"a comparison of {self.name} with {other!r}")
        return (mine > its) - (mine < its)

    def __eq__(self, other: object) -> bool:
        return self._compare(other) == 0

    def __ne__(self, other: object) -> bool:
        return self._compare(other) != 0

    def __lt__(self, other: Any) -> bool:
        return self._compare(other) < 0

    def __le__(self, other: Any) -> bool:
        return self._compare(other) <= 0

    def __gt__(self, other: Any) -> bool:
        return self._compare(other) > 0

    def __ge__(self, other: Any) -> bool:
        return self._compare(other) >= 0

    def __hash__(self) -> int:
        return hash(self.name)

    def __index__(self) -> int:
        return _refuse(f"the number of {self.name} used as a number")

    __int__ = __float__ = __index__

    def _arithmetic(self, *_: Any) -> Any:
        return _refuse(f"arithmetic with the number of {self.name}")

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __floordiv__ = __rfloordiv__ = _arithmetic
    __truediv__ = __rtruediv__ = __mod__ = __rmod__ = __pow__ = __neg__ = _arithmetic

    def __repr__(self) -> str:
        return self.name


PARTICLES = Dim("particles")
Shape = tuple[int | Dim, ...]


def has_particles(shape: Shape) -> bool:
    """Whether one of the axes is that over particles: by identity, for a long batch does not compare with it."""
    return any(m is PARTICLES for m in shape)


def _refuse(what: str) -> NoReturn:
    raise Untraceable(what)


def cells(shape: Shape) -> tuple[int, ...]:
    """Shape of the array of nodes."""
    return tuple(1 if isinstance(m, Dim) else m for m in shape)


def joint_shape(*shapes: Shape) -> Shape:
    """Shape of what is broadcast together."""
    rank = max(len(s) for s in shapes)
    joint: list[int | Dim] = [1] * rank
    for shape in shapes:
        for k, m in enumerate(shape, rank - len(shape)):
            here = joint[k]
            if m is here or (type(m) is int and m == 1):
                continue
            if type(here) is int and (here == 1 or (type(m) is int and m == here)):
                joint[k] = m
            else:
                _refuse(f"shapes {shapes} met")
    return tuple(joint)


class Symbol:
    """An array of nodes of one data type. Whatever needs its values raises `Untraceable`."""

    __hash__ = None  # type: ignore[assignment]  # as the data model has it: `==` is elementwise

    def __init__(self, space: Any, nodes: np.ndarray, shape: Shape, dtype: np.dtype) -> None:
        self.space, self.nodes, self.shape, self.dtype = space, nodes, shape, dtype
        if nodes.shape != cells(shape):
            raise AssertionError(f"nodes {nodes.shape} of shape {shape}")

    @property
    def graph(self) -> Graph:
        """The graph that the nodes belong to."""
        return self.space.graph

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements, where no axis goes over particles."""
        return int(self.nodes.size) if not any(isinstance(m, Dim) for m in self.shape) else _refuse("size")

    @property
    def device(self) -> str:
        """Where NumPy's arrays are."""
        return "cpu"

    @property
    def T(self) -> Symbol:  # noqa: N802
        """Transpose of two axes."""
        return self.space.matrix_transpose(self)

    mT = T  # noqa: N815

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        return self.space

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _refuse(f"attribute {name}")

    def __repr__(self) -> str:
        return f"Symbol({self.shape}, {self.dtype})"

    def _value(self, *_: Any, **__: Any) -> Any:
        return _refuse("a value is looked at")

    __array__ = __array_function__ = __bool__ = __float__ = __int__ = __index__ = __complex__ = _value
    __iter__ = __len__ = __contains__ = __setitem__ = __dlpack__ = _value

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *given: Any, **options: Any) -> Symbol:
        """NumPy's own functions, and its numbers on the left of an operator."""
        name = ufunc.__name__
        if method != "__call__" or options or name not in UFUNCS:
            return _refuse(f"NumPy's {name}")
        return self.space.call(UFUNCS[name], *given)

    # -- indexing ------------------------------------------------------------------------------------------------

    def __getitem__(self, key: Any) -> Symbol:
        keys = list(key) if isinstance(key, tuple) else [key]
        given = sum(k is not None and k is not Ellipsis for k in keys)
        if given > self.ndim:
            raise IndexError(f"{given} indices of an array of {self.ndim} axes")
        if not any(k is Ellipsis for k in keys):
            keys.append(Ellipsis)
        place = next(i for i, k in enumerate(keys) if k is Ellipsis)
        keys[place : place + 1] = [slice(None)] * (self.ndim - given)
        shape: list[int | Dim] = []
        axes = iter(self.shape)
        one = False
        for k in keys:
            if k is None:
                shape.append(1)
                continue
            m = next(axes)
            if isinstance(k, slice):
                if isinstance(m, Dim) and (k.start, k.stop, k.step) != (None, None, None):
                    _refuse(f"a slice of {m}")
                shape.append(m if isinstance(m, Dim) else len(range(*k.indices(m))))
            elif isinstance(k, int | np.integer) and not isinstance(k, bool):
                one |= isinstance(m, Dim)
            else:
                _refuse(f"index {type(k).__name__}")
        # Whatever number was asked for along an axis that is not unrolled, its one node stands there.
        plain, axis = [], 0
        for k in keys:
            number = k is not None and not isinstance(k, slice)
            plain.append(0 if number and isinstance(self.shape[axis], Dim) else k)
            axis += k is not None
        nodes = np.asarray(self.nodes[tuple(plain)], dtype=object)
        if one:
            nodes = each(self.graph.element, nodes)
        return Symbol(self.space, nodes, tuple(shape), self.dtype)

    # -- arithmetic ----------------------------------------------------------------------------------------------

    def _with(self, op: str, other: Any, swapped: bool = False) -> Symbol:
        if not isinstance(other, Symbol | np.ndarray | np.generic | bool | int | float):
            return _refuse(f"{op} with {type(other).__name__}")
        return self.space.call(op, *((other, self) if swapped else (self, other)))

    def __add__(self, other: Any) -> Symbol:
        return self._with("add", other)

    def __radd__(self, other: Any) -> Symbol:
        return self._with("add", other, True)

    def __sub__(self, other: Any) -> Symbol:
        return self._with("sub", other)

    def __rsub__(self, other: Any) -> Symbol:
        return self._with("sub", other, True)

    def __mul__(self, other: Any) -> Symbol:
        return self._with("mul", other)

    def __rmul__(self, other: Any) -> Symbol:
        return self._with("mul", other, True)

    def __truediv__(self, other: Any) -> Symbol:
        return self._with("div", other)

    def __rtruediv__(self, other: Any) -> Symbol:
        return self._with("div", other, True)

    def __matmul__(self, other: Any) -> Symbol:
        return self.space.matmul(self, other)

    def __pow__(self, power: Any) -> Symbol:
        if type(power) is not int or not 1 <= power <= 8:
            return _refuse(f"power {power!r}")
        result = self
        for bit in bin(power)[3:]:
            result = result * result
            if bit == "1":
                result = result * self
        return result

    def __and__(self, other: Any) -> Symbol:
        return self._with("and", other)

    def __or__(self, other: Any) -> Symbol:
        return self._with("or", other)

    def __xor__(self, other: Any) -> Symbol:
        return self._with("xor", other)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __lt__(self, other: Any) -> Symbol:
        return self._with("lt", other)

    def __le__(self, other: Any) -> Symbol:
        return self._with("le", other)

    def __gt__(self, other: Any) -> Symbol:
        return self._with("gt", other)

    def __ge__(self, other: Any) -> Symbol:
        return self._with("ge", other)

    def __eq__(self, other: Any) -> Symbol:  # type: ignore[override]
        return self._with("eq", other)

    def __ne__(self, other: Any) -> Symbol:  # type: ignore[override]
        return self._with("ne", other)

    def __neg__(self) -> Symbol:
        return self.space.call("neg", self)

    def __pos__(self) -> Symbol:
        return self

    def __abs__(self) -> Symbol:
        return self.space.call("abs", self)

    def __invert__(self) -> Symbol:
        return self.space.call("not", self) if self.dtype == BOOL else _refuse(f"~ of {self.dtype}")


def each(function: Callable[..., Node], *arrays: np.ndarray) -> np.ndarray:
    """Array of nodes from those of each place, broadcast."""
    return np.asarray(np.frompyfunc(function, len(arrays), 1)(*arrays), dtype=object)
