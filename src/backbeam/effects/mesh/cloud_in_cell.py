"""Cloud in cell: a particle charges the eight nodes around it and feels their field, by the same weights.

Because deposit and gather use the same nodes and weights, and the Green function is even, a beam exerts no
force on itself as a whole (Hockney & Eastwood, *Computer Simulation Using Particles*, ch. 5).

`kernels` gives the adapter's own loops where there are some, else `Plain`: the same in array operations. Both go from
positions in space to nodes; see `backbeam_backends.particle_mesh.CloudInCell`. The functions below are what `Plain` is
made of: for them particles are flattened over the batch, rows ``(k, B n)``. Grids are ``(k, B, nx, ny, nz)``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from array_api_compat import device

from backbeam import backends
from backbeam.arrays import namespace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backbeam.arrays import Array
    from backbeam_backends.particle_mesh import CloudInCell

    Rows = tuple[Array, ...]


def kernels(*arrays: Array) -> CloudInCell:
    """Cloud-in-cell weights for a field that is made from those arrays, a row of particles ``(B, n)`` first."""
    return backends.of(*arrays).cloud_in_cell(arrays) or Plain()


class Plain:
    """The contract of `CloudInCell` in array operations, differentiable by the library."""

    def deposit(
        self, values: Rows, r: Rows, centre: Array, spacing: Array, grid: tuple[int, int, int], guard: int
    ) -> Array:
        """Share rows of values ``(B, n)`` among the nodes: ``(k, B, nx, ny, nz)``."""
        cloud = locate(in_spacings(r, centre, spacing, grid), grid, guard)
        return deposit(_flat(values), cloud)

    def arrange(self, field: Array) -> Array:
        """Return the field ``(k, B, nx, ny, nz)`` as it is."""
        return field

    def beside(self, field: Array, fourth: Array) -> Array:
        """One more component."""
        return namespace(field).concat([field, fourth[None, ...]])

    def gradient(self, phi: Array, factors: Array, order: int) -> None:
        """None: differences of arrays are plain as they are."""

    def gradient_transpose(self, E_bar: Array, factors: Array, order: int) -> None:
        """None, as `gradient`."""

    def over_cells(self, f: Array, factor: Array) -> None:
        """None, as `gradient`."""

    def over_cells_transpose(self, bar: Array, factor: Array) -> None:
        """None, as `gradient`."""

    def gather(self, field: Array, r: Rows, centre: Array, spacing: Array, guard: int) -> Array:
        """Read the field where the particles are: ``(k, B, n)``."""
        grid = tuple(field.shape[-3:])
        found = gather(field, locate(in_spacings(r, centre, spacing, grid), grid, guard))
        return namespace(field).reshape(found, (field.shape[0], *r[0].shape))

    def gather_slope(
        self, field: Array, factors: Rows, r: Rows, centre: Array, spacing: Array, guard: int
    ) -> tuple[Array, Rows]:
        """Return `gather` of the field and the derivatives of ``sum(factors * gather(field))``."""
        xp, grid = namespace(field), tuple(field.shape[-3:])
        cloud = locate(in_spacings(r, centre, spacing, grid), grid, guard)
        found, slopes = gather_slope(field, _flat(factors), cloud)
        x, y, z = (xp.reshape(slope, tuple(r[0].shape)) for slope in slopes)
        return xp.reshape(found, (field.shape[0], *r[0].shape)), (x, y, z)


def _flat(values: Rows) -> Array:
    """Rows ``(B, n)``, several or one, as ``(k, B n)``."""
    xp = namespace(*values)
    return xp.stack([xp.reshape(row, (-1,)) for row in values])


def in_spacings(r: Rows, centre: Array, spacing: Array, grid: tuple[int, int, int]) -> Rows:
    """Positions from the first node, in spacings."""
    # From the middle: as exact far from the axis as on it, and symmetric.
    x, y, z = ((r[k] - centre[k, :, None]) / spacing[k, :, None] + 0.5 * (n - 1) for k, n in enumerate(grid))
    return x, y, z


class Cloud(NamedTuple):
    """Where particles are on their grids."""

    cell: Array
    """Index ``(B n,)`` of the lower node of a particle's cell, among the nodes of all grids of the batch."""
    upper: Rows
    """Weight ``(B n,)`` of the upper node along each axis: the position in the cell, 0 to 1."""
    grids: tuple[int, int, int, int]
    """Shape (B, nx, ny, nz)."""

    def corners(self) -> Iterator[tuple[Array, tuple[int, int, int], tuple[Array, Array, Array]]]:
        """Yield index, side (0 or 1) along each axis and weight along each axis of the eight nodes around."""
        _, _, ny, nz = self.grids
        weights = tuple((1.0 - d, d) for d in self.upper)
        for i in (0, 1):
            for j in (0, 1):
                for k in (0, 1):
                    offset = (i * ny + j) * nz + k
                    yield self.cell + offset, (i, j, k), (weights[0][i], weights[1][j], weights[2][k])


def locate(u: Rows, grid: tuple[int, int, int], guard: int) -> Cloud:
    """Find the cells of particles at positions ``u`` [spacings from the first node], three rows ``(B, n)``.

    A position on the last node that may hold charge, n - 1 - guard, counts as the end of the cell before
    it, so that no particle touches the guard nodes.
    """
    xp = namespace(*u)
    integer = xp.asarray(0).dtype  # the library's own: JAX has 32 bits unless told otherwise
    batch, count = u[0].shape
    cell, upper = None, []
    for position, n in zip(u, grid, strict=True):
        lower = xp.clip(xp.floor(position), float(guard), float(n - 2 - guard))
        upper.append(xp.reshape(position - lower, (-1,)))
        # A particle that is nowhere (it has turned round) has a cell all the same; its NaN goes on in the weight.
        lower = xp.where(xp.isnan(lower), xp.full_like(lower, float(guard)), lower)
        lower = xp.astype(lower, integer)
        cell = lower if cell is None else cell * n + lower
    if batch > 1:
        first = xp.arange(batch, dtype=integer, device=device(cell)) * (grid[0] * grid[1] * grid[2])
        cell = cell + first[:, None]
    return Cloud(xp.reshape(cell, (batch * count,)), tuple(upper), (batch, *grid))


def deposit(values: Array, cloud: Cloud) -> Array:
    """Share ``values (k, B n)`` among the nodes: ``(k, B, nx, ny, nz)``.

    What is shared is halved along one axis after the other, so that a tape keeps six parts of it and no weights.
    """
    backend = backends.of(values)
    b, nx, ny, nz = cloud.grids
    parts = [values]
    for weight in cloud.upper:
        parts = [side for part in parts for side in _shared(part, weight)]
    total = 0.0
    for (index, _, _), part in zip(cloud.corners(), parts, strict=True):
        total = total + backend.scatter_add(part, index, b * nx * ny * nz)
    return namespace(values).reshape(total, (values.shape[0], b, nx, ny, nz))


def gather(field: Array, cloud: Cloud) -> Array:
    """Read ``field (k, B, nx, ny, nz)`` where the particles are: ``(k, B n)``.

    By linear interpolation along one axis after the other, of which a tape keeps seven differences and no weights.
    """
    xp = namespace(field)
    flat = xp.reshape(field, (field.shape[0], -1))
    at = [xp.take(flat, index, axis=-1) for index, _, _ in cloud.corners()]
    for weight in reversed(cloud.upper):
        at = [low + weight * (high - low) for low, high in zip(at[0::2], at[1::2], strict=True)]
    return at[0]


def _shared(value: Array, weight: Array) -> tuple[Array, Array]:
    """The shares of the lower and of the upper node."""
    upper = value * weight
    return value - upper, upper


def gather_slope(field: Array, factors: Array, cloud: Cloud) -> tuple[Array, Rows]:
    """Return `gather` of the field and the derivatives of ``sum(factors * gather(field))``.

    ``factors`` is ``(k, B n)``; the derivatives are with respect to positions in spacings, three rows ``(B
    n,)``.
    """
    xp = namespace(field)
    flat = xp.reshape(field, (field.shape[0], -1))
    total, dx, dy, dz = 0.0, 0.0, 0.0, 0.0
    for index, (i, j, k), (wx, wy, wz) in cloud.corners():
        at = xp.take(flat, index, axis=-1)
        wxy = wx * wy
        total = total + at * (wxy * wz)
        v = xp.sum(at * factors, axis=0)
        vz = v * wz
        dx = dx + vz * (wy if i else -wy)
        dy = dy + vz * (wx if j else -wx)
        dz = dz + v * (wxy if k else -wxy)
    return total, (dx, dy, dz)
