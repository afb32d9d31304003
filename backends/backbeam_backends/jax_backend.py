"""JAX: compiled, on the processor or an accelerator; lines and beams are pytrees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from backbeam_backends.base import Backend
from backbeam_backends.jax_programs import QUICK, SUMS, Options, Programs
from backbeam_backends.meters.jax_meter import JaxMeter
from backbeam_backends.particle_mesh.jax_cloud_in_cell import JaxCloudInCell, has_loop, setbacks


class JaxBackend(Backend):
    """Adapter of JAX. It never touches JAX's x64 flag: asking for float64 while it is off is an error."""

    name = "jax"
    distribution = "jax"
    extra = "jax"
    namespace = jnp
    has_autodiff = True
    recompiles = True
    programs = Programs()
    """One for the process, as its memory maps are."""

    @property
    def meter(self) -> JaxMeter:
        """Memory."""
        return JaxMeter(self)

    def setback(self) -> str:
        """XLA's scatter and gather instead of loops of Numba."""
        has_loop("deposit", "float32", 1)
        return setbacks.text

    def devices(self) -> list[str]:
        """``platform:index`` of every device, the default backend's first."""
        found = [*jax.devices(), *(jax.devices("cpu") if jax.default_backend() != "cpu" else [])]
        return [f"{d.platform}:{d.id}" for d in found]

    def device(self, name: str | None) -> Any:
        """``cpu``, ``gpu``, ``cuda:1``, ..."""
        if name is None:
            return jax.devices()[0]
        platform, _, index = name.partition(":")
        try:
            return jax.devices(platform)[int(index or 0)]
        except (RuntimeError, IndexError, ValueError):
            raise ValueError(f"device is {name!r}; allowed: {', '.join(self.devices())}") from None

    def check_dtype(self, dtype: str) -> None:
        """float64 needs JAX's x64 flag."""
        super().check_dtype(dtype)
        if dtype == "float64" and not jax.config.jax_enable_x64:
            raise ValueError(
                "dtype is 'float64' while JAX's x64 flag is off; allowed: float32, or float64 after "
                "jax.config.update('jax_enable_x64', True) or with JAX_ENABLE_X64=1 in the environment"
            )

    def wide(self, array: jax.Array) -> Any:
        """float64 where the flag allows it."""
        return jnp.float64 if jax.config.jax_enable_x64 else jnp.float32

    def asarray(self, data: Any, *, dtype: str | None = None, device: str | None = None) -> jax.Array:
        """Tracers pass; host data goes to the device.

        What lies there already is not bound to it: JAX compiles anew for each way in which arguments are, or are not.
        """
        array = jnp.asarray(data, dtype=getattr(jnp, dtype) if dtype else None)
        if device is None:
            return array
        there = self.device(device)
        if not self.traced([array]) and array.devices() == {there}:
            return array
        return jax.device_put(array, there)

    def device_name(self, array: jax.Array) -> str:
        """``platform:index``, or ``traced``."""
        if self.traced([array]):
            return "traced"
        (device,) = array.devices()
        return f"{device.platform}:{device.id}"

    def to_numpy(self, array: jax.Array) -> np.ndarray:
        """Copy to the host."""
        return np.asarray(array)

    def scatter_add(self, values: jax.Array, index: jax.Array, size: int) -> jax.Array:
        """`jax.numpy.ndarray.at[].add`."""
        return jnp.zeros((values.shape[0], size), dtype=values.dtype).at[:, index].add(values)

    def cloud_in_cell(self, arrays: Sequence[jax.Array]) -> JaxCloudInCell:
        """Loops of Numba on the processor, XLA's scatter and gather elsewhere; for any number of particles."""
        return JaxCloudInCell()

    def settle(self, array: jax.Array) -> jax.Array:
        """A condition that always holds, which XLA does not know: it fuses nothing across it.

        `jax.lax.optimization_barrier` is gone by the time XLA fuses for the processor.
        """
        if array.size == 0:
            return array
        bits = jax.lax.bitcast_convert_type(array[(0,) * array.ndim], jnp.int64 if array.itemsize == 8 else jnp.int32)
        return jax.lax.cond((bits & 1) < 2, lambda a: a, jnp.zeros_like, array)

    def scan(
        self, body: Callable[[Any, Any], tuple[Any, Any]], carry: Any, xs: Any, count: int, *, backwards: bool = False
    ) -> tuple[Any, Any]:
        """`jax.lax.scan`: compile time does not grow with the count, and it has a reverse mode."""
        return jax.lax.scan(body, carry, xs, length=count, reverse=backwards)

    def one_by_one(self, ys: Any, count: int) -> list[Any]:
        """Rows of the first axis."""
        return [jax.tree.map(lambda a: a[k], ys) for k in range(count)]  # noqa: B023  (called at once)

    def together(self, each: list[Any]) -> Any:
        """Along a first axis."""
        return jax.tree.map(lambda *a: jnp.stack(a), *each)

    def compile(self, function: Callable[..., Any], static: tuple[int, ...] = (), calls: int = 1) -> Callable[..., Any]:
        """`jax.jit`; on the processor a call waits for its arguments.

        Called ahead of them it would take memory for its results at once, and many steps could be under way. An
        accelerator gives out its memory in the order of its work.
        """
        return partial(self._called, function, static, QUICK)

    def as_one(self, function: Callable[..., Any], static: tuple[int, ...] = ()) -> Callable[..., Any]:
        """`jax.jit` too: an operation by itself takes 20 to 100 ms of the processor to compile."""

        def run(*arguments: Any) -> Any:
            if self.traced([jnp.asarray(0.0)]):  # a part of that trace, though its own arguments may be numbers
                return function(*arguments)
            return self._called(function, static, SUMS, *arguments)

        return run

    def _called(self, function: Callable[..., Any], static: tuple[int, ...], options: Options, *arguments: Any) -> Any:
        leaves = jax.tree.leaves([a for k, a in enumerate(arguments) if k not in static])
        for leaf in leaves:
            if _on_processor(leaf):
                leaf.block_until_ready()
        return self.programs.find(function, static, leaves, options)(*arguments)

    def differentiable(
        self, primal: Callable[..., Any], reverse: Callable[..., Any], ranks: Sequence[int]
    ) -> Callable[..., Sequence[jax.Array]]:
        """`jax.custom_vjp`: under `vmap` it batches by itself, and forward mode is refused by JAX."""
        joined = jax.custom_vjp(lambda *inputs: tuple(primal(*inputs)[0]))

        def forward(*inputs: jax.Array) -> tuple[Any, Any]:
            outputs, kept = primal(*inputs)
            return tuple(outputs), (inputs, tuple(outputs), kept)

        def backward(residuals: Any, cotangents: Any) -> tuple[Any, ...]:
            inputs, outputs, kept = residuals
            bars = reverse(inputs, outputs, kept, cotangents)
            return tuple(_zero_cotangent(x) if b is None else b for x, b in zip(inputs, bars, strict=True))

        joined.defvjp(forward, backward)
        return joined

    def register_tree(self, cls: type, flatten: Callable[..., Any], unflatten: Callable[..., Any]) -> None:
        """`jax.tree_util.register_pytree_node`."""
        jax.tree_util.register_pytree_node(cls, flatten, unflatten)

    def pull(self, function: Callable[..., Any], inputs: Sequence[jax.Array]) -> Any:
        """`jax.vjp`."""
        value, pullback = jax.vjp(function, *inputs)
        return value, lambda bar: list(pullback(bar))

    def pull_each(
        self,
        function: Callable[..., Any],
        each: Sequence[jax.Array],
        shared: Sequence[jax.Array],
        bars: jax.Array,
    ) -> list[jax.Array]:
        """`jax.vmap` of `jax.vjp`."""

        def one(mine: tuple[jax.Array, ...], bar: jax.Array) -> Any:
            return jax.vjp(lambda *values: function(*mine, *values), *shared)[1](bar)

        return list(jax.vmap(one)(tuple(each), bars))

    def records(self, arrays: Sequence[jax.Array]) -> bool:
        """Under tracing, always: JAX does not say whether a trace is for a gradient."""
        return self.traced(arrays)

    def constant(self, array: jax.Array) -> jax.Array:
        """`jax.lax.stop_gradient`."""
        return jax.lax.stop_gradient(array)

    def traced(self, arrays: Sequence[jax.Array]) -> bool:
        """Whether any of the arrays is a tracer."""
        return any(isinstance(a, jax.core.Tracer) for a in arrays)

    def synchronize(self, tree: Any = None) -> None:
        """Wait for the arrays in ``tree``."""
        jax.block_until_ready(tree)


def _on_processor(leaf: Any) -> bool:
    """Whether it is an array, no tracer, in the memory of this machine."""
    if not isinstance(leaf, jax.Array) or isinstance(leaf, jax.core.Tracer):
        return False
    return all(device.platform == "cpu" for device in leaf.devices())


def _zero_cotangent(x: jax.Array) -> Any:
    """Return what custom_vjp wants for an input without a cotangent."""
    if jnp.issubdtype(x.dtype, jnp.floating):
        return jnp.zeros_like(x)
    return np.zeros(x.shape, dtype=jax.dtypes.float0)
