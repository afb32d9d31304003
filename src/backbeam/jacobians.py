"""Values of several objectives, and their Jacobian: one way there, and one way back with a cotangent for each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from backbeam import backends
from backbeam.arrays import Array, namespace
from backbeam.beam import Beam
from backbeam.course import Course
from backbeam.errors import InputError
from backbeam.gradient import checked_names, differentiate_course, goes_anywhere, no_bars, seeds_of, wanted_bars
from backbeam.judging import judged, objective_of
from backbeam.knob_gradient import Wanted
from backbeam.memory import is_taped, resolve
from backbeam.mixed import beam_names, joined, line_gradients, line_names, optics_bars, summed, with_known
from backbeam.objectives import BeamFunction
from backbeam.observables import Objective
from backbeam.paths import is_of_beam, of_line
from backbeam.plan import Bars, Rows, fanned, unroll
from backbeam.run import Run
from backbeam.tracking import followed, track_course

if TYPE_CHECKING:
    from backbeam.adjoint import Adjoint
    from backbeam.effects.base import Effect
    from backbeam.line import Line
    from backbeam.turns import Record


def jacobian(
    objectives: Sequence[BeamFunction | str],
    line: Line,
    beam: Beam,
    wrt: Sequence[str],
    *,
    space_charge: Effect | None = None,
    effects: Iterable[Effect] = (),
    slices: int | None = None,
    step: float | None = None,
    on_turn: str = "lose",
    turns: int = 1,
    record: Record | None = None,
    adjoint: Adjoint | str | None = None,
) -> tuple[Array, dict[str, Array]]:
    """Track once, and differentiate several objectives.

    Parameters
    ----------
    objectives:
        Each as in `value_and_grad`: of the beam at the end or at a place, of the optics, a `Target`, a name.
    line, beam, wrt, space_charge, effects, slices, step, on_turn, turns, record, adjoint:
        As in `value_and_grad`.

    Returns
    -------
    tuple
        Values ``(m, ...)``, and a dict from each name to the derivatives ``(m, ..., own shape)``: a row an objective,
        the batch axes of the settings behind it.

    Examples
    --------
    >>> line = bb.Line([bb.Quadrupole(0.2, k1=3.0, name="q"), bb.Drift(1.0, name="d"), bb.Drift(1.0)])
    >>> beam = bb.Beam.gaussian(n=1000, species="electron", kinetic_energy=50e6, charge=1e-9, sigma_x=1e-3)
    >>> targets = [bb.Target("sigma_x", 5e-4, at="d"), "log(sigma_x)"]
    >>> values, slopes = bb.jacobian(targets, line, beam, ["q.k1", "d.length"])
    >>> values.shape, slopes["q.k1"].shape
    ((2,), (2,))
    """
    from backbeam.lattice_functions.objectives import is_of_optics
    from backbeam.moment_beam import MomentBeam
    from backbeam.moment_beam.tracking import moment_jacobian

    options: dict[str, Any] = {"slices": slices, "step": step, "on_turn": on_turn, "turns": turns, "record": record}
    what = [objective_of(one) for one in several(objectives)]
    if isinstance(beam, MomentBeam):
        return moment_jacobian(what, line, beam, wrt, space_charge=space_charge, effects=effects, **options)
    of_beam = any(is_of_beam(name, line) for name in Wanted.of(line, wrt).names)
    if all(is_of_optics(one) for one in what) and not of_beam:
        return optics_jacobian(what, line, beam, wrt)
    course = Course.of(line, space_charge=space_charge, effects=effects, **options)
    return jacobian_course(what, course, beam, wrt, adjoint=adjoint)


def jacobian_course(
    objectives: Sequence[BeamFunction | str],
    course: Course,
    beam: Beam,
    wrt: Sequence[str],
    *,
    adjoint: Adjoint | str | None = None,
) -> tuple[Array, dict[str, Array]]:
    """`jacobian` along a course: one way there, and one way back with a cotangent for each objective."""
    from backbeam.lattice_functions.objectives import of_optics, tables_of

    if not isinstance(beam, Beam):
        raise InputError("beam", beam, "a Beam")
    if is_taped(adjoint):
        found = [differentiate_course(one, course, beam, wrt, adjoint=adjoint) for one in several(objectives)]
        return joined([(one.value, one.gradient) for one in found])
    what, course = judged(several(objectives), course)
    names = Wanted.of(course.line, wrt).names
    if not names:
        raise InputError("wrt", names, "at least one name, such as qf.k1 or beam.charge")
    mine, of_line = beam_names(names, course.line), line_names(names, course.line, course.effects)
    leaves = [leaf for one in what for leaf in of_optics(one)]
    tables = tables_of(leaves, course.line, beam, list(of_line.values()) if leaves else ())
    known = {leaf: leaf(tables[leaf.asked]) for leaf in leaves}
    fixed = [with_known(one, known) for one in what]
    rows, final = _swept(fixed, course, beam, mine or ["beam.beta_gamma"], adjoint)
    bars = [optics_bars(one, final, known) if of_optics(one) else {} for one in what]
    more = line_gradients(tables, bars, names, course.line, course.effects)
    together = zip(rows, more, strict=True)
    return joined([(value, summed(names, gradient, own, beam)) for (value, gradient), own in together])


def _swept(
    objectives: list[BeamFunction], course: Course, beam: Beam, wrt: Sequence[str], adjoint: Adjoint | str | None
) -> tuple[list[tuple[Array, dict[str, Array]]], Beam]:
    """Value and gradient of each objective of the final beam, and that beam."""
    asked = Wanted.of(course.line, wrt)
    names = checked_names(asked, beam)
    course = course.with_present(of_line(names, course.line))
    run = Run(course, beam, recorded=False, lent=all(goes_anywhere(one) for one in objectives))
    chosen = resolve(adjoint, run, run.course.plan, len(objectives))
    backend, first, P = run.backend, run.state(), run.parameters
    plan, setting, (last, readings, kept) = followed(
        run, lambda plan, setting: chosen.forward(backend, unroll(plan), setting, first, P)
    )
    final = run.result(last, plan, readings)
    values: list[Array] = []
    seeds: list[Bars | None] = []
    of_readings: list[list[Array | None]] = []
    loops = backend.recompiles and any(step.rounds > 1 for step in unroll(plan))  # whose rows are all of one form
    is_dense = backend.traced([first.X, last.X, last.beta_gamma]) or loops
    for one in objectives:
        value, bars, own = seeds_of(one, run, plan, final, first, last, readings)
        dense = is_dense or not isinstance(one, Objective)
        values.append(value)
        seeds.append(bars if dense or any(is_some(bar) for bar in bars[:3]) else None)
        of_readings.append([bar if dense or is_some(bar) else None for bar in own])
    nothing = no_bars(first, run)
    held: Any = [Rows(seeds, nothing)]  # handed over, as the adjoint lets go what it has used up
    readings_bar: Any = tuple(zip(*of_readings, strict=True))
    del seeds, bars, own, of_readings
    found: Any
    found, report = chosen.backward(backend, fanned(plan), setting, first, last, kept, P, held.pop(), readings_bar)
    variates = cache(run.given.recipe.variates) if run.given.recipe is not None else None
    plain = backends.of(run.given.coordinates).unrecorded
    rows = []
    for value, row in zip(values, found.each, strict=True):
        checked = chosen.check(backend, report, nothing if row is None else row)
        bars = run.home(run.before_clocks(checked))
        gradient = asked.gradient(wanted_bars(names, run, bars, variates), run.given)
        rows.append((plain(run.home(value)), {name: plain(bar) for name, bar in gradient.items()}))
    return rows, run.home(final)


def is_some(bar: Array) -> bool:
    """Whether a cotangent is not all 0."""
    return bool(namespace(bar).any(bar != 0.0))


def optics_jacobian(
    objectives: Sequence[Any], line: Line, reference: Any, wrt: Sequence[str]
) -> tuple[Array, dict[str, Array]]:
    """Values and derivatives of objectives all leaves of which are of optics: one table, and one way back."""
    from backbeam.lattice_functions.objectives import of_optics, pull_rows, pulled, tables_of

    leaves = [leaf for one in objectives for leaf in of_optics(one)]
    tables = tables_of(leaves, line, reference, wrt)
    known = {leaf: leaf(tables[leaf.asked]) for leaf in leaves}
    rows = [pulled(one, known) for one in objectives]
    gradients = pull_rows(tables, [bars for _, bars in rows], wrt)
    return joined([(value, gradient) for (value, _), gradient in zip(rows, gradients, strict=True)])


def values(
    objectives: Sequence[BeamFunction | str],
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
) -> Array:
    """Values of several objectives ``(m, ...)``, without a gradient: what `jacobian` gives first."""
    from backbeam.moment_beam import MomentBeam
    from backbeam.moment_beam.objectives import moment_values

    options: dict[str, Any] = {"slices": slices, "step": step, "on_turn": on_turn, "turns": turns, "record": record}
    if isinstance(beam, MomentBeam):
        return moment_values(several(objectives), line, beam, space_charge=space_charge, effects=effects, **options)
    return values_course(objectives, Course.of(line, space_charge=space_charge, effects=effects, **options), beam)


def values_course(
    objectives: Sequence[BeamFunction | str], course: Course, beam: Beam, adjoint: Adjoint | str | None = None
) -> Array:
    """`values` along a course; ``adjoint`` is for a library that records a gradient of them."""
    from backbeam.lattice_functions.objectives import of_optics, tables_of

    what, course = judged(several(objectives), course)
    leaves = [leaf for one in what for leaf in of_optics(one)]
    tables = tables_of(leaves, course.line, beam)
    known = {leaf: leaf(tables[leaf.asked]) for leaf in leaves}
    final = track_course(course, beam, adjoint)
    found = [with_known(one, known)(final) for one in what]
    return namespace(final.coordinates).stack([one[0] if isinstance(one, tuple) else one for one in found], axis=0)


def several(objectives: Any) -> list[Any]:
    """The list of them; `InputError` for none."""
    if isinstance(objectives, str | Mapping) or not isinstance(objectives, Iterable):
        raise InputError("objectives", objectives, "a list of objectives, such as ['sigma_x', 'sigma_y']")
    found = list(objectives)
    if not found:
        raise InputError("objectives", found, "at least one objective")
    return found
