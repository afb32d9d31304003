"""One grid where nothing is wider than float32: the field by three convolutions, instead of differences of one.

A flat bunch's potential has lost its field to rounding there; the differences of the Green function have not, see
``steep_green``. It takes three times the transforms and the whole of the doubled grid, which only devices pay that have
no float64, and JAX with its x64 flag off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backbeam import backends
from backbeam.arrays import namespace
from backbeam.effects.space_charge.field import SIGNS, Back
from backbeam.effects.space_charge.gridded import Gridded
from backbeam.effects.space_charge.steep_green import steep_green

if TYPE_CHECKING:
    from backbeam.arrays import Array

    Rows = tuple[Array, ...]

AXES = (-3, -2, -1)


class Steep(Gridded):
    """The field of charges on a mesh; its potential is that of `Gridded`."""

    __slots__ = ()

    def field(self, q: Array) -> Any:
        """Field on the nodes, arranged for `read`, of charges ``(B, n)``."""
        charge = _transform(self.mesh.deposit(q)[0, ...])
        return self._arranged(charge, [self._step(axis)[0] for axis in range(3)])

    def field_and_back(self, q: Array, e_bar: Rows, factor: Array) -> tuple[Any, Back]:
        """`field` with the cotangents of the charge of each node beside it, arranged for `slopes`; and `Back`.

        From the cotangents of the field where the particles are, ``factor (B,)`` times rows ``e_bar (B, n)``.
        """
        nodes, h = self.mesh.deposit(*e_bar, q), self.mesh.box.spacing
        xp, charge, charge_bar, spacing_bar = namespace(nodes), _transform(nodes[3, ...]), 0.0, [0.0, 0.0, 0.0]
        steps = []
        for axis, f in enumerate(self._factors()):
            step, slopes = self._step(axis)
            steps.append(step)
            bar = _transform(nodes[axis, ...] * f * _per_node(factor))
            charge_bar = charge_bar - bar * step  # odd
            step_bar = _folded(_back(bar * xp.conj(charge)), axis)
            for k, slope in enumerate(slopes):
                spacing_bar[k] = spacing_bar[k] + xp.sum(step_bar * slope, axis=AXES)
        a, b, c = spacing_bar
        field = self.mesh.weights.beside(self._arranged(charge, steps), _back(charge_bar)[_first(self.mesh.grid)])
        return field, Back(xp.stack([a, b, c * self.stretch]), c * h[2, ...])

    def _step(self, axis: int) -> tuple[Array, Rows]:
        """Transform of the difference of the Green function along an axis, and its derivatives by the spacings."""
        step, slopes = steep_green(self.mesh.grid, self._rest_spacing(), axis, self.order)
        return _transform(_whole(step, axis), 1), slopes

    def _arranged(self, charge: Array, steps: list[Array]) -> Any:
        """Field on the nodes, from the transform of the charge."""
        parts = [
            _back(charge * step)[_first(self.mesh.grid)] * f for step, f in zip(steps, self._factors(), strict=True)
        ]
        return self.mesh.weights.arrange(namespace(*parts).stack(parts))

    def _factors(self) -> list[Array]:
        """Of the differences per spacing, with the sign of each momentum."""
        return [_per_node(sign / self.mesh.box.spacing[k, ...]) for k, sign in enumerate(SIGNS)]

    def _rest_spacing(self) -> Array:
        one = namespace(self.stretch).ones_like(self.stretch)
        return self.mesh.box.spacing * namespace(self.stretch).stack([one, one, self.stretch])


def _transform(f: Array, times: int = 2) -> Array:
    """Transform of a grid, padded with zeros to so many times its length."""
    fft = backends.of(f).fft
    nx, ny, nz = (times * n for n in f.shape[-3:])
    return fft.fft(fft.fft(fft.rfft(f, n=nz, axis=-1), n=ny, axis=-2), n=nx, axis=-3)


def _back(f: Array) -> Array:
    """The doubled grid of a transform."""
    fft = backends.of(f).fft
    return fft.irfft(fft.ifft(fft.ifft(f, axis=-3), axis=-2), n=2 * (f.shape[-1] - 1), axis=-1)


def _first(grid: tuple[int, int, int]) -> tuple[Any, ...]:
    """The first octant."""
    return (..., *(slice(n) for n in grid))


def _whole(step: Array, axis: int) -> Array:
    """The doubled grid of what is known at offsets 0 ... n - 1: odd along its axis, even along the others."""
    xp = namespace(step)
    for k in AXES:
        mirrored = xp.flip(_cut(step, k, 1, step.shape[k]), axis=k)
        nothing = xp.zeros_like(_cut(step, k, 0, 1))
        step = xp.concat([step, nothing, -mirrored if k == AXES[axis] else mirrored], axis=k)
    return step


def _folded(bar: Array, axis: int) -> Array:
    """Cotangent at offsets 0 ... n - 1 from that of `_whole`."""
    xp = namespace(bar)
    for k in AXES:
        n = bar.shape[k] // 2
        mirrored = xp.flip(_cut(bar, k, n + 1, 2 * n), axis=k)
        inner = _cut(bar, k, 1, n) + (-mirrored if k == AXES[axis] else mirrored)
        bar = xp.concat([_cut(bar, k, 0, 1), inner], axis=k)
    return bar


def _cut(f: Array, axis: int, start: int, stop: int) -> Array:
    """Slice along an axis counted from the end (-1, -2, -3)."""
    return f[(..., slice(start, stop), *(slice(None),) * (-1 - axis))]


def _per_node(a: Array) -> Array:
    """Shape ``(B,)`` to meet grids."""
    return a[:, None, None, None]
