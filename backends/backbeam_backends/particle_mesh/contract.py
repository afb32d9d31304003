"""What kernels for cloud-in-cell weights offer, and what they may leave to plain array operations.

Their plain twin is `backbeam.effects.mesh.cloud_in_cell.Plain`.
"""

from __future__ import annotations

from typing import Any, Protocol

Array = Any
Rows = tuple[Array, ...]

WIDTH = 4
"""Numbers of a node that is a vector to the loops on the processor."""
RUN = 128
"""Particles that these locate together: what is known of them stays next to the processor."""


class CloudInCell(Protocol):
    """Cloud-in-cell weights straight from positions: no array of cells or weights is made.

    In all methods ``r`` are positions, three rows ``(B, n)`` [m], ``centre`` and ``spacing`` ``(3, B)`` [m] are the
    middle of each grid and the distance of its nodes, and ``guard`` is the number of cells at its ends that hold no
    charge. A particle is at u = (r - centre)/spacing + (nodes - 1)/2 spacings from the first node. Its cell is
    floor(u), not less than ``guard`` and not more than nodes - 2 - guard; its weight on the upper node of the cell is
    u - cell. A position that is no number gets the first cell and hands its NaN on in the weights.
    """

    def deposit(
        self, values: Rows, r: Rows, centre: Array, spacing: Array, grid: tuple[int, int, int], guard: int
    ) -> Array:
        """Share k rows of values ``(B, n)`` among the nodes: ``(k, B, nx, ny, nz)``; one or four are quickest."""
        ...

    def arrange(self, field: Array) -> Any:
        """A field ``(k, B, nx, ny, nz)`` as `gather` and `gather_slope` take it: in their own layout."""
        ...

    def beside(self, field: Any, fourth: Array) -> Any:
        """An arranged field of three components, which is not used again, and a fourth ``(B, nx, ny, nz)``."""
        ...

    def gather(self, field: Any, r: Rows, centre: Array, spacing: Array, guard: int) -> Array:
        """Read an arranged field where the particles are: ``(k, B, n)``. Kernels may know k = 3 alone."""
        ...

    def gather_slope(
        self, field: Any, factors: Rows, r: Rows, centre: Array, spacing: Array, guard: int
    ) -> tuple[Array, Rows]:
        """Return `gather` of the field and the derivatives of ``sum(factors * gather(field))``.

        ``factors`` are k rows ``(B, n)``; the derivatives are with respect to positions in spacings, three rows ``(B,
        n)``. Kernels may know k = 4 alone: a field, and what is beside it.
        """
        ...

    def gradient(self, phi: Array, factors: Array, order: int) -> Any | None:
        """Differences of ``phi (B, nx, ny, nz)`` along x, y, z per spacing times ``factors (3, B)``, in their type,
        arranged; None: there is no kernel for them, and plain array operations serve.

        Central, of order 2 or 4; at the outermost ``order/2`` nodes of any axis one-sided at order 2, 0 at order 4.
        """
        return None

    def gradient_transpose(self, E_bar: Array, factors: Array, order: int) -> Array | None:
        """Transpose of `gradient` ``(B, nx, ny, nz)``, in float64, of ``E_bar (3, B, nx, ny, nz)``, 0 where it is.

        None: there is no kernel for it.
        """
        return None

    def over_cells(self, f: Array, factor: Array) -> Array | None:
        """Differences over the eight corners of cells of an odd function, times a factor ``(B,)``: both ``(B, nx, ny,
        nz)``.

        ``f`` is given at corners 1/2, 3/2, ... along each axis, the cells are those around 0, 1, ...; None: there is no
        kernel for it.
        """
        return None

    def over_cells_transpose(self, bar: Array, factor: Array) -> Array | None:
        """Transpose of `over_cells`."""
        return None
