"""Cloud in cell on the processor, for JAX: the loops of ``numba_kernels`` as custom calls of XLA.

XLA's own scatter and gather on the processor take about 10 ns for each corner of each particle, and what was read is
read anew for each use. Buffers have leading axes, which `jax.vmap` puts there; flattened here they are the first axis
of every array: values ``(a, k, B, n)``, rows ``(a, B, n)``, grids ``(a, k, B, nodes)``. This module imports Numba.
"""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numba import carray, cfunc, njit, types

from backbeam_backends.particle_mesh import numba_kernels as kernels
from backbeam_backends.particle_mesh import xla_cpu_calls
from backbeam_backends.particle_mesh.contract import RUN
from backbeam_backends.particle_mesh.xla_cpu_calls import (
    answered,
    minor_version,
    operand,
    pointer,
    product,
    register,
    result,
)

# A division by zero must not raise, and the number of components must become a constant.
_compile = njit(error_model="numpy", forceinline=True)

_deposit_one, _deposit_four = kernels.deposit.compiled, kernels.deposit_four.compiled
_gather_three, _slope_four = kernels.gather.compiled, kernels.gather_slope.compiled


@_compile
def _frame(centre, spacing, nodes, guard):
    """`numba_cloud_in_cell.frame` of one beam."""
    found = np.ones(14, centre.dtype)
    for k in range(3):
        found[k], found[3 + k] = centre[k], 1.0 / spacing[k]
        found[6 + k], found[10 + k] = 0.5 * (nodes[k] - 1), nodes[k] - 2 - guard
    found[9] = guard
    return found


@_compile
def _scratch(row):
    """`numba_cloud_in_cell.scratch`."""
    return np.empty(RUN, np.int32), np.empty((3, RUN), row.dtype)


@_compile
def _deposit(k, values, rows, centre, spacing, nodes, guard, out):
    """Share values among the nodes of out; four side by side, as the loop wants them."""
    _, ny, nz = nodes
    x, y, z = rows
    cell, part = _scratch(x)
    for a in range(out.shape[0]):
        for b in range(out.shape[2]):
            frame = _frame(centre[a, :, b], spacing[a, :, b], nodes, guard)
            r, node = (x[a, b], y[a, b], z[a, b]), np.zeros(k * out.shape[3])
            if k == 4:
                v = values[a, 0, b], values[a, 1, b], values[a, 2, b], values[a, 3, b]
                _deposit_four(v[0], v[1], v[2], v[3], r[0], r[1], r[2], frame, node, ny, nz, cell, part)
            else:
                _deposit_one(values[a, 0, b], r[0], r[1], r[2], frame, node, ny, nz, cell, part)
            for c in range(out.shape[3]):
                for j in range(k):
                    out[a, j, b, c] = node[k * c + j]


@_compile
def _side_by_side(k, field, a, b):
    """Components of one beam next to each other, in nodes of four."""
    node = np.zeros(4 * field.shape[3], field.dtype)
    for c in range(field.shape[3]):
        for j in range(k):
            node[4 * c + j] = field[a, j, b, c]
    return node


@_compile
def _gather(k, field, rows, centre, spacing, nodes, guard, out):
    """Read a field where the particles are."""
    _, ny, nz = nodes
    x, y, z = rows
    cell, part = _scratch(x)
    for a in range(out.shape[0]):
        for b in range(out.shape[2]):
            frame = _frame(centre[a, :, b], spacing[a, :, b], nodes, guard)
            r, o = (x[a, b], y[a, b], z[a, b]), (out[a, 0, b], out[a, 1, b], out[a, 2, b])
            node = _side_by_side(k, field, a, b)
            _gather_three(node, r[0], r[1], r[2], frame, ny, nz, o[0], o[1], o[2], cell, part)


@_compile
def _gather_slope(k, field, factors, rows, centre, spacing, nodes, guard, out, slopes):
    """Read a field; and the derivatives ``(a, B, n)`` of its sum over components times factors ``(a, k, B, n)``."""
    _, ny, nz = nodes
    (x, y, z), (sx, sy, sz) = rows, slopes
    cell, part = _scratch(x)
    for a in range(out.shape[0]):
        for b in range(out.shape[2]):
            frame = _frame(centre[a, :, b], spacing[a, :, b], nodes, guard)
            r, s = (x[a, b], y[a, b], z[a, b]), (sx[a, b], sy[a, b], sz[a, b])
            f = factors[a, 0, b], factors[a, 1, b], factors[a, 2, b], factors[a, 3, b]
            o = out[a, 0, b], out[a, 1, b], out[a, 2, b], out[a, 3, b]
            _slope_four(
                _side_by_side(k, field, a, b), f[0], f[1], f[2], f[3], r[0], r[1], r[2], frame, ny, nz,
                o[0], o[1], o[2], o[3], s[0], s[1], s[2], cell, part,
            )  # fmt: skip


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


def _deposit_handler(real: type, k: int, minor: int, stamp: int) -> Any:
    @cfunc(types.int64(types.int64), cache=True)
    def handler(frame):
        if not answered(frame, minor):
            values = _components(k, operand(frame, 0), real)
            rows, centre, spacing, guard = _particles(frame, 1, real)
            out, nodes = _grids(k, result(frame, 0), real)
            _deposit(k, values, rows, centre, spacing, nodes, guard, out)
        return 0 * stamp

    return handler


def _gather_handler(real: type, k: int, minor: int, stamp: int) -> Any:
    @cfunc(types.int64(types.int64), cache=True)
    def handler(frame):
        if not answered(frame, minor):
            field, nodes = _grids(k, operand(frame, 0), real)
            rows, centre, spacing, guard = _particles(frame, 1, real)
            _gather(k, field, rows, centre, spacing, nodes, guard, _components(k, result(frame, 0), real))
        return 0 * stamp

    return handler


def _gather_slope_handler(real: type, k: int, minor: int, stamp: int) -> Any:
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
        return 0 * stamp

    return handler


@cache
def source_stamp() -> int:
    """Of all that a handler is compiled from: Numba, which keeps it, would look at this file alone for changes."""
    sources = (Path(str(module.__file__)).read_bytes() for module in (kernels, xla_cpu_calls))
    return int.from_bytes(sha256(b"".join(sources)).digest()[:4], "little")


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
    handler = HANDLERS[operation](np.dtype(dtype).type, components, minor, source_stamp())
    register(name, handler)
    return name, handler
