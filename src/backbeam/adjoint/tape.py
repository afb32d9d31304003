"""The library's own automatic differentiation through plain forward code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from backbeam.adjoint.base import Adjoint, Working

if TYPE_CHECKING:
    from backbeam.plan import Plan


@dataclass(frozen=True)
class Tape(Adjoint):
    """Let PyTorch or JAX record every operation: none of our pullbacks is used.

    Costs all that the library keeps, some thousand bytes a particle and a kick. It is the independent witness of the
    other adjoints, and the way to forward mode (`jvp`) and to second derivatives.

    Examples
    --------
    >>> bb.Tape().name
    'tape'
    """

    taped: ClassVar[bool] = True
    place: ClassVar[int | None] = 4

    def working(self, plan: Plan) -> Working:
        """As measured."""
        return Working("tape")
