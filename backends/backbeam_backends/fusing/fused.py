"""Functions that run as one loop over the particles, if they can, and as they are otherwise.

What is compiled is kept by function, static values, structure, data types and shapes, but not by the number of
particles. The last axis of the largest input counts the particles, and every axis of that length is taken for one
over particles: arrays that are equally long along an axis do meet element by element there, so that this is never
wrong, and at worst more than one pass can do. Axes that all inputs with particles begin with are a batch, if the
function treats them as one: the loop runs once for each place in it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import takewhile
from math import prod
from threading import RLock
from typing import Any

from backbeam_backends.fusing.graph import Untraceable
from backbeam_backends.fusing.kernel import Call, Kernel
from backbeam_backends.fusing.nests import Form, builder, flatten
from backbeam_backends.fusing.symbols import PARTICLES, SHORT, Dim, Shape, Symbol
from backbeam_backends.setbacks import Setbacks

_ONE_AT_A_TIME = RLock()
"""Threads wait for one another's kernels; what is traced may call what is traced."""

UNROLLED = 16
"""Rows of particles in an input that are unrolled before its first axes are tried as a batch."""


class Fused:
    """A function of nests of arrays, with static arguments at some places; called as the function is."""

    def __init__(
        self,
        function: Callable[..., Any],
        static: tuple[int, ...],
        fuse_from: int,
        setbacks: Setbacks | None = None,
    ) -> None:
        self.function, self.static, self.fuse_from = function, tuple(sorted(static)), fuse_from
        self.setbacks = Setbacks() if setbacks is None else setbacks
        self.__wrapped__ = function
        self.refused: list[str] = []
        """Why there is no kernel, for each time that one was tried in vain."""
        self._calls: dict[Any, Call | None] = {}
        self._kernels: dict[Any, Kernel | None] = {}

    def __call__(self, *args: Any) -> Any:
        """Call the function, as a kernel where there is one."""
        call, leaves = self._found(args)
        result = None if call is None else call.run(leaves)
        return self.function(*args) if result is None else result[0]

    def fuses(self, *args: Any) -> bool:
        """Whether a call with these arguments is a kernel."""
        return self._found(args)[0] is not None

    def _found(self, args: tuple[Any, ...]) -> tuple[Call | None, list[Any]]:
        """The kernel of a call, if there is one, and the arrays that are given to it."""
        leaves: list[Any] = []
        form: list[Any] = []
        static = self.static
        flatten([a for k, a in enumerate(args) if k not in static], leaves, form)
        fixed = tuple([args[k] for k in static])
        key = (fixed, tuple(form), tuple([(leaf.shape, leaf.dtype.char) for leaf in leaves]))
        try:
            call: Any = self._calls.get(key, self)
        except TypeError:
            return None, leaves  # something that is no array and cannot be hashed
        if call is self:
            with _ONE_AT_A_TIME:
                call = self._prepared(key, leaves)
        return call, leaves

    @property
    def kernels(self) -> list[Kernel]:
        """All that were made."""
        return [kernel for kernel in self._kernels.values() if kernel is not None]

    def _prepared(self, key: Any, leaves: list[Any]) -> Call | None:
        """Find or make the kernel of a call."""
        fixed, form, _ = key
        if not leaves or any(type(leaf) is Symbol for leaf in leaves):
            return None
        found = None
        n = max(leaves, key=lambda a: a.size).shape[-1:]
        if not n or n[0] < SHORT:
            return None
        for batch in _batches([a.shape for a in leaves], n[0]):
            if prod(batch) * n[0] < self.fuse_from or n[0] in batch:
                continue
            shapes = tuple(_shape(leaf.shape, n[0], batch) for leaf in leaves)
            if None in shapes:
                continue
            of = (fixed, form, shapes, tuple(leaf.dtype.char for leaf in leaves), batch)
            if of not in self._kernels:
                try:
                    self._kernels[of] = self.kernel(self._trace, of)
                except Untraceable as reason:
                    self._kernels[of] = None
                    self.refused.append(str(reason))
                except Exception as error:  # whatever it is, the function itself is there
                    self._kernels[of] = None
                    self.refused.append(f"{type(error).__name__}: {error}")
                    self.setbacks.note("compiled maps", error)
            kernel = self._kernels[of]
            if kernel is not None:
                found = self.call(kernel, n[0], batch, leaves)
                break
        if len(self._calls) > 1000:
            self._calls.clear()  # shapes that come and go
        self._calls[key] = found
        return found

    @staticmethod
    def kernel(trace: Callable[..., Any], of: Any) -> Kernel:
        """What a kernel is made by: LLVM here."""
        return Kernel(trace, of)

    @staticmethod
    def call(kernel: Kernel, n: int, batch: tuple[int, ...], leaves: list[Any]) -> Call:
        """What calls a kernel."""
        return Call(kernel, n, batch, leaves)

    def _trace(self, fixed: tuple[Any, ...], form: Form, symbols: list[Symbol]) -> Any:
        """Result of the function for symbols."""
        args = builder(form)(symbols)
        for k, value in zip(self.static, fixed, strict=True):
            args.insert(k, value)
        return self.function(*args)


def _batches(shapes: list[tuple[int, ...]], n: int) -> list[tuple[int, ...]]:
    """Batch shapes to be tried in turn."""
    lanes = [s[:-1] for s in shapes if s[-1:] == (n,)]
    common = [m[0] for m in takewhile(lambda m: len(set(m)) == 1, zip(*lanes, strict=False))]
    found = [tuple(common[:k]) for k in range(len(common), -1, -1)]
    return found if max(prod(s) for s in lanes) > UNROLLED else found[::-1]


def _shape(shape: tuple[int, ...], n: int, batch: tuple[int, ...]) -> Shape | None:
    """Shape with the axes that are not unrolled; None for one that is too long for that.

    An axis of a batch is named by its place and length.
    """
    found: list[int | Dim] = []
    for k, m in enumerate(shape):
        if m == n:
            found.append(PARTICLES)
        elif k < len(batch) and m == batch[k] and m > 1:
            found.append(_axis(k, m))
        elif m < SHORT:
            found.append(m)
        else:
            return None
    return tuple(found)


@lru_cache(None)
def _axis(place: int, size: int) -> Dim:
    return Dim(f"batch {place}", size)
