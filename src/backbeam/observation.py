"""Readings taken in mid-line: the centroid that a monitor sees and the image on a screen, each with its pullback."""

from __future__ import annotations

from dataclasses import dataclass

from array_api_compat import device

from backbeam import backends
from backbeam.arrays import Array, join, namespace
from backbeam.moments import centroid, centroid_pullback


@dataclass(frozen=True)
class Observation:
    """Base of every reading. It leaves the beam as it is."""

    def read(self, X: Array, q: Array, alive: Array) -> Array:
        """Return the reading from X ``(..., 6, n)``, q and alive ``(..., n)``."""
        raise NotImplementedError

    def pullback(self, X: Array, q: Array, alive: Array, reading_bar: Array) -> tuple[Array, Array]:
        """Cotangents of X and q from that of the reading."""
        raise NotImplementedError


@dataclass(frozen=True)
class Centroid(Observation):
    """Charge-weighted mean of x and y, ``(..., 2)`` [m]."""

    def read(self, X: Array, q: Array, alive: Array) -> Array:
        """Mean of rows x and y."""
        return centroid(_transverse(X), q, alive)

    def pullback(self, X: Array, q: Array, alive: Array, reading_bar: Array) -> tuple[Array, Array]:
        """Transpose of `read`."""
        r_bar, q_bar = centroid_pullback(_transverse(X), q, alive, reading_bar)
        return _embed(r_bar, X), q_bar


@dataclass(frozen=True)
class Image(Observation):
    """Charge [C] in the pixels of a screen by cloud-in-cell, ``(..., nx, ny)``: piecewise smooth in the positions."""

    half_x: float
    half_y: float
    pixels: tuple[int, int]

    def _cells(self, X: Array, alive: Array) -> tuple[Array, list[tuple[Array, Array, Array, Array, Array]]]:
        """Who is seen, and for each of the four pixels around a particle: index, weights in x and y, their slopes.

        Pixel (0, 0) of the image is (1, 1) of a frame with one more pixel all around, which takes what falls beside it.
        """
        xp = namespace(X)
        axes = []
        seen = alive
        for row, half, n in ((X[..., 0, :], self.half_x, self.pixels[0]), (X[..., 2, :], self.half_y, self.pixels[1])):
            u = (row + half) * (n / (2.0 * half)) - 0.5
            inside = (u > -1.0) & (u < n)
            u = xp.where(inside, u, xp.zeros_like(u))
            i = xp.floor(u)
            axes.append((xp.astype(i, xp.int32), u - i))
            seen = seen & inside
        (i, a), (j, b) = axes
        wide = self.pixels[1] + 2
        corners = []
        for di, wx, sx in ((0, 1.0 - a, -1.0), (1, a, 1.0)):
            for dj, wy, sy in ((0, 1.0 - b, -1.0), (1, b, 1.0)):
                corners.append(((i + (di + 1)) * wide + (j + (dj + 1)), wx, wy, sx * wy, sy * wx))
        return seen, corners

    def read(self, X: Array, q: Array, alive: Array) -> Array:
        """Deposit the charge that falls on the screen."""
        xp = namespace(X)
        seen, corners = self._cells(X, alive)
        visible = xp.where(seen, q, xp.zeros_like(q))
        nx, ny = self.pixels
        size = (nx + 2) * (ny + 2)
        batch = X.shape[:-2]
        images = 1
        for m in batch:
            images *= m
        offset = xp.reshape(xp.arange(images, dtype=xp.int32, device=device(X)) * size, (*batch, 1))
        total = None
        for index, wx, wy, _, _ in corners:
            flat_index = xp.reshape(index + offset, (-1,))
            flat_value = xp.reshape(visible * wx * wy, (1, -1))
            part = backends.of(X).scatter_add(flat_value, flat_index, images * size)
            total = part if total is None else total + part
        frame = xp.reshape(total, (*batch, nx + 2, ny + 2))
        return frame[..., 1:-1, 1:-1]

    def pullback(self, X: Array, q: Array, alive: Array, reading_bar: Array) -> tuple[Array, Array]:
        """Gather the cotangent of the image with the deposit's own weights and their slopes."""
        xp = namespace(X)
        seen, corners = self._cells(X, alive)
        nx, ny = self.pixels
        batch = X.shape[:-2]
        side = xp.zeros((*batch, nx, 1), dtype=X.dtype, device=device(X))
        frame = xp.concat((side, reading_bar, side), axis=-1)
        top = xp.zeros((*batch, 1, ny + 2), dtype=X.dtype, device=device(X))
        frame = xp.concat((top, frame, top), axis=-2)
        size = (nx + 2) * (ny + 2)
        images = 1
        for m in batch:
            images *= m
        offset = xp.reshape(xp.arange(images, dtype=xp.int32, device=device(X)) * size, (*batch, 1))
        flat = xp.reshape(frame, (-1,))
        zero = xp.zeros_like(q)
        x_bar, y_bar, q_bar = zero, zero, zero
        for index, wx, wy, slope_x, slope_y in corners:
            value = xp.reshape(xp.take(flat, xp.reshape(index + offset, (-1,)), axis=0), index.shape)
            x_bar, y_bar, q_bar = x_bar + value * slope_x, y_bar + value * slope_y, q_bar + value * wx * wy
        visible = xp.where(seen, q, zero)
        x_bar = visible * x_bar * (nx / (2.0 * self.half_x))
        y_bar = visible * y_bar * (ny / (2.0 * self.half_y))
        return _embed(join(x_bar, y_bar), X), xp.where(seen, q_bar, zero)


def _transverse(X: Array) -> Array:
    """Rows x and y as ``(..., 2, n)``."""
    return join(X[..., 0, :], X[..., 2, :])


def _embed(r_bar: Array, X: Array) -> Array:
    """Rows x and y back among six."""
    zero = namespace(X).zeros_like(X[..., 0, :])
    return join(r_bar[..., 0, :], zero, r_bar[..., 1, :], zero, zero, zero)
