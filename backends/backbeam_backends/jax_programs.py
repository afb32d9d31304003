"""Jitted functions of JAX by number of particles, so that those of numbers long past can be let go.

JAX keeps every program that it compiled for as long as the jitted function lives, and each program on the processor
takes some memory maps, of which Linux gives a process 65530: after a hundred numbers of particles LLVM could get no
memory for the next program. So every number of particles has jitted functions of its own, and when maps run short those
go that have not been called for longest. Called again, they are compiled again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from typing import Any

import jax

Options = tuple[tuple[str, Any], ...]

QUICK: Options = (("xla_cpu_use_fusion_emitters", False),)
"""With these XLA takes a third less time for a kick, which takes as long and as much memory as without: its newer
emitters of fused loops cost most of that."""
SUMS: Options = (*QUICK, ("xla_backend_optimization_level", 1))
"""With these a quarter less again, and sums over particles take as long or less; maps of particles would take twice as
long."""

SHARE = 0.4
"""Of all the maps that the system gives, so many may be in use before old programs go."""


class Programs:
    """Jitted functions, found by function, static arguments and number of particles."""

    def __init__(self) -> None:
        self._numbers: OrderedDict[int, dict[Any, jax.stages.Wrapped]] = OrderedDict()

    def find(
        self, function: Callable[..., Any], static: tuple[int, ...], leaves: list[Any], options: Options
    ) -> jax.stages.Wrapped:
        """Jitted function for arguments with those leaves; with the options, if XLA is to take them."""
        n = max((leaf.shape[-1] for leaf in leaves if getattr(leaf, "ndim", 0)), default=0)
        if n not in self._numbers:
            self._make_room()
            self._numbers[n] = {}
        self._numbers.move_to_end(n)
        mine = self._numbers[n]
        taken = on_processor(leaves) and are_known(options)
        key = (function, static, options if taken else ())
        if key not in mine:
            # The same function would share its programs with the one of another number.
            of_xla = dict(options) if taken else None
            mine[key] = jax.jit(_renamed(function), static_argnums=static, compiler_options=of_xla)
        return mine[key]

    def _make_room(self) -> None:
        """Let the older half go while too many maps are in use."""
        while self._numbers and maps_in_use() > SHARE * most_maps():
            for _ in range(-(-len(self._numbers) // 2)):
                _, programs = self._numbers.popitem(last=False)
                for program in programs.values():
                    program.clear_cache()

    @property
    def numbers(self) -> list[int]:
        """Numbers of particles for which there are programs, the one called last at the end."""
        return list(self._numbers)


def on_processor(leaves: list[Any]) -> bool:
    """Whether all arrays are the processor's, and none is a tracer: what is jitted within a jit has no options."""
    return all(
        not isinstance(leaf, jax.core.Tracer)
        and (not isinstance(leaf, jax.Array) or all(d.platform == "cpu" for d in leaf.devices()))
        for leaf in leaves
    )


@cache
def are_known(options: Options) -> bool:
    """Whether this XLA takes them."""
    try:
        jax.jit(lambda: 0, compiler_options=dict(options)).lower().compile()
    except Exception:  # whatever an unknown option is called
        return False
    return True


def _renamed(function: Callable[..., Any]) -> Callable[..., Any]:
    def run(*arguments: Any) -> Any:
        return function(*arguments)

    run.__name__ = getattr(function, "__name__", "run")
    return run


def maps_in_use() -> int:
    """Memory maps of this process; 0 where the system does not tell."""
    try:
        with open("/proc/self/maps", "rb") as maps:
            return sum(1 for _ in maps)
    except OSError:
        return 0


def most_maps() -> int:
    """How many a process may have."""
    try:
        with open("/proc/sys/vm/max_map_count", encoding="ascii") as limit:
            return int(limit.read())
    except (OSError, ValueError):
        return 65_530
