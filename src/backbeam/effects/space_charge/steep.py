"""One grid where nothing is wider than float32: the field by three convolutions, instead of differences of one.

A flat bunch's potential has lost its field to rounding there; the differences of the Green function have not, see
``steep_green``. It takes three times the transforms and the whole of the doubled grid, which only devices pay that have
no float64, and JAX with its x64 flag off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from backbeam import backends
from backbeam.arrays import namespace
from backbeam.effects.space_charge.field import SIGNS, Back
from backbeam.effects.space_charge.gridded import Gridded
from backbeam.effects.space_charge.steep_green import steep_green

if TYPE_CHECKING:
    from backbeam.arrays import Array

    Rows = tuple[Array, ...]

AXES = (-3, -2, -1)


class Kept(NamedTuple):
    """What the way back needs."""

    charge: Array
    """Transform of the charge, and"""
    steps: Rows
    """of the difference of the Green function along each axis."""
    slopes: tuple[Rows, ...]
    """Derivatives of each by the three rest-frame spacings."""


class Steep(Gridded):
    """The field of charges on a mesh; its potential is that of `Gridded`."""

    __slots__ = ()

    def field(self, q: Array) -> Any:
        """Field on the nodes, arranged for `read`, of charges ``(B, n)``."""
        return self.field_and_keep(q)[0]

    def field_and_keep(self, q: Array) -> tuple[Any, Kept]:
        """`field`, and what `back` needs."""
        charge = _transform(self.mesh.deposit(q)[0, ...])
        made = [steep_green(self.mesh.grid, self._rest_spacing(), axis, self.order) for axis in range(3)]
        steps = tuple(_transform(_whole(step, axis), 1) for axis, (step, _) in enumerate(made))
        parts = [
            _back(charge * step)[_first(self.mesh.grid)] * f for step, f in zip(steps, self._factors(), strict=True)
        ]
        field = namespace(*parts).stack(parts)
        return self.mesh.weights.arrange(field), Kept(charge, steps, tuple(slopes for _, slopes in made))

    def back(self, kept: Kept, e_bar: Rows, factor: Array) -> Back:
        """Cotangents from those of the field where the particles are, ``factor (B,)`` times rows ``e_bar (B, n)``."""
        E_bar, h = self.mesh.deposit(*e_bar), self.mesh.box.spacing
        xp, charge_bar, spacing_bar = namespace(E_bar), 0.0, [0.0, 0.0, 0.0]
        for axis, f in enumerate(self._factors()):
            bar = _transform(E_bar[axis, ...] * f * _per_node(factor))
            charge_bar = charge_bar - bar * kept.steps[axis]  # odd
            step_bar = _folded(_back(bar * xp.conj(kept.charge)), axis)
            for k, slope in enumerate(kept.slopes[axis]):
                spacing_bar[k] = spacing_bar[k] + xp.sum(step_bar * slope, axis=AXES)
        a, b, c = spacing_bar
        arranged = self.mesh.weights.arrange(_back(charge_bar)[_first(self.mesh.grid)][None, ...])
        return Back(arranged, xp.stack([a, b, c * self.stretch]), c * h[2, ...])

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
