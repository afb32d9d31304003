"""What an objective says of what came out of a line: its value, and the cotangents with which the way back begins.

An objective pulls back by itself, gives cotangents beside its value, or is differentiated by the array library.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from backbeam import backends
from backbeam.arrays import Array, namespace
from backbeam.beam import Beam
from backbeam.distributions.inputs import dtype_of
from backbeam.errors import BackendError, InputError, Said
from backbeam.plan import Plan, State
from backbeam.plan.step import zero
from backbeam.run import Run, observers, readings_by_name

BeamFunction = Callable[[Beam], Any]
"""An observable with a pullback; or any function of a beam: in PyTorch and JAX it gives a number, anywhere it may give
``(value, cotangent)``, the cotangent being of the coordinates, or a dict of some of the fields of `FinalBars`."""


class FinalBars(NamedTuple):
    """Cotangents of what comes out of a line."""

    coordinates: Array
    charges: Array
    beta_gamma: Array
    readings: dict[str, Array]
    """By name of the monitor or screen; a list where the element is passed several times."""
    s: Array | float = 0.0
    """Of the path length, which the lengths of the line make."""


def pull_objective(
    objective: BeamFunction, run: Run, plan: Plan, final: Beam, last: State, readings: tuple[Array, ...]
) -> tuple[Array, FinalBars]:
    """Value of an objective and the cotangents of what came out of the line, for a cotangent of 1."""
    xp = namespace(last.X)
    if hasattr(objective, "pullback"):
        value = objective(final)
        bars = objective.pullback(final, xp.ones_like(value))
        found = {"coordinates": bars.coordinates, "charges": bars.charges, "beta_gamma": bars.beta_gamma}
        found |= {"readings": getattr(bars, "readings", {}), "s": getattr(bars, "s", None)}
        return checked_value(value, run), _filled(last, found)
    if not callable(objective):
        raise InputError("objective", objective, "an observable, or a function of a beam")
    if not run.backend.has_autodiff:
        result = objective(final)
        if not isinstance(result, tuple) or len(result) != 2:
            allowed = f"on {run.backend.name}: an observable, or a function that gives (value, cotangent)"
            raise InputError("objective", objective, allowed)
        return checked_value(result[0], run), _filled(last, result[1])
    given: dict[str, Any] = {}

    def function(X: Array, q: Array, beta_gamma: Array, s: Array, *seen: Array) -> Array:
        state = State(X, q, beta_gamma, last.lost_at)
        result = objective(run.result(state, plan, seen, s))
        if isinstance(result, tuple):
            given["cotangent"] = result[1]
            result = result[0]
        return checked_value(result, run)

    s = xp.broadcast_to(xp.asarray(final.s, dtype=last.beta_gamma.dtype), last.beta_gamma.shape)
    value, pull = run.backend.pull(function, [last.X, last.q, last.beta_gamma, s, *readings])
    if "cotangent" in given:
        return value, _filled(last, given["cotangent"])
    X_bar, q_bar, beta_gamma_bar, s_bar, *seen_bar = pull(xp.ones_like(value))
    return value, FinalBars(X_bar, q_bar, beta_gamma_bar, readings_by_name(plan, tuple(seen_bar)), s_bar)


def checked_value(value: Any, run: Run) -> Any:
    """The value of an objective, if it is a number for each setting of the batch."""
    shape = getattr(value, "shape", None)
    if shape is None:
        if isinstance(value, int | float):
            value, shape = run.backend.asarray(value, dtype=run.beam.dtype), ()
        else:
            raise InputError("objective", Said(f"a value that is {type(value).__name__}"), "a real number")
    if tuple(shape) != run.batch:
        allowed = f"one number for each setting, shape {run.batch}; derivatives of several make a Jacobian"
        raise InputError("objective", Said(f"a value of shape {tuple(shape)}"), allowed)
    if "complex" in str(value.dtype):
        raise InputError("objective", Said("a complex value"), "a real number")
    return value


def _filled(last: State, given: Any) -> FinalBars:
    """The cotangents that were given, zeros for the rest."""
    if isinstance(given, Mapping):
        unknown = set(given) - set(FinalBars._fields)
        if unknown:
            raise InputError("objective", sorted(unknown), f"cotangents of {', '.join(FinalBars._fields)}")
    else:
        given = {"coordinates": given}
    batch = last.beta_gamma.ndim
    found = {}
    for name, like in (("coordinates", last.X), ("charges", last.q), ("beta_gamma", last.beta_gamma)):
        bar = given.get(name)
        found[name] = zero(like) if bar is None else _cotangent(bar, like, like.ndim - batch, name)
    s = given.get("s")
    if s is not None and not (isinstance(s, float) and s == 0.0):
        found["s"] = _cotangent(s, last.beta_gamma, 0, "s")
    if not backends.of(last.X).traced(list(found.values())):
        for name, good in zip(found, _are_finite(*found.values()), strict=True):
            if not bool(good):
                raise InputError(f"objective: cotangent of {name}", Said("not finite"), "finite numbers")
    return FinalBars(**found, readings=given.get("readings") or {})


@backends.as_one
def _are_finite(*bars: Array) -> tuple[Array, ...]:
    return tuple(namespace(bar).all(namespace(bar).isfinite(bar)) for bar in bars)


def _cotangent(given: Any, like: Array, own: int, name: str) -> Array:
    """A cotangent of the shape of its primal, whose last ``own`` axes it must have; leading ones may be left out."""
    xp, backend = namespace(like), backends.of(like)
    allowed = f"real finite numbers of shape {tuple(like.shape)}"
    try:
        kind = backends.of(given)
        if kind is not backend:
            given = kind.to_numpy(given)
        bar = backend.asarray(given, dtype=dtype_of(like)) if "complex" not in str(given.dtype) else None
    except (TypeError, ValueError, BackendError):
        bar = None
    core = tuple(like.shape[like.ndim - own :])
    if bar is None or tuple(bar.shape[bar.ndim - own :]) != core or bar.ndim < own:
        shown = f"one of {given.dtype}, shape {tuple(given.shape)}" if hasattr(given, "shape") else repr(given)[:60]
        raise InputError(f"objective: cotangent of {name}", Said(shown), allowed)
    try:
        return xp.broadcast_to(bar, like.shape)
    except (ValueError, RuntimeError):
        shown = f"one of shape {tuple(bar.shape)}"
        raise InputError(f"objective: cotangent of {name}", Said(shown), allowed) from None


def in_order(bars: Mapping[str, Any], plan: Plan, readings: tuple[Array, ...], batch: int) -> tuple[Array, ...]:
    """Cotangents of the readings in the order in which they were taken; zeros where there is none.

    ``batch`` is the number of axes in front of a reading's own.
    """
    names = observers(plan)
    given = {name: list(bar) if isinstance(bar, list | tuple) else [bar] for name, bar in bars.items()}
    counts = Counter(names)
    for name, mine in given.items():
        if name not in counts:
            known = ", ".join(dict.fromkeys(names)) or "there are none in this line"
            raise InputError("objective: cotangent of a reading", name, f"one of the readings: {known}")
        if len(mine) != counts[name]:
            allowed = f"{counts[name]}, a list with one for each passage"
            raise InputError(f"objective: cotangents of {name}", len(mine), allowed)
    waiting = {name: iter(mine) for name, mine in given.items()}
    ordered = []
    for name, reading in zip(names, readings, strict=True):
        bar = next(waiting[name]) if name in waiting else None
        if bar is None:
            ordered.append(namespace(reading).zeros_like(reading))
        else:
            ordered.append(_cotangent(bar, reading, reading.ndim - batch, name))
    return tuple(ordered)
