"""Call a function of a step, compiled where the library compiles, with the parameters of its own element alone.

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
from backbeam.plan.steps import Bars, Kick, Parameters, Repeat, Setting, State, Step


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


def own_parameters(step: Any, P: Parameters) -> dict[str, dict[str, Array]]:
    """Parameters of a step's element, under no name; the kick knows its own length alone."""
    _, element, fraction = anonymous(step)
    mine = P.get(element, {})
    return {"": {"length": fraction * mine["length"]} if isinstance(step, Kick) else mine}


def zero_own(own: dict[str, dict[str, Array]], bars: dict[str, dict[str, Array]], element: str) -> dict[str, Any]:
    """Cotangents of zero for `own_parameters`, of the shapes that the sums for that element have."""
    mine = bars.get(element, {})
    return {"": {name: namespace(bar).zeros_like(bar) for name, bar in mine.items() if name in own[""]}}


def add_own(
    bars: dict[str, dict[str, Array]], found: dict[str, dict[str, Array]], step: Any
) -> dict[str, dict[str, Array]]:
    """The sums with what was found for the `own_parameters` of a step."""
    _, element, fraction = anonymous(step)
    if element not in bars:
        return bars
    mine = bars[element]
    return {**bars, element: {**mine, **{name: mine[name] + fraction * bar for name, bar in found[""].items()}}}


def compiled(function: Callable[..., Any], step: Any, setting: Setting, state: State, P: Parameters) -> Any:
    """Call a function of an anonymous step."""
    backend = backends.of(state.X)
    with backend.quiet():
        return backend.compile(function, static=(0, 1))(anonymous(step)[0], setting, state, own_parameters(step, P))


def with_own_bars(
    function: Callable[..., Any], step: Any, setting: Setting, state: State, P: Parameters, bars: Bars, *more: Any
) -> Any:
    """`compiled` for functions that take and give cotangents: (..., bars) or bars alone."""
    bare, element, _ = anonymous(step)
    own = own_parameters(step, P)
    mine = bars._replace(parameters=zero_own(own, bars.parameters, element))
    backend = backends.of(state.X)
    with backend.quiet():
        found = backend.compile(function, static=(0, 1))(bare, setting, state, own, mine, *more)
    inner = found if isinstance(found, Bars) else found[-1]
    merged = inner._replace(parameters=add_own(bars.parameters, inner.parameters, step))
    return merged if isinstance(found, Bars) else (*found[:-1], merged)
