"""PyTorch on the processor: its tensors lie in memory that NumPy reads too, so NumPy's fused kernels serve both.

Where no gradient is being recorded, which is always so inside our own pullbacks, a function of tensors is called with
NumPy views of them instead. Nothing is copied, and what comes out is wrapped as tensors again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from backbeam_backends.blocks import transform
from backbeam_backends.particle_mesh import CloudInCell

FEW = 1 << 15
"""Numbers in the largest tensor, from which on PyTorch's own threads are worth more than NumPy's short calls."""


def can_lend(tensors: list[Any], fuses: bool) -> bool:
    """Whether all of some tensors are plain ones in the processor's memory, which are better off with NumPy.

    Few numbers are, for a call of NumPy's takes a third of the time; many are where there are fused kernels.
    """
    count = 0
    for t in tensors:
        if type(t) not in (torch.Tensor, torch.nn.Parameter) or t.device.type != "cpu":
            return False
        if t.layout != torch.strided or t.is_conj():
            return False
        count = max(count, t.numel())
    return 0 < count and (fuses or count < FEW)


def lent(function: Callable[..., Any], *trees: Any) -> Any:
    """Call a function with NumPy views of the tensors in some nests; the result's arrays become tensors."""
    owners: list[tuple[np.ndarray, torch.Tensor]] = []

    def lend(tensor: torch.Tensor) -> np.ndarray:
        view = tensor.detach().numpy()
        owners.append((view, tensor))
        return view

    def give_back(array: Any) -> torch.Tensor:
        for view, tensor in owners:
            if array is view:  # handed through: the tensor itself, not a second one in the same memory
                return tensor
        return tensor_of(array)

    return transform(give_back, function(*(transform(lend, tree) for tree in trees)))


def tensor_of(array: Any) -> torch.Tensor:
    """A tensor in the memory of an array; of a number or of what must not be written to, in memory of its own."""
    array = np.asarray(array)
    lendable = array.flags.writeable and min(array.strides, default=0) >= 0  # PyTorch knows no rows that run back
    return torch.from_numpy(array if lendable else array.copy())


class LentCloudInCell(CloudInCell):
    """NumPy's kernels for cloud-in-cell weights, on tensors; on NumPy's own arrays, which lent blocks are, at once."""

    def __init__(self, weights: CloudInCell) -> None:
        self.weights = weights

    def deposit(self, values: Any, r: Any, centre: Any, spacing: Any, grid: tuple[int, int, int], guard: int) -> Any:
        """See `backbeam_backends.particle_mesh.CloudInCell`."""
        deposit = partial(self.weights.deposit, grid=grid, guard=guard)
        return lent(deposit, values, r, centre, spacing)

    def arrange(self, field: Any) -> Any:
        """See `backbeam_backends.particle_mesh.CloudInCell`."""
        return lent(self.weights.arrange, field)

    def beside(self, field: Any, fourth: Any) -> Any:
        """See `backbeam_backends.particle_mesh.CloudInCell`."""
        return lent(self.weights.beside, field, fourth)

    def gradient(self, phi: Any, factors: Any, order: int) -> Any:
        """See `backbeam_backends.particle_mesh.CloudInCell`."""
        return lent(partial(self.weights.gradient, order=order), phi, factors)

    def gradient_transpose(self, E_bar: Any, factors: Any, order: int) -> Any:
        """See `backbeam_backends.particle_mesh.CloudInCell`."""
        return lent(partial(self.weights.gradient_transpose, order=order), E_bar, factors)

    def over_cells(self, f: Any, factor: Any) -> Any:
        """See `backbeam_backends.particle_mesh.CloudInCell`."""
        return lent(self.weights.over_cells, f, factor)

    def over_cells_transpose(self, bar: Any, factor: Any) -> Any:
        """See `backbeam_backends.particle_mesh.CloudInCell`."""
        return lent(self.weights.over_cells_transpose, bar, factor)

    def gather(self, field: Any, r: Any, centre: Any, spacing: Any, guard: int) -> Any:
        """See `backbeam_backends.particle_mesh.CloudInCell`."""
        call = partial(self.weights.gather, guard=guard)
        return (call if isinstance(field, np.ndarray) else partial(lent, call))(field, r, centre, spacing)

    def gather_slope(self, field: Any, factors: Any, r: Any, centre: Any, spacing: Any, guard: int) -> Any:
        """See `backbeam_backends.particle_mesh.CloudInCell`."""
        call = partial(self.weights.gather_slope, guard=guard)
        return (call if isinstance(field, np.ndarray) else partial(lent, call))(field, factors, r, centre, spacing)
