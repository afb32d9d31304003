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
def owners(step: Any) -> tuple[str, ...]:
    """Whose parameters a step takes: its element, an effect, elements that the effect looks at."""
    if isinstance(step, Repeat):
        return tuple(dict.fromkeys(owner for part in step.steps for owner in owners(part)))
    if isinstance(step, Kick):
        return tuple(dict.fromkeys(owner for _, terms in step.needs for owner, _, _ in terms))
    return (step.element,)


@cache
def anonymous(step: Any) -> Any:
    """The step with numbers in the place of its owners; a kick alone takes each sum of its terms as one value."""
    if isinstance(step, Kick):
        return replace(step, element="", needs=tuple((name, (("", name, 1.0),)) for name, _ in step.needs))
    return renamed(step, {owner: str(k) for k, owner in enumerate(owners(step))})


def renamed(step: Any, names: dict[str, str]) -> Any:
    """A step whose owners are called otherwise."""
    if isinstance(step, Repeat):
        return Repeat(tuple(renamed(part, names) for part in step.steps), step.count)
    if isinstance(step, Kick):
        needs = ((name, tuple((names[o], f, factor) for o, f, factor in terms)) for name, terms in step.needs)
        return replace(step, element="", needs=tuple(needs))
    return replace(step, element=names[step.element])


def own_parameters(step: Any, P: Parameters) -> dict[str, dict[str, Array]]:
    """What the anonymous step finds its parameters in."""
    if isinstance(step, Kick):
        return {"": step.given(P)}
    return {str(k): P.get(owner, {}) for k, owner in enumerate(owners(step))}


def zero_own(own: dict[str, dict[str, Array]], bars: dict[str, dict[str, Array]], step: Any) -> dict[str, Any]:
    """Cotangents of zero for `own_parameters`, of the shapes that the sums for their owners have."""
    if isinstance(step, Kick):
        first = {name: terms[0] for name, terms in step.needs}
        return {"": {name: _zero(bars[owner][field]) for name, (owner, field, _) in first.items() if owner in bars}}
    return {
        str(k): {name: _zero(bar) for name, bar in bars.get(owner, {}).items() if name in own[str(k)]}
        for k, owner in enumerate(owners(step))
    }


def _zero(bar: Array) -> Array:
    return namespace(bar).zeros_like(bar)


def add_own(
    bars: dict[str, dict[str, Array]], found: dict[str, dict[str, Array]], step: Any
) -> dict[str, dict[str, Array]]:
    """The sums with what was found for the `own_parameters` of a step."""
    if isinstance(step, Kick):
        return step.shared(bars, found[""])
    for k, owner in enumerate(owners(step)):
        if owner in bars:
            mine = bars[owner]
            bars = {**bars, owner: {**mine, **{name: mine[name] + bar for name, bar in found[str(k)].items()}}}
    return bars


def compiled(function: Callable[..., Any], step: Any, setting: Setting, state: State, P: Parameters) -> Any:
    """Call a function of an anonymous step."""
    backend = backends.of(state.X)
    with backend.quiet():
        return backend.compile(function, static=(0, 1))(anonymous(step), setting, state, own_parameters(step, P))


def with_own_bars(
    function: Callable[..., Any], step: Any, setting: Setting, state: State, P: Parameters, bars: Bars, *more: Any
) -> Any:
    """`compiled` for functions that take and give cotangents: (..., bars) or bars alone."""
    own = own_parameters(step, P)
    mine = bars._replace(parameters=zero_own(own, bars.parameters, step))
    backend = backends.of(state.X)
    with backend.quiet():
        found = backend.compile(function, static=(0, 1))(anonymous(step), setting, state, own, mine, *more)
    inner = found if isinstance(found, Bars) else found[-1]
    merged = inner._replace(parameters=add_own(bars.parameters, inner.parameters, step))
    return merged if isinstance(found, Bars) else (*found[:-1], merged)
