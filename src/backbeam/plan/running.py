"""Run a plan: forward, back with cotangents from the state after it, or back from a kept state before it."""

from __future__ import annotations

from backbeam import backends
from backbeam.arrays import Array
from backbeam.plan.calling import compiled, pull_back, take, take_back, with_own_bars
from backbeam.plan.steps import Bars, Observe, Parameters, Plan, Repeat, Setting, State, Step
from backbeam.plan.stretches import back, replayed, stretches, through


def unroll(plan: Plan) -> Plan:
    """A plan without loops."""
    flat: list[Step | Observe] = []
    for step in plan:
        flat += step.steps * step.count if isinstance(step, Repeat) else (step,)
    return tuple(flat)


def as_run(plan: Plan, state: State) -> Plan:
    """The plan as it is run: loops stay loops under a trace; otherwise each step is called by itself."""
    return plan if backends.of(state.X).traced([state.X]) else unroll(plan)


def advance(plan: Plan, setting: Setting, state: State, P: Parameters) -> tuple[State, tuple[Array, ...]]:
    """Take all steps forward. Returns the state after them and the readings taken on the way, in order."""
    readings: list[Array] = []
    for step in stretches(as_run(plan, state)):
        if isinstance(step, tuple):
            state = through(step, setting, state, P)
        elif isinstance(step, Observe):
            readings.append(step.read(state, setting))
        else:
            state = compiled(take, step, setting, state, P)
    return state, tuple(readings)


def retreat(
    plan: Plan, setting: Setting, state: State, P: Parameters, bars: Bars, readings_bar: tuple[Array, ...]
) -> tuple[State, Bars]:
    """Take all steps back, from the state after them, and pull the cotangents back on the way: nothing is stored."""
    unread = list(readings_bar)
    for step in reversed(stretches(as_run(plan, state))):
        if isinstance(step, tuple):
            state, bars = back(step, setting, state, P, bars)
        elif isinstance(step, Observe):
            bars = step.pullback(state, setting, bars, unread.pop())
        else:
            state, bars = with_own_bars(take_back, step, setting, state, P, bars)
    return state, bars


def replay(
    plan: Plan, setting: Setting, state: State, P: Parameters, bars: Bars, readings_bar: tuple[Array, ...]
) -> Bars:
    """Pull cotangents back through a few steps from the state *before* them; the states in between are kept meanwhile.

    The plan has no loops.
    """
    before: list[State] = []
    parts = stretches(plan)
    for k, step in enumerate(parts):
        before.append(state)
        if k + 1 == len(parts):
            break
        if isinstance(step, tuple):
            state = through(step, setting, state, P)
        elif not isinstance(step, Observe):
            state = compiled(take, step, setting, state, P)
    unread = list(readings_bar)
    for step in reversed(parts):
        state = before.pop()
        if isinstance(step, tuple):
            bars = replayed(step, setting, state, P, bars)
        elif isinstance(step, Observe):
            bars = step.pullback(state, setting, bars, unread.pop())
        else:
            bars = with_own_bars(pull_back, step, setting, state, P, bars)
    return bars
