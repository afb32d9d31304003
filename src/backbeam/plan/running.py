"""Run a plan: forward, back with cotangents from the state after it, or back from a kept state before it."""

from __future__ import annotations

from collections.abc import Sequence

from backbeam import backends
from backbeam.arrays import Array
from backbeam.plan.state import Bars, Parameters, Setting, State
from backbeam.plan.step import Step
from backbeam.plan.stretch import stretches

Plan = tuple[Step, ...]


def unroll(plan: Sequence[Step]) -> Plan:
    """A plan without loops."""
    return tuple(inner for step in plan for inner in step.unrolled())


def as_run(plan: Plan, state: State) -> Plan:
    """The plan as it is run: loops stay loops under a trace; otherwise each step is called by itself."""
    return plan if backends.of(state.X).traced([state.X]) else unroll(plan)


def advance(plan: Plan, setting: Setting, state: State, P: Parameters) -> tuple[State, tuple[Array, ...]]:
    """Take all steps forward. Returns the state after them and the readings taken on the way, in order."""
    readings: list[Array] = []
    for step in stretches(as_run(plan, state)):
        state = step.advance(setting, state, P, readings)
    return state, tuple(readings)


def retreat(
    plan: Plan, setting: Setting, state: State, P: Parameters, bars: Bars, readings_bar: tuple[Array, ...]
) -> tuple[State, Bars]:
    """Take all steps back, from the state after them, and pull the cotangents back on the way: nothing is stored."""
    unread = list(readings_bar)
    for step in reversed(stretches(as_run(plan, state))):
        state, bars = step.retreat(setting, state, P, bars, unread)
    return state, bars


def replay(
    plan: Plan, setting: Setting, state: State, P: Parameters, bars: Bars, readings_bar: tuple[Array, ...]
) -> Bars:
    """Pull cotangents back through a few steps from the state *before* them; the states in between are kept meanwhile.

    The plan has no loops.
    """
    before: list[State] = [state]
    parts = stretches(plan)
    for step in parts[:-1]:
        before.append(step.advance(setting, before[-1], P, []))
    del state
    unread = list(readings_bar)
    for step in reversed(parts):
        bars = step.replay(setting, before.pop(), P, bars, unread)
    return bars


def count_kicks(plan: Plan) -> int:
    """Number of kicks in a plan."""
    return sum(step.kicks for step in plan)


def count_readings(plan: Plan) -> int:
    """Number of readings that a plan takes."""
    return sum(step.reads for step in plan)


def may_lose(plan: Plan) -> bool:
    """Whether particles may be lost in a plan."""
    return any(step.loses for step in plan)
