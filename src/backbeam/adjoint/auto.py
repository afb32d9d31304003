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
        Bytes that the gradient may take beyond what is there before. None, the default of every gradient: the fastest
        within a tenth of what the device has free, `Reversible` beyond, and of two as fast `Reversible`. Free is what
        the tightest of machine, control group and ``ulimit`` leaves when the gradient is asked for.

    What is fastest was measured, ``python benchmarks/memory times``: `Reversible`, but for lines that are one matrix,
    which `Store` pulls back where they began, and keeps nothing for. Under a trace of JAX or ``torch.func``, which may
    make many beams of one unseen, it is `Reversible`.

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
