"""Cavities: the accelerating cavity as a row of gaps, and the buncher."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import TYPE_CHECKING, ClassVar

from backbeam.elements.base import REQUIRED, Bound, Element, bind, parameter, steps_over
from backbeam.errors import InputError
from backbeam.maps.drift import Drift
from backbeam.maps.linear import LinearBody
from backbeam.maps.rf import LinearRFGap, RFGap

if TYPE_CHECKING:
    from backbeam.arrays import Array


@dataclass(frozen=True, eq=False)
class _Cavity(Element):
    """What both share: a phase cannot be absent, and which gap a model means."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, unit in (("voltage", "V"), ("frequency", "Hz"), ("phase", "rad")):
            if getattr(self, name) is None:
                raise InputError(self._label(name), None, f"a number in {unit}")

    def _gap(self, share: float) -> Bound:
        return bind((RFGap if self.model == "exact" else LinearRFGap)(share))


@dataclass(frozen=True, eq=False)
class RFCavity(_Cavity):
    """Accelerating cavity: equal gaps with drifts between them, or a single gap if it has no length.

    ``phase`` is that of the reference particle at every gap, wherever the cavity stands and however it is
    sliced: the structure is synchronous with the reference. A gap is the wave that travels with the particle
    (`backbeam.maps.rf`), so the transit-time factor is part of ``voltage``; the focusing by the fields at
    the cavity's two ends and by the backward wave of a standing one is left out.

    Parameters
    ----------
    length:
        Length [m], or None for a thin cavity.
    voltage:
        Greatest gain of the reference particle's energy per unit of charge [V]; the same for any sign of it.
    frequency:
        Frequency [Hz]; 0 is an electrostatic gap.
    phase:
        Phase of the reference particle [rad]: the gain is |Z| V cos(phase), so 0 is the crest. A late
        particle sees a later phase: -pi/2 bunches.
    model:
        "exact" keeps the full dependence on arrival time and radius, "linear" its first order.
    steps:
        Number of gaps over the whole length; a slice has its part of them, at least one, and its part of the
        voltage. A thin cavity is one gap.
    """

    length: Array | float | None = parameter(None, unit="m", minimum=0.0)
    voltage: Array | float = parameter(REQUIRED, unit="V", kw_only=True)
    frequency: Array | float = parameter(REQUIRED, unit="Hz", minimum=0.0, kw_only=True)
    phase: Array | float = parameter(0.0, unit="rad", kw_only=True)
    model: str = "exact"
    steps: int = 8

    kind: ClassVar[str] = "rf_cavity"

    def body(self, fraction: float) -> tuple[Bound, ...]:
        """Half a drift, gap, drift, gap, ..., half a drift; or the gap alone."""
        if not self.is_thick:
            return (self._gap(1.0),)
        gaps = steps_over(self.steps, fraction)
        drift = Drift if self.model == "exact" else LinearBody
        half, whole = bind(drift(0.5 * fraction / gaps)), bind(drift(fraction / gaps))
        gap = self._gap(fraction / gaps)
        return (half, gap, *((whole, gap) * (gaps - 1)), half)


@dataclass(frozen=True, eq=False)
class Buncher(_Cavity):
    """Thin cavity that by default does not accelerate, but speeds up what is late.

    Parameters
    ----------
    voltage, frequency, phase, model:
        As for `RFCavity`; the phase is -pi/2 unless given.
    """

    voltage: Array | float = parameter(REQUIRED, unit="V")
    frequency: Array | float = parameter(REQUIRED, unit="Hz", minimum=0.0)
    phase: Array | float = parameter(-0.5 * pi, unit="rad")
    model: str = "exact"

    kind: ClassVar[str] = "buncher"

    def body(self, fraction: float) -> tuple[Bound, ...]:
        """One gap."""
        return (self._gap(1.0),)
