"""Let the planner choose."""

from __future__ import annotations

from dataclasses import dataclass

from backbeam.adjoint.base import Adjoint
from backbeam.errors import InputError


@dataclass(frozen=True)
class Auto(Adjoint):
    """The fastest adjoint whose predicted memory fits, with anchors or slots chosen: see `backbeam.memory`.

    Parameters
    ----------
    budget:
        Bytes that the gradient may take beyond what is there before. None: four fifths of what the device has free when
        the gradient is asked for.

    The choice is made anew each time. All adjoints give the same gradient to rounding; where the choice itself must not
    change from run to run, name one.

    Examples
    --------
    >>> bb.Auto(budget=2**31)
    Auto(budget=2147483648)
    """

    budget: int | None = None

    def __post_init__(self) -> None:
        if self.budget is not None and (type(self.budget) is not int or self.budget < 1):
            raise InputError("adjoint.budget", self.budget, "a whole number of bytes, at least 1, or None")
