"""Coherent synchrotron radiation in one dimension: in bends and in the drift behind, with the transients of both.

What a bunch radiates in a bend overtakes it on the chord and acts on what is ahead. Its field along the path is taken
from `backbeam.effects.radiation`; energies move, and nothing else.

Not in it: what a finite gamma changes, the path before an earlier bend, forces across, shielding by the chamber.
Source: Saldin, Schneidmiller and Yurkov, NIM A 398 (1997) 373.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from array_api_compat import device

from backbeam.arrays import namespace
from backbeam.effects.line_kick import PT_ROW, Channel, LineKick, Response
from backbeam.effects.mesh.line import second_differences
from backbeam.effects.radiation import Radiation, radiation
from backbeam.species import VACUUM_PERMITTIVITY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backbeam.arrays import Array
    from backbeam.effects.base import Place, Term
    from backbeam.elements.base import Element
    from backbeam.reference import Reference


@dataclass(frozen=True, kw_only=True)
class CSR(LineKick):
    """Coherent synchrotron radiation in bends and behind them; of each bend by itself, the last that was passed.

    The bunch is taken to have had its present shape while its radiation overtook it.

    Parameters
    ----------
    nodes:
        Number of nodes along the bunch. What acts is the slope of its density, whose noise grows with them.

    Examples
    --------
    >>> line = bb.Line([bb.SectorBend(0.2, angle=0.1, name="b"), bb.Drift(1.0)])
    >>> beam = bb.Beam.gaussian(n=1000, species="electron", kinetic_energy=250e6, charge=1e-9, sigma_tau=1e-4)
    >>> bool(bb.track(line, beam, effects=[bb.CSR()], slices=2).mean("pt") < bb.track(line, beam).mean("pt"))
    True
    """

    nodes: int = 128

    kind: ClassVar[str] = "csr"
    ahead: ClassVar[bool] = True
    point: ClassVar[float] = 1.0

    def needs(self, place: Place) -> dict[str, tuple[Term, ...]] | None:
        """Length of the kick; angle and length ``arc`` of the bend, how much is ``passed``, and the way ``behind``."""
        if not place.way:
            return None
        (_, bend, part), *after = place.way
        found = {
            "length": place.share("length"),
            "angle": ((bend, "angle", 1.0),),
            "arc": ((bend, "length", math.copysign(1.0, part)),),
            "passed": ((bend, "length", part),),
        }
        way = tuple((name, "length", part) for element, name, part in after if element.is_thick)
        return found | ({"behind": way} if way else {})

    def idle(self, elements: Sequence[Element]) -> str:
        """Nothing radiates without a bend."""
        return "" if any(element.bends for element in elements) else "no element of the line bends"

    def channels(self) -> tuple[Channel, ...]:
        """Energy alone."""
        return (Channel(PT_ROW),)

    def response(self, spacing: Array, reference: Reference, p: Mapping[str, Array]) -> Array:
        """Change of pt per charge."""
        found = self._radiation(spacing, p).value
        return (_strength(spacing, reference) * p["length"])[:, None] * found

    def response_slopes(self, spacing: Array, reference: Reference, p: Mapping[str, Array]) -> Response:
        """The same, and its derivatives."""
        found, per_length = self._radiation(spacing, p), _strength(spacing, reference)[:, None]
        length, arc = p["length"][:, None], p["arc"][:, None]
        strength = per_length * length
        value = strength * found.value
        curvature = (p["angle"] / p["arc"])[:, None]
        by_curvature = strength * 2.0 * curvature * found.slope(curvature_squared=1.0)
        slopes = {
            "length": per_length * found.value,
            "angle": by_curvature / arc,
            "arc": -by_curvature * curvature / arc,
            "passed": strength * found.slope(passed=1.0),
        }
        if "behind" in p:
            slopes["behind"] = strength * found.slope(behind=1.0)
        by_spacing = strength * found.slope(spacing=1.0) - 2.0 * value / spacing[:, None]
        return Response(value, by_spacing, -value / reference.beta_gamma[:, None], slopes)

    def _numbers(self, spacing: Array) -> Array:
        """0, 1, ... for each node."""
        return namespace(spacing).arange(self.nodes, dtype=spacing.dtype, device=device(spacing))

    def _radiation(self, spacing: Array, p: Mapping[str, Array]) -> Radiation:
        curvature = p["angle"] / p["arc"]
        behind = p["behind"] if "behind" in p else namespace(spacing).zeros_like(spacing)
        return radiation(self._numbers(spacing), spacing, curvature * curvature, p["passed"], behind)


@dataclass(frozen=True, kw_only=True)
class SteadyCSR(CSR):
    """Coherent synchrotron radiation of bends without end: the steady state in them, nothing behind.

    Right where the length sigma of a bunch is short against kappa^2 L^3/24 for the length L of the bend.

    Examples
    --------
    >>> bb.SteadyCSR(nodes=200).nodes
    200
    """

    kind: ClassVar[str] = "steady_csr"

    def acts_in(self, element: Element) -> bool:
        """In bends."""
        return super().acts_in(element) and element.bends

    def needs(self, place: Place) -> dict[str, tuple[Term, ...]]:
        """Length of the kick, angle and length ``arc`` of the bend."""
        return {"length": place.share("length"), "angle": place.whole("angle"), "arc": place.whole("length")}

    def response(self, spacing: Array, reference: Reference, p: Mapping[str, Array]) -> Array:
        """Change of pt per charge."""
        return self.response_slopes(spacing, reference, p).value

    def response_slopes(self, spacing: Array, reference: Reference, p: Mapping[str, Array]) -> Response:
        """The same, and its derivatives: w is a power, and so is what comes of it."""
        xp = namespace(spacing)
        curvature = xp.abs(p["angle"] / p["arc"])
        # Two thirds of a power of 0 have no slope; a drift has no field.
        is_bent = curvature > 0.0
        some = xp.where(is_bent, curvature, xp.ones_like(curvature))
        by_spacing = 1.5 * (some * some / 24.0) ** (1.0 / 3.0) * spacing ** (2.0 / 3.0)
        factor = _strength(spacing, reference) * xp.where(is_bent, by_spacing, xp.zeros_like(by_spacing))
        numbers = xp.asarray(second_differences(2.0 / 3.0, self.nodes), dtype=spacing.dtype, device=device(spacing))
        per_length = factor[:, None] * numbers
        value = p["length"][:, None] * per_length
        relative = lambda power, a: (power / a)[:, None] * value  # noqa: E731
        angle = xp.where(is_bent, p["angle"], xp.ones_like(curvature))
        slopes = {"length": per_length, "angle": relative(2.0 / 3.0, angle), "arc": relative(-2.0 / 3.0, p["arc"])}
        return Response(value, relative(-4.0 / 3.0, spacing), relative(-1.0, reference.beta_gamma), slopes)


def _strength(spacing: Array, reference: Reference) -> Array:
    """Change of pt over a metre for a charge on a node, where w is 1/m over a cell ``(B,)`` [1/(C m)]."""
    # Divided one by one: a library's derivative of a ratio may square what is below, which float32 cannot hold.
    per_volt = reference.species.charge_number / (math.pi * VACUUM_PERMITTIVITY) / reference.momentum
    return -per_volt / spacing / spacing
