"""JAX: the allocators of accelerators, what a pullback closes over, and XLA's own analysis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax

from backbeam_backends.jax_programs import QUICK
from backbeam_backends.meters.base import Meter


class JaxMeter(Meter):
    """Meter of JAX."""

    def peak_memory(self) -> int:
        """The device's allocator where it keeps a mark, else the process."""
        stats = jax.devices()[0].memory_stats() or {}
        return int(stats.get("peak_bytes_in_use", 0)) or super().peak_memory()

    def free_memory(self, array: jax.Array) -> int | None:
        """Of an accelerator: the allocator's limit less what is in use; under a trace, of the default device."""
        device = jax.devices()[0] if self.backend.traced([array]) else next(iter(array.devices()))
        stats = device.memory_stats()
        if not stats or "bytes_limit" not in stats:
            return super().free_memory(array)
        return int(stats["bytes_limit"]) - int(stats["bytes_in_use"])

    def peak_of(self, function: Callable[[], Any], array: jax.Array) -> int | None:
        """An accelerator's allocator. Its mark cannot be set back: what took more before hides the function."""
        (device,) = array.devices()
        before = device.memory_stats()
        if not before or "peak_bytes_in_use" not in before:
            return None
        jax.block_until_ready(function())
        return int(device.memory_stats()["peak_bytes_in_use"]) - int(before["bytes_in_use"])

    def tape_bytes(self, function: Callable[..., Any], inputs: Sequence[jax.Array]) -> int:
        """Leaves of the pullback that `jax.vjp` gives: what it closes over. Traced, so that nothing is computed."""
        kept: dict[int, jax.Array] = {}

        def trace(*given: jax.Array) -> jax.Array:
            value, pullback = jax.vjp(function, *given)
            theirs = {id(x) for x in given}
            found = [x for x in jax.tree.leaves(pullback) if isinstance(x, jax.Array)]
            kept.update({id(x): x for x in found if id(x) not in theirs})
            return value

        jax.eval_shape(trace, *inputs)
        return sum(x.nbytes for x in kept.values())

    def compiled_memory(
        self, function: Callable[..., Any], static: tuple[int, ...], arguments: Sequence[Any]
    ) -> dict[str, int] | None:
        """XLA's own analysis, on every device."""
        leaves = jax.tree.leaves([a for k, a in enumerate(arguments) if k not in static])
        program = self.backend.programs.find(function, static, leaves, QUICK)
        found = program.lower(*arguments).compile().memory_analysis()
        return {
            "arguments": found.argument_size_in_bytes,
            "results": found.output_size_in_bytes,
            "scratch": found.temp_size_in_bytes,
        }
