"""Cavities: the accelerating cavity, as a row of gaps or as a structure with its ends, and the buncher."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import TYPE_CHECKING, ClassVar

from backbeam.elements.base import REQUIRED, Bound, Element, bind, parameter, steps_over
from backbeam.errors import InputError
from backbeam.maps.drift import DriftMap
from backbeam.maps.linear import LinearBody
from backbeam.maps.quadrupole import sequence
from backbeam.maps.rf import LinearRFGap, RFGap
from backbeam.maps.rf_structure import LinearRFBody, RFBody
from backbeam.maps.rf_wave import RFEnd, RFWave
from backbeam.proportion import FREQUENCY, PHASE

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
        if type(self.radial_kick) is not bool:
            raise InputError(self._label("radial_kick"), self.radial_kick, "true or false")

    def _gap(self, share: float) -> RFGap | LinearRFGap:
        return (RFGap if self.model == "exact" else LinearRFGap)(share, self.radial_kick)


STRUCTURES = ("gaps", "standing", "travelling")


@dataclass(frozen=True, eq=False)
class RFCavity(_Cavity):
    """Accelerating cavity: a row of gaps, or a standing- or travelling-wave structure.

    ``phase`` is that of the reference particle all along, wherever the cavity stands and however it is
    sliced: the structure is synchronous with the reference.

    Parameters
    ----------
    length:
        Length [m], or None for a thin cavity, which is one gap.
    voltage:
        Greatest gain of the reference particle's energy per unit of charge [V]; the same for any sign of it.
        The transit-time factor is part of it.
    frequency:
        Frequency [Hz]; 0 is an electrostatic gap.
    phase:
        Phase of the reference particle [rad]: the gain is |Z| V cos(phase), so 0 is the crest. A late
        particle sees a later phase: -pi/2 bunches.
    model:
        "exact" keeps the full dependence on arrival time and radius, "linear" its first order.
    structure:
        "gaps": equal gaps with drifts between them, each the wave that travels with the particle
        (`backbeam.maps.rf`), without the fields at the cavity's two ends. "travelling": that wave all along, with
        the focusing by its two ends; "standing": with that by its mirror image, too, averaged over a cell
        (`backbeam.maps.rf_structure`). On crest the gaps are a trapezoidal rule for the first of these, less
        the ends; a structure is exact there in one step.
    steps:
        Number of gaps, or of a structure's integrator steps (of order 6), over the whole length; a slice has its
        part of them, at least one. Slices that share the gaps evenly change nothing (2 or 4 of 8 gaps); others make
        more gaps, nearer to the limit of many, from which 8 gaps of 1 m, 20 MV/m, 0.2 rad off crest, are 1e-3 of the
        matrix at 5 MeV kinetic, and 16 a quarter of that. A structure has no error on crest; off crest it is that of
        the defocusing by the wave, with 8 steps, 20 MV/m from a kinetic energy of 5 MeV, up to 1 rad off: 1e-4 of the
        matrix over 3 m, 1e-6 over 1 m.
    radial_kick:
        Whether the field has its part across the axis; without, only energies change.
    clock:
        Whether the field keeps time by itself: ``phase`` is then that at the moment at which the reference leaves the
        start of the line, and the phase on its arrival follows from its time of flight (`backbeam.clock`).

    Examples
    --------
    >>> bb.RFCavity(1.0, voltage=20e6, frequency=1.3e9, name="c1").voltage
    20000000.0
    """

    length: Array | float | None = parameter(None, unit="m", minimum=0.0)
    voltage: Array | float = parameter(REQUIRED, unit="V", kw_only=True)
    frequency: Array | float = parameter(REQUIRED, unit="Hz", usual=FREQUENCY, minimum=0.0, kw_only=True)
    phase: Array | float = parameter(0.0, unit="rad", usual=PHASE, kw_only=True)
    model: str = "exact"
    steps: int = 8
    structure: str = "gaps"
    radial_kick: bool = True
    clock: bool = False

    kind: ClassVar[str] = "rf_cavity"

    def __post_init__(self) -> None:
        super().__post_init__()
        if type(self.clock) is not bool:
            raise InputError(self._label("clock"), self.clock, "true or false")
        if self.structure not in tuple(STRUCTURES):
            raise InputError(self._label("structure"), self.structure, "gaps, standing or travelling")
        absent = self.length is None or (isinstance(self.length, int | float) and self.length == 0)
        if self.structure != "gaps" and absent:
            allowed = f"the length of a {self.structure}-wave structure in m, greater than 0"
            raise InputError(self._label("length"), self.length, allowed)

    def entrance(self) -> tuple[Bound, ...]:
        """Where a structure's wave begins."""
        return self._end(+1)

    def exit(self) -> tuple[Bound, ...]:
        """Where a structure's wave ends."""
        return self._end(-1)

    def _end(self, sign: int) -> tuple[Bound, ...]:
        if self.structure == "gaps" or not self.radial_kick:
            return ()
        return (bind(RFEnd(sign, self.model == "linear")),)

    def body(self, fraction: float) -> tuple[Bound, ...]:
        """Half a drift, gap, drift, gap, ..., half a drift; or the gap alone; or pieces of structure and of wave."""
        if not self.is_thick:
            return (bind(self._gap(1.0)),)
        steps = steps_over(self.steps, fraction)
        if self.structure != "gaps":
            return self._structure(fraction, steps)
        drift = DriftMap if self.model == "exact" else LinearBody
        half, whole = bind(drift(0.5 * fraction / steps)), bind(drift(fraction / steps))
        gap = bind(self._gap(fraction / steps))
        return (half, gap, *((whole, gap) * (steps - 1)), half)

    def _structure(self, fraction: float, steps: int) -> tuple[Bound, ...]:
        body = RFBody if self.model == "exact" else LinearRFBody
        standing = self.structure == "standing" and self.radial_kick
        return tuple(
            bind(body(fraction * part, standing) if kind == "turn" else RFWave(self._gap(fraction * part)))
            for kind, part in sequence(6, steps)
        )


@dataclass(frozen=True, eq=False)
class Buncher(_Cavity):
    """Thin cavity that by default does not accelerate, but speeds up what is late.

    Parameters
    ----------
    voltage, frequency, phase, model, radial_kick:
        As for `RFCavity`; the phase is -pi/2 unless given.

    Examples
    --------
    >>> line = bb.Line([bb.Buncher(1e5, 1.3e9, name="buncher"), bb.Drift(1.0)])
    >>> line.get("buncher.voltage")
    100000.0
    """

    voltage: Array | float = parameter(REQUIRED, unit="V")
    frequency: Array | float = parameter(REQUIRED, unit="Hz", usual=FREQUENCY, minimum=0.0)
    phase: Array | float = parameter(-0.5 * pi, unit="rad", usual=PHASE)
    model: str = "exact"
    radial_kick: bool = True

    kind: ClassVar[str] = "buncher"

    def body(self, fraction: float) -> tuple[Bound, ...]:
        """One gap."""
        return (bind(self._gap(1.0)),)
