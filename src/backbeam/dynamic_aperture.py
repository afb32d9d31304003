"""Dynamic aperture: which amplitudes stay in a ring for so many turns, on a polar grid, all of it one beam.

The grid is about the closed orbit, in the normal coordinates of the optics: an amplitude of r sigma at an angle starts
r cos(angle) sigma out in the mode of x and r sin(angle) in that of y, both at the crest of their phase. Settings of the
line that come as a batch are scanned together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from array_api_compat import device

from backbeam.arrays import Array, namespace
from backbeam.beam import Beam
from backbeam.elements.aperture import Aperture
from backbeam.errors import InputError
from backbeam.line import Line
from backbeam.tracking import track

if TYPE_CHECKING:
    from backbeam.reference import Reference

FAR = 100.0
"""Whoever is so many times as far out as the grid reaches is lost: motion that is not stable ends there soon."""
QUARTER = (0.0, 0.19634954084936207, 0.39269908169872414, 0.5890486225481862, 0.7853981633974483, 0.9817477042468103,
           1.1780972450961724, 1.3744467859455345, 1.5707963267948966)  # fmt: skip


class DynamicAperture(NamedTuple):
    """What a scan found."""

    amplitudes: tuple[float, ...]
    """In sigma."""
    angles: tuple[float, ...]
    """[rad], from x to y."""
    survived: Array
    """Boolean ``(..., angles, amplitudes)``."""
    beam: Beam
    """All particles after the last turn, amplitudes running fastest; where and when the lost were lost."""

    @property
    def border(self) -> Array:
        """Largest amplitude up to which all survive ``(..., angles)`` [sigma]; 0 where the first is lost."""
        xp, survived = namespace(self.survived), self.survived
        steps = xp.asarray(
            [b - a for a, b in zip((0.0, *self.amplitudes), self.amplitudes, strict=False)],
            dtype=self.beam.coordinates.dtype, device=device(survived),
        )  # fmt: skip
        reached = xp.cumulative_prod(xp.astype(survived, steps.dtype), axis=-1)
        return xp.sum(steps * reached, axis=-1)


def dynamic_aperture(
    line: Line,
    reference: Reference,
    turns: int,
    *,
    emittance_x: float,
    emittance_y: float,
    amplitudes: Sequence[float],
    angles: Sequence[float] = QUARTER,
    pt: float = 0.0,
    **forces: Any,
) -> DynamicAperture:
    """Track a grid of amplitudes and angles about the closed orbit.

    Parameters
    ----------
    line, reference:
        The ring, whose openings count, and its reference. Parameters of the line may be arrays with batch axes.
    turns:
        How many.
    emittance_x, emittance_y:
        Geometric rms emittances [m]: what a sigma is.
    amplitudes:
        In sigma, growing.
    angles:
        [rad], 0 is x alone and pi/2 y alone; by default nine over the quarter.
    pt:
        Of all particles, added to that of the closed orbit. Without cavities the orbit is that of this pt.
    forces:
        Effects and what else `backbeam.track` takes.

    Raises
    ------
    InputError
        For amplitudes that do not grow from above 0, and for emittances that are not positive.

    Examples
    --------
    >>> ring = bb.Line([bb.Quadrupole(0.2, k1=2.0), bb.Drift(1.0), bb.Quadrupole(0.2, k1=-2.0), bb.Drift(1.0)])
    >>> reference = bb.Reference.from_kinetic_energy(1e9, "proton")
    >>> found = bb.dynamic_aperture(ring, reference, 5, emittance_x=1e-6, emittance_y=1e-6, amplitudes=[1.0, 2.0])
    >>> float(found.border.min())
    2.0
    """
    radii, turned = (tuple(float(v) for v in values) for values in (amplitudes, angles))
    if not radii or any(b <= a for a, b in zip((0.0, *radii), radii, strict=False)):
        raise InputError("amplitudes", amplitudes, "numbers that grow, the first greater than 0, in sigma")
    if not turned:
        raise InputError("angles", angles, "at least one angle in rad")
    for name, value in (("emittance_x", emittance_x), ("emittance_y", emittance_y)):
        if not 0.0 < value < float("inf"):
            raise InputError(name, value, "a number in m, greater than 0")
    from backbeam.lattice_functions import optics

    o = optics(line, reference)
    with_cavities = o.solution.size == 6
    if pt and not with_cavities:
        o = optics(line, reference, pt=pt)
    A, z = o.solution.A0, o.solution.z[..., 0, :]
    xp = namespace(z)
    place = {"dtype": z.dtype, "device": device(z)}
    r, angle = (xp.reshape(g, (-1,)) for g in xp.meshgrid(xp.asarray(radii, **place), xp.asarray(turned, **place)))
    in_x, in_y = emittance_x**0.5 * r * xp.cos(angle), emittance_y**0.5 * r * xp.sin(angle)
    X = A[..., :, 0, None] * in_x + A[..., :, 2, None] * in_y
    X = xp.concat([X, xp.zeros((*X.shape[:-2], 6 - X.shape[-2], X.shape[-1]), **place)], axis=-2) + z[..., None]
    if pt and with_cavities:
        X = X + pt * xp.asarray([[0.0], [0.0], [0.0], [0.0], [0.0], [1.0]], **place)
    # Where a setting of a batch has no stable motion nobody stays.
    stable = xp.all(xp.isfinite(X), axis=(-2, -1))
    X = xp.where(stable[..., None, None], X, xp.zeros_like(X))
    beam = Beam.from_arrays(X, species=reference.species, reference_momentum=reference.momentum, charge=0.0)
    beam = beam.replace(reference=reference)
    reach = FAR * max(float(xp.max(xp.abs(X[..., k, :]))) for k in (0, 2))
    far = Aperture(reach, reach, name="beyond_the_grid")
    end = track(Line([line, far]), beam, turns=turns, **forces)
    stays = end.alive & stable[..., None]
    survived = xp.reshape(stays, (*end.alive.shape[:-1], len(turned), len(radii)))
    return DynamicAperture(radii, turned, survived, end)
