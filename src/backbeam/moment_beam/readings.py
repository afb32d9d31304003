"""What monitors and screens see of a beam of moments: its centroid, and a Gaussian in the pixels."""

from __future__ import annotations

from math import pi
from typing import TYPE_CHECKING, Any

from array_api_compat import device

from backbeam.arrays import Array, namespace
from backbeam.observation import Image

if TYPE_CHECKING:
    from backbeam.moment_beam.beam import MomentBeam
    from backbeam.moment_beam.tracking import Passage


def seen(passage: Passage) -> dict[str, Any]:
    """Readings by name, each in the frame of its element; a list where an element is passed several times."""
    found: dict[str, list[Any]] = {}
    for maps_before, look in passage.solution.passages.looks:
        mean, cov = passage.behind(maps_before)
        if isinstance(look.observation, Image):
            reading = image(look.observation, mean, cov, sign(passage.beam) * passage.charge)
        else:
            reading = namespace(mean).stack([mean[..., 0], mean[..., 2]], axis=-1)
        found.setdefault(look.element, []).append(reading)
    return {name: readings if len(readings) > 1 else readings[0] for name, readings in found.items()}


def sign(beam: MomentBeam) -> float:
    """Of the charge of its particles: its own is a magnitude."""
    return 1.0 if beam.species.charge_number >= 0 else -1.0


def image(screen: Image, mean: Array, cov: Array, charge: Array) -> Array:
    """Charge [C] of a Gaussian by pixel ``(..., nx, ny)``: its density at the centre times the area of a pixel.

    A screen's pixels are weighted by cloud-in-cell, which widens an image by a triangle of variance h^2/6; so here.
    """
    xp = namespace(mean)
    (nx, ny), (hx, hy) = screen.pixels, (screen.half_x, screen.half_y)
    place = {"dtype": mean.dtype, "device": device(mean)}
    x = (xp.arange(nx, **place) + 0.5) * (2.0 * hx / nx) - hx - mean[..., 0, None]
    y = (xp.arange(ny, **place) + 0.5) * (2.0 * hy / ny) - hy - mean[..., 2, None]
    a, b, c = (v[..., None, None] for v in (cov[..., 0, 0], cov[..., 0, 2], cov[..., 2, 2]))
    a, c = a + (2.0 * hx / nx) ** 2 / 6.0, c + (2.0 * hy / ny) ** 2 / 6.0
    determinant = a * c - b * b
    x, y = x[..., :, None], y[..., None, :]
    exponent = (c * x * x - 2.0 * b * x * y + a * y * y) / determinant
    area = 4.0 * hx * hy / (nx * ny)
    return charge[..., None, None] * (area / (2.0 * pi)) * xp.exp(-0.5 * exponent) / xp.sqrt(determinant)
