"""Loops over the particles of one beam, compiled by Numba: the cloud-in-cell weights on the fly.

A row is ``(n,)``, ``node`` a grid ``(nx, ny, nz)`` or ``(nx, ny, nz, 4)`` flattened: what a particle wants of a node
stands side by side, three components of a field with room for a fourth number, and is one vector. Numba's vectoriser
turns to particles, which meet in nodes; so the corners of a cell are added to and interpolated between by instructions
of our own. They stand in this file because Numba, which keeps what it compiles, looks for changes in no other.

``frame`` says where the nodes are, see `numba_cloud_in_cell.frame`. The cells of a few particles at a time are found in
loops that Numba does turn to vectors, and put down in ``cell (RUN,)`` and ``part (3, RUN)``. Indices of nodes are
unsigned: Numba need not look whether they count from the end, and every number has the type of the rows: a literal
would make float32 wide. Nodes that are charged are float64 in any case.

For the position u in a cell, the weight of a corner is made as v - v u and v u, axis by axis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from backbeam_backends.particle_mesh.compiling import Loop
from backbeam_backends.particle_mesh.contract import WIDTH

_inline = njit(inline="always")

FOUR = np.uint64(4)


# -- the corners of a cell ---------------------------------------------------------------------------------------------
# ``at`` is the place of its lower node, ``to_x``, ``to_y``, ``to_z`` lead on to the upper ones; ``dx``, ``dy``, ``dz``
# are the weights of these.

_PLACE = ir.IntType(32)


@intrinsic
def _add_to_corners(typing_context, node, at, to_z, to_y, to_x, a, b, c, d, dx, dy, dz):
    """Share four values among the corners of a cell."""
    signature = types.void(node, at, to_z, to_y, to_x, a, b, c, d, dx, dy, dz)

    def generate(context, builder, signature, arguments):
        node, *place, a, b, c, d, dx, dy, dz = arguments
        made = _Builder(context, builder, signature.args[0])
        parts = [made.vector((a, b, c, d))]
        for weight in (dx, dy, dz):
            parts = [side for part in parts for side in made.shared(part, made.splat(weight))]
        for corner, part in zip(made.corners(node, *place), parts, strict=True):
            made.add(corner, part)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def _add_to_pairs(typing_context, node, at, to_y, to_x, a, dx, dy, dz):
    """Share a value among the corners of a cell, two at a time that are neighbours along z."""
    signature = types.void(node, at, to_y, to_x, a, dx, dy, dz)

    def generate(context, builder, signature, arguments):
        node, *place, a, dx, dy, dz = arguments
        made = _Builder(context, builder, signature.args[0], 2)
        parts = [a]
        for weight in (dx, dy):
            parts = [side for part in parts for side in made.shared(part, weight)]
        for corner, part in zip(made.pairs(node, *place), parts, strict=True):
            made.add(corner, made.vector(made.shared(part, dz)))
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def _between_corners(typing_context, node, at, to_z, to_y, to_x, dx, dy, dz):
    """Interpolate the four numbers of the corners of a cell."""
    signature = types.UniTuple(node.dtype, WIDTH)(node, at, to_z, to_y, to_x, dx, dy, dz)

    def generate(context, builder, signature, arguments):
        node, *place, dx, dy, dz = arguments
        made = _Builder(context, builder, signature.args[0])
        found = [made.load(corner) for corner in made.corners(node, *place)]
        for weight in (dz, dy, dx):
            found = [made.between(a, b, made.splat(weight))[0] for a, b in _pairs(found)]
        return context.make_tuple(builder, signature.return_type, made.numbers(found[0]))

    return signature, generate


@intrinsic
def _between_corners_and_slopes(typing_context, node, at, to_z, to_y, to_x, dx, dy, dz, a, b, c, d):
    """`_between_corners`; and the slopes along x, y and z of the sum of those numbers times a, b, c and d."""
    signature = types.UniTuple(node.dtype, WIDTH + 3)(node, at, to_z, to_y, to_x, dx, dy, dz, a, b, c, d)

    def generate(context, builder, signature, arguments):
        node, *place, dx, dy, dz, a, b, c, d = arguments
        made = _Builder(context, builder, signature.args[0])
        found = [made.load(corner) for corner in made.corners(node, *place)]
        slopes = []
        for weight in (dz, dy, dx):
            weight = made.splat(weight)
            slopes = [[made.between(*pair, weight)[0] for pair in _pairs(slope)] for slope in slopes]
            both = [made.between(*pair, weight) for pair in _pairs(found)]
            found, slopes = [value for value, _ in both], [*slopes, [slope for _, slope in both]]
        factors = made.vector((a, b, c, d))
        along_z, along_y, along_x = (made.product(slope, factors) for (slope,) in slopes)
        numbers = [*made.numbers(found[0]), along_x, along_y, along_z]
        return context.make_tuple(builder, signature.return_type, numbers)

    return signature, generate


def _pairs(found: list[Any]) -> list[tuple[Any, Any]]:
    return list(zip(found[::2], found[1::2], strict=True))


class _Builder:
    """Instructions for nodes of an array."""

    def __init__(self, context: Any, builder: ir.IRBuilder, array: types.Array, width: int = WIDTH) -> None:
        self.context, self.builder, self.array, self.width = context, builder, array, width
        self.number = context.get_value_type(array.dtype)
        self.kind = ir.VectorType(self.number, width)

    def corners(self, node: Any, at: Any, to_z: Any, to_y: Any, to_x: Any) -> Iterator[Any]:
        """Pointers to the eight nodes of a cell, z fastest."""
        return self.pairs(node, at, to_z, to_y, to_x)

    def pairs(self, node: Any, at: Any, *steps: Any) -> Iterator[Any]:
        """Pointers to all that some steps lead to, the last one outermost."""
        data = self.context.make_array(self.array)(self.context, self.builder, node).data
        places = [at]
        for step in reversed(steps):
            places = [end for place in places for end in (place, self.builder.add(place, step))]
        for place in places:
            yield self.builder.bitcast(self.builder.gep(data, [place]), ir.PointerType(self.kind))

    def load(self, pointer: Any) -> Any:
        """Numbers of a node, which begins anywhere that a number may."""
        return self.builder.load(pointer, align=self.array.dtype.bitwidth // 8)

    def add(self, pointer: Any, part: Any) -> None:
        """Add to a node, in its own type."""
        if part.type != self.kind:
            part = self.builder.fpext(part, self.kind)
        total = self.builder.fadd(self.load(pointer), part)
        self.builder.store(total, pointer, align=self.array.dtype.bitwidth // 8)

    def vector(self, numbers: tuple[Any, ...]) -> Any:
        """Some numbers in one."""
        found = ir.Constant(ir.VectorType(numbers[0].type, len(numbers)), ir.Undefined)
        for k, number in enumerate(numbers):
            found = self.builder.insert_element(found, number, ir.Constant(_PLACE, k))
        return found

    def splat(self, number: Any) -> Any:
        """Four times the same."""
        return self.vector((number,) * WIDTH)

    def numbers(self, vector: Any) -> list[Any]:
        """The four of a vector."""
        return [self.builder.extract_element(vector, ir.Constant(_PLACE, k)) for k in range(WIDTH)]

    def shared(self, part: Any, weight: Any) -> tuple[Any, Any]:
        """Shares of the lower and of the upper side."""
        upper = self._float("fmul", part, weight)
        return self._float("fsub", part, upper), upper

    def between(self, lower: Any, upper: Any, weight: Any) -> tuple[Any, Any]:
        """Value between two sides, and its slope."""
        slope = self._float("fsub", upper, lower)
        return self._float("fadd", lower, self._float("fmul", slope, weight)), slope

    def product(self, a: Any, b: Any) -> Any:
        """Sum of the products of two vectors' numbers."""
        first, second, third, fourth = self.numbers(self._float("fmul", a, b))
        return self._float("fadd", self._float("fadd", first, second), self._float("fadd", third, fourth))

    def _float(self, operation: str, a: Any, b: Any) -> Any:
        made: Callable[..., Any] = getattr(self.builder, operation)
        return made(a, b, flags=("contract",))


# -- loops -------------------------------------------------------------------------------------------------------------


@_inline
def _along(position, frame, axis, first, count, step, cell, part):
    """Add the lower node along an axis, times a step, to the cells of some particles; and find weights of the upper."""
    centre, inverse, middle, least, most = frame[axis], frame[3 + axis], frame[6 + axis], frame[9], frame[10 + axis]
    for p in range(count):
        u = (position[first + p] - centre) * inverse + middle
        # A NaN is never greater: it gets the first cell, and goes on in the weight.
        held = u if u > least else least
        held = held if held < most else most
        lower = np.floor(held)
        cell[p] += np.int32(lower) * step
        part[axis, p] = u - lower


@_inline
def _locate(x, y, z, frame, first, last, ny, nz, cell, part):
    """Lower corners and weights of some particles."""
    count = last - first
    for p in range(count):
        cell[p] = 0
    _along(x, frame, 0, first, count, np.int32(ny * nz), cell, part)
    _along(y, frame, 1, first, count, np.int32(nz), cell, part)
    _along(z, frame, 2, first, count, np.int32(1), cell, part)


@Loop
def deposit(value, x, y, z, frame, node, ny, nz, cell, part):
    """Share values among the nodes."""
    to_y, to_x = np.uint64(nz), np.uint64(ny * nz)
    for first in range(0, x.size, cell.size):
        last = min(first + cell.size, x.size)
        _locate(x, y, z, frame, first, last, ny, nz, cell, part)
        for p in range(last - first):
            _add_to_pairs(node, np.uint64(cell[p]), to_y, to_x, value[first + p], part[0, p], part[1, p], part[2, p])


@Loop
def deposit_four(a, b, c, d, x, y, z, frame, node, ny, nz, cell, part):
    """Share four values among nodes of four numbers."""
    to_z, to_y, to_x = FOUR, np.uint64(4 * nz), np.uint64(4 * ny * nz)
    for first in range(0, x.size, cell.size):
        last = min(first + cell.size, x.size)
        _locate(x, y, z, frame, first, last, ny, nz, cell, part)
        for p in range(last - first):
            q, at = first + p, FOUR * np.uint64(cell[p])
            _add_to_corners(node, at, to_z, to_y, to_x, a[q], b[q], c[q], d[q], part[0, p], part[1, p], part[2, p])


@Loop
def gather(node, x, y, z, frame, ny, nz, found_a, found_b, found_c, cell, part):
    """Read the first three numbers of nodes at the particles."""
    to_z, to_y, to_x = FOUR, np.uint64(4 * nz), np.uint64(4 * ny * nz)
    for first in range(0, x.size, cell.size):
        last = min(first + cell.size, x.size)
        _locate(x, y, z, frame, first, last, ny, nz, cell, part)
        for p in range(last - first):
            q, at = first + p, FOUR * np.uint64(cell[p])
            found_a[q], found_b[q], found_c[q], _ = _between_corners(
                node, at, to_z, to_y, to_x, part[0, p], part[1, p], part[2, p]
            )


@Loop
def gather_slope(
    node, a, b, c, d, x, y, z, frame, ny, nz, found_a, found_b, found_c, found_d, slope_x, slope_y, slope_z, cell, part
):
    """Read the four numbers of nodes, and the slopes of the sum of what was read times the factors a, b, c and d."""
    to_z, to_y, to_x = FOUR, np.uint64(4 * nz), np.uint64(4 * ny * nz)
    for first in range(0, x.size, cell.size):
        last = min(first + cell.size, x.size)
        _locate(x, y, z, frame, first, last, ny, nz, cell, part)
        for p in range(last - first):
            q, at = first + p, FOUR * np.uint64(cell[p])
            found_a[q], found_b[q], found_c[q], found_d[q], slope_x[q], slope_y[q], slope_z[q] = (
                _between_corners_and_slopes(
                    node, at, to_z, to_y, to_x, part[0, p], part[1, p], part[2, p], a[q], b[q], c[q], d[q]
                )
            )
