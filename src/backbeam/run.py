"""What a run starts from, and the beam that comes out of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from backbeam import backends, clock
from backbeam.arrays import Array, namespace
from backbeam.beam import Beam
from backbeam.course import Course
from backbeam.effects.base import Bunch
from backbeam.errors import InputError
from backbeam.losses import Turned, entered, host
from backbeam.plan import ALIVE, LOST_BEFORE, Bars, Plan, Setting, State, Values, may_lose
from backbeam.turns import recorded

if TYPE_CHECKING:
    from backbeam_backends import Backend


class Run:
    """What a run starts from: the beam and the course's parameters as arrays of one library and one batch shape."""

    def __init__(self, course: Course, beam: Beam, *, recorded: bool = True, lent: bool = False) -> None:
        """A run of a beam along a course.

        ``recorded=False``: without what the library would record of it, for those who differentiate themselves.
        ``lent=True``: another library may do the work in the same memory, if that is faster (`Backend.borrows`); then
        its arrays are what comes out, and `home` takes a nest of them back.
        """
        if not isinstance(beam, Beam):
            raise InputError("beam", beam, "a Beam")
        self.recorded, self.course, self.line = recorded, course, course.line
        if course.record is not None:
            course.record.check(beam.n)
        self.given = beam if recorded else beam.unrecorded()
        """The beam in its own library."""
        self.lender = self._lender() if lent else None
        self.beam = self.given if self.lender is None else _lent(self.given, self.lender)
        self.backend = backends.of(self.beam.coordinates)
        self.parameters, batch = self._known_parameters()
        self.clocks = clock.cavities_with_clock(self.line) if self.line.has_clocks else ()
        self.phases: dict[str, Array] = {}
        """Of cavities with a clock, as they were given; the parameters have those on arrival."""
        if self.clocks:
            self._set_clocks()
        self.batch = broadcast_shapes(
            self.beam.coordinates.shape[:-2], self.beam.charges.shape[:-1], self.beam.reference.beta_gamma.shape, batch
        )
        self.course = course.settled(self._bunch()) if course.effects else course

    def _lender(self) -> Backend | None:
        """The beam's library, if another one is to do the work: there are no kicks, and nothing calls the library."""
        alone = not self.course.effects and self.course.record is None
        if not alone or any(step.calls_library for step in self.course.plan):
            return None
        own, beam = backends.of(self.given.coordinates), self.given
        arrays = [beam.coordinates, beam.charges, beam.reference.beta_gamma, beam.lost_at]
        if not self.course.is_numbers:
            parameters = self.course.parameters.values()
            mine = [v for v in parameters if hasattr(v, "shape") and backends.of(v) is own]
            arrays += mine if self.recorded else [own.unrecorded(v) for v in mine]
        return own if own.borrows(arrays) else None

    def home(self, tree: Any) -> Any:
        """A nest of arrays, or a beam, in the library of the beam that was given."""
        if self.lender is None:
            return tree
        back = self.lender.taken_back
        if not isinstance(tree, Beam):
            return back(tree)
        X, lost_at, u, readings = back((tree.coordinates, tree.lost_at, tree.reference.beta_gamma, dict(tree.readings)))
        q = self.lender.namespace.broadcast_to(self.given.charges, (*X.shape[:-2], X.shape[-1]))
        return Beam(X, q, self.given.reference.with_beta_gamma(u), lost_at, tree.s, None, readings, tree.ledger)

    def _set_clocks(self) -> None:
        """Make the phases of cavities with a clock those on arrival."""
        if self.course.turns > 1:
            raise InputError(f"{self.clocks[0]}.clock", True, "false, where a line is passed turn after turn")
        self.phases = {name: self.parameters[name]["phase"] for name in self.clocks}
        found = clock.on_arrival(self.line, self.parameters, self.beam.reference)
        changed = {name: {**self.parameters[name], "phase": phase} for name, phase in found.items()}
        self.parameters = Values({**self.parameters, **changed})

    def before_clocks(self, bars: Bars) -> Bars:
        """Cotangents of what was given, from those of a run whose phases are those on arrival."""
        if not self.clocks:
            return bars
        given = {name: {**self.parameters[name], "phase": phase} for name, phase in self.phases.items()}
        return clock.pulled_back(self.line, {**self.parameters, **given}, self.beam.reference, bars)

    def _known_parameters(self) -> tuple[Values, tuple[int, ...]]:
        """Parameters, and the shape of their batch; those of plain numbers are kept where nothing could be recorded."""
        if self.backend.has_autodiff or self.course.effects or not self.course.is_numbers:
            return self._parameters()
        known, key = self.line.remembered, (self.backend.name, self.beam.dtype, self.beam.device)
        if key not in known:
            known[key] = self._parameters()
        return known[key]

    def _parameters(self) -> tuple[Values, tuple[int, ...]]:
        """Every parameter of the course as an array beside the beam's, and the shape of a batch of them."""
        found, shapes = Values(), []
        for path, value in self.course.parameters.items():
            name, _, field = path.rpartition(".")
            array = self._beside(value, path)
            found.setdefault(name, {})[field] = array
            core = self.core_shape(name, field)
            lead = array.ndim - len(core)
            if lead < 0 or any(n not in (None, m) for n, m in zip(core, array.shape[lead:], strict=True)):
                allowed = f"shape (..., {', '.join('n' if n is None else str(n) for n in core)})"
                raise InputError(path, f"an array of shape {tuple(array.shape)}", allowed)
            if lead:
                shapes.append(tuple(array.shape[:lead]))
        return found, broadcast_shapes(*shapes)

    def _beside(self, value: Any, path: str) -> Array:
        """A number or an array as an array of the beam's library, type and device."""
        if self.lender is not None and hasattr(value, "shape") and backends.of(value) is self.lender:
            value = self.lender.lent(self.lender.unrecorded(value))
        host = not hasattr(value, "shape") or type(value).__module__ == "numpy"
        if not host and backends.of(value) is not self.backend:
            allowed = f"a number, or an array of {self.backend.name}"
            raise InputError(path, f"an array of {backends.of(value).name}", allowed)
        traced = self.backend.traced([self.beam.coordinates])
        device = self.beam.device if host and not traced else None
        if "complex" in str(getattr(value, "dtype", "")):
            raise InputError(path, value, "real numbers")
        try:
            with self.backend.quiet():  # a number beyond the data type is infinite, which tracking finds
                array = self.backend.asarray(value, dtype=self.beam.dtype, device=device)
        except (TypeError, ValueError):
            raise InputError(path, value, "a number, or an array of numbers") from None
        return array if self.recorded else self.backend.unrecorded(array)

    def core_shape(self, name: str, field: str) -> tuple[int | None, ...]:
        """Own shape of a parameter, behind its batch axes; None in it: any number."""
        return self.course.owner(name).rule(field)["shape"]

    @cached_property
    def inputs(self) -> tuple[Array, ...]:
        """Every array that the run depends on, as it was given: four of the beam, then the parameters in order."""
        beam = self.beam
        lost_at = _before_the_run(beam.lost_at)
        values = (value for fields in self.parameters.values() for value in fields.values())
        return (beam.coordinates, beam.charges, beam.reference.beta_gamma, lost_at, *values)

    @property
    def ranks(self) -> tuple[int, ...]:
        """Number of own axes of each of the `inputs`, behind the batch."""
        return (2, 1, 0, 1, *(rank for fields in self.core_ranks.values() for rank in fields.values()))

    @cached_property
    def core_ranks(self) -> dict[str, dict[str, int]]:
        """Number of own axes of each parameter."""
        return {n: {f: len(self.core_shape(n, f)) for f in fields} for n, fields in self.parameters.items()}

    def unpack(self, inputs: Sequence[Array]) -> tuple[State, dict[str, dict[str, Array]]]:
        """State and parameters of some `inputs`, whose batch axes may be more than those of the run itself."""
        if inputs is self.inputs:
            return self._beam_state(inputs, self.batch), self.parameters
        values = iter(inputs[4:])
        P = Values({name: {field: next(values) for field in fields} for name, fields in self.parameters.items()})
        batch = broadcast_shapes(*(x.shape[: x.ndim - r] for x, r in zip(inputs, self.ranks, strict=True)))
        return self._beam_state(inputs, batch), P

    def _beam_state(self, inputs: Sequence[Array], batch: tuple[int, ...]) -> State:
        """State of the first four of some inputs, with the full batch in front."""
        X, q, beta_gamma, lost_at = inputs[:4]
        xp, n = namespace(X), X.shape[-1]
        return State(
            xp.broadcast_to(X, (*batch, 6, n)),
            xp.broadcast_to(q, (*batch, n)),
            xp.broadcast_to(beta_gamma, batch),
            xp.broadcast_to(lost_at, (*batch, n)),
        )

    def state(self) -> State:
        """The beam at the start of the line."""
        return self.unpack(self.inputs)[0]

    def _bunch(self) -> Bunch:
        """What an effect sees of the beam at the start."""
        state = self.state()
        reference = self.beam.reference.with_beta_gamma(state.beta_gamma)
        return Bunch(state.X, state.q, state.lost_at == ALIVE, reference)

    @property
    def passages(self) -> dict[str, int]:
        """How often the beam passes each thick element."""
        thick = [name for name, e in zip(self.line.sequence, self.line.elements, strict=True) if e.is_thick]
        return {name: self.course.turns * count for name, count in Counter(thick).items()}

    def records(self) -> bool:
        """Whether the library's automatic differentiation is watching."""
        return self.backend.records(self.inputs)

    def setting(self, plan: Plan) -> Setting:
        """What the steps share; lost particles are looked for only where there can be any."""
        return Setting(self.beam.species, may_lose(plan) or self._any_lost())

    def _any_lost(self) -> bool:
        if self.backend.traced([self.beam.lost_at]):
            return True
        return bool((self.backend.to_numpy(self.beam.lost_at) >= 0).any())

    def result(self, state: State, plan: Plan, readings: tuple[Array, ...], s: Any = None) -> Beam:
        """The beam of a state at the end of a plan; ``s`` is where, if it is not the sum of the lengths."""
        s = self.beam.s + self.course.length if s is None else s
        passed = self.course.turns * len(self.line)
        return self.seen(state, plan, readings, s, passed, turn_places(plan) if may_lose(plan) else None)

    def seen(
        self, state: State, readers: Plan, readings: tuple[Array, ...], s: Any, passed: int, places: int | None = 0
    ) -> Beam:
        """The beam of a state at s, with so many elements behind it.

        ``places`` is by how much the numbers of the lost grow in a turn; 0: there are no turns; None: no losses.
        """
        xp, now, turns = namespace(state.X), state.lost_at, None
        if places:
            lost = now >= 0
            turn = xp.where(lost, passed // len(self.line) - 1 - now // places, xp.zeros_like(now))
            turns = Turned(turn, self.line.passages(len(self.line))[1], self.line.length)
            now = xp.where(lost, now % places, now)
        gone = None if places is None else now
        ledger = entered(
            self.beam.ledger, *self.line.passages(passed), gone, lambda: self.course.sites, self.beam.s, turns
        )
        lost_at = now if turns is None else xp.where(now >= 0, turns.turn * places + now, now)
        return self.beam.replace(
            coordinates=state.X,
            charges=state.q,
            reference=self.beam.reference.with_beta_gamma(state.beta_gamma),
            lost_at=_of_all_runs(lost_at, self.beam.lost_at),
            s=s,
            readings=recorded(readings_by_name(readers, readings)),
            recipe=None,
            ledger=ledger,
        )


@backends.as_one
def _before_the_run(lost_at: Array) -> Array:
    """Who is lost, as a run begins: it counts its own places from 0."""
    xp = namespace(lost_at)
    return xp.where(lost_at < 0, xp.full_like(lost_at, ALIVE), xp.full_like(lost_at, LOST_BEFORE))


@backends.as_one
def _of_all_runs(lost_at: Array, before: Array) -> Array:
    """Who is lost, as a beam says it: in this run, or before."""
    xp = namespace(lost_at)
    return xp.where(lost_at == LOST_BEFORE, xp.broadcast_to(before, lost_at.shape), lost_at)


def turn_places(plan: Plan) -> int:
    """By how much the numbers of the lost grow in a turn of a plan; 0: it has no turns."""
    return max((step.turn_places for step in plan), default=0)


def readings_by_name(plan: Plan, readings: tuple[Array, ...]) -> dict[str, Any]:
    """Readings by the name of their element; an element passed several times gives a list."""
    found: dict[str, Any] = {}
    for name, reading in zip(observers(plan), readings, strict=True):
        found.setdefault(name, []).append(reading)
    return {name: mine if len(mine) > 1 else mine[0] for name, mine in found.items()}


def observers(plan: Plan) -> list[str]:
    """Name of the element of every reading that a plan takes, in order."""
    return [name for step in plan for name in step.readers]


def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape that all shapes broadcast to; InputError if there is none."""
    result: list[int] = []
    for shape in shapes:
        shape = tuple(shape)
        width = max(len(result), len(shape))
        a, b = [1] * (width - len(result)) + result, [1] * (width - len(shape)) + list(shape)
        if any(m != k and 1 not in (m, k) for m, k in zip(a, b, strict=True)):
            raise InputError("batch", " and ".join(str(tuple(s)) for s in shapes if s), "shapes that broadcast")
        result = [max(m, k) if 0 not in (m, k) else 0 for m, k in zip(a, b, strict=True)]
    if 0 in result:
        raise InputError("batch", tuple(result), "one setting at least")
    return tuple(result)


def _lent(beam: Beam, lender: Backend) -> Beam:
    """The beam in the arrays of another library, without its recipe."""
    X, q, u, lost_at = lender.lent((beam.coordinates, beam.charges, beam.reference.beta_gamma, beam.lost_at))
    ledger = None if beam.ledger is None else beam.ledger.map(host)
    return Beam(X, q, beam.reference.with_beta_gamma(u), lost_at, beam.s, ledger=ledger)
