"""Sense of proportion: values that are formally right and almost surely meant in another unit.

A phase of 30 rad, an electron gun of 5 eV: nothing is wrong with them but that nobody means them. Such a value is used
as it is given, and asked about in one line, a `BackbeamWarning`.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

from backbeam.errors import BackbeamWarning


@dataclass(frozen=True)
class Usual:
    """Magnitudes that are usual for a quantity; 0 always is.

    Parameters
    ----------
    unit:
        Unit that the value is taken to be in, for a reader.
    low, high:
        Smallest and largest usual magnitude.
    question:
        What may have been meant.
    """

    unit: str
    low: float = 0.0
    high: float = math.inf
    question: str = ""

    def ask(self, field: str, value: Any) -> None:
        """Warn of a plain number that is not usual; arrays are not looked at."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return
        if value and not self.low <= abs(value) <= self.high:
            bound = f"more than {self.high:.4g}" if abs(value) > self.high else f"less than {self.low:.4g}"
            message = f"{field} is {value:.10g} {self.unit}, {bound}: {self.question}"
            warnings.warn(message, BackbeamWarning, stacklevel=2)


PHASE = Usual("rad", high=2.0 * math.pi, question="was it meant in degrees?")
ANGLE = Usual("rad", high=math.pi, question="was it meant in degrees, or in mrad?")
FREQUENCY = Usual("Hz", low=1e4, question="was it meant in MHz or GHz?")
KINETIC_ENERGY = Usual("eV", low=1e3, question="was it meant in keV, MeV or GeV?")
MOMENTUM = Usual("eV", low=1e3, question="was P0 c meant in MeV or GeV?")
MASS = Usual("eV", low=1e3, question="was the rest energy meant in MeV, or in atomic units?")
CHARGE = Usual("C", high=1e-4, question="was it meant in nC or pC?")
