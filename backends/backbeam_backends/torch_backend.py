"""PyTorch: the processor or CUDA, with gradients through autograd."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import array_api_compat.torch
import numpy as np
import torch

from backbeam_backends.base import Backend
from backbeam_backends.blocks import add, leaves, transform
from backbeam_backends.meters.torch_meter import TorchMeter
from backbeam_backends.numpy_backend import NumpyBackend
from backbeam_backends.particle_mesh import CloudInCell
from backbeam_backends.torch_on_host import LentCloudInCell, can_lend, lent, tensor_of

NO_FURTHER = (
    "backbeam's pullbacks are differentiated no further; for forward mode (jvp, jacfwd) and second derivatives "
    "pass adjoint=backbeam.Tape()"
)


class TorchBackend(Backend):
    """Adapter of PyTorch."""

    name = "torch"
    distribution = "torch"
    extra = "torch"
    namespace = array_api_compat.torch
    has_autodiff = True
    host = NumpyBackend()
    """Whose kernels work on tensors in the processor's memory."""

    @property
    def meter(self) -> TorchMeter:
        """Memory."""
        return TorchMeter(self)

    @property
    def fuse_from(self) -> int:  # type: ignore[override]
        """Particles from which on NumPy's loops are used."""
        return self.host.fuse_from

    @property
    def fuses(self) -> bool:
        """As NumPy does."""
        return self.host.fuses

    @property
    def threads(self) -> int:
        """PyTorch's own number."""
        return torch.get_num_threads()

    def setback(self) -> str:
        """As NumPy's on the processor."""
        return self.host.setback()

    def devices(self) -> list[str]:
        """The processor, each CUDA device, and Apple's GPU (float32 only) where there is one."""
        found = ["cpu"] + [f"cuda:{k}" for k in range(torch.cuda.device_count())]
        return found + (["mps"] if torch.backends.mps.is_available() else [])

    def device(self, name: str | None) -> torch.device:
        """``cpu``, ``cuda``, ``cuda:1``, ``mps``."""
        if name is None:
            return torch.device("cpu")
        if name not in (*self.devices(), *(["cuda"] if torch.cuda.is_available() else [])):
            raise ValueError(f"device is {name!r}; allowed: {', '.join(self.devices())}")
        return torch.device(name)

    def wide(self, array: torch.Tensor) -> torch.dtype:
        """float64, except on Apple's GPU, which has none."""
        return torch.float32 if array.device.type == "mps" else torch.float64

    def asarray(self, data: Any, *, dtype: str | None = None, device: str | None = None) -> torch.Tensor:
        """A tensor keeps its graph when it changes type or device."""
        wanted = getattr(torch, dtype) if dtype else None
        if isinstance(data, torch.Tensor):
            return data.to(dtype=wanted, device=self.device(device) if device else None)
        host = np.asarray(data)
        if not host.flags.writeable:
            host = host.copy()  # torch warns of memory that it must not write to
        return torch.as_tensor(host, dtype=wanted).to(self.device(device))

    def to_numpy(self, array: torch.Tensor) -> np.ndarray:
        """Detach and copy to the host."""
        return array.detach().cpu().numpy()

    def device_name(self, array: torch.Tensor) -> str:
        """``cpu``, ``cuda:0``, ..."""
        return str(array.device)

    def scatter_add(self, values: torch.Tensor, index: torch.Tensor, size: int) -> torch.Tensor:
        """`Tensor.index_add`, which autograd knows."""
        out = torch.zeros((values.shape[0], size), dtype=values.dtype, device=values.device)
        return out.index_add(1, index, values)

    def records(self, arrays: Sequence[torch.Tensor]) -> bool:
        """Whether grad mode is on and any tensor requires a gradient or stands under a `torch.func` transform."""
        return self.traced(arrays) or (torch.is_grad_enabled() and any(a.requires_grad for a in arrays))

    def constant(self, array: torch.Tensor) -> torch.Tensor:
        """`torch.Tensor.detach`."""
        return array.detach()

    def unrecorded(self, array: torch.Tensor) -> torch.Tensor:
        """`Tensor.detach`; under a `torch.func` transform the record is the transform's."""
        return array.detach() if array.requires_grad and not self.traced([array]) else array

    def traced(self, arrays: Sequence[torch.Tensor]) -> bool:
        """Whether a `torch.func` transform is under way: under it no tensor, wrapped or not, gives its values away."""
        return torch._C._functorch.peek_interpreter_stack() is not None

    # -- running: what needs no record is done by NumPy's fused kernels, in the same memory -----------------------

    def _lends(self, tree: Any) -> bool:
        """Whether NumPy's kernels are to do this."""
        found = leaves(tree)
        return not self.records(found) and can_lend(found, self.host.fuses)

    def borrows(self, arrays: Sequence[torch.Tensor]) -> bool:
        """NumPy, on the processor."""
        return self._lends(list(arrays))

    def lent(self, tree: Any) -> Any:
        """Views."""
        return transform(lambda t: t.detach().numpy(), tree)

    def taken_back(self, tree: Any) -> Any:
        """Tensors in the memory of NumPy's arrays."""
        return transform(tensor_of, tree)

    def quiet(self) -> AbstractContextManager[Any]:
        """NumPy's, which does some of the work."""
        return self.host.quiet()

    def compile(self, function: Callable[..., Any], static: tuple[int, ...] = (), calls: int = 1) -> Callable[..., Any]:
        """NumPy's on the processor, see `torch_on_host`; elsewhere, and where autograd records, the function itself."""

        def run(*arguments: Any) -> Any:
            trees = tuple(a for k, a in enumerate(arguments) if k not in static)
            if not self._lends(trees):
                return function(*arguments)

            def on_host(*arrays: Any) -> Any:
                rest = iter(arrays)
                given = [a if k in static else next(rest) for k, a in enumerate(arguments)]
                return self.host.compile(function, static, calls)(*given)

            return lent(on_host, *trees)

        return run

    def blockwise(
        self,
        function: Callable[[Any, Any], tuple[Any, Any]],
        particles: Any,
        shared: Any = None,
        combine: Callable[[Any, Any], Any] = add,
        block: int | None = None,
    ) -> tuple[Any, Any]:
        """On the processor, NumPy's."""
        if not self._lends((particles, shared)):
            return function(particles, shared)
        return lent(lambda p, s: self.host.blockwise(function, p, s, combine, block), particles, shared)

    def cloud_in_cell(self, arrays: Sequence[torch.Tensor]) -> CloudInCell | None:
        """On the processor, NumPy's."""
        weights = self.host.cloud_in_cell(arrays) if self._lends(tuple(arrays)) else None
        return None if weights is None else LentCloudInCell(weights)

    def differentiable(
        self, primal: Callable[..., Any], reverse: Callable[..., Any], ranks: Sequence[int]
    ) -> Callable[..., Sequence[torch.Tensor]]:
        """A `torch.autograd.Function`, in the form that `torch.func` accepts; it can be differentiated once."""
        shape_of_kept: list[Any] = []
        holes: list[bool] = []

        class Pulled(torch.autograd.Function):
            # A function of its own, so that a second derivative is an error: torch.func would take it for zero.
            @staticmethod
            def forward(structure: Any, sizes: tuple[int, int], *arrays: torch.Tensor) -> tuple[torch.Tensor, ...]:
                n_inputs, n_outputs = sizes
                inputs, outputs = arrays[:n_inputs], arrays[n_inputs : n_inputs + n_outputs]
                leaves, cotangents = arrays[n_inputs + n_outputs : -n_outputs], arrays[-n_outputs:]
                kept = torch.utils._pytree.tree_unflatten(list(leaves), structure)
                bars = reverse(inputs, outputs, kept, cotangents)
                holes[:] = [bar is None for bar in bars]
                return tuple(_own(bar, arrays) for bar in bars if bar is not None)

            @staticmethod
            def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Any, ...]) -> None:
                pass

            @staticmethod
            def backward(ctx: Any, *cotangents: torch.Tensor) -> Any:
                raise NotImplementedError(NO_FURTHER)

            @staticmethod
            def jvp(ctx: Any, *tangents: Any) -> Any:
                raise NotImplementedError(NO_FURTHER)

            @staticmethod
            def vmap(info: Any, in_dims: tuple[Any, ...], structure: Any, sizes: Any, *arrays: torch.Tensor) -> Any:
                # Each input has a cotangent for each place of the batch, those that all places share as well.
                whole = [_leading(x, d, info.batch_size) for x, d in zip(arrays, in_dims[2:], strict=True)]
                inputs, others = whole[: sizes[0]], whole[sizes[0] :]
                bars = Pulled.apply(structure, sizes, *_aligned(inputs, ranks), *others)
                shapes = [x.shape for x, hole in zip(inputs, holes, strict=True) if not hole]
                found = tuple(bar.reshape(shape) for bar, shape in zip(bars, shapes, strict=True))
                return found, (0,) * len(found)

        class Joined(torch.autograd.Function):
            @staticmethod
            def forward(*inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
                outputs, kept = primal(*inputs)
                leaves, structure = torch.utils._pytree.tree_flatten(kept)
                shape_of_kept[:] = [structure, len(outputs)]
                return (*(_own(o, inputs) for o in outputs), *leaves)

            @staticmethod
            def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Any, ...]) -> None:
                ctx.structure, ctx.n_outputs = shape_of_kept
                ctx.n_inputs = len(inputs)
                kept = output[ctx.n_outputs :]
                ctx.mark_non_differentiable(*kept, *(o for o in output[: ctx.n_outputs] if not o.is_floating_point()))
                ctx.set_materialize_grads(True)
                ctx.save_for_backward(*inputs, *output)

            @staticmethod
            def backward(ctx: Any, *cotangents: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
                sizes = (ctx.n_inputs, ctx.n_outputs)
                bars = iter(Pulled.apply(ctx.structure, sizes, *ctx.saved_tensors, *cotangents[: ctx.n_outputs]))
                return tuple(None if hole else next(bars) for hole in holes)

            @staticmethod
            def jvp(ctx: Any, *tangents: Any) -> Any:
                raise NotImplementedError(NO_FURTHER)

            @staticmethod
            def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: torch.Tensor) -> Any:
                batches = [x.ndim - r - (d is not None) for x, d, r in zip(inputs, in_dims, ranks, strict=True)]
                deepest = max(batches)
                moved = []
                for x, d, own in zip(inputs, in_dims, batches, strict=True):
                    if d is not None:
                        x = x.movedim(d, 0)
                        x = x.reshape(x.shape[0], *[1] * (deepest - own), *x.shape[1:])
                    moved.append(x)
                out = Joined.apply(*moved)
                return out, (0,) * len(out)

        return lambda *inputs: Joined.apply(*inputs)[: shape_of_kept[1]]

    def pull(self, function: Callable[..., Any], inputs: Sequence[torch.Tensor]) -> Any:
        """`torch.autograd.grad` on detached leaves."""
        leaves = [x.detach().requires_grad_(x.is_floating_point()) for x in inputs]
        with torch.enable_grad():
            value = function(*leaves)

        def pullback(bar: torch.Tensor) -> list[torch.Tensor]:
            wanted = [x for x in leaves if x.requires_grad]
            found = iter(torch.autograd.grad(value, wanted, bar, allow_unused=True))
            bars = [next(found) if x.requires_grad else None for x in leaves]
            return [torch.zeros_like(x) if b is None else b for x, b in zip(leaves, bars, strict=True)]

        return value.detach(), pullback

    def pull_each(
        self,
        function: Callable[..., Any],
        each: Sequence[torch.Tensor],
        shared: Sequence[torch.Tensor],
        bars: torch.Tensor,
    ) -> list[torch.Tensor]:
        """`torch.func.vmap` of `torch.func.vjp`."""

        def one(mine: tuple[torch.Tensor, ...], bar: torch.Tensor) -> Any:
            return torch.func.vjp(lambda *values: function(*mine, *values), *shared)[1](bar)

        return list(torch.func.vmap(one)(tuple(each), bars))

    def call_module(self, module: Any, weights: Mapping[str, torch.Tensor], X: torch.Tensor) -> torch.Tensor:
        """`torch.func.functional_call`."""
        return torch.func.functional_call(module, dict(weights), (X,))

    def synchronize(self, tree: Any = None) -> None:
        """Wait for CUDA."""
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            torch.cuda.synchronize()


def _leading(x: torch.Tensor, place: int | None, count: int) -> torch.Tensor:
    """The tensor with the axis of a batch in front; where it has none, the same for each place of it."""
    return x.expand(count, *x.shape) if place is None else x.movedim(place, 0)


def _aligned(tensors: Sequence[torch.Tensor], ranks: Sequence[int]) -> list[torch.Tensor]:
    """Tensors with a batch in front, and ones behind it, so that all have as many axes before their own."""
    deepest = max(x.ndim - rank for x, rank in zip(tensors, ranks, strict=True))
    return [
        x.reshape(x.shape[0], *[1] * (deepest - (x.ndim - rank)), *x.shape[1:])
        for x, rank in zip(tensors, ranks, strict=True)
    ]


def _own(output: torch.Tensor, inputs: Sequence[Any]) -> torch.Tensor:
    """Return a copy of what is one of the inputs: an autograd function must not hand them on."""
    return output.clone() if any(output is x for x in inputs) else output
