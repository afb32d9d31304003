"""Particles and the nodes of a mesh, by hand-written kernels: what adapters may offer as `Backend.cloud_in_cell`.

========================  ============================================================================================
``contract``              `CloudInCell`: what they all offer
``numba_kernels``         loops over particles and nodes on the processor, compiled by ``compiling``
``kept_loops``            their machine code, kept on disk for processes that do not import Numba
``numba_cloud_in_cell``   those loops for NumPy's arrays, and for PyTorch's, whose memory is lent to them
``jax_cloud_in_cell``     those loops for JAX on the processor, and XLA's own scatter and gather elsewhere
``jax_loops``             the loops as custom calls of XLA, whose interface ``xla_cpu_calls`` reads
``cupy_cloud_in_cell``    CUDA kernels for CuPy
========================  ============================================================================================

The twin of them all in plain array operations is `backbeam.effects.mesh.cloud_in_cell.Plain`. Nothing here is imported
before it is used.
"""

from __future__ import annotations

from backbeam_backends.particle_mesh.contract import CloudInCell

__all__ = ["CloudInCell"]
