"""Cloud in cell for JAX, from positions: loops of Numba on the processor where it is installed, XLA's own elsewhere.

The plain forms are written so that XLA compiles them quickly: the charge of a particle is scattered as one window of
2 x 2 x 2 nodes. The choice between them and the loops is made for the platform for which a program is compiled; they
agree to rounding. JAX could not differentiate a loop of Numba: wherever it differentiates, in either mode and to any
order, it is given the derivative of the plain form.

On NVIDIA's GPUs jaxlib 0.10.2 to 0.11 adds float32 with a compare-and-swap loop, up to 450 times slower where many
particles meet in a node (openxla/xla issue 46225; jaxlib 0.10.1 and float64 are not touched). The program is the same,
so no other form of a scatter escapes: the cause is in LLVM, and its flag ``-nvptx-allow-ftz-atomics`` in ``XLA_FLAGS``
brings the instruction back (jax-ml/jax issue 38806). Flags belong to the user's process: backbeam sets none.
"""

from __future__ import annotations

from functools import cache, partial
from importlib.util import find_spec
from inspect import signature
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from backbeam_backends.particle_mesh.contract import CloudInCell
from backbeam_backends.setbacks import Setbacks

Rows = tuple[jax.Array, ...]
Grid = tuple[int, int, int]
Mesh = tuple[Grid, int]
"""Nodes along each axis, and the number of guard cells."""


setbacks = Setbacks()
"""Of this process, in which XLA is told of each loop once."""


@cache
def has_loops() -> bool:
    """Whether there are loops for the processor: Numba is installed, and XLA's interface is one that they know."""
    if find_spec("numba") is None:
        return False
    try:
        from backbeam_backends.particle_mesh.xla_cpu_calls import is_known
    except Exception as error:  # an installation can be broken in every way
        setbacks.note("compiled deposit and gather", error)
        return False
    return is_known()


LOOPED = {"deposit": (1, 4), "gather": (3,), "gather_slope": (4,)}
"""Components for which there is a loop."""


@cache
def has_loop(operation: str, dtype: str, components: int) -> bool:
    """Whether there is a loop for an operation; it is compiled for the answer."""
    if components not in LOOPED[operation] or not has_loops():
        return False
    try:
        from backbeam_backends.particle_mesh.jax_loops import target

        target(operation, dtype, components)
    except Exception as error:  # the plain form is there
        setbacks.note("compiled deposit and gather", error)
        return False
    return True


class JaxCloudInCell(CloudInCell):
    """`Backend.cloud_in_cell` of JAX."""

    def deposit(
        self, values: Rows, r: Rows, centre: jax.Array, spacing: jax.Array, grid: Grid, guard: int
    ) -> jax.Array:
        """Share rows of values ``(B, n)`` among the nodes ``(k, B, nx, ny, nz)``."""
        return _deposit(jnp.stack(values), r, centre, spacing, (tuple(grid), guard))

    def arrange(self, field: jax.Array) -> jax.Array:
        """As it is."""
        return field

    def beside(self, field: jax.Array, fourth: jax.Array) -> jax.Array:
        """One more in front."""
        return jnp.concatenate([field, fourth[None, ...]])

    def gather(self, field: jax.Array, r: Rows, centre: jax.Array, spacing: jax.Array, guard: int) -> jax.Array:
        """Read ``field (k, B, nx, ny, nz)`` at the particles: ``(k, B, n)``."""
        return _gather(field, r, centre, spacing, (tuple(field.shape[2:]), guard))

    def gather_slope(
        self, field: jax.Array, factors: Rows, r: Rows, centre: jax.Array, spacing: jax.Array, guard: int
    ) -> tuple[jax.Array, Rows]:
        """Return `gather`, and the derivatives of ``sum(factors * gather)`` by positions in spacings ``(B, n)``."""
        total, *slopes = _gather_slope(field, jnp.stack(factors), r, centre, spacing, (tuple(field.shape[2:]), guard))
        return total, tuple(slopes)


# -- plain forms -------------------------------------------------------------------------------------------------------


def _locate(r: Rows, centre: jax.Array, spacing: jax.Array, mesh: Mesh) -> tuple[jax.Array, list[Any]]:
    """Lower nodes ``(3, B, n)``, that along x counted on through the grids of all beams; weights of the two nodes."""
    grid, guard = mesh
    lower, weights = [], []
    for k, n in enumerate(grid):
        u = (r[k] - centre[k][:, None]) / spacing[k][:, None] + 0.5 * (n - 1)
        cell = jnp.clip(jnp.floor(u), guard, n - 2 - guard)
        weights.append((1.0 - (u - cell), u - cell))
        lower.append(jnp.where(jnp.isnan(cell), guard, cell).astype(jnp.int32))
    lower[0] = lower[0] + (jnp.arange(r[0].shape[0], dtype=jnp.int32) * grid[0])[:, None]
    return jnp.stack(lower), weights


def plain_deposit(values: jax.Array, r: Rows, centre: jax.Array, spacing: jax.Array, mesh: Mesh) -> jax.Array:
    """`CloudInCell.deposit` by XLA's scatter."""
    (k, beams, n), grid = values.shape, mesh[0]
    lower, (wx, wy, wz) = _locate(r, centre, spacing, mesh)
    w = jnp.stack(wx, axis=-1)[..., :, None, None] * jnp.stack(wy, axis=-1)[..., None, :, None]
    w = (w * jnp.stack(wz, axis=-1)[..., None, None, :]).reshape(beams * n, 2, 2, 2)
    index = lower.reshape(3, beams * n).T
    windows = lax.ScatterDimensionNumbers((1, 2, 3), (), (0, 1, 2))
    nothing = jnp.zeros((beams * grid[0], *grid[1:]), values.dtype)

    def one(value: jax.Array) -> jax.Array:
        return lax.scatter_add(nothing, index, value[:, None, None, None] * w, windows, mode="promise_in_bounds")

    # One component at a time: XLA does not vectorise over components, and the windows of all are 64 B each.
    return jnp.stack([one(v) for v in values.reshape(k, beams * n)]).reshape(k, beams, *grid)


def _corners(
    field: jax.Array, r: Rows, centre: jax.Array, spacing: jax.Array, mesh: Mesh
) -> tuple[list[jax.Array], list[Any]]:
    """Field ``(k, B, n)`` at the eight nodes around each particle, z fastest, and the weights."""
    lower, weights = _locate(r, centre, spacing, mesh)
    _, ny, nz = mesh[0]
    cell = (lower[0] * ny + lower[1]) * nz + lower[2]
    flat = field.reshape(field.shape[0], -1)
    offsets = [(i * ny + j) * nz + k for i in (0, 1) for j in (0, 1) for k in (0, 1)]
    return [flat.at[:, cell + offset].get(mode="promise_in_bounds") for offset in offsets], weights


def plain_gather(field: jax.Array, r: Rows, centre: jax.Array, spacing: jax.Array, mesh: Mesh) -> jax.Array:
    """`CloudInCell.gather` by XLA's gather."""
    at, (wx, wy, wz) = _corners(field, r, centre, spacing, mesh)
    along_y = [[wz[0] * at[4 * i + 2 * j] + wz[1] * at[4 * i + 2 * j + 1] for j in (0, 1)] for i in (0, 1)]
    return sum(wx[i] * (wy[0] * along_y[i][0] + wy[1] * along_y[i][1]) for i in (0, 1))


def plain_gather_slope(
    field: jax.Array, factors: jax.Array, r: Rows, centre: jax.Array, spacing: jax.Array, mesh: Mesh
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """`CloudInCell.gather_slope` by XLA's gather."""
    at, (wx, wy, wz) = _corners(field, r, centre, spacing, mesh)
    total = dx = dy = dz = 0.0
    for corner, value in enumerate(at):
        i, j, k = corner >> 2, corner >> 1 & 1, corner & 1
        total = total + value * (wx[i] * wy[j] * wz[k])
        v = jnp.sum(value * factors, axis=0)
        dx = dx + (2 * i - 1) * v * (wy[j] * wz[k])
        dy = dy + (2 * j - 1) * v * (wx[i] * wz[k])
        dz = dz + (2 * k - 1) * v * (wx[i] * wy[j])
    return total, dx, dy, dz


# -- loops of Numba ----------------------------------------------------------------------------------------------------


def _called(operation: str, like: jax.Array, results: Any) -> Any:
    """The custom call for some number of components and a data type."""
    from backbeam_backends.particle_mesh.jax_loops import target

    name, _ = target(operation, str(like.dtype), like.shape[0])
    return jax.ffi.ffi_call(name, results, vmap_method="broadcast_all")


def _looped_deposit(values: jax.Array, r: Rows, centre: jax.Array, spacing: jax.Array, mesh: Mesh) -> jax.Array:
    result = jax.ShapeDtypeStruct((*values.shape[:2], *mesh[0]), values.dtype)
    return _called("deposit", values, result)(values, *r, centre, spacing, jnp.asarray(mesh[1], jnp.int32))


def _looped_gather(field: jax.Array, r: Rows, centre: jax.Array, spacing: jax.Array, mesh: Mesh) -> jax.Array:
    result = jax.ShapeDtypeStruct((field.shape[0], *r[0].shape), field.dtype)
    return _called("gather", field, result)(field, *r, centre, spacing, jnp.asarray(mesh[1], jnp.int32))


def _looped_gather_slope(
    field: jax.Array, factors: jax.Array, r: Rows, centre: jax.Array, spacing: jax.Array, mesh: Mesh
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    slope = jax.ShapeDtypeStruct(r[0].shape, field.dtype)
    results = (jax.ShapeDtypeStruct(factors.shape, field.dtype), slope, slope, slope)
    call = _called("gather_slope", field, results)
    return tuple(call(field, factors, *r, centre, spacing, jnp.asarray(mesh[1], jnp.int32)))


# -- one of them -------------------------------------------------------------------------------------------------------


def chosen(operation: str, plain: Any, looped: Any) -> Any:
    """Join both forms of a function, whose last argument is the mesh. The plain form is what JAX differentiates."""
    arrays = len(signature(plain).parameters) - 1

    def run(*arguments: Any) -> Any:
        *given, mesh = arguments
        if not has_loop(operation, str(given[0].dtype), given[0].shape[0]):
            return plain(*given, mesh)
        return lax.platform_dependent(*given, cpu=partial(looped, mesh=mesh), default=partial(plain, mesh=mesh))

    joined = jax.custom_jvp(run, nondiff_argnums=(arrays,))

    @joined.defjvp
    def slope(mesh: Mesh, primals: Any, tangents: Any) -> tuple[Any, Any]:
        _, tangent = jax.jvp(partial(plain, mesh=mesh), primals, tangents)
        return joined(*primals, mesh), tangent

    # One program for each mesh, also where nothing around it is compiled.
    return jax.jit(joined, static_argnums=arrays)


_deposit = chosen("deposit", plain_deposit, _looped_deposit)
_gather = chosen("gather", plain_gather, _looped_gather)
_gather_slope = chosen("gather_slope", plain_gather_slope, _looped_gather_slope)
