"""What all wakes share: components, signs and units.

A charge q_j (in C, at x_j) changes the energy and the momenta of a particle of charge Z e that follows at a distance
t = tau_i - tau_j >= 0 by

    Delta E      = -Z q_j W(t)               longitudinal: W(0) > 0 takes energy from the one that follows    [W: V/C]
    Delta px P0c = +Z q_j x_j W(t)/beta0     dipole: W > 0 pulls to the side on which the charge passed     [V/(C m)]
    Delta px P0c = +Z q_j x_i W(t)/beta0     quadrupole: W > 0 pulls the particle further off the axis      [V/(C m)]

with E in eV: the signs of Chao, *Physics of Collective Beam Instabilities* (1993), but that W of the transverse ones is
positive where he has -W. Nothing acts ahead of itself (v = c), and at t = 0 the half acts: a single particle loses
q W(0)/2, the fundamental theorem of beam loading.

``at`` points W is that of the whole object, in the units above; along elements it is that of a metre, and the kick has
it times its length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backbeam.effects.line_kick import PT_ROW, PX_ROW, PY_ROW, X_ROW, Y_ROW, Channel, LineKick, Response
from backbeam.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backbeam.arrays import Array
    from backbeam.reference import Reference

COMPONENTS = {
    "longitudinal": (Channel(PT_ROW),),
    "dipole": (Channel(PX_ROW, source=X_ROW), Channel(PY_ROW, source=Y_ROW)),
    "dipole_x": (Channel(PX_ROW, source=X_ROW),),
    "dipole_y": (Channel(PY_ROW, source=Y_ROW),),
    "quadrupole_x": (Channel(PX_ROW, own=X_ROW),),
    "quadrupole_y": (Channel(PY_ROW, own=Y_ROW),),
}
"""What a wake does; ``dipole`` is that of a round object, in both planes."""


@dataclass(frozen=True, kw_only=True)
class Wake(LineKick):
    """Base of the wakes: a subclass gives the wake function, averaged over clouds.

    Parameters
    ----------
    component:
        "longitudinal", "dipole" (both planes), "dipole_x", "dipole_y", "quadrupole_x" or "quadrupole_y".
    """

    component: str = "longitudinal"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.component not in tuple(COMPONENTS):
            raise InputError(self._label("component"), self.component, ", ".join(COMPONENTS))

    def averaged(self, spacing: Array, p: Mapping[str, Array]) -> Array:
        """W averaged over a triangle of two spacings, at distances of 0, 1, ... nodes: ``(B, nodes)``."""
        raise NotImplementedError

    def averaged_slopes(self, spacing: Array, p: Mapping[str, Array]) -> tuple[Array, Array, dict[str, Array]]:
        """The same, and its derivatives with respect to the spacing and to parameters."""
        raise NotImplementedError

    @property
    def is_longitudinal(self) -> bool:
        """Whether it changes energies."""
        return self.component == "longitudinal"

    def channels(self) -> tuple[Channel, ...]:
        """Which momenta move."""
        return COMPONENTS[self.component]

    def response(self, spacing: Array, reference: Reference, p: Mapping[str, Array]) -> Array:
        """W times what the kick of a volt is."""
        strength = self._strength(reference) * p.get("length", 1.0)
        return strength[:, None] * self.averaged(spacing, p)

    def response_slopes(self, spacing: Array, reference: Reference, p: Mapping[str, Array]) -> Response:
        """W times what the kick of a volt is, and the derivatives."""
        W, by_spacing, by_p = self.averaged_slopes(spacing, p)
        per_length = self._strength(reference)[:, None]
        strength = per_length * p["length"][:, None] if "length" in p else per_length
        # The strength goes as 1/u or as 1/(beta0 u) = gamma/u^2, with u = beta0 gamma0.
        u = reference.beta_gamma
        relative = -1.0 / u if self.is_longitudinal else -2.0 / u + u / (1.0 + u * u)
        slopes = {name: strength * slope for name, slope in by_p.items()}
        if "length" in p:
            slopes["length"] = per_length * W
        return Response(strength * W, strength * by_spacing, relative[:, None] * (strength * W), slopes)

    def _strength(self, reference: Reference) -> Array:
        """Change of pt, or of px, for 1 V ``(B,)`` [1/V]."""
        per_volt = reference.species.charge_number / reference.momentum
        return -per_volt if self.is_longitudinal else per_volt * reference.inverse_beta
