"""Transverse deflecting cavity: crab cavity, or streaking cavity of a bunch-length measurement."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import TYPE_CHECKING, ClassVar

from backbeam.elements.base import REQUIRED, Bound, Element, bind, parameter, steps_over
from backbeam.errors import InputError
from backbeam.maps.drift import DriftMap
from backbeam.maps.rf_deflection import RFDeflection
from backbeam.proportion import FREQUENCY, PHASE

if TYPE_CHECKING:
    from backbeam.arrays import Array


@dataclass(frozen=True, eq=False)
class CrabCavity(Element):
    """Cavity that deflects in x, by the time of arrival; to deflect in y, give it a roll of pi/2.

    Energies change with x, as the theorem of Panofsky and Wenzel has it; the reference does not.

    Parameters
    ----------
    length:
        Length [m], or None for a thin cavity.
    voltage:
        Greatest deflecting voltage V [V]: dpx = |Z| V/(P0 c) cos(phase + k tau), the same for any sign of the charge.
    frequency:
        Frequency [Hz].
    phase:
        Phase of the reference particle [rad]. At 0 the whole bunch is deflected towards +x; -pi/2, the default,
        deflects what is late towards +x and what is early towards -x.
    steps:
        Number of kicks over the whole length, with drifts between them; a slice has its part of them, at least one.

    Examples
    --------
    >>> bb.CrabCavity(0.5, voltage=1e6, frequency=400e6).voltage
    1000000.0
    """

    length: Array | float | None = parameter(None, unit="m", minimum=0.0)
    voltage: Array | float = parameter(REQUIRED, unit="V", kw_only=True)
    frequency: Array | float = parameter(REQUIRED, unit="Hz", usual=FREQUENCY, minimum=0.0, kw_only=True)
    phase: Array | float = parameter(-0.5 * pi, unit="rad", usual=PHASE, kw_only=True)
    steps: int = 8

    kind: ClassVar[str] = "crab_cavity"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, unit in (("voltage", "V"), ("frequency", "Hz"), ("phase", "rad")):
            if getattr(self, name) is None:
                raise InputError(self._label(name), None, f"a number in {unit}")

    def body(self, fraction: float) -> tuple[Bound, ...]:
        """Half a drift, kick, drift, kick, ..., half a drift; or the kick alone."""
        if not self.is_thick:
            return (bind(RFDeflection()),)
        kicks = steps_over(self.steps, fraction)
        half, whole = bind(DriftMap(0.5 * fraction / kicks)), bind(DriftMap(fraction / kicks))
        kick = bind(RFDeflection(fraction / kicks))
        return (half, kick, *((whole, kick) * (kicks - 1)), half)
