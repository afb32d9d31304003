"""The measured coefficients: bytes by feature and kind of step, for each library, device and data type.

``python benchmarks/memory calibrate`` and ``times`` write ``coefficients.json``, ``tests/memory`` check it. For each
setup it has

``working``  adjoint -> kind of step -> forms, feature -> bytes, of which the largest counts: the most that a gradient
             holds at once besides what it keeps, where this kind of step is the largest
``lossy``    adjoint -> bytes each particle that it is more where particles may be lost
``tape``     kind of step -> feature -> bytes that a step leaves on the library's own tape; ``lossy``: more, as above
``time``     what a plan is made of -> adjoint -> time of a gradient over that of the tracking alone
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from backbeam import backends
from backbeam.errors import BackendError
from backbeam.plan import Merged

if TYPE_CHECKING:
    from backbeam.plan import Plan

FILE = "coefficients.json"

STANDS_IN = {"cupy": ("torch",)}
"""Whose numbers are taken where there are none: libraries that run the same plain array operations."""


@dataclass(frozen=True)
class Coefficients:
    """What is known of one setup."""

    setup: str
    """Library, device, data type, and whether loops are fused: what was measured."""
    wanted: str
    """The setup that was asked for; another one where that was never measured."""
    working: dict[str, dict[str, list[dict[str, float]]]]
    lossy: dict[str, float]
    tape: dict[str, dict[str, float]]
    time: dict[str, dict[str, float]]

    def times(self, plan: Plan) -> dict[str, float]:
        """Those of plans that are made of the same; an adjoint that was not measured there has that of kicks."""
        return {**self.time[KICKS], **self.time.get(made_of(plan), {})}

    @property
    def borrowed(self) -> bool:
        """Whether the numbers are those of another setup."""
        return self.setup != self.wanted


KICKS, MAPS, MATRIX = "kicks", "maps", "matrix"


def made_of(plan: Plan) -> str:
    """What the time of a plan goes into: kicks, or maps where there are none, or the matrix that all maps are one."""
    if any(step.kicks for step in plan):
        return KICKS
    moving = [step for step in plan if step.moves]
    return MATRIX if all(isinstance(step, Merged) for step in moving) and len(moving) < 2 else MAPS


def setup_name(backend: str, device: str, dtype: str) -> str:
    """Key of the table: ``numpy cpu float64 fused``."""
    place = "cpu" if device.startswith(("cpu", "traced")) else "gpu"
    fused = place == "cpu" and fuses(backend)
    return " ".join([backend, place, dtype, *(["fused"] if fused else [])])


def fuses(backend: str) -> bool:
    """Whether the adapter fuses loops here."""
    try:
        return backends.get(backend).fuses
    except BackendError:
        return False


def coefficients(backend: str, device: str, dtype: str) -> Coefficients:
    """Return what was measured for a setup; where it was not, for the nearest: `Coefficients.borrowed` says so.

    Raises
    ------
    BackendError
        If nothing near was measured.
    """
    wanted = setup_name(backend, device, dtype)
    known = load()
    place = wanted.split()[1]
    for name in (backend, *STANDS_IN.get(backend, ())):
        for where in (place, "cpu"):
            for fused in ("", " fused"):
                setup = wanted if wanted in known else f"{name} {where} {dtype}{fused}"
                if setup in known:
                    data = known[setup]
                    return Coefficients(
                        setup, wanted, data["working"], data["lossy"], data.get("tape", {}), data.get("time", {})
                    )
    raise BackendError(
        f"nothing is known of the memory of {wanted}; known: {', '.join(known)}; --measure measures it, and "
        "python benchmarks/memory --calibrate adds it"
    )


@cache
def load() -> dict[str, Any]:
    """The whole table."""
    return json.loads(files("backbeam.memory").joinpath(FILE).read_text(encoding="utf-8"))["setups"]
