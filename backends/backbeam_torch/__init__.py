"""Beamlines as PyTorch's users have their models: modules with parameters, a state, a device.

The physics is backbeam's own, and so are the gradients: `torch.autograd` meets one function a line, whose memory does
not grow with the number of kicks. Importing this package imports PyTorch.
"""

from __future__ import annotations

from backbeam_torch.line_module import LineModule

__all__ = ["LineModule"]
