"""A beam on a line of nodes along tau: cloud in cell in one dimension, and convolution along the line.

The nodes reach from the first particle to the last: the mesh follows the beam. `gather` is the transpose of `deposit`,
so what one does to charges the other does to their cotangents, and `pull_back` takes cotangents of positions on the
mesh to tau, through the ends of the mesh too.

Arrays are flat over the batch: rows ``(B, n)``, stacks of rows ``(k, B, n)``, lines ``(k, B, nodes)``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from array_api_compat import device

from backbeam import backends
from backbeam.arrays import namespace, over_particles, per_particle

if TYPE_CHECKING:
    from collections.abc import Callable

    from backbeam.arrays import Array


class LineMesh(NamedTuple):
    """Where particles are on their lines."""

    cell: Array
    """Index ``(B n,)`` of the node before a particle, among the nodes of all lines of the batch."""
    position: Array
    """Distance from the first node ``(B, n)`` [spacings]."""
    upper: Array
    """Weight of the node behind ``(B, n)``, 0 to 1."""
    spacing: Array
    """Distance of neighbouring nodes ``(B,)`` [m]."""
    nodes: int
    growth: Array
    """By how much the spacing grows with the length of the beam ``(B,)``: 1/(nodes - 1), or 0 for a point."""
    first: Array
    """Share of each particle in the first position ``(B, n)``, and"""
    last: Array
    """in the last."""

    def deposit(self, values: Array) -> Array:
        """Share rows ``(k, B, n)`` among the nodes: ``(k, B, nodes)``."""
        xp, scatter_add = namespace(values), backends.of(values).scatter_add
        k, batch, n = values.shape
        behind = values * self.upper
        flat = (k, batch * n)
        size = batch * self.nodes
        total = scatter_add(xp.reshape(values - behind, flat), self.cell, size)
        total = total + scatter_add(xp.reshape(behind, flat), self.cell + 1, size)
        return xp.reshape(total, (k, batch, self.nodes))

    def gather(self, lines: Array) -> Array:
        """Read lines ``(k, B, nodes)`` where the particles are: ``(k, B, n)``."""
        before, behind = self._around(lines)
        return before + self.upper * (behind - before)

    def slope(self, lines: Array) -> Array:
        """Derivatives of `gather` with respect to the positions ``(k, B, n)`` [1/spacing]."""
        before, behind = self._around(lines)
        return behind - before

    def _around(self, lines: Array) -> tuple[Array, Array]:
        """Values of the two nodes around each particle."""
        xp = namespace(lines)
        flat = xp.reshape(lines, (lines.shape[0], -1))
        shape = (lines.shape[0], *self.position.shape)
        before, behind = (xp.take(flat, index, axis=-1) for index in (self.cell, self.cell + 1))
        return xp.reshape(before, shape), xp.reshape(behind, shape)

    def pull_back(self, position_bar: Array, spacing_bar: Array) -> Array:
        """Cotangent of tau ``(B, n)``, from that of `position` and from what else comes to the spacing ``(B,)``."""
        tau_bar = position_bar / per_particle(self.spacing)
        spacing_bar = spacing_bar - over_particles(tau_bar * self.position)
        last_bar = spacing_bar * self.growth
        first_bar = -over_particles(tau_bar) - last_bar
        return tau_bar + self.first * per_particle(first_bar) + self.last * per_particle(last_bar)


def line_mesh(tau: Array, alive: Array | None, nodes: int, point: float) -> LineMesh:
    """Lay particles on lines of so many nodes, from the first of those alive to the last.

    ``tau`` is ``(B, n)`` [m], ``alive (B, n)`` or None for all. A beam that is one point has a line of
    length ``point``. Those not alive stand on the first node.
    """
    xp = namespace(tau)
    first, first_share = _end(tau, alive, xp.min, math.inf)
    last, last_share = _end(tau, alive, xp.max, -math.inf)
    if alive is not None:
        tau = xp.where(alive, tau, first + xp.zeros_like(tau))
    length = last - first
    is_long = length > 0.0
    spacing = xp.where(is_long, length, xp.full_like(length, point)) / (nodes - 1.0)
    position = (tau - first) / spacing
    lower = xp.clip(xp.floor(position), 0.0, nodes - 2.0)
    upper = position - lower
    integer = xp.asarray(0).dtype
    # A particle that is nowhere has a cell all the same; its NaN goes on in the weight.
    cell = xp.astype(xp.where(xp.isnan(lower), xp.zeros_like(lower), lower), integer)
    cell = cell + (xp.arange(tau.shape[0], dtype=integer, device=device(cell)) * nodes)[:, None]
    growth = xp.astype(is_long, tau.dtype) / (nodes - 1.0)
    return LineMesh(
        xp.reshape(cell, (-1,)), position, upper, spacing[:, 0], nodes, growth[:, 0], first_share, last_share
    )


def _end(tau: Array, alive: Array | None, reduce: Callable[..., Array], beyond: float) -> tuple[Array, Array]:
    """First or last position alive ``(B, 1)``, 0 where none is, and the share of each particle in it."""
    xp = namespace(tau)
    among = tau if alive is None else xp.where(alive, tau, xp.full_like(tau, beyond))
    end = reduce(among, axis=-1, keepdims=True)
    there = xp.astype(among == end, tau.dtype)
    if alive is not None:
        there = xp.where(alive, there, xp.zeros_like(there))
        end = xp.where(xp.isinf(end), xp.zeros_like(end), end)
    return end, there / xp.clip(xp.sum(there, axis=-1, keepdims=True), 1.0, None)


def convolve(a: Array, b: Array) -> Array:
    """Sum over j of a_{i-j} b_j along the last axis, for equally long lines with nothing before their first node."""
    fft, n = backends.of(a).fft, a.shape[-1]
    return fft.irfft(fft.rfft(a, n=2 * n, axis=-1) * fft.rfft(b, n=2 * n, axis=-1), n=2 * n, axis=-1)[..., :n]


def correlate(a: Array, b: Array) -> Array:
    """Sum over j of a_{j-i} b_j along the last axis: the transpose of `convolve`."""
    xp, fft, n = namespace(a), backends.of(a).fft, a.shape[-1]
    a, b = (fft.rfft(line, n=2 * n, axis=-1) for line in (a, b))
    return fft.irfft(xp.conj(a) * b, n=2 * n, axis=-1)[..., :n]


def second_differences(power: float, nodes: int) -> list[float]:
    """(l + 1)^p - 2 l^p + (l - 1)^p for l = 0, 1, ..., with nothing before 0: a power averaged over clouds."""
    found = [1.0]
    for l in range(1, nodes):
        inner = math.expm1(power * math.log1p(-1.0 / l)) if l > 1 else -1.0
        found.append(l**power * (math.expm1(power * math.log1p(1.0 / l)) + inner))
    return found
