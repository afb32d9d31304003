"""Run a plan: forward, back with cotangents from the state after it, or back from a kept state before it.

Each step is compiled by itself, without the name of its element: steps that are alike share what was compiled for
them, all kicks do, and compile time does not grow with their number. Under a trace (inside the user's own jit) the
slices of an element are a compiled loop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

from backbeam import backends
from backbeam.arrays import Array, namespace
from backbeam.plan.steps import Bars, Kick, Observe, Parameters, Plan, Repeat, Setting, State, Step


def take(step: Step | Repeat, setting: Setting, state: State, P: Parameters) -> State:
    """One step forward."""
    if not isinstance(step, Repeat):
        return step.forward(state, P, setting)

    def body(inner: State, _: None) -> tuple[State, None]:
        for part in step.steps:
            inner = part.forward(inner, P, setting)
        return inner, None

    return backends.of(state.X).scan(body, state, None, step.count)[0]


def take_back(step: Step | Repeat, setting: Setting, state: State, P: Parameters, bars: Bars) -> tuple[State, Bars]:
    """One step back, from the state after it."""
    if not isinstance(step, Repeat):
        return step.reverse(state, P, setting, bars)

    def body(carry: tuple[State, Bars], _: None) -> tuple[tuple[State, Bars], None]:
        for part in reversed(step.steps):
            carry = part.reverse(carry[0], P, setting, carry[1])
        return carry, None

    return backends.of(state.X).scan(body, (state, bars), None, step.count)[0]


def pull_back(step: Step, setting: Setting, state: State, P: Parameters, bars: Bars) -> Bars:
    """Cotangents one step back, from the state before it."""
    return step.pullback(state, P, setting, bars)


@cache
def anonymous(step: Any) -> tuple[Any, str, float]:
    """Return the step without the name of its element and, of a kick, its fraction; then that name and fraction."""
    if isinstance(step, Repeat):
        return Repeat(tuple(replace(s, element="") for s in step.steps), step.count), step.steps[0].element, 1.0
    if isinstance(step, Kick):
        return Kick("", 1.0), step.element, step.fraction
    return replace(step, element=""), step.element, 1.0


def _own(step: Any, element: str, fraction: float, P: Parameters) -> dict[str, dict[str, Array]]:
    """Parameters of a step's element; the kick knows its own length alone."""
    mine = P.get(element, {})
    return {"": {"length": fraction * mine["length"]} if isinstance(step, Kick) else mine}


def compiled(function: Callable[..., Any], step: Any, setting: Setting, state: State, P: Parameters) -> Any:
    """Call a function of an anonymous step with the parameters of its element alone."""
    bare, element, fraction = anonymous(step)
    backend = backends.of(state.X)
    with backend.quiet():
        return backend.compile(function, static=(0, 1))(bare, setting, state, _own(step, element, fraction, P))


def with_own_bars(
    function: Callable[..., Any], step: Any, setting: Setting, state: State, P: Parameters, bars: Bars, *more: Any
) -> Any:
    """`compiled` for functions that take and give cotangents: (..., bars) or bars alone."""
    bare, element, fraction = anonymous(step)
    own = _own(step, element, fraction, P)
    mine = bars.parameters.get(element, {})
    zero = {"": {n: namespace(b).zeros_like(b) for n, b in mine.items() if n in own[""]}}
    backend = backends.of(state.X)
    with backend.quiet():
        run = backend.compile(function, static=(0, 1))
        found = run(bare, setting, state, own, bars._replace(parameters=zero), *more)
    inner = found if isinstance(found, Bars) else found[-1]
    added = {n: mine[n] + fraction * bar for n, bar in inner.parameters[""].items()}
    merged = inner._replace(parameters={**bars.parameters, element: {**mine, **added}} if mine else bars.parameters)
    return merged if isinstance(found, Bars) else (*found[:-1], merged)


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
    for step in as_run(plan, state):
        if isinstance(step, Observe):
            readings.append(step.read(state, setting))
        else:
            state = compiled(take, step, setting, state, P)
    return state, tuple(readings)


def retreat(
    plan: Plan, setting: Setting, state: State, P: Parameters, bars: Bars, readings_bar: tuple[Array, ...]
) -> tuple[State, Bars]:
    """Take all steps back, from the state after them, and pull the cotangents back on the way: nothing is stored."""
    unread = list(readings_bar)
    for step in reversed(as_run(plan, state)):
        if isinstance(step, Observe):
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
    for k, step in enumerate(plan):
        before.append(state)
        if k + 1 < len(plan) and not isinstance(step, Observe):
            state = compiled(take, step, setting, state, P)
    unread = list(readings_bar)
    for step in reversed(plan):
        state = before.pop()
        if isinstance(step, Observe):
            bars = step.pullback(state, setting, bars, unread.pop())
        else:
            bars = with_own_bars(pull_back, step, setting, state, P, bars)
    return bars
