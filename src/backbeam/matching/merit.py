"""A merit function: what is asked of a line as a function of a vector of numbers, as optimisers call it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from backbeam import backends
from backbeam.adjoint import Checkpoint
from backbeam.arrays import Array, namespace
from backbeam.errors import InputError, TrackingError
from backbeam.line import Line
from backbeam.matching.goals import Derivatives, Goals, total
from backbeam.matching.retreat import Good
from backbeam.matching.stage import Stage
from backbeam.matching.variables import Variables
from backbeam.observables import Target


class Pass(NamedTuple):
    """What is known of a point."""

    x: np.ndarray
    values: np.ndarray
    """Of every objective and setting ``(m, ...)``, in their own units."""
    slopes: np.ndarray | None
    """By x, ``(m, ..., n)``; None: not known."""


class Merit:
    """What is asked of a line as a function of a vector x. `backbeam.function` makes one.

    x is float64[n], in the order of ``names``, or a mapping of these to numbers; or ``(k, n)``, which is tracked as one
    batch, and all results have k in front. The last point is remembered: value and gradient, asked for one after the
    other, are one pass.

    A point that cannot be tracked is bad, not an error: its residuals are inf; its value is inf where nobody asks for
    gradients, and else larger than that of the last good point, with a slope that leads back there.

    Attributes
    ----------
    names:
        Of the free variables.
    scale:
        float64[n]: x is the variables over it.
    unit:
        float64[m]: what f(x) and the residuals are multiples of.
    x0:
        float64[n]: where the variables start.
    passes, gradients:
        How often the line was tracked, and how often there and back.
    """

    def __init__(self, goals: Goals, stage: Stage, variables: Variables, adjoint: Any, scaled: bool) -> None:
        self.goals, self.variables, self.adjoint = goals, variables, adjoint
        self.stage = stage.with_present(variables.all_names)
        self.names = variables.names
        self.scale = np.asarray([v.scale if scaled else 1.0 for v in variables.free])
        self.x0 = np.asarray([v.start for v in variables.free]) / self.scale
        self.passes = self.gradients = 0
        self.unit = np.ones(len(goals.objectives))
        self._steep = True
        """Whether a pass goes back too: somebody asks for gradients."""
        self._last = first = self._pass(self.x0)
        if not np.isfinite(first.values).all():
            raise TrackingError(f"at the start what is asked for is {first.values.ravel()[:5].tolist()}")
        if scaled:
            self.unit = _units(first, goals)
        self._settings = first.values.ndim - 1
        self._good = Good(self.x0, self._total(first.values), self._gradient(first))
        self._bad = np.full_like(self.x0, np.nan)
        """The last point that could not be tracked."""
        self._steep = False
        self.listeners: list[Callable[[np.ndarray, np.ndarray | None], None]] = []
        """Told of every point that was tried, x and its residuals; None where it could not be tracked."""

    # -- x ------------------------------------------------------------------------------------------------------------

    @cached_property
    def bounds(self) -> Any:
        """Bounds of x, a `scipy.optimize.Bounds`, which all its optimisers take."""
        from scipy.optimize import Bounds

        low, high = (np.asarray([getattr(v, end) for v in self.variables.free]) for end in ("low", "high"))
        return Bounds(low / self.scale, high / self.scale)

    def values(self, x: Any) -> dict[str, Any]:
        """Value of every parameter that changes, those that are tied too, in its own unit."""
        x = self._point(x)
        found = self._values(x)
        if isinstance(x, np.ndarray) and x.ndim == 1:
            return {name: float(value) if not np.ndim(value) else value for name, value in found.items()}
        xp = namespace(x)
        return {n: xp.reshape(v, x.shape[:-1]) if math.prod(v.shape) == len(x) else v for n, v in found.items()}

    def _values(self, x: Array) -> dict[str, Any]:
        """Those of a point; of a batch of points with axes for the settings of line and beam behind it."""
        xp, rows = namespace(x), [x[..., k] * float(scale) for k, scale in enumerate(self.scale)]
        if x.ndim == 2:
            rows = [xp.reshape(row, (x.shape[0], *[1] * self._settings)) for row in rows]
        return self.variables.values(rows)

    def unpack(self, x: Any) -> tuple[Line, Any]:
        """The line and the beam of a point."""
        stage = self.stage_at(self._point(x))
        return stage.course.line, stage.beam.given

    def _point(self, x: Any, host: bool = False) -> Array:
        """x as an array ``(..., n)``: of PyTorch and JAX as it is, unless it is to be on the host, else NumPy's."""
        if isinstance(x, Mapping):
            x = self._in_order(x)
        native = hasattr(x, "shape") and not isinstance(x, np.ndarray | np.generic)
        if not native or host:
            try:
                x = np.array(backends.of(x).to_numpy(x) if native else x, dtype=np.float64)
            except (TypeError, ValueError):
                raise InputError("x", x, f"{len(self.names)} numbers") from None
            if not native and not np.isfinite(x).all():
                raise InputError("x", x, "finite numbers")
        if x.ndim not in (1, 2) or x.shape[-1] != len(self.names):
            allowed = f"shape ({len(self.names)},) or (k, {len(self.names)}): {', '.join(self.names)}"
            raise InputError("x", f"an array of shape {tuple(x.shape)}", allowed)
        return x

    def _in_order(self, x: Mapping[str, Any]) -> np.ndarray:
        """A point by names, numbers or arrays ``(k,)``, as an array ``(..., n)``."""
        if set(x) != set(self.names):
            raise InputError("x", sorted(map(str, x)), f"a number for each of {', '.join(self.names)}")
        return np.stack(np.broadcast_arrays(*(np.asarray(x[name]) for name in self.names)), axis=-1)

    def stage_at(self, x: Array) -> Stage:
        """The stage of a point; axes for the settings of line and beam stand behind that of a batch."""
        stage, values = self.stage, self._values(x)
        if not isinstance(x, np.ndarray) and backends.of(x) is not stage.library:
            stage = stage.beside(x)
        if isinstance(x, np.ndarray) and x.ndim == 1:
            values = {name: value if np.ndim(value) else float(value) for name, value in values.items()}
        return stage.replace(values)

    # -- what optimisers call -----------------------------------------------------------------------------------------

    def __call__(self, x: Any) -> Any:
        """Value; of an array of PyTorch or JAX one of theirs, which they can differentiate."""
        x = self._point(x)
        if not isinstance(x, np.ndarray):
            return self._total(self.goals.values(self.stage_at(x)), x.ndim - 1)
        if x.ndim == 2:
            return np.asarray([self._total(found.values) for found in self._batch(x)])
        found = self._tried(x)
        if found is not None:
            return self._total(found.values)
        return self._good.beyond(x)[0] if self._steep else float("inf")

    def value_and_grad(self, x: Any) -> tuple[Any, np.ndarray]:
        """Value, and its gradient float64[n]."""
        x, self._steep = self._point(x, host=True), True
        if x.ndim == 2:
            each = [(self._total(found.values), self._gradient(found)) for found in self._batch(x)]
            return np.asarray([value for value, _ in each]), np.stack([gradient for _, gradient in each])
        found = self._tried(x)
        if found is None:
            return self._good.beyond(x)
        return self._total(found.values), self._gradient(found)

    def gradient(self, x: Any) -> np.ndarray:
        """The gradient alone, float64[n]."""
        return self.value_and_grad(x)[1]

    def residuals(self, x: Any) -> Any:
        """Residual of each target, or each objective over its unit, float64[m]; those of settings follow each other."""
        x = self._point(x)
        if not isinstance(x, np.ndarray):
            each, xp = self._residuals(self.goals.values(self.stage_at(x))), namespace(x)
            return xp.concat([xp.reshape(one, (*x.shape[:-1], -1)) for one in each], axis=-1)
        if x.ndim == 2:
            return np.stack([self._flat(found) for found in self._batch(x)])
        found = self._tried(x)
        return np.full(self._last.values.size, np.inf) if found is None else self._flat(found)

    def jacobian(self, x: Any) -> np.ndarray:
        """Derivative of the residuals, float64[m, n]; of a point that cannot be tracked, NaN."""
        x, self._steep = self._point(x, host=True), True
        if x.ndim == 2:
            return np.stack([self._jacobian(found) for found in self._batch(x)])
        found = self._tried(x)
        return np.full((self._last.values.size, len(self.names)), np.nan) if found is None else self._jacobian(found)

    # -- from values to what is asked for -----------------------------------------------------------------------------

    def _residuals(self, values: Any) -> list[Any]:
        """Residual of each objective from its value ``(...)``."""
        return [value / unit for value, unit in zip(values, self.unit.tolist(), strict=True)]

    def _flat(self, found: Pass) -> np.ndarray:
        return np.stack(self._residuals(found.values)).reshape(-1)

    def _jacobian(self, found: Pass) -> np.ndarray:
        assert found.slopes is not None
        per_unit = found.slopes / self.unit.reshape((-1, *[1] * (found.slopes.ndim - 1)))
        return per_unit.reshape((-1, len(self.names)))

    def _total(self, values: Any, batch: int = 0) -> Any:
        """The one number."""
        found = total(self._residuals(values), self.goals.single, batch)
        return float(found) if isinstance(found, np.ndarray | np.generic) else found

    def _gradient(self, found: Pass) -> np.ndarray:
        """Of `_total`, by x."""
        rows = self._jacobian(found)
        return rows.mean(axis=0) if self.goals.single else 2.0 * self._flat(found) @ rows

    # -- passes -------------------------------------------------------------------------------------------------------

    def _tried(self, x: np.ndarray) -> Pass | None:
        """What is known of a point; None: it cannot be tracked."""
        if np.array_equal(self._last.x, x) and not (self._steep and self._last.slopes is None):
            return self._last
        if np.array_equal(self._bad, x):
            return None
        last: Pass | None
        try:
            last = self._pass(x)
        except (InputError, TrackingError):  # it could be tracked at the start: the values are what is wrong
            last = None
        if last is None or not all(np.isfinite(part).all() for part in last if part is not None):
            self._bad, last = x.copy(), None
        else:
            self._last = last
            if last.slopes is not None:
                self._good = Good(last.x, self._total(last.values), self._gradient(last))
        for listener in self.listeners:
            listener(x, None if last is None else self._flat(last))
        return last

    def _pass(self, x: np.ndarray) -> Pass:
        """Track a point, or a batch ``(k, n)`` of them: values ``(m, k, ...)``."""
        stage = self.stage_at(x)
        self.passes += 1
        if not self._steep:
            values = [on_host(value) for value in self.goals.values(stage)]
            return Pass(x.copy(), np.stack(np.broadcast_arrays(*values)), None)
        self.gradients += 1
        names = self.variables.all_names
        pairs = self._derivatives(stage, names)
        at = {name: on_host(value) for name, value in self._values(x).items()}
        each = []
        for value, by_name in pairs:
            own = on_host(value)
            bars = {name: np.broadcast_to(on_host(by_name[name]), own.shape) for name in names}
            free = self.variables.pull_back(at, bars)
            each.append((own, np.stack(free, axis=-1) * self.scale))
        shape = np.broadcast_shapes(*(own.shape for own, _ in each))
        steep = np.stack([np.broadcast_to(slope, (*shape, len(self.names))) for _, slope in each])
        return Pass(x.copy(), np.stack([np.broadcast_to(own, shape) for own, _ in each]), steep)

    def _derivatives(self, stage: Stage, names: Sequence[str]) -> list[Derivatives]:
        """Of all objectives. Where a beam is too large to be brought back to where it was, by states that are kept."""
        try:
            return self.goals.derivatives(stage, names, self.adjoint)
        except TrackingError:
            if self.adjoint is not None:
                raise
            self.goals.values(stage)  # raises where the way there is what is wrong
            return self.goals.derivatives(stage, names, Checkpoint())

    def _batch(self, x: np.ndarray) -> list[Pass]:
        """A pass for each row: all at once, or one by one where one of them cannot be tracked."""
        try:
            found = self._pass(x)
        except (InputError, TrackingError):
            bad = np.full_like(self._last.values, np.inf)
            nowhere = np.full((*bad.shape, len(self.names)), np.nan)
            return [self._tried(row) or Pass(row, bad, nowhere) for row in x]
        shape = (len(found.values), len(x), *found.values.shape[2:])
        values = np.moveaxis(np.broadcast_to(found.values, shape), 1, 0)
        if found.slopes is None:
            return [Pass(row, own, None) for row, own in zip(x, values, strict=True)]
        slopes = np.moveaxis(np.broadcast_to(found.slopes, (*shape, len(self.names))), 1, 0)
        return [Pass(*each) for each in zip(x, values, slopes, strict=True)]


def on_host(value: Any) -> np.ndarray:
    """A value or derivative as an array of NumPy in float64."""
    if hasattr(value, "shape"):
        value = backends.of(value).to_numpy(value)
    return np.asarray(value, dtype=np.float64)


def _units(first: Pass, goals: Goals) -> np.ndarray:
    """What values are measured in: their size at the start, or a thousandth of their slope where they are about 0.

    Residuals of targets are numbers without unit already.
    """
    assert first.slopes is not None
    axes = tuple(range(1, first.values.ndim))
    size = np.abs(first.values).mean(axis=axes)
    slope = np.sqrt((first.slopes**2).sum(axis=-1)).mean(axis=axes)
    unit = np.maximum(size, 1e-3 * slope)
    own = [isinstance(objective, Target) for objective in goals.objectives]
    return np.where(own | (unit <= 0.0), 1.0, unit)
