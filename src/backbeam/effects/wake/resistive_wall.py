"""The wake of a round pipe with a thick resistive wall, a metre of it (Chao, eqs. 2.17 and 2.76 in SI units).

    longitudinal    W(t) = -C/2 t^(-3/2), and at t = 0 what makes its integral 0
    transverse      W(t) =  2 c/b^2 C t^(-1/2)                          C = sqrt(mu_0/sigma)/(2 pi^(3/2) b)

It is a power of distance, so the average over a triangle is a second difference of another, C 2 t^(1/2) and
2 c/b^2 C 4/3 t^(3/2): the infinite moment at t = 0 is in it with its whole weight, and numbers that depend on the node
alone stand before a power of the spacing.

It holds where the distance is long against (2 b^2/(Z_0 sigma))^(1/3), some 10 um, and while the skin depth is less than
the wall: a run that begins with a beam shorter than six of these warns. A beam without length has a line of a
millimetre.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from array_api_compat import device

from backbeam import backends
from backbeam.arrays import namespace
from backbeam.effects.line_kick import TAU_ROW
from backbeam.effects.mesh.line import second_differences
from backbeam.effects.wake.base import Wake
from backbeam.errors import BackbeamWarning, InputError
from backbeam.parameters import REQUIRED, parameter
from backbeam.species import SPEED_OF_LIGHT, VACUUM_PERMITTIVITY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backbeam.arrays import Array
    from backbeam.effects.base import Bunch

COEFFICIENT = 1.0 / math.sqrt(VACUUM_PERMITTIVITY * SPEED_OF_LIGHT * math.pi**3)
"""sqrt(mu_0 c/pi^3) [sqrt(Ohm)]: distances are in m, not in s."""
LONG = 6.0
"""Length of a beam over the distance of the wall, from which on nothing is said: about one rms length of a Gaussian."""


@dataclass(frozen=True, kw_only=True)
class ResistiveWallWake(Wake):
    """Wake of a round, thick, resistive pipe along elements, or of a ``length`` of it at points.

    Parameters
    ----------
    radius:
        Inner radius [m].
    conductivity:
        [S/m]; copper 5.96e7.
    length:
        Length of pipe behind each of the points ``at`` [m]; along elements theirs is taken.

    Examples
    --------
    >>> bb.ResistiveWallWake(along="pipe", radius=5e-3, conductivity=5.8e7).radius
    0.005
    """

    radius: Array | float = parameter(REQUIRED, unit="m", positive=True)
    conductivity: Array | float = parameter(REQUIRED, unit="S/m", positive=True)
    length: Array | float | None = parameter(None, unit="m", minimum=0.0)

    kind: ClassVar[str] = "resistive_wall_wake"
    point: ClassVar[float] = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.component.startswith("quadrupole"):
            raise InputError(
                self._label("component"), self.component, "longitudinal or a dipole: a round pipe has no other"
            )
        if (self.length is None) != (self.at is None):
            allowed = "the length of pipe in m, with at" if self.at else "left out along elements, which have their own"
            raise InputError(self._label("length"), self.length, allowed)

    def settled(self, bunch: Bunch) -> ResistiveWallWake:
        """As it is, with a warning of a beam that is shorter than what it holds for."""
        backend, xp, n = backends.of(bunch.X), namespace(bunch.X), bunch.X.shape[-1]
        given = [value for value in (self.radius, self.conductivity) if hasattr(value, "shape")]
        if n == 0 or backend.traced([bunch.X, *given]):
            return self
        tau, nowhere = bunch.X[..., TAU_ROW, :], xp.full_like(bunch.X[..., TAU_ROW, :], math.inf)
        first, last = (xp.min(xp.where(bunch.alive, a, nowhere), axis=-1) for a in (tau, -tau))
        length = -(first + last)
        shortest = float(backend.to_numpy(xp.where(length > 0.0, length, nowhere[..., 0])).min())
        radius, conductivity = (_number(value) for value in (self.radius, self.conductivity))
        scale = (2.0 * radius**2 * VACUUM_PERMITTIVITY * SPEED_OF_LIGHT / conductivity) ** (1.0 / 3.0)
        if shortest < LONG * scale:
            warnings.warn(
                f"{self.kind}: a beam of {shortest:.2g} m from first to last is short for the wake of a thick wall, "
                f"which holds for distances long against {scale:.2g} m",
                BackbeamWarning,
                stacklevel=2,
            )
        return self

    def averaged(self, spacing: Array, p: Mapping[str, Array]) -> Array:
        """W averaged over triangles."""
        return self.averaged_slopes(spacing, p)[0]

    def averaged_slopes(self, spacing: Array, p: Mapping[str, Array]) -> tuple[Array, Array, dict[str, Array]]:
        """W averaged over triangles, and its derivatives: it is a product of powers."""
        xp, b, sigma = namespace(spacing), p["radius"], p["conductivity"]
        if self.is_longitudinal:
            factor, power, of_radius = SPEED_OF_LIGHT * COEFFICIENT, 0.5, -1.0
        else:
            factor, power, of_radius = SPEED_OF_LIGHT * COEFFICIENT * 4.0 / 3.0, 1.5, -3.0
        numbers = xp.asarray(second_differences(power, self.nodes), dtype=spacing.dtype, device=device(spacing))
        W = (factor * b**of_radius / xp.sqrt(sigma) * spacing ** (power - 2.0))[:, None] * numbers
        slopes = {"radius": of_radius * W / b[:, None], "conductivity": -0.5 * W / sigma[:, None]}
        return W, (power - 2.0) * W / spacing[:, None], slopes


def _number(value: Array | float) -> float:
    """A parameter as one number, the least of a batch."""
    return float(backends.of(value).to_numpy(value).min()) if hasattr(value, "shape") else float(value)
