"""Particles and the nodes of a mesh, by hand-written kernels: what adapters may offer as `Backend.cloud_in_cell`.

`CloudInCell` is the contract. ``numba_kernels`` are the loops over particles, ``numba_cloud_in_cell`` offers them to
NumPy arrays. Nothing here is imported before it is used, and nothing imports Numba but the kernels.
"""

from __future__ import annotations

from backbeam_backends.particle_mesh.contract import CloudInCell

__all__ = ["CloudInCell"]
