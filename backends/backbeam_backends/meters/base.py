"""The contract of a meter, with what holds for any library on the processor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from backbeam_backends import host_memory

if TYPE_CHECKING:
    from backbeam_backends.base import Backend

Array = Any


class Meter:
    """Memory of one library: what there is, what was taken, and what work of a certain size takes besides."""

    def __init__(self, backend: Backend) -> None:
        self.backend: Any = backend

    def peak_memory(self) -> int:
        """High-water mark of memory in bytes: of the process, or of the device where there is one."""
        return host_memory.peak_memory()

    def free_memory(self, array: Array) -> int | None:
        """Bytes that the device of ``array`` can still give; None where it does not say. Here: those of the machine."""
        return host_memory.free_memory()

    def deposit_grids(self, batch: int, n: int) -> int:
        """Grids that the threads of a deposit of ``n`` particles fill on the processor, besides the one of a beam."""
        return 0

    def in_hand(self, n: int, block: int | None = None) -> int:
        """Particles of the blocks that `blockwise` works on at once, of ``n``; 0 where it does not part them.

        All ``n`` where one block holds them.
        """
        return 0

    def release(self) -> None:
        """Give to the system what the adapter keeps for use again: a measurement begins without it."""

    def peak_of(self, function: Callable[[], Any], array: Array) -> int | None:
        """Call a function; the most bytes of arrays that the library's own books show meanwhile, beyond those before.

        Of the device of ``array``. None, without a call, where the library keeps no books.
        """
        return None

    def tape_bytes(self, function: Callable[..., Any], inputs: Sequence[Array]) -> int:
        """Bytes that the library's automatic differentiation keeps between a function and its pullback.

        Each piece of memory counts once; those of the inputs do not count.
        """
        raise TypeError(f"{self.backend.name} does not differentiate by itself")

    def compiled_memory(
        self, function: Callable[..., Any], static: tuple[int, ...], arguments: Sequence[Any]
    ) -> dict[str, int] | None:
        """What the compiler says that a call takes [bytes]: its ``arguments``, its ``results``, and ``scratch``.

        None where nothing is compiled.
        """
        return None
