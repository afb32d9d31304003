"""A cavity given by its field on the axis, as a Fourier series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from backbeam.elements.base import REQUIRED, Bound, Element, bind, parameter
from backbeam.errors import InputError
from backbeam.maps.rf_field import RFField, RFFieldExit
from backbeam.proportion import FREQUENCY, PHASE

if TYPE_CHECKING:
    from fractions import Fraction

    from backbeam.arrays import Array


@dataclass(frozen=True, eq=False)
class FieldCavity(Element):
    """Accelerating cavity with a field map: the phase advances by time of flight, cell by cell.

    Ez(z, t) = scale (a0/2 + sum_n (a_n cos(2 pi n z/L) + b_n sin(2 pi n z/L))) cos(2 pi f t + phase), z from the middle
    of the length L and t since the reference entered; off the axis to second order in the radius, see
    `backbeam.maps.rf_field`. Inside, coordinates are deviations from a particle of the momentum that the reference
    entered with; behind it they are those from the reference again.

    Parameters
    ----------
    length:
        Length and period [m].
    scale:
        Scale of the field [V/m], the same for any sign of the charge.
    frequency:
        Frequency [Hz]; 0 is an electrostatic field.
    phase:
        Phase as the reference enters [rad].
    field_cos, field_sin:
        Series a0, a1, ... and b0, b1, ..., of one length ``(..., n)``; b0 is not looked at.
    order, steps:
        Order of the splitting (2, 4, 6) and its steps over the whole length: twenty or more a cell.

    Examples
    --------
    >>> cavity = bb.FieldCavity(1.0, scale=20e6, frequency=1.3e9, field_cos=[0.0, 1.0], name="c1")
    >>> cavity.frequency / 1e9
    1.3
    """

    length: Array | float = parameter(REQUIRED, unit="m", positive=True)
    scale: Array | float = parameter(REQUIRED, unit="V/m", kw_only=True)
    frequency: Array | float = parameter(REQUIRED, unit="Hz", minimum=0.0, usual=FREQUENCY, kw_only=True)
    phase: Array | float = parameter(0.0, unit="rad", usual=PHASE, kw_only=True)
    field_cos: Array = parameter(REQUIRED, unit="1", shape=(None,), kw_only=True)
    field_sin: Array | None = parameter(None, unit="1", shape=(None,), kw_only=True)
    order: int = 4
    steps: int = 100

    kind: ClassVar[str] = "field_cavity"

    def __post_init__(self) -> None:
        for name in ("field_cos", "field_sin"):
            given = getattr(self, name)
            if isinstance(given, list | tuple):
                object.__setattr__(self, name, _series(given, self._label(name)))
        if self.field_sin is None and hasattr(self.field_cos, "shape"):
            object.__setattr__(self, "field_sin", 0.0 * self.field_cos)
        super().__post_init__()
        cos, sin = (getattr(getattr(self, name), "shape", None) for name in ("field_cos", "field_sin"))
        if cos is not None and cos[-1:] in ((), (0,)):
            raise InputError(self._label("field_cos"), f"{cos} numbers", "one number at least")
        if cos is not None and sin is not None and cos[-1:] != sin[-1:]:
            raise InputError(self._label("field_sin"), f"{sin} numbers", f"as many as field_cos, {cos}")

    def piece(self, start: Fraction | float, stop: Fraction | float) -> tuple[Bound, ...]:
        """The field between two places."""
        return (bind(RFField(float(start), float(stop), self.order, self.steps)),)

    def body(self, fraction: float) -> tuple[Bound, ...]:
        """The first part of the field."""
        return self.piece(0.0, fraction)

    def exit(self) -> tuple[Bound, ...]:
        """On to the reference as it comes out."""
        return (bind(RFFieldExit(self.order, self.steps)),)


def _series(given: Any, field: str) -> Any:
    try:
        return np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(field, given, "a list of numbers") from None
