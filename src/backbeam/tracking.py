"""Track a beam through a line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from backbeam import backends
from backbeam.adjoint import Adjoint, Tape
from backbeam.adjoint.base import zero_parameters
from backbeam.arrays import Array, namespace, sum_to_shape
from backbeam.beam import Beam
from backbeam.course import Course
from backbeam.errors import InputError, TrackingError
from backbeam.line import Line
from backbeam.plan import (
    BEYOND_MEASURE,
    Bars,
    Plan,
    Setting,
    State,
    TapedWatch,
    Watched,
    advance,
    is_sound,
    watched,
)
from backbeam.proportion import CHARGE
from backbeam.run import Run
from backbeam.walking import Seen, Waypoint, looks_of, walk

if TYPE_CHECKING:
    from backbeam.effects.base import Effect
    from backbeam.moment_beam import LinearSpaceCharge, MomentBeam
    from backbeam.turns import Record


@overload
def track(
    line: Line,
    beam: Beam,
    *,
    space_charge: Effect | None = None,
    effects: Iterable[Effect] = (),
    slices: int | None = None,
    step: float | None = None,
    on_turn: str = "lose",
    turns: int = 1,
    record: Record | None = None,
    adjoint: Adjoint | str | None = None,
) -> Beam: ...


@overload
def track(
    line: Line,
    beam: MomentBeam,
    *,
    space_charge: LinearSpaceCharge | None = None,
    effects: Iterable[LinearSpaceCharge] = (),
    slices: int | None = None,
    step: float | None = None,
    on_turn: str = "lose",
    turns: int = 1,
) -> MomentBeam: ...


def track(
    line: Line,
    beam: Any,
    *,
    space_charge: Any = None,
    effects: Iterable[Any] = (),
    slices: int | None = None,
    step: float | None = None,
    on_turn: str = "lose",
    turns: int = 1,
    record: Record | None = None,
    adjoint: Adjoint | str | None = None,
) -> Any:
    """Track a beam to the end of a line, or turn after turn through a ring.

    Parameters
    ----------
    line:
        The beamline. Its parameters may be numbers, or arrays of the beam's library with leading batch axes.
    beam:
        Coordinates ``(..., 6, n)`` and charges ``(..., n)`` of any array library; or a `MomentBeam`.
    effects:
        What acts on the beam besides the elements: space charge, wakes; see `backbeam.effects`.
    space_charge:
        The short way to say one of them, such as `SpaceCharge3D`; None for none.
    slices, step:
        Number of kicks in each thick element, or the longest distance between kicks [m]; an element's own ``slices``
        goes first, and an effect's own before it. Without any, one kick an element.
    on_turn:
        What becomes of a particle that turns round (px^2 + py^2 > p^2): "lose", it is lost there and keeps the
        coordinates with which it entered that step; "raise", an error, and under a JAX trace NaN.
    turns:
        How often the beam passes the line. What is kept does not grow with it, but for readings: a list, one a turn.
    record:
        What is noted before the first and after every turn, as ``readings["turns"]``: see `Record` and `Turns`.
    adjoint:
        How PyTorch's or JAX's automatic differentiation of the result is to remember the way, see `backbeam.adjoint`;
        or its name; None: `Auto`. It matters only where a gradient is being recorded.

    Returns
    -------
    Beam
        The beam at the end, in the same library and on the same device, with ``readings`` of the line's monitors and
        screens by name.

    Raises
    ------
    InputError
        For parameters that are not of the beam's library, or slices and step together.
    TrackingError
        If a particle turns round and that is to be an error, if the reference comes to rest, and where space charge has
        no answer; it says where.

    Examples
    --------
    >>> line = bb.Line([bb.Quadrupole(0.2, k1=3.0, name="q"), bb.Drift(1.0, name="d")])
    >>> beam = bb.Beam.gaussian(n=1000, species="electron", kinetic_energy=50e6, charge=1e-9, sigma_x=1e-3)
    >>> bb.track(line, beam).s
    1.2
    """
    from backbeam.moment_beam import MomentBeam

    options: dict[str, Any] = {"slices": slices, "step": step, "on_turn": on_turn, "turns": turns, "record": record}
    if isinstance(beam, MomentBeam):
        return beam.track(line, space_charge=space_charge, effects=effects, **options)
    return track_course(Course.of(line, space_charge=space_charge, effects=effects, **options), beam, adjoint)


def track_course(course: Course, beam: Beam, adjoint: Adjoint | str | None = None) -> Beam:
    """`track` along a course."""
    run = Run(course, beam, lent=True)
    records = run.records()
    chosen: Adjoint = Tape()
    if records:
        from backbeam.memory import resolve

        chosen = resolve(adjoint, run, run.course.plan)
    if not chosen.taped:
        plan, state, readings = differentiable_run(run, chosen)
    else:
        plan, _, (state, readings) = followed(
            run,
            lambda plan, setting: advance(plan, setting, run.state(), run.parameters),
            TapedWatch if records else Watched,
        )
    return run.home(run.result(state, plan, readings))


def followed(run: Run, go: Callable[[Plan, Setting], Any], watch: type[Watched] = Watched) -> tuple[Plan, Setting, Any]:
    """Call ``go(plan, setting)``, which gives a state first of all, as if no particle turned round.

    Where one does, it is called once more, with a watch on every step (`backbeam.plan.watched`), unless that is to be
    an error; under a trace the watch is always there. Returns the plan and the setting that count, and what ``go`` gave
    for them.
    """
    plan = run.course.plan
    setting = run.setting(plan)
    if run.backend.traced([run.beam.coordinates, *run.inputs]):
        if run.course.on_turn == "lose":
            plan, setting = watched(plan, by=watch), replace(setting, masked=True)
        return plan, setting, go(plan, setting)
    try:
        found = go(plan, setting)
        if is_sound(found[0]):
            return plan, setting, found
    except TrackingError:  # an effect has met what is no number
        if run.course.on_turn == "raise":
            raise
    check_parameters(run)
    if run.course.on_turn == "lose":
        plan, setting = watched(plan, by=watch), replace(setting, masked=True)
        found = go(plan, setting)
    check(run, found[0])
    return plan, setting, found


def trace(
    line: Line,
    beam: Beam,
    *,
    space_charge: Effect | None = None,
    effects: Iterable[Effect] = (),
    slices: int | None = None,
    step: float | None = None,
) -> Iterator[tuple[float, str, Beam]]:
    """Track as `track` does and look at the beam on the way: ``(s, element, beam)`` at the start and after every slice.

    Without effects too, thick elements are cut into slices, to look at. Looking changes nothing: the beam goes on as in
    `track`, to the same bits, and what is seen within an element is a side branch of its way.

    Examples
    --------
    >>> line = bb.Line([bb.Drift(1.0), bb.Quadrupole(0.2, k1=3.0)])
    >>> beam = bb.Beam.gaussian(n=1000, species="electron", kinetic_energy=50e6, charge=1e-9, sigma_x=1e-3)
    >>> [round(float(s), 1) for s, element, beam in bb.trace(line, beam)]
    [0.0, 1.0, 1.2]
    """
    return trace_course(Course.of(line, space_charge=space_charge, effects=effects, slices=slices, step=step), beam)


def trace_course(course: Course, beam: Beam) -> Iterator[tuple[float, str, Beam]]:
    """`trace` along a course."""
    run = Run(course, beam)
    yield beam.s, "", run.seen(run.state(), (), (), beam.s, 0)
    for seen in _looked_at(run):
        yield beam.s + seen.s, seen.element, seen_beam(run, seen)


def _looked_at(run: Run) -> Iterator[Seen]:
    """Looks along a course, unwatched up to the first that sees a particle turned round, and watched from there on."""
    plan, looks, begin = run.course.plan, looks_of(run.course), Waypoint(0, 0, run.state(), ())
    setting, shown = run.setting(plan), 0
    watches = run.course.on_turn == "lose"
    if not (watches and run.backend.traced([run.beam.coordinates, *run.inputs])):
        try:
            for event in walk(plan, setting, begin, run.parameters, looks):
                if watches and not is_sound(event.state):
                    break
                if isinstance(event, Seen):
                    shown += 1
                    yield event
            else:
                return
        except TrackingError:  # an effect has met what is no number
            if not watches:
                raise
        check_parameters(run)
    setting = replace(setting, masked=True)
    way = walk(watched(plan), setting, begin, run.parameters, looks.watched())
    for seen in islice((event for event in way if isinstance(event, Seen)), shown, None):
        check_reference(seen.state.beta_gamma, seen.element, run.beam.s + seen.s)
        yield seen


def seen_beam(run: Run, seen: Seen) -> Beam:
    """The beam of a look."""
    return run.seen(seen.state, seen.readers, seen.readings, run.beam.s + seen.s, seen.passed, seen.places)


def count_kicks(
    line: Line,
    *,
    space_charge: Effect | None = None,
    effects: Iterable[Effect] = (),
    slices: int | None = None,
    step: float | None = None,
) -> int:
    """Number of kicks that `track` would make with these arguments.

    Examples
    --------
    >>> bb.count_kicks(bb.Line([bb.Drift(1.0)]), space_charge=bb.SpaceCharge3D(), slices=5)
    5
    """
    return Course.of(line, space_charge=space_charge, effects=effects, slices=slices, step=step).kicks


def check_parameters(run: Run) -> None:
    """Raise `InputError` for a parameter that is no number."""
    for name, fields in run.parameters.items():
        for field, value in fields.items():
            if not np.isfinite(run.backend.to_numpy(value)).all():
                raise InputError(f"{name}.{field}", run.course.get(f"{name}.{field}"), "finite numbers")


def check(run: Run, state: State) -> None:
    """Raise `TrackingError` if a state holds what is no number, and say why and where it began."""
    if is_sound(state):
        return
    watch = replace(run.course, on_turn="raise", judged=None)
    for s, name, beam in trace_course(watch, run.beam):
        xp = namespace(beam.coordinates)
        check_reference(beam.reference.beta_gamma, name, s)
        bad = ~xp.all(xp.isfinite(beam.coordinates), axis=-2)
        if bool(xp.any(bad)):
            count = int(xp.sum(xp.astype(bad, xp.int32)))
            raise TrackingError(
                f"{count} of {run.beam.n} particles turn round (px^2 + py^2 > p^2) "
                f"in element {name!r}, by s = {float(s):g} m{_question(run)}"
            )
    raise TrackingError(
        f"coordinates that are no numbers, or beyond {BEYOND_MEASURE:g}, came out of the line: somewhere particles are "
        "far outside of where its fields are meant"
    )


def _question(run: Run) -> str:
    """What is to be asked where kicks of a beam have thrown particles out."""
    charge = float(abs(run.backend.to_numpy(run.beam.charge)).max()) if run.course.effects else 0.0
    return f"; beam.charge is {charge:.10g} C: {CHARGE.question}" if charge > CHARGE.high else ""


def check_reference(beta_gamma: Array, element: str, s: Any) -> None:
    """Raise `TrackingError` if a reference is at rest behind an element; one that is traced is not looked at."""
    xp = namespace(beta_gamma)
    if not backends.of(beta_gamma).traced([beta_gamma]) and not bool(xp.all(xp.isfinite(beta_gamma))):
        raise TrackingError(f"the reference comes to rest in element {element!r}, by s = {float(s):g} m")


def differentiable_run(run: Run, adjoint: Adjoint) -> tuple[Plan, State, tuple[Array, ...]]:
    """Run so that the library's own automatic differentiation uses our pullbacks; the plan that was followed, too."""
    backend = run.backend
    way = [(run.course.plan, run.setting(run.course.plan))]  # the last is the one that counts

    def primal(*inputs: Array) -> tuple[tuple[Array, ...], Any]:
        state, P = run.unpack(inputs)
        plan, setting, (last, readings, kept) = followed(
            run, lambda plan, setting: adjoint.forward(backend, plan, setting, state, P)
        )
        way.append((plan, setting))
        return (last.X, last.beta_gamma, last.lost_at, *readings), kept

    def reverse(
        inputs: Sequence[Array], outputs: Sequence[Array], kept: Any, cotangents: Sequence[Array]
    ) -> list[Array | None]:
        (plan, setting), (first, P) = way[-1], run.unpack(inputs)
        last = State(outputs[0], first.q, outputs[1], outputs[2])
        parameters = zero_parameters(first, P, run.core_ranks)
        bars = Bars(cotangents[0], namespace(first.q).zeros_like(first.q), cotangents[1], parameters)
        bars, report = adjoint.backward(backend, plan, setting, first, last, kept, P, bars, tuple(cotangents[3:]))
        bars = adjoint.check(backend, report, bars)
        own = [bars.X, bars.q, bars.beta_gamma, None]
        # By name: a library that takes dicts apart may have put them in another order.
        own += [bars.parameters[name][field] for name, fields in run.parameters.items() for field in fields]
        return [None if bar is None else sum_to_shape(bar, x.shape) for bar, x in zip(own, inputs, strict=True)]

    outputs = backend.differentiable(primal, reverse, run.ranks)(*run.inputs)
    first, _ = run.unpack(run.inputs)
    xp = namespace(outputs[0])
    q = xp.broadcast_to(first.q, (*outputs[1].shape, outputs[0].shape[-1]))
    return way[-1][0], State(outputs[0], q, outputs[1], outputs[2]), tuple(outputs[3:])
