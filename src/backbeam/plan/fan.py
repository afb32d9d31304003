"""A plan on its way back with several cotangents at once: a Jacobian in one sweep.

There is one state, and a row of cotangents for each objective. A step undoes the state once and pulls the rows back
there: those of a small beam at once, as a batch of beams that are views of one, those of a large one after the other,
so that a pass has the memory of one. A row begins where its objective is: what lies behind that has no part in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from backbeam import backends
from backbeam.arrays import Array, namespace
from backbeam.plan.circulate import Circulate
from backbeam.plan.running import Plan, unroll
from backbeam.plan.state import Bars, Parameters, Setting, State, Values
from backbeam.plan.step import Step
from backbeam.plan.stretch import Stretch, stretches

SMALL = 2_000
"""Particles up to which a pass costs what its calls cost: then all rows are one."""


class Rows(NamedTuple):
    """Cotangents under way. A step puts what it makes of a row in the row's place, and so holds one of them twice."""

    each: list[Bars | None]
    """None: of nothing yet."""
    nothing: Bars
    """Zeros, with which a row begins."""


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

    def retreat(  # type: ignore[override]
        self, setting: Setting, state: State, P: Parameters, bars: Rows, unread: list[Any]
    ) -> tuple[State, Rows]:
        """Undo once, and pull all rows back there: with the first of them, or by itself where they are one pass."""
        each = bars.each
        first = next((k for k, row in enumerate(each) if row is not None), None)
        if first is None or self.step.readers or self._at_once(state, bars):
            before = self.step.undone(setting, state, P)
            return before, self.replay(setting, before, P, bars, unread)
        (part,) = stretches((self.step,))
        before, found = part.retreat(setting, state, P, taken(each, first), [])
        self.replay(setting, before, P, bars, unread)
        each[first] = found
        return before, bars

    def replay(  # type: ignore[override]
        self, setting: Setting, state: State, P: Parameters, bars: Rows, unread: list[Any]
    ) -> Rows:
        """All rows back, from the state before the step. A reading has a cotangent a row, None for none."""
        (part,) = stretches((self.step,))
        each = bars.each
        mine = [unread.pop() for _ in self.step.readers][::-1]
        active = [k for k, row in enumerate(each) if (mine[0][k] if mine else row) is not None]
        if len(active) > 1 and not mine and self._at_once(state, bars):
            rows: list[Any] = [each[k] for k in active]
            for k, found in zip(active, self._pulled(part, setting, state, P, rows), strict=True):
                each[k] = found
            return bars
        for k in active:
            row = bars.nothing if each[k] is None else taken(each, k)
            each[k] = part.replay(setting, state, P, row, [bar[k] for bar in mine])
            del row
        return bars

    def _at_once(self, state: State, bars: Rows) -> bool:
        """Whether rows are one pass: under a trace, whose size does not grow with them then, and for small beams."""
        backend = backends.of(state.X)
        is_small = state.X.shape[-1] <= SMALL and not backend.recompiles and not self.step.kicks
        return is_small or backend.traced([state.X, bars.nothing.X, *(row.X for row in bars.each if row is not None)])

    def _pulled(
        self, part: Step | Stretch, setting: Setting, state: State, P: Parameters, rows: list[Bars]
    ) -> list[Bars]:
        """Rows back in one pass, from the state before the step."""
        owners = [owner for owner in owners_of(part) if owner in rows[0].parameters]
        own = [row._replace(parameters={owner: row.parameters[owner] for owner in owners}) for row in rows]
        if self.step.kicks:
            backend = backends.of(state.X)

            def body(_: None, row: Bars) -> tuple[None, Bars]:
                return None, part.replay(setting, state, P, row, [])

            found = backend.one_by_one(backend.scan(body, None, backend.together(own), len(own))[1], len(own))
        else:
            found = rows_of(part.replay(setting, _spread(state, len(own)), Values(P), stacked(own), []))
        together = zip(rows, found, strict=True)
        return [one._replace(parameters={**row.parameters, **one.parameters}) for row, one in together]


def taken(each: list[Bars | None], k: int) -> Any:
    """A row, whose place is empty then."""
    row, each[k] = each[k], None
    return row


def owners_of(part: Any) -> tuple[str, ...]:
    """Whose parameters a step or a stretch takes."""
    steps = part.steps if isinstance(part, Stretch) else (part,)
    return tuple(dict.fromkeys(owner for step in steps for owner in step.owners))


def fanned(plan: Plan) -> Plan:
    """The plan without loops, each of its steps with several cotangents; turns stay turns."""

    def fan(step: Step) -> Step:
        return replace(step, steps=fanned(step.steps)) if isinstance(step, Circulate) else Fanned(step)

    return tuple(fan(step) for step in unroll(plan))


def rows_of(bars: Bars) -> list[Bars]:
    """Cotangents one by one."""

    def row(k: int) -> Bars:
        parameters = {n: {f: bar[k, ...] for f, bar in fields.items()} for n, fields in bars.parameters.items()}
        return Bars(bars.X[k, ...], bars.q[k, ...], bars.beta_gamma[k, ...], parameters)

    return [row(k) for k in range(bars.beta_gamma.shape[0])]


def stacked(rows: Sequence[Bars]) -> Bars:
    """Cotangents with an axis for them in front."""
    xp = namespace(rows[0].X)

    def stack(of: Callable[[Bars], Array]) -> Array:
        return xp.stack([of(row) for row in rows], axis=0)

    parameters = {
        name: {field: stack(lambda row, n=name, f=field: row.parameters[n][f]) for field in fields}  # type: ignore[misc]
        for name, fields in rows[0].parameters.items()
    }
    return Bars(stack(lambda r: r.X), stack(lambda r: r.q), stack(lambda r: r.beta_gamma), parameters)


def _spread(state: State, count: int) -> State:
    """So many beams that are views of one."""
    xp: Any = namespace(state.X)
    return State(*(xp.broadcast_to(part, (count, *part.shape)) for part in state))
