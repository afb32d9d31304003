"""A plan on its way back with several cotangents at once: a Jacobian in one sweep.

The state has no axis for them; cotangents have one in front of all others. Each step undoes the state once, and pulls
all cotangents back there: at once, as a batch of beams that are views of one, or one after the other where a pass makes
fields, whose memory is then that of one. So m rows of a Jacobian take one way there, one way undone, and m pullbacks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from backbeam.arrays import Array, namespace
from backbeam.plan.circulate import Circulate
from backbeam.plan.running import Plan, unroll
from backbeam.plan.state import Bars, Parameters, Setting, State, Values
from backbeam.plan.step import Step
from backbeam.plan.stretch import stretches


@dataclass(frozen=True)
class Fanned(Step):
    """A step that takes several cotangents back."""

    step: Step

    @property
    def kicks(self) -> int:
        """Those of the step."""
        return self.step.kicks

    @property
    def readers(self) -> tuple[str, ...]:
        """Those of the step."""
        return self.step.readers

    @property
    def moves(self) -> bool:
        """Whether the step does."""
        return self.step.moves

    @property
    def loses(self) -> bool:
        """Whether the step does."""
        return self.step.loses

    @property
    def undoes(self) -> bool:
        """Whether the step does."""
        return self.step.undoes

    @property
    def width(self) -> int:
        """That of the step."""
        return self.step.width

    @property
    def losing(self) -> dict[int, tuple[str, str]]:
        """Those of the step."""
        return self.step.losing

    def split(self, kicks: int) -> tuple[Step, ...]:
        """The parts of the step."""
        return tuple(Fanned(part) for part in self.step.split(kicks))

    def advance(self, setting: Setting, state: State, P: Parameters, readings: list[Array]) -> State:
        """Forward, as the step does."""
        (part,) = stretches((self.step,))
        return part.advance(setting, state, P, readings)

    def retreat(
        self, setting: Setting, state: State, P: Parameters, bars: Bars, unread: list[Array]
    ) -> tuple[State, Bars]:
        """Undo once, and pull all cotangents back there."""
        before = self.step.undone(setting, state, P)
        return before, self.replay(setting, before, P, bars, unread)

    def replay(self, setting: Setting, state: State, P: Parameters, bars: Bars, unread: list[Array]) -> Bars:
        """All cotangents back, from the state before the step."""
        (part,) = stretches((self.step,))
        if not self.step.kicks:
            count = bars.beta_gamma.shape[0]
            return part.replay(setting, _spread(state, count), Values(P), bars, unread)
        owners = [owner for owner in self.step.owners if owner in bars.parameters]
        mine = bars._replace(parameters={owner: bars.parameters[owner] for owner in owners})
        rows = [part.replay(setting, state, P, row, []) for row in rows_of(mine)]
        found = stacked(rows)
        return found._replace(parameters={**bars.parameters, **found.parameters})


def fanned(plan: Plan) -> Plan:
    """The plan without loops, each of its steps with several cotangents; turns stay turns."""

    def fan(step: Step) -> Step:
        return replace(step, steps=fanned(step.steps)) if isinstance(step, Circulate) else Fanned(step)

    return tuple(fan(step) for step in unroll(plan))


def rows_of(bars: Bars) -> list[Bars]:
    """Cotangents one by one."""
    return [_each(bars, lambda bar, k=k: bar[k, ...]) for k in range(bars.beta_gamma.shape[0])]  # type: ignore[misc]


def stacked(rows: list[Bars]) -> Bars:
    """Cotangents with an axis for them in front."""
    xp, first = namespace(rows[0].X), rows[0]

    def stack(of: Callable[[Bars], Array]) -> Array:
        return xp.stack([of(row) for row in rows], axis=0)

    parameters = {
        name: {field: stack(lambda row, n=name, f=field: row.parameters[n][f]) for field in fields}  # type: ignore[misc]
        for name, fields in first.parameters.items()
    }
    return Bars(stack(lambda r: r.X), stack(lambda r: r.q), stack(lambda r: r.beta_gamma), parameters)


def _each(bars: Bars, change: Callable[[Array], Array]) -> Bars:
    parameters = {n: {f: change(bar) for f, bar in fields.items()} for n, fields in bars.parameters.items()}
    return Bars(change(bars.X), change(bars.q), change(bars.beta_gamma), parameters)


def _spread(state: State, count: int) -> State:
    """So many beams that are views of one."""
    xp: Any = namespace(state.X)
    return State(*(xp.broadcast_to(part, (count, *part.shape)) for part in state))
