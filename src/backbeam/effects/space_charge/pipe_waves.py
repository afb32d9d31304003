"""Waves that vanish on the walls of a rectangular pipe, at the particles, and the sums over both.

With X, Y measured from a corner of a pipe of width a and height b, they are sin(l pi X/a) sin(m pi Y/b). A sum over
particles or over waves is a matrix product, and the waves of a particle follow from the first of them by the addition
theorems: one sine and one cosine a plane.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from backbeam import backends
from backbeam.arrays import namespace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backbeam.arrays import Array

PARTICLES_AT_ONCE = 8192
"""Particles of a block on a processor: with 12 x 12 waves the working set is a few MB."""


class Plane(NamedTuple):
    """The waves of one plane at some particles."""

    sin: Array
    """``(..., L, n)``"""
    cos: Array
    """Their derivatives over their wave numbers ``(..., L, n)``."""
    number: Array
    """Wave numbers l pi/a ``(..., L, 1)`` [1/m]."""


class Block(NamedTuple):
    """Some of the particles as the potential sees them."""

    x: Plane
    y: Plane
    q: Array
    """Charges ``(..., n)`` [C], 0 for particles not alive."""
    where: slice
    """Which particles of the beam they are."""


@dataclass(frozen=True)
class Blocks:
    """All particles, a block at a time.

    On a processor, blocks bound the memory and stay in its cache; their waves are made anew whenever they are
    looked at. A compiler or a GPU is better served with all particles at once.
    """

    u: Array
    """x in units of the pipe's width ``(..., n)``, as v is y in those of its height."""
    v: Array
    q: Array
    sizes: tuple[float, float]
    modes: tuple[int, int]
    centred: bool
    """Whether u and v are from the middle of the pipe, or from its corner."""

    @cached_property
    def _slices(self) -> list[slice]:
        n = self.u.shape[-1]
        backend = backends.of(self.u)
        if backend.traced([self.u, self.q]) or backend.device_name(self.u) != "cpu":
            return [slice(0, n)]
        size = max(256, PARTICLES_AT_ONCE * n // max(1, math.prod(self.u.shape)))
        return [slice(k, min(k + size, n)) for k in range(0, n, size)]

    @cached_property
    def _only(self) -> Block:
        return self._block(self._slices[0])

    def _block(self, where: slice) -> Block:
        along = zip((self.u, self.v), self.modes, self.sizes, strict=True)
        x, y = (plane(u[..., where], count, size, self.centred) for u, count, size in along)
        return Block(x, y, self.q[..., where], where)

    def __iter__(self) -> Iterator[Block]:
        if len(self._slices) == 1:
            yield self._only
        else:
            yield from map(self._block, self._slices)


def plane(u: Array, count: int, size: float, centred: bool) -> Plane:
    """Waves of one plane at positions ``u`` in units of the pipe's size, from its corner or its middle."""
    xp = namespace(u)
    sin, cos = xp.sin(math.pi * u), xp.cos(math.pi * u)
    if centred:  # a quarter of a period further: no precision is lost near the axis
        sin, cos = cos, -sin
    sin, cos = _harmonics(sin, cos, count)
    return Plane(sin, cos, wave_numbers(sin[..., :1], size))


def charge_sums(block: Block) -> Array:
    """Sums of the charge over the waves ``(..., L, M)`` [C]."""
    return (block.q[..., None, :] * block.x.sin) @ transposed(block.y.sin)


def slope_sums(block: Block, kx: Array, ky: Array) -> Array:
    """Sums of (kx, ky) over the gradient of the waves ``(..., L, M)`` [1/m]."""
    x, y = block.x, block.y
    along_x = (kx[..., None, :] * x.cos) @ transposed(y.sin)
    along_y = x.sin @ transposed(ky[..., None, :] * y.cos)
    return x.number * along_x + along_y * transposed(y.number)


def slopes(block: Block, phi: Array) -> tuple[Array, Array]:
    """Gradient in x and y ``(..., n)`` [V/m] of the potential of these amplitudes."""
    x, y = block.x, block.y
    along_x, along_y = x.number * phi, y.number * transposed(phi)
    return _summed(x.cos, along_x @ y.sin), _summed(y.cos, along_y @ x.sin)


def slopes_and_bars(block: Block, phi: Array, psi: Array, kx: Array, ky: Array) -> tuple[Array, ...]:
    """Slope of phi in x and y, and the cotangents of x, y and q for a strength of 1; rows ``(..., n)``."""
    x, y = block.x, block.y
    along_x, along_y = x.number * phi, y.number * transposed(phi)
    slope_x, slope_y = along_x @ y.sin, along_y @ x.sin
    bend_x, bend_y = _summed(x.number * x.sin, slope_x), _summed(y.number * y.sin, slope_y)
    mixed = _summed(x.cos, (along_x * transposed(y.number)) @ y.cos)
    psi_x, psi_y = psi @ y.sin, (y.number * transposed(psi)) @ x.sin
    return (
        _summed(x.cos, slope_x),
        _summed(y.cos, slope_y),
        kx * bend_x - ky * mixed - block.q * _summed(x.number * x.cos, psi_x),
        ky * bend_y - kx * mixed - block.q * _summed(y.cos, psi_y),
        -_summed(x.sin, psi_x),
    )


def wave_numbers(column: Array, size: float) -> Array:
    """Wave numbers l pi/size, in the shape and library of a column ``(..., L, 1)``."""
    xp = namespace(column)
    return math.pi / size * xp.cumulative_sum(xp.ones_like(column), axis=-2)


def _harmonics(sin: Array, cos: Array, count: int) -> tuple[Array, Array]:
    """Sine and cosine ``(..., count, n)`` of 1, 2 ... count times an angle, from those of the angle.

    The list is doubled by the addition theorem, so rounding grows with the logarithm of the count.
    """
    xp = namespace(sin)
    sin, cos = sin[..., None, :], cos[..., None, :]
    have = 1
    while have < count:
        more = min(have, count - have)
        s, c, s_last, c_last = sin[..., :more, :], cos[..., :more, :], sin[..., -1:, :], cos[..., -1:, :]
        sin = xp.concat([sin, s * c_last + c * s_last], axis=-2)
        cos = xp.concat([cos, c * c_last - s * s_last], axis=-2)
        have += more
    return sin, cos


def _summed(waves: Array, amplitudes: Array) -> Array:
    """Sum of products over the waves: ``(..., L, n)`` twice to ``(..., n)``."""
    return namespace(waves).sum(waves * amplitudes, axis=-2)


def transposed(a: Array) -> Array:
    """Sums or wave numbers of y in the place of those of x."""
    return namespace(a).matrix_transpose(a)
