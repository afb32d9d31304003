"""How far what a screen saw is from a given image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import device

from backbeam import backends, moments
from backbeam.arrays import Array, namespace
from backbeam.beam import Beam
from backbeam.errors import InputError, Said
from backbeam.observables.base import Objective
from backbeam.observables.readings import Reading
from backbeam.scalars import plain


@dataclass(frozen=True, eq=False)
class ImageDistance(Reading):
    """Mean square of the difference of two images, each over its own charge, next to that of the given image.

    Both are smoothed by a Gaussian, G: with a what the screen saw and b the given image,

        sum (G a/sum a - G b/sum b)^2 / sum (G b/sum b)^2.

    0 where they agree but for their charge, and about 1 or more where they do not overlap; 1 where nothing was seen.
    Without smoothing images that do not overlap have no slope towards each other: smooth by what they are apart.
    """

    smoothing: float = 0.0
    """rms of the Gaussian [pixels]."""

    @property
    def name(self) -> str:
        """``image_distance:yag``."""
        return f"image_distance:{self._passed}"

    def _smoothed(self, a: Array) -> Array:
        """Gaussian along both axes; what it would bring beyond the screen is lost."""
        if not self.smoothing:
            return a
        for axis in (-2, -1):
            a = _along(_gaussian(a.shape[axis], self.smoothing, a), a, axis)
        return a

    def _wanted(self, beam: Beam, seen: Array) -> tuple[Array, Array]:
        """The given image, smoothed, and the sum of its squares."""
        xp = namespace(seen)
        image = self._weights(beam, seen)
        smooth = self._smoothed(image / xp.sum(image, axis=(-2, -1), keepdims=True))
        return smooth, xp.sum(smooth * smooth, axis=(-2, -1))

    def _weights(self, beam: Beam, seen: Array) -> Array:
        own = tuple(getattr(self.weights, "shape", ()))
        if seen.ndim - (beam.coordinates.ndim - 2) != 2 or own != tuple(seen.shape[-2:]):
            allowed = f"a screen of the image's pixels, {own}"
            raise InputError("objective", Said(f"{self.name} of shape {tuple(seen.shape)}"), allowed)
        return super()._weights(beam, seen)

    def __call__(self, beam: Beam) -> Array:
        """The distance."""
        mine = self.meant(beam)
        seen = mine._seen(beam)
        xp = namespace(seen)
        wanted, squares = mine._wanted(beam, seen)
        total = xp.sum(seen, axis=(-2, -1), keepdims=True)
        difference = mine._smoothed(moments.safe_divide(seen, total)) - wanted
        return xp.sum(difference * difference, axis=(-2, -1)) / squares

    def of_reading(self, beam: Beam, seen: Array, bar: Array) -> Array:
        """Through the difference, the Gaussian, which is symmetric, and the charge."""
        xp = namespace(seen)
        wanted, squares = self._wanted(beam, seen)
        total = xp.sum(seen, axis=(-2, -1), keepdims=True)
        share = moments.safe_divide(seen, total)
        difference = self._smoothed(share) - wanted
        share_bar = self._smoothed((2.0 * bar / squares)[..., None, None] * difference)
        mean = xp.sum(share_bar * share, axis=(-2, -1), keepdims=True)
        return moments.safe_divide(share_bar - mean, xp.broadcast_to(total, share_bar.shape))


def _gaussian(n: int, width: float, like: Array) -> Array:
    """Weights ``(n, n)`` of a Gaussian of a width in pixels between pixels."""
    xp = namespace(like)
    i = xp.arange(n, dtype=like.dtype, device=device(like))
    u = (i[:, None] - i[None, :]) / width
    weight = xp.exp(-0.5 * u * u)
    middle = xp.arange(-(4 * n), 4 * n + 1, dtype=like.dtype, device=device(like)) / width
    return weight / xp.sum(xp.exp(-0.5 * middle * middle))


def _along(matrix: Array, a: Array, axis: int) -> Array:
    return namespace(a).matmul(matrix, a) if axis == -2 else namespace(a).matmul(a, matrix)


def image_distance(screen: str, image: Any, *, smoothing: float = 0.0, passage: int | None = None) -> Objective:
    """Distance of what a screen saw to a given image, whatever their charges: see `ImageDistance`.

    Parameters
    ----------
    screen:
        Its name.
    image:
        Array ``(nx, ny)`` of the screen's pixels, in any unit: what is not negative, and not all 0.
    smoothing:
        rms of the Gaussian by which both are smoothed [pixels].
    passage:
        Which of the images, from 0, where the beam passes the screen several times.
    """
    try:
        host = np.asarray(backends.of(image).to_numpy(image) if hasattr(image, "shape") else image, dtype=np.float64)
    except (TypeError, ValueError):
        host = np.zeros(0)
    if host.ndim != 2 or not np.isfinite(host).all() or (host < 0.0).any() or not host.any():
        shown = Said(f"an array of shape {host.shape}") if hasattr(image, "shape") else image
        raise InputError("image_distance.image", shown, "numbers (nx, ny), none negative and not all 0")
    width = plain(smoothing)
    if isinstance(width, bool) or not isinstance(width, int | float) or not 0.0 <= width < float("inf"):
        raise InputError("image_distance.smoothing", smoothing, "an rms in pixels, not negative")
    return ImageDistance(screen, host, passage, float(width))
