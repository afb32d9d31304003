"""Cloud in cell on the processor, for JAX: loops over particles, compiled by Numba and called by XLA.

XLA's own scatter and gather on the processor take about 10 ns for each corner of each particle, and what was read is
read anew for each use. These loops find cells and weights of a few hundred particles at a time, which vectorises, and
then go from corner to corner; the components of a field lie side by side at each node.

Positions and weights are those of `backbeam.effects.mesh.cloud_in_cell`. Buffers have leading axes, which
`jax.vmap` puts there; flattened here they are the first axis of every array. This module imports Numba.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import carray, cfunc, njit, types

from backbeam_backends.particle_mesh.xla_cpu_calls import (
    answered,
    minor_version,
    operand,
    pointer,
    product,
    register,
    result,
)

BLOCK = 256
"""Particles whose cells and weights are found together."""

# A division by zero must not raise, and the number of components must become a constant.
_compile = njit(error_model="numpy", forceinline=True)


@_compile
def _locate(rows, centre, spacing, nodes, guard, a, b, start, cell, weight):
    """Find lower node and weights of the upper nodes for a block of the particles of beam b, from start on."""
    real = weight.dtype.type
    for axis in range(3):
        position, middle, h, n = rows[axis][a, b, start:], centre[a, axis, b], spacing[a, axis, b], nodes[axis]
        half, low, high = real(0.5 * (n - 1)), real(guard), real(n - 2 - guard)
        mine = weight[axis]
        for i in range(cell.size):
            u = (position[i] - middle) / h + half
            lower = np.floor(u)
            # A NaN is greater than nothing: its cell is the first, and it goes on in the weight.
            lower = lower if lower > low else low
            lower = lower if lower < high else high
            mine[i] = u - lower
            cell[i] = (cell[i] * n if axis else 0) + np.int64(lower)


@_compile
def _deposit(k, values, rows, centre, spacing, nodes, guard, out):
    """Share values ``(a, k, B, n)`` among the nodes of out ``(a, k, B, nodes)``."""
    n = values.shape[3]
    _, ny, nz = nodes
    cells, weights = np.empty(BLOCK, np.int64), np.empty((3, BLOCK), values.dtype)
    out[...] = 0
    for a in range(out.shape[0]):
        for b in range(out.shape[2]):
            for start in range(0, n, BLOCK):
                cell = cells[: min(BLOCK, n - start)]
                _locate(rows, centre, spacing, nodes, guard, a, b, start, cell, weights)
                for j in range(k):
                    node, value = out[a, j, b], values[a, j, b, start:]
                    for i in range(cell.size):
                        v = value[i]
                        v1 = v * weights[0, i]
                        v0 = v - v1
                        v01, v11 = v0 * weights[1, i], v1 * weights[1, i]
                        v00, v10 = v0 - v01, v1 - v11
                        wz = weights[2, i]
                        c = cell[i]
                        node[c] += v00 - v00 * wz
                        node[c + 1] += v00 * wz
                        c += nz
                        node[c] += v01 - v01 * wz
                        node[c + 1] += v01 * wz
                        c += (ny - 1) * nz
                        node[c] += v10 - v10 * wz
                        node[c + 1] += v10 * wz
                        c += nz
                        node[c] += v11 - v11 * wz
                        node[c + 1] += v11 * wz


@_compile
def _side_by_side(k, field, a, b, node):
    """Copy the components ``(a, k, B, nodes)`` of one beam next to each other, ``(nodes, k)``."""
    for c in range(node.shape[0]):
        for j in range(k):
            node[c, j] = field[a, j, b, c]


@_compile
def _gather(k, field, rows, centre, spacing, nodes, guard, out):
    """Read field ``(a, k, B, nodes)`` where the particles are: out ``(a, k, B, n)``."""
    n = out.shape[3]
    _, ny, nz = nodes
    cells, weights = np.empty(BLOCK, np.int64), np.empty((3, BLOCK), out.dtype)
    node, one = np.empty((field.shape[3], k), out.dtype), out.dtype.type(1)
    for a in range(out.shape[0]):
        for b in range(out.shape[2]):
            _side_by_side(k, field, a, b, node)
            for start in range(0, n, BLOCK):
                cell = cells[: min(BLOCK, n - start)]
                _locate(rows, centre, spacing, nodes, guard, a, b, start, cell, weights)
                for i in range(cell.size):
                    x1, y1, z1 = weights[0, i], weights[1, i], weights[2, i]
                    x0, y0, z0 = one - x1, one - y1, one - z1
                    c = cell[i]
                    d = c + nz
                    e = c + ny * nz
                    f = e + nz
                    for j in range(k):
                        at0 = y0 * (z0 * node[c, j] + z1 * node[c + 1, j]) + y1 * (
                            z0 * node[d, j] + z1 * node[d + 1, j]
                        )
                        at1 = y0 * (z0 * node[e, j] + z1 * node[e + 1, j]) + y1 * (
                            z0 * node[f, j] + z1 * node[f + 1, j]
                        )
                        out[a, j, b, start + i] = x0 * at0 + x1 * at1


@_compile
def _gather_slope(k, field, factors, rows, centre, spacing, nodes, guard, out, slopes):
    """`_gather`, and the derivatives ``(a, B, n)`` of the sum over components of factors ``(a, k, B, n)`` times it."""
    n = out.shape[3]
    _, ny, nz = nodes
    cells, weights = np.empty(BLOCK, np.int64), np.empty((3, BLOCK), out.dtype)
    real = out.dtype.type
    node, one = np.empty((field.shape[3], k), out.dtype), real(1)
    for a in range(out.shape[0]):
        for b in range(out.shape[2]):
            _side_by_side(k, field, a, b, node)
            for start in range(0, n, BLOCK):
                cell = cells[: min(BLOCK, n - start)]
                _locate(rows, centre, spacing, nodes, guard, a, b, start, cell, weights)
                for i in range(cell.size):
                    x1, y1, z1 = weights[0, i], weights[1, i], weights[2, i]
                    x0, y0, z0 = one - x1, one - y1, one - z1
                    c = cell[i]
                    d = c + nz
                    e = c + ny * nz
                    f = e + nz
                    dx = dy = dz = real(0)
                    for j in range(k):
                        a000, a001, a010, a011 = node[c, j], node[c + 1, j], node[d, j], node[d + 1, j]
                        a100, a101, a110, a111 = node[e, j], node[e + 1, j], node[f, j], node[f + 1, j]
                        a00, a01 = z0 * a000 + z1 * a001, z0 * a010 + z1 * a011
                        a10, a11 = z0 * a100 + z1 * a101, z0 * a110 + z1 * a111
                        a0, a1 = y0 * a00 + y1 * a01, y0 * a10 + y1 * a11
                        out[a, j, b, start + i] = x0 * a0 + x1 * a1
                        factor = factors[a, j, b, start + i]
                        dx += factor * (a1 - a0)
                        dy += factor * (x0 * (a01 - a00) + x1 * (a11 - a10))
                        along0 = y0 * (a001 - a000) + y1 * (a011 - a010)
                        along1 = y0 * (a101 - a100) + y1 * (a111 - a110)
                        dz += factor * (x0 * along0 + x1 * along1)
                    slopes[0][a, b, start + i] = dx
                    slopes[1][a, b, start + i] = dy
                    slopes[2][a, b, start + i] = dz


@_compile
def _particles(frame, first, real):
    """Three rows ``(a, B, n)`` of positions, centre and spacing ``(a, 3, B)`` and the guard, operands from first on."""
    address, shape = operand(frame, first)
    a, beams, n = product(shape[:-2]), shape[-2], shape[-1]
    x = carray(pointer(address), (a, beams, n), real)
    y = carray(pointer(operand(frame, first + 1)[0]), (a, beams, n), real)
    z = carray(pointer(operand(frame, first + 2)[0]), (a, beams, n), real)
    centre = carray(pointer(operand(frame, first + 3)[0]), (a, 3, beams), real)
    spacing = carray(pointer(operand(frame, first + 4)[0]), (a, 3, beams), real)
    guard = carray(pointer(operand(frame, first + 5)[0]), (1,), np.int32)[0]
    return (x, y, z), centre, spacing, guard


@_compile
def _components(k, buffer, real):
    """Components ``(a, k, B, n)`` of each particle."""
    address, shape = buffer
    return carray(pointer(address), (product(shape[:-3]), k, shape[-2], shape[-1]), real)


@_compile
def _grids(k, buffer, real):
    """Components ``(a, k, B, nodes)`` of each node, and the number of nodes along each axis."""
    address, shape = buffer
    nx, ny, nz = shape[-3], shape[-2], shape[-1]
    return carray(pointer(address), (product(shape[:-5]), k, shape[-4], nx * ny * nz), real), (nx, ny, nz)


def _deposit_handler(real: type, k: int, minor: int) -> Any:
    @cfunc(types.int64(types.int64), cache=True)
    def handler(frame):
        if not answered(frame, minor):
            values = _components(k, operand(frame, 0), real)
            rows, centre, spacing, guard = _particles(frame, 1, real)
            out, nodes = _grids(k, result(frame, 0), real)
            _deposit(k, values, rows, centre, spacing, nodes, guard, out)
        return 0

    return handler


def _gather_handler(real: type, k: int, minor: int) -> Any:
    @cfunc(types.int64(types.int64), cache=True)
    def handler(frame):
        if not answered(frame, minor):
            field, nodes = _grids(k, operand(frame, 0), real)
            rows, centre, spacing, guard = _particles(frame, 1, real)
            _gather(k, field, rows, centre, spacing, nodes, guard, _components(k, result(frame, 0), real))
        return 0

    return handler


def _gather_slope_handler(real: type, k: int, minor: int) -> Any:
    @cfunc(types.int64(types.int64), cache=True)
    def handler(frame):
        if not answered(frame, minor):
            field, nodes = _grids(k, operand(frame, 0), real)
            factors = _components(k, operand(frame, 1), real)
            rows, centre, spacing, guard = _particles(frame, 2, real)
            out = _components(k, result(frame, 0), real)
            shape = rows[0].shape
            slopes = (
                carray(pointer(result(frame, 1)[0]), shape, real),
                carray(pointer(result(frame, 2)[0]), shape, real),
                carray(pointer(result(frame, 3)[0]), shape, real),
            )
            _gather_slope(k, field, factors, rows, centre, spacing, nodes, guard, out, slopes)
        return 0

    return handler


HANDLERS = {"deposit": _deposit_handler, "gather": _gather_handler, "gather_slope": _gather_slope_handler}


@cache
def target(operation: str, dtype: str, components: int) -> tuple[str, Any]:
    """Return the name of a custom call, registered when first asked for, and its handler, which the cache keeps alive.

    Operands, with any axes in front: of ``deposit`` values ``(k, B, n)``, of ``gather`` a field ``(k, B, nx, ny, nz)``,
    of ``gather_slope`` that and factors ``(k, B, n)``; then three rows ``(B, n)`` of positions, centre and spacing
    ``(3, B)``, and the number of guard cells in int32. Results: the grids; values at particles; those and three slopes.
    """
    name = f"backbeam_{operation}_{components}_{dtype}"
    minor = minor_version()
    assert minor is not None  # `is_known` was asked
    handler = HANDLERS[operation](np.dtype(dtype).type, components, minor)
    register(name, handler)
    return name, handler
