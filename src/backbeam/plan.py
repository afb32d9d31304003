"""A plan: a line compiled into steps, each of which can be taken forward and be taken back with a cotangent.

The state of a beam under way is four arrays, a step is one of a few kinds, and a plan is a tuple of steps. Plans and
steps hold no arrays and compare by value, so a library that compiles can keep what it compiled for them. A `Repeat`
keeps the slices of an element together: a compiled loop, whose size does not grow with their number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from backbeam import backends
from backbeam.arrays import Array, namespace
from backbeam.elements.aperture import Aperture, Opening
from backbeam.elements.base import Bound, Element
from backbeam.errors import InputError
from backbeam.maps.base import Map
from backbeam.maps.misalignment import Misalign
from backbeam.observation import Observation
from backbeam.reference import Reference

if TYPE_CHECKING:
    from backbeam.line import Line
    from backbeam.space_charge import SpaceCharge
    from backbeam.species import Species

ALIVE, LOST_BEFORE = -1, -2
"""Values of ``lost_at`` under way: alive, or lost before this plan began. From 0 on: the step of the plan."""


class State(NamedTuple):
    """A beam under way. All arrays have the full batch shape ``(...)`` in front."""

    X: Array
    """Coordinates ``(..., 6, n)``."""
    q: Array
    """Charges ``(..., n)`` [C]."""
    beta_gamma: Array
    """P0/(m c) of the reference ``(...)``."""
    lost_at: Array
    """``(..., n)``: `ALIVE`, `LOST_BEFORE`, or the number of the step at which the particle was lost."""


class Bars(NamedTuple):
    """Cotangents of a state, and of every parameter of the line (full batch shape in front)."""

    X: Array
    q: Array
    beta_gamma: Array
    parameters: dict[str, dict[str, Array]]


Parameters = Mapping[str, Mapping[str, Array]]
"""Values of the line's parameters: element name -> parameter name -> array."""


@dataclass(frozen=True)
class Setting:
    """What all steps of a run share and no gradient is asked of."""

    species: Species
    space_charge: SpaceCharge | None = None
    masked: bool = False
    """Whether any particle may be lost: then steps leave the lost ones where they are."""

    def reference(self, state: State) -> Reference:
        """Reference of a state."""
        return Reference(state.beta_gamma, self.species)

    def alive(self, state: State) -> Array:
        """Boolean ``(..., n)``."""
        return state.lost_at == ALIVE


class Step:
    """One step: `forward`, and `reverse`, which undoes it and pulls a cotangent back on the way."""

    def forward(self, state: State, P: Parameters, setting: Setting) -> State:
        """State after the step."""
        raise NotImplementedError

    def inverse(self, state: State, P: Parameters, setting: Setting) -> State:
        """State before the step, from the one after it."""
        raise NotImplementedError

    def pullback(self, state: State, P: Parameters, setting: Setting, bars: Bars) -> Bars:
        """Cotangents before the step, from the state before it and the cotangents after it."""
        raise NotImplementedError

    def reverse(self, state: State, P: Parameters, setting: Setting, bars: Bars) -> tuple[State, Bars]:
        """State and cotangents before the step, from those after it."""
        before = self.inverse(state, P, setting)
        return before, self.pullback(before, P, setting, bars)


def _add(
    parameters: dict[str, dict[str, Array]], element: str, bars: Mapping[str, Array]
) -> dict[str, dict[str, Array]]:
    """Add cotangents of one element's parameters to the running sums."""
    if not bars:
        return parameters
    mine = dict(parameters[element])
    for name, bar in bars.items():
        mine[name] = mine[name] + bar
    return {**parameters, element: mine}


@dataclass(frozen=True)
class Apply(Step):
    """A map of one element."""

    map: Map
    element: str
    names: tuple[tuple[str, str], ...]

    def _given(self, P: Parameters) -> dict[str, Array]:
        return {mine: P[self.element][field] for mine, field in self.names}

    def _bound(self, bars: Mapping[str, Array]) -> dict[str, Array]:
        total: dict[str, Array] = {}
        for mine, field in self.names:
            if mine in bars:
                total[field] = total[field] + bars[mine] if field in total else bars[mine]
        return total

    def _guard(self, state: State, setting: Setting) -> Array:
        """Coordinates with the lost particles put on the reference, where every map is defined."""
        if not setting.masked:
            return state.X
        xp = namespace(state.X)
        return xp.where(setting.alive(state)[..., None, :], state.X, xp.zeros_like(state.X))

    def _thaw(self, state: State, setting: Setting, X: Array, frozen: Array) -> Array:
        """``X`` for those alive, ``frozen`` for the lost."""
        if not setting.masked:
            return X
        return namespace(X).where(setting.alive(state)[..., None, :], X, frozen)

    def forward(self, state: State, P: Parameters, setting: Setting) -> State:
        """Apply the map."""
        reference, p = setting.reference(state), self._given(P)
        X = self._thaw(state, setting, self.map.forward(self._guard(state, setting), reference, p), state.X)
        return state._replace(X=X, beta_gamma=self._after(reference, p))

    def _after(self, reference: Reference, p: Mapping[str, Array]) -> Array:
        return self.map.reference_after(reference, p).beta_gamma if self.map.accelerates else reference.beta_gamma

    def _before(self, state: State, setting: Setting, p: Mapping[str, Array]) -> Reference:
        reference = setting.reference(state)
        return self.map.reference_before(reference, p) if self.map.accelerates else reference

    def inverse(self, state: State, P: Parameters, setting: Setting) -> State:
        """Undo the map."""
        p = self._given(P)
        reference = self._before(state, setting, p)
        X = self._thaw(state, setting, self.map.inverse(self._guard(state, setting), reference, p), state.X)
        return state._replace(X=X, beta_gamma=reference.beta_gamma)

    def pullback(self, state: State, P: Parameters, setting: Setting, bars: Bars) -> Bars:
        """Pull back through the map and through what it does to the reference."""
        p, reference = self._given(P), setting.reference(state)
        X_bar = self._silence(state, setting, bars.X)
        X_bar, beta_gamma_bar, own = self.map.pullback(self._guard(state, setting), reference, p, X_bar)
        return self._collect(state, setting, reference, p, bars, X_bar, beta_gamma_bar, own)

    def reverse(self, state: State, P: Parameters, setting: Setting, bars: Bars) -> tuple[State, Bars]:
        """Undo and pull back in one."""
        p = self._given(P)
        reference = self._before(state, setting, p)
        X_bar = self._silence(state, setting, bars.X)
        X, X_bar, beta_gamma_bar, own = self.map.reverse(self._guard(state, setting), reference, p, X_bar)
        before = state._replace(X=self._thaw(state, setting, X, state.X), beta_gamma=reference.beta_gamma)
        return before, self._collect(state, setting, reference, p, bars, X_bar, beta_gamma_bar, own)

    def _silence(self, state: State, setting: Setting, X_bar: Array) -> Array:
        """No cotangent for the lost: the map did not move them."""
        return self._thaw(state, setting, X_bar, namespace(X_bar).zeros_like(X_bar)) if setting.masked else X_bar

    def _collect(
        self,
        state: State,
        setting: Setting,
        reference: Reference,
        p: Mapping[str, Array],
        bars: Bars,
        X_bar: Array,
        beta_gamma_bar: Array | float,
        own: Mapping[str, Array],
    ) -> Bars:
        X_bar = self._thaw(state, setting, X_bar, bars.X)
        total = bars.beta_gamma
        parameters = _add(bars.parameters, self.element, self._bound(own))
        if self.map.accelerates:
            total, more = self.map.reference_pullback(reference, p, total)
            parameters = _add(parameters, self.element, self._bound(more))
        return Bars(X_bar, bars.q, total + beta_gamma_bar, parameters)


@dataclass(frozen=True)
class Kick(Step):
    """The space-charge kick of a fraction of an element's length."""

    element: str
    fraction: float

    def _ds(self, P: Parameters) -> Array:
        return self.fraction * P[self.element]["length"]

    def _arguments(self, state: State, P: Parameters, setting: Setting) -> tuple[Any, ...]:
        alive = setting.alive(state) if setting.masked else None
        return state.X, state.q, alive, setting.reference(state), self._ds(P)

    def forward(self, state: State, P: Parameters, setting: Setting) -> State:
        """Kick."""
        return state._replace(X=setting.space_charge.forward(*self._arguments(state, P, setting)))

    def inverse(self, state: State, P: Parameters, setting: Setting) -> State:
        """Kick back."""
        return state._replace(X=setting.space_charge.inverse(*self._arguments(state, P, setting)))

    def pullback(self, state: State, P: Parameters, setting: Setting, bars: Bars) -> Bars:
        """Pull back through the kick."""
        return self._collect(bars, *setting.space_charge.pullback(*self._arguments(state, P, setting), bars.X))

    def reverse(self, state: State, P: Parameters, setting: Setting, bars: Bars) -> tuple[State, Bars]:
        """Undo and pull back with one potential."""
        X, *found = setting.space_charge.reverse(*self._arguments(state, P, setting), bars.X)
        return state._replace(X=X), self._collect(bars, *found)

    def _collect(self, bars: Bars, X_bar: Array, q_bar: Array, beta_gamma_bar: Array, ds_bar: Array) -> Bars:
        parameters = _add(bars.parameters, self.element, {"length": self.fraction * ds_bar})
        return Bars(X_bar, bars.q + q_bar, bars.beta_gamma + beta_gamma_bar, parameters)


@dataclass(frozen=True)
class Lose(Step):
    """An aperture: particles that do not pass are lost at this step, and stay where they are."""

    opening: Opening
    index: int
    element: str = ""
    into: Misalign | None = None
    """The way into the frame of a displaced aperture. Only the test is made there: the lost stay where the beam is."""

    def forward(self, state: State, P: Parameters, setting: Setting) -> State:
        """Mark who is lost."""
        xp, X = namespace(state.X), state.X
        if self.into is not None:
            X = self.into.forward(X, setting.reference(state), P[self.element])
        hit = setting.alive(state) & ~self.opening.passes(X[..., 0, :], X[..., 2, :])
        return state._replace(lost_at=xp.where(hit, xp.full_like(state.lost_at, self.index), state.lost_at))

    def inverse(self, state: State, P: Parameters, setting: Setting) -> State:
        """Bring back who was lost here."""
        xp = namespace(state.X)
        here = state.lost_at == self.index
        return state._replace(lost_at=xp.where(here, xp.full_like(state.lost_at, ALIVE), state.lost_at))

    def pullback(self, state: State, P: Parameters, setting: Setting, bars: Bars) -> Bars:
        """Coordinates and charges pass as they are."""
        return bars


@dataclass(frozen=True)
class Observe:
    """A reading taken here; the beam passes as it is."""

    observation: Observation
    element: str

    def read(self, state: State, setting: Setting) -> Array:
        """Take the reading."""
        return self.observation.read(state.X, state.q, setting.alive(state))

    def pullback(self, state: State, setting: Setting, bars: Bars, reading_bar: Array) -> Bars:
        """Add what the reading's cotangent gives."""
        X_bar, q_bar = self.observation.pullback(state.X, state.q, setting.alive(state), reading_bar)
        return bars._replace(X=bars.X + X_bar, q=bars.q + q_bar)


@dataclass(frozen=True)
class Repeat:
    """The same steps, so many times."""

    steps: tuple[Step, ...]
    count: int


Plan = tuple[Step | Observe | Repeat, ...]


# -- from a line to a plan --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Slicing:
    """How thick elements are cut: into a number of slices each, or into slices no longer than a step [m].

    Raises
    ------
    InputError
        If both are given, or if one of them is not positive.
    """

    slices: int | None = None
    step: float | None = None

    def __post_init__(self) -> None:
        if self.slices is not None and self.step is not None:
            raise InputError("track.step", self.step, "slices or step, not both")
        if self.slices is not None and (type(self.slices) is not int or self.slices < 1):
            raise InputError("track.slices", self.slices, "a whole number, at least 1")
        step = self.step
        is_number = isinstance(step, int | float) and not isinstance(step, bool)
        if step is not None and not (is_number and 0 < step < math.inf):
            raise InputError("track.step", step, "a length in m, greater than 0")

    def count(self, element: Element, name: str) -> int:
        """Number of slices of a thick element: its own, else by this rule."""
        if element.slices is not None:
            return element.slices
        if self.step is None:
            return self.slices or 1
        longest = longest_length(element.length, name)
        return max(1, math.ceil(longest / self.step * (1.0 - 1e-12)))


def longest_length(length: Any, name: str) -> float:
    """Return a length as a plain number, the longest of a batch."""
    if isinstance(length, int | float):
        return float(length)
    backend = backends.of(length)
    if backend.traced([length]):
        raise InputError("track.step", f"a step, while {name}.length is traced", "slices, whose number is fixed")
    return float(backend.to_numpy(length).max())


def _displacements(element: Element) -> tuple[str, ...]:
    """Which displacements the element has."""
    return tuple(n for n in ("dx", "dy", "roll") if getattr(element, n) is not None)


def _ends(element: Element) -> tuple[tuple[Bound, ...], tuple[Bound, ...]]:
    """Maps before and after the element's own: its displacement and its edges."""
    present = () if isinstance(element, Aperture) else _displacements(element)
    names = tuple((n, n) for n in present)
    into = (Bound(Misalign(present, +1), names),) if present else ()
    out = (Bound(Misalign(present, -1), names),) if present else ()
    return (*into, *element.entrance()), (*element.exit(), *out)


class _Compiler:
    """Turns bound maps into steps, and numbers the places where particles can be lost."""

    def __init__(self) -> None:
        self.losses = 0

    def steps(self, bounds: tuple[Bound, ...], name: str, element: Element) -> tuple[Step | Observe, ...]:
        """Steps of some maps of the element of that name."""
        return tuple(self._step(bound, name, element) for bound in bounds)

    def _step(self, bound: Bound, name: str, element: Element) -> Step | Observe:
        if isinstance(bound.map, Opening):
            present = _displacements(element)
            self.losses += 1
            return Lose(bound.map, self.losses - 1, name, Misalign(present, +1) if present else None)
        if isinstance(bound.map, Observation):
            return Observe(bound.map, name)
        return Apply(bound.map, name, bound.names)

    def element(self, element: Element, name: str, slices: int, kicks: bool) -> Plan:
        """All steps of an element; neighbouring half maps are merged."""
        before, after = _ends(element)
        head, tail = self.steps(before, name, element), self.steps(after, name, element)
        if not kicks:
            return (*head, *self.steps(element.body(1.0), name, element), *tail)
        half = self.steps(element.body(0.5 / slices), name, element)
        kick = Kick(name, 1.0 / slices)
        if slices == 1:
            return (*head, *half, kick, *half, *tail)
        whole = self.steps(element.body(1.0 / slices), name, element)
        return (*head, *half, kick, Repeat((*whole, kick), slices - 1), *half, *tail)

    def pieces(self, element: Element, name: str, slices: int, kicks: bool) -> list[Plan]:
        """Steps of an element slice by slice, to look at the beam in between."""
        before, after = _ends(element)
        if not element.is_thick:
            bounds = (*before, *element.body(1.0), *after)
            return [self.steps(bounds, name, element)]
        whole = self.steps(element.body(1.0 / slices), name, element)
        half = self.steps(element.body(0.5 / slices), name, element)
        one: Plan = (*half, Kick(name, 1.0 / slices), *half) if kicks else whole
        pieces = [one] * slices
        pieces[0] = (*self.steps(before, name, element), *pieces[0])
        pieces[-1] = (*pieces[-1], *self.steps(after, name, element))
        return pieces


def _kicked(element: Element) -> bool:
    """Whether space charge acts in the element: it is thick, and not known to have no length."""
    return element.is_thick and not (isinstance(element.length, int | float) and element.length == 0)


def compile_line(line: Line, slicing: Slicing, space_charge: bool) -> Plan:
    """Steps of a line, space charge inside every thick element."""
    compiler = _Compiler()
    plan: list[Step | Observe | Repeat] = []
    for element, name in zip(line.elements, line.sequence, strict=True):
        kicks = space_charge and _kicked(element)
        plan += compiler.element(element, name, slicing.count(element, name) if kicks else 1, kicks)
    return tuple(plan)


def compile_pieces(line: Line, slicing: Slicing, space_charge: bool) -> list[tuple[str, float, Plan]]:
    """(element, fraction of its length, steps) for every slice of a line."""
    compiler = _Compiler()
    pieces: list[tuple[str, float, Plan]] = []
    for element, name in zip(line.elements, line.sequence, strict=True):
        slices = slicing.count(element, name) if _kicked(element) else 1
        for piece in compiler.pieces(element, name, slices, space_charge and _kicked(element)):
            pieces.append((name, 1.0 / slices, piece))
    return pieces


def count_kicks(plan: Plan) -> int:
    """Number of space-charge kicks in a plan."""
    total = 0
    for step in plan:
        if isinstance(step, Repeat):
            total += step.count * count_kicks(step.steps)
        elif isinstance(step, Kick):
            total += 1
    return total


def may_lose(plan: Plan) -> bool:
    """Whether a plan has an aperture."""
    return any(isinstance(step, Lose) for step in plan)


# -- running a plan ---------------------------------------------------------------------------------------------------
#
# Each step is compiled by itself, without the name of its element: steps that are alike share what was compiled for
# them, all kicks do, and compile time does not grow with their number. Under a trace (inside the user's own jit) the
# slices of an element are a compiled loop.


def take(step: Step | Repeat, setting: Setting, state: State, P: Parameters) -> State:
    """One step forward."""
    if not isinstance(step, Repeat):
        return step.forward(state, P, setting)

    def body(inner: State, _: None) -> tuple[State, None]:
        for part in step.steps:
            inner = part.forward(inner, P, setting)
        return inner, None

    return backends.of(state.X).scan(body, state, None, step.count)[0]


def take_back(
    step: Step | Repeat, setting: Setting, state: State, P: Parameters, bars: Bars
) -> tuple[State, Bars]:
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
