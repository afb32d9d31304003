"""The contract of an adapter, with plain array API defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import version
from typing import Any, ClassVar

import numpy as np

from backbeam_backends.blocks import add, thread_count
from backbeam_backends.meters import Meter
from backbeam_backends.particle_mesh import CloudInCell
from backbeam_backends.transforms import Transforms

Array = Any


class Backend:
    """Adapter of one array library. See the package docstring for the reason of each method."""

    name: ClassVar[str]
    """Name of the library's top-level module, and of the entry point."""
    distribution: ClassVar[str]
    """Name of the distribution whose version is shown."""
    extra: ClassVar[str] = ""
    """The extra of backbeam that installs the library."""
    namespace: Any
    """The library's array API namespace."""
    has_autodiff: ClassVar[bool] = False
    """Whether the library differentiates by itself."""
    recompiles: ClassVar[bool] = False
    """Whether what was compiled for some particles is compiled anew for any other number of them."""
    fuse_from: int = 0
    """Particles from which on fused loops are used, where there are such."""
    steps_together: int = 1
    """How many steps of a line are compiled as one: more save memory traffic, fewer are more often alike."""

    @property
    def version(self) -> str:
        """Installed version of the library."""
        return version(self.distribution)

    @property
    def threads(self) -> int:
        """Threads of the processor that it may work with."""
        return thread_count()

    @property
    def fuses(self) -> bool:
        """Whether functions of arrays on the processor become fused loops here: they take less memory."""
        return False

    def setback(self) -> str:
        """Why it is slower here than it could be, in one line; empty if it is not."""
        return ""

    # -- devices and data types ----------------------------------------------------------------------------------

    def devices(self) -> list[str]:
        """Names of the devices that `asarray` accepts, the default first."""
        return ["cpu"]

    def device(self, name: str | None) -> Any:
        """Return the library's own device object for a name, the default for None; ValueError if there is none."""
        if name is None or name == "cpu":
            return "cpu"
        raise ValueError(f"device is {name!r}; allowed: {', '.join(self.devices())}")

    def check_dtype(self, dtype: str) -> None:
        """Raise ValueError, with advice, if arrays of that data type cannot be made now."""
        if dtype not in ("float64", "float32"):
            raise ValueError(f"dtype is {dtype!r}; allowed: float64, float32")

    def wide(self, array: Array) -> Any:
        """Return the widest floating-point data type on the device of ``array``."""
        return self.namespace.float64

    # -- in and out ------------------------------------------------------------------------------------------------

    def asarray(self, data: Any, *, dtype: str | None = None, device: str | None = None) -> Array:
        """Array from host data, or from one of this library, whose type and device are kept where none is named."""
        xp = self.namespace
        return xp.asarray(data, dtype=getattr(xp, dtype) if dtype else None)

    def to_numpy(self, array: Array) -> np.ndarray:
        """Return a NumPy array on the host."""
        return np.asarray(array)

    def device_name(self, array: Array) -> str:
        """Name of the device that holds ``array``."""
        return "cpu"

    # -- what the standard lacks -----------------------------------------------------------------------------------

    def scatter_add(self, values: Array, index: Array, size: int) -> Array:
        """Sum ``values (k, m)`` into ``(k, size)`` at ``index (m,)``, adding where an index repeats."""
        raise NotImplementedError

    def cloud_in_cell(self, arrays: Sequence[Array]) -> CloudInCell | None:
        """Kernels for a beam, where the library has some; None: plain array operations serve.

        ``arrays`` are what its field is made from, a row of its particles ``(B, n)`` first.
        """
        return None

    def settle(self, array: Array) -> Array:
        """Return a real array, made once: a compiler must not make it anew for each array that is made from it."""
        return array

    @property
    def fft(self) -> Transforms:
        """Fourier transforms."""
        return Transforms(self.namespace)

    # -- lending ---------------------------------------------------------------------------------------------------

    def borrows(self, arrays: Sequence[Array]) -> bool:
        """Whether another library does plain work on these arrays faster, in the same memory."""
        return False

    def lent(self, tree: Any) -> Any:
        """A nest with the other library's arrays in the place of this one's; nothing is copied."""
        return tree

    def taken_back(self, tree: Any) -> Any:
        """A nest with this library's arrays in the place of the other one's."""
        return tree

    # -- running ---------------------------------------------------------------------------------------------------

    def scan(
        self, body: Callable[[Any, Any], tuple[Any, Any]], carry: Any, xs: Any, count: int, *, backwards: bool = False
    ) -> tuple[Any, Any]:
        """``carry, y = body(carry, x)``, ``count`` times; returns the last carry and all y, in the order of their x.

        ``xs`` is None or what a scan returned as its y: opaque to everybody else, but see `one_by_one` and `together`.
        A carry is a nest of tuples, dicts and arrays of constant shapes. ``backwards`` takes the last x first.
        """
        ys: list[Any] = [None] * count
        for k in reversed(range(count)) if backwards else range(count):
            carry, ys[k] = body(carry, None if xs is None else xs[k])
            if xs is not None:
                xs[k] = None  # what has been used up is let go
        return carry, ys

    def one_by_one(self, ys: Any, count: int) -> list[Any]:
        """All y of a scan as a list."""
        return list(ys)

    def together(self, each: list[Any]) -> Any:
        """Nests of one form as the ``xs`` of a scan."""
        return each

    def blockwise(
        self,
        function: Callable[[Any, Any], tuple[Any, Any]],
        particles: Any,
        shared: Any = None,
        combine: Callable[[Any, Any], Any] = add,
        block: int | None = None,
    ) -> tuple[Any, Any]:
        """``function(particles, shared) -> particles, sums``, at once or block by block.

        ``particles`` are nests of arrays whose last axis counts particles, in and out; what happens to one does not
        depend on the others. ``shared`` is what all blocks see. ``sums`` is a nest without that axis, which `combine`
        joins, two blocks at a time in their order: it adds, unless something else is asked for. ``block`` is how many
        make one, where that is not left to the adapter: less for much arithmetic on many temporaries, more for little.
        """
        return function(particles, shared)

    def compile(self, function: Callable[..., Any], static: tuple[int, ...] = (), calls: int = 1) -> Callable[..., Any]:
        """Return the function, compiled if the library compiles.

        Arguments and results are nests of arrays, but for the ``static`` ones: those are hashable, and the function is
        compiled anew for each value of theirs. ``calls`` is about how often it will be called: what is called often may
        be worth compiling for fewer particles.
        """
        return function

    def as_one(self, function: Callable[..., Any], static: tuple[int, ...] = ()) -> Callable[..., Any]:
        """Return the function as one program, where the library compiles each operation that is called by itself.

        Elsewhere it is as it was: what it does to particles is fused by what it calls, see `compile`.
        """
        return function

    def differentiable(
        self,
        primal: Callable[..., tuple[Sequence[Array], Any]],
        reverse: Callable[[Sequence[Array], Sequence[Array], Any, Sequence[Array]], Sequence[Array | None]],
        ranks: Sequence[int],
    ) -> Callable[..., Sequence[Array]]:
        """Join a primal and its pullback.

        ``primal(*inputs) -> outputs, kept``, and ``reverse(inputs, outputs, kept, output_cotangents) ->
        input_cotangents``, with None for an input that has none. ``kept`` is a nest of arrays. Both work with any
        leading batch axes on any input; ``ranks`` says how many axes of each input are its own.
        """
        return lambda *inputs: primal(*inputs)[0]

    def register_tree(
        self, cls: type, flatten: Callable[[Any], tuple[Any, Any]], unflatten: Callable[[Any, Any], Any]
    ) -> None:
        """Let the library's transformations take and return objects of a class; called once for each class."""

    def pull(
        self, function: Callable[..., Any], inputs: Sequence[Array]
    ) -> tuple[Array, Callable[[Array], list[Array]]]:
        """Value of a function and its pullback by the library's automatic differentiation."""
        raise TypeError(f"{self.name} does not differentiate by itself")

    def pull_each(
        self, function: Callable[..., Any], each: Sequence[Array], shared: Sequence[Array], bars: Array
    ) -> list[Array]:
        """Cotangents of inputs that many calls of a function share, one for each call ``(k, own shape)``.

        The others, and the cotangents of the values, have the calls along their first axis; all are made at once.
        """
        raise TypeError(f"{self.name} does not differentiate by itself")

    def call_module(self, module: Any, weights: Mapping[str, Array], X: Array) -> Array:
        """Call a module of the library with weights in the place of its own parameters, by their names."""
        raise TypeError(f"{self.name} has no modules")

    def records(self, arrays: Sequence[Array]) -> bool:
        """Whether the library's automatic differentiation is recording a gradient through any of the arrays."""
        return False

    def constant(self, array: Array) -> Array:
        """Return the array as a number that no gradient is asked of."""
        return array

    def unrecorded(self, array: Array) -> Array:
        """Return an array without the record of how it came about, where the library keeps one; it is not copied."""
        return array

    def traced(self, arrays: Sequence[Array]) -> bool:
        """Whether any of the arrays is a tracer without a value that Python could look at."""
        return False

    def quiet(self) -> AbstractContextManager[Any]:
        """Context in which the library does not warn of numbers that are none: they are looked for afterwards."""
        return nullcontext()

    # -- measuring --------------------------------------------------------------------------------------------------

    @property
    def meter(self) -> Meter:
        """What measures memory here, and tells what work takes."""
        return Meter(self)

    def synchronize(self, tree: Any = None) -> None:
        """Wait until the arrays in a nest have been computed."""
