"""PyTorch: the allocator of CUDA, saved-tensor hooks; on the processor, NumPy's blocks and grids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from backbeam_backends.meters.base import Meter


class TorchMeter(Meter):
    """Meter of PyTorch."""

    def peak_memory(self) -> int:
        """CUDA's allocator if it is in use, else the process."""
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            return torch.cuda.max_memory_allocated()
        return super().peak_memory()

    def free_memory(self, array: torch.Tensor) -> int | None:
        """Of a CUDA device: what the driver has left, and what the allocator holds without using it."""
        if not array.is_cuda:
            return super().free_memory(array)
        unused = torch.cuda.memory_reserved(array.device) - torch.cuda.memory_allocated(array.device)
        return torch.cuda.mem_get_info(array.device)[0] + unused

    def deposit_grids(self, batch: int, n: int) -> int:
        """As NumPy does."""
        return self.backend.host.meter.deposit_grids(batch, n)

    def in_hand(self, n: int, block: int | None = None) -> int:
        """As NumPy does, where it does."""
        return self.backend.host.meter.in_hand(n, block) if self.backend.fuses and n >= self.backend.fuse_from else 0

    def release(self) -> None:
        """NumPy's, whose kernels it shares."""
        self.backend.host.meter.release()

    def peak_of(self, function: Callable[[], Any], array: torch.Tensor) -> int | None:
        """CUDA's allocator counts blocks of 512 B; on the processor nobody counts."""
        if not array.is_cuda:
            return None
        torch.cuda.synchronize(array.device)
        torch.cuda.reset_peak_memory_stats(array.device)
        before = torch.cuda.memory_allocated(array.device)
        function()
        torch.cuda.synchronize(array.device)
        return torch.cuda.max_memory_allocated(array.device) - before

    def tape_bytes(self, function: Callable[..., Any], inputs: Sequence[torch.Tensor]) -> int:
        """Storages that pass the saved-tensor hooks."""
        leaves = [x.detach().requires_grad_(x.is_floating_point()) for x in inputs]
        seen = {x.untyped_storage().data_ptr() for x in leaves}
        saved: dict[int, torch.UntypedStorage] = {}

        def pack(x: torch.Tensor) -> torch.Tensor:
            storage = x.untyped_storage()
            if storage.data_ptr() not in seen:
                saved[storage.data_ptr()] = storage  # held, so that no other storage gets its address
            return x

        with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            value = function(*leaves)
        del value
        return sum(storage.nbytes() for storage in saved.values())
