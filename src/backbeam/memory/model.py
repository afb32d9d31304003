"""The peak memory of a gradient, of every adjoint, before anything runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backbeam.adjoint import Adjoint, planned
from backbeam.adjoint.base import state_bytes
from backbeam.errors import BackendError
from backbeam.memory.features import Features, features, weigh
from backbeam.memory.table import Coefficients, coefficients
from backbeam.plan import Plan, Setting, Step, count_kicks, unroll

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backbeam.run import Run
    from backbeam_backends.meters import Meter

OF_MAP = "Map"
"""Coefficients of a map that was not measured by itself: the largest of those that were."""


@dataclass(frozen=True)
class Needs:
    """What a gradient by one adjoint needs."""

    adjoint: Adjoint
    particles: int
    """Of all beams of the batch."""
    cells: int
    """Of the grids of all beams of the batch; 0 without."""
    kicks: int
    kept_bytes: float
    """What is kept for the way back; of a tape all that the library records."""
    working_bytes: float
    """The most that is held besides at once."""
    bytes_per_particle_per_kick: float
    """What is kept, by particle and kick (by particle alone where there is no kick)."""
    bytes_per_cell_per_kick: float
    bytes_per_particle_working: float
    """Part of the working set that grows with the number of particles."""
    bytes_per_cell_working: float
    relative_time: float
    """About the time of the gradient over that of the tracking alone."""

    @property
    def predicted_peak_bytes(self) -> int:
        """The most bytes of arrays at once, beyond those before."""
        return round(self.kept_bytes + self.working_bytes)


@dataclass(frozen=True, eq=False)
class Model:
    """The memory of gradients through one plan of one beam."""

    coefficients: Coefficients
    plan: Plan
    """Without loops."""
    setting: Setting
    n: int
    batch: int
    dtype: str
    records: bool
    """Whether the library has a tape."""
    host: Meter | None = None
    """The meter of the adapter, where the processor does the work."""

    @classmethod
    def of(cls, run: Run, plan: Plan) -> Model:
        """The model of a run; `BackendError` where nothing is known of its library."""
        beam, backend = run.beam, run.backend
        known = coefficients(backend.name, beam.device, beam.dtype)
        return cls(
            coefficients=known,
            plan=unroll(plan),
            setting=run.setting(plan),
            n=beam.n,
            batch=math.prod(run.batch),
            dtype=beam.dtype,
            records=backend.has_autodiff and bool(known.tape),
            host=backend.meter if beam.device.startswith("cpu") else None,
        )

    @property
    def kicks(self) -> int:
        """Number of kicks."""
        return count_kicks(self.plan)

    @property
    def times(self) -> dict[str, float]:
        """Time over that of the tracking, by adjoint, for what the plan is made of."""
        return self.coefficients.times(self.plan)

    def adjoints(self) -> tuple[Adjoint, ...]:
        """All adjoints that the library can do, with their default settings."""
        return tuple(adjoint for adjoint in planned() if self.records or not adjoint.taped)

    def needs(self, adjoint: Adjoint) -> Needs:
        """What a gradient by that adjoint needs; `BackendError` for a tape of which nothing is known."""
        if adjoint.taped and not self.records:
            raise BackendError("nothing is known of the tape of this library, or it has none")
        particles, kicks = self.batch * self.n, self.kicks
        working, of_kind, sizes = self._working(adjoint)
        if adjoint.taped:
            kept, by_particle, by_cell = tape_totals(
                self.plan, self.setting.masked, self.n, self.batch, self.dtype, self.coefficients.tape
            )
        else:
            by_particle = adjoint.kept_bytes(self.plan, self.dtype, self.setting.masked)
            kept, by_cell = float(by_particle * particles), 0.0
        return Needs(
            adjoint=adjoint,
            particles=particles,
            cells=self._cells,
            kicks=kicks,
            kept_bytes=kept,
            working_bytes=working,
            bytes_per_particle_per_kick=by_particle / max(kicks, 1),
            bytes_per_cell_per_kick=by_cell / max(kicks, 1),
            bytes_per_particle_working=_by_particle(of_kind, sizes) / max(particles, 1),
            bytes_per_cell_working=of_kind.get("cell", 0.0),
            relative_time=adjoint.relative_time(self.plan, self.times),
        )

    @property
    def _cells(self) -> int:
        """Nodes of the grids of all beams."""
        kicks = [step for _, step, _ in kinds(self.plan) if step.kicks]
        return int(max((features(s, self.n, self.batch).get("cell", 0.0) for s in kicks), default=0.0))

    def _working(self, adjoint: Adjoint) -> tuple[float, dict[str, float], Features]:
        """Bytes of the working set, the coefficients that make it so large, and what they count."""
        working, of_adjoint = self.coefficients.working, adjoint.working(self.plan)
        measured = working[of_adjoint.measured_as]
        host = None if adjoint.taped else self.host  # what a library records it does in whole arrays
        largest: tuple[float, dict[str, float], Features] = (0.0, {}, {})
        on_kicks = of_adjoint.states * self.state_bytes
        more = float(on_kicks)
        if of_adjoint.maps and "replayed" in working["store"]:
            (each,) = working["store"]["replayed"]
            more += weigh(each, {"particle": self.batch * self.n * of_adjoint.maps})
        for name, step, _ in kinds(self.plan):
            sizes = features(step, self.n, self.batch, host)
            for form in found_for(measured, name, step, self.dtype, []):
                total = weigh(form, sizes) + (on_kicks * ("whole" not in sizes) if step.kicks else more)
                if total > largest[0]:
                    largest = total, form, sizes
        lossy = self.coefficients.lossy.get(of_adjoint.measured_as, 0.0) if self.setting.masked else 0.0
        return largest[0] + lossy * self.batch * self.n, *largest[1:]

    @property
    def state_bytes(self) -> int:
        """Bytes of one kept state of the whole batch."""
        return self.batch * self.n * state_bytes(self.dtype)


def kinds(plan: Plan) -> Iterator[tuple[str, Step, int]]:
    """Kind, one step, and number of the steps that are alike."""
    counted: dict[Any, tuple[Step, int]] = {}
    for step, times in (found for outer in plan for found in outer.inner()):
        alike = step.alike
        first, count = counted.get(alike, (step, 0))
        counted[alike] = first, count + times
    for step, count in counted.values():
        yield step.kind, step, count


def found_for(measured: dict[str, Any], name: str, step: Any, dtype: str, nothing: Any) -> Any:
    """Coefficients of a kind of step: those of the worst map for a map that was not measured, an effect's own words.

    They are one form for a tape, and several, of which the largest counts, elsewhere: so is ``nothing``.
    """
    if name in measured:
        return measured[name]
    if step.kicks:
        numbers = step.effect.numbers
        if numbers is None:
            raise BackendError(f"nothing is known of the memory of {name} here; --measure measures it")
        form = {"particle": numbers * {"float64": 8, "float32": 4}[dtype]}
        return [form] if isinstance(nothing, list) else form
    return measured[OF_MAP] if step.moves else nothing


def tape_totals(
    plan: Plan, masked: bool, n: int, batch: int, dtype: str, measured: dict[str, dict[str, float]]
) -> tuple[float, float, float]:
    """Bytes on the library's tape in all, by particle, and by cell."""
    total = by_particle = by_cell = 0.0
    for name, step, count in kinds(plan):
        sizes, known = features(step, n, batch), found_for(measured, name, step, dtype, {})
        lossy = measured["lossy"]["kick" if step.kicks else "map"] if masked and step.moves else 0.0
        total += count * (weigh(known, sizes) + lossy * sizes["particle"])
        by_particle += count * (_by_particle(known, sizes) / max(sizes["particle"], 1.0) + lossy)
        by_cell += count * known.get("cell", 0.0)
    return total, by_particle, by_cell


def _by_particle(known: dict[str, float], sizes: Features) -> float:
    """Bytes of the features that count particles."""
    return sum(known.get(name, 0.0) * sizes.get(name, 0.0) for name in ("particle", "whole", "wave", "substep"))
