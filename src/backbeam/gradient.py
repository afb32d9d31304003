"""Value and gradient of an objective of the tracked beam, on every array library, with our own pullbacks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from backbeam import backends
from backbeam.adjoint import Adjoint
from backbeam.adjoint.base import Diagnosis, zero_parameters
from backbeam.adjoint.journal import Journal
from backbeam.arrays import Array, namespace, over_particles, per_particle
from backbeam.beam import Beam
from backbeam.course import Course
from backbeam.errors import InputError
from backbeam.judging import judged, objective_of
from backbeam.knob_gradient import Wanted
from backbeam.memory import is_taped, resolve
from backbeam.mixed import differentiate_mixed, is_mixed
from backbeam.objectives import BeamFunction, checked_value, in_order, pull_objective
from backbeam.observables.base import Objective
from backbeam.paths import is_of_beam, of_line
from backbeam.plan import Bars, Plan, Setting, State, TapedWatch, advance, watched
from backbeam.run import Run
from backbeam.tracking import followed

if TYPE_CHECKING:
    from backbeam.effects.base import Effect
    from backbeam.line import Line
    from backbeam.turns import Record

BEAM_PARAMETERS = ("coordinates", "charges", "charge", "kinetic_energy", "beta_gamma")
"""What of every beam a gradient can be asked for, besides the parameters of the distribution that it was drawn from."""


class Gradient(NamedTuple):
    """What `differentiate` found."""

    value: Array
    """Value of the objective ``(...)``."""
    gradient: dict[str, Array]
    """Derivative with respect to each name asked for, ``(..., own shape)``: a leading axis of settings stays."""
    beam: Beam
    """The beam at the end."""
    report: Diagnosis
    """What is known of the adjoint's work."""
    adjoint: Adjoint
    """The one that was used: what `Auto` chose."""


def value_and_grad(
    objective: BeamFunction | str,
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
    """Track, and differentiate an objective of the final beam.

    Parameters
    ----------
    objective:
        See `BeamFunction`; `backbeam.observables` has those of the field, which a name or a formula of names may stand
        for, ``"log(sigma_x @ m1)"``. Of those of optics only the beam's reference matters; their gradients are by
        ``qf.k1``, ``reference.kinetic_energy``, ``start.beta_x``, ...; beside others by ``beam.kinetic_energy``.
    line, beam, space_charge, effects, slices, step, on_turn, turns, record:
        As in `track`. By `Reversible` the turns are undone one by one, and memory does not grow with their number.
    wrt:
        Names: ``qf.k1`` of an element or ``wake_1.q`` of an effect (a parameter that it leaves out counts as 0), a knob
        of the line such as ``kqf`` (by the chain rule through all parameters that follow it), ``beam.charge`` (as it
        was given, a magnitude), ``beam.kinetic_energy``, ``beam.coordinates``, ``beam.charges``, ``beam.beta_gamma``,
        and parameters of the beam's distribution such as ``beam.sigma_x`` or ``beam.radius``.
    adjoint:
        How the way is remembered, see `backbeam.adjoint`, or its name; None: `Auto`.

    Returns
    -------
    value, gradient
        Value ``(...)``, and a dict from each name to the derivative, with the batch axes of the settings in front.

    Raises
    ------
    InputError
        For a name that is not known, or an objective that has no pullback here.
    TrackingError
        If the adjoint finds that its gradient is not to be trusted.

    Examples
    --------
    >>> line = bb.Line([bb.Quadrupole(0.2, k1=3.0, name="q"), bb.Drift(1.0)])
    >>> beam = bb.Beam.gaussian(n=1000, species="electron", kinetic_energy=50e6, charge=1e-9, sigma_x=1e-3)
    >>> value, gradient = bb.value_and_grad(bb.observables.sigma("x"), line, beam, ["q.k1", "beam.sigma_x"])
    >>> sorted(gradient), bool(gradient["q.k1"] < 0.0)
    (['beam.sigma_x', 'q.k1'], True)
    """
    from backbeam.lattice_functions.objectives import differentiate_optics, is_of_optics
    from backbeam.moment_beam import MomentBeam
    from backbeam.moment_beam.tracking import moment_value_and_grad

    what = objective_of(objective)
    options: dict[str, Any] = {"slices": slices, "step": step, "on_turn": on_turn, "turns": turns, "record": record}
    if isinstance(beam, MomentBeam):
        return moment_value_and_grad(what, line, beam, wrt, space_charge=space_charge, effects=effects, **options)
    if is_of_optics(what) and not any(is_of_beam(name, line) for name in Wanted.of(line, wrt).names):
        return differentiate_optics(what, line, beam, wrt)
    course = Course.of(line, space_charge=space_charge, effects=effects, **options)
    found = differentiate_course(what, course, beam, wrt, adjoint=adjoint)
    return found.value, found.gradient


def differentiate(
    objective: BeamFunction | str,
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
) -> Gradient:
    """`value_and_grad` with all that is known besides: the final beam, and the adjoint's report.

    Examples
    --------
    >>> line = bb.Line([bb.Quadrupole(0.2, k1=3.0, name="q"), bb.Drift(1.0)])
    >>> beam = bb.Beam.gaussian(n=1000, species="electron", kinetic_energy=50e6, charge=1e-9, sigma_x=1e-3)
    >>> found = bb.differentiate(bb.observables.sigma("x"), line, beam, ["q.k1"])
    >>> list(found.gradient), found.value.shape
    (['q.k1'], ())
    """
    options: dict[str, Any] = {"slices": slices, "step": step, "on_turn": on_turn, "turns": turns, "record": record}
    course = Course.of(line, space_charge=space_charge, effects=effects, **options)
    return differentiate_course(objective, course, beam, wrt, adjoint=adjoint)


def differentiate_course(
    objective: BeamFunction | str,
    course: Course,
    beam: Beam,
    wrt: Sequence[str],
    *,
    adjoint: Adjoint | str | None = None,
    journal: Journal | None = None,
) -> Gradient:
    """`differentiate` along a course; with a journal it tells where it can be left, or goes on from where it was."""
    if not isinstance(beam, Beam):
        raise InputError("beam", beam, "a Beam")
    (what,), course = judged([objective], course)
    if is_mixed(what):
        on = course

        def of_beam(one: BeamFunction, names: Sequence[str]) -> Gradient:
            return differentiate_course(one, on, beam, names, adjoint=adjoint, journal=journal)

        return differentiate_mixed(what, course, beam, wrt, of_beam)
    asked = Wanted.of(course.line, wrt)
    names = checked_names(asked, beam)
    course = course.with_present(of_line(names, course.line))
    run = Run(course, beam, recorded=False, lent=goes_anywhere(what) and not is_taped(adjoint))
    adjoint = resolve(adjoint, run, run.course.plan)
    if journal is not None:
        adjoint = journal.adjoint(adjoint)
        journal = journal.beside(run.beam) if adjoint.resumes else None
    if adjoint.taped:
        value, bars, final = _by_tape(what, run)
        report = Diagnosis()
    else:
        backend, first, P = run.backend, run.state(), run.parameters
        plan, setting, (last, readings, kept) = way_there(run, adjoint, first, P, journal)
        final = run.result(last, plan, readings)
        seeds: list[Any]
        value, *seeds = seeds_of(what, run, plan, final, first, last, readings)
        # Popped, not named, and not by ** either, which holds arguments in a tuple: the adjoint lets go as it goes.
        readings_bar = seeds.pop()
        sweep = None
        if journal is not None:
            sweep = journal.sweep(adjoint, True, plan is not run.course.plan, (tuple(last), list(readings)))
        bars, report = adjoint.backward(backend, plan, setting, first, last, kept, P, seeds.pop(), readings_bar, sweep)
        bars = adjoint.check(backend, report, bars)
    bars = run.before_clocks(bars)
    value, final, bars = run.home(value), run.home(final), run.home(bars)
    report = report._replace(mismatch=run.home(report.mismatch))
    gradient = asked.gradient(wanted_bars(names, run, bars), run.given)
    plain = backends.of(run.given.coordinates).unrecorded
    return Gradient(plain(value), {name: plain(bar) for name, bar in gradient.items()}, final, report, adjoint)


def goes_anywhere(objective: BeamFunction) -> bool:
    """Whether an objective is one of this package's, which take beams of any library."""
    return isinstance(objective, Objective) and not any(leaf.is_foreign for leaf in objective.leaves)


def way_there(
    run: Run, adjoint: Adjoint, first: State, P: Any, journal: Journal | None
) -> tuple[Plan, Setting, tuple[State, tuple[Array, ...], Any]]:
    """The way forward, or what is left of it: plan and setting, and the last state, the readings, what was kept."""
    start = None if journal is None else journal.start

    def go(plan: Plan, setting: Setting) -> tuple[State, tuple[Array, ...], Any]:
        is_watched = plan is not run.course.plan
        if start is not None and start.back and start.watched == is_watched:
            state, readings = start.ended
            return State(*state), tuple(readings), []
        sweep = None if journal is None else journal.sweep(adjoint, False, is_watched)
        return adjoint.forward(run.backend, plan, setting, first, P, sweep)

    if start is None or not start.watched:
        return followed(run, go)
    plan = watched(run.course.plan)
    setting = replace(run.setting(plan), masked=True)
    return plan, setting, go(plan, setting)


def checked_names(asked: Wanted, beam: Beam) -> list[str]:
    """The names as a list; `InputError` for what this beam has no gradient for. The course looks at the others."""
    names = [str(name) for name in asked.parameters]
    if not asked.names:
        raise InputError("wrt", names, "at least one name, such as qf.k1 or beam.charge")
    recipe = () if beam.recipe is None else tuple(beam.recipe.parameters)
    fixed = () if beam.recipe is None else beam.recipe.fixed
    for name in names:
        if not is_of_beam(name, asked.line):
            continue
        field = name.rpartition(".")[2]
        if beam.recipe is not None and (field in fixed or (field == "beta_gamma" and "kinetic_energy" in fixed)):
            allowed = f"what a {beam.recipe.kind} beam has a gradient for: its shape is made on the host"
            raise InputError("wrt", name, allowed)
        if field not in (*BEAM_PARAMETERS, *recipe):
            raise InputError("wrt", name, f"beam with one of {', '.join((*BEAM_PARAMETERS, *recipe))}")
    return names


def seeds_of(
    objective: BeamFunction,
    run: Run,
    plan: Plan,
    final: Beam,
    first: State,
    last: State,
    readings: tuple[Array, ...],
) -> tuple[Array, Bars, tuple[Array, ...]]:
    """Value of an objective, and what the way back begins with: cotangents of the last state and of the readings."""
    value, found = pull_objective(objective, run, plan, final, last, readings)
    parameters = _with_lengths(zero_parameters(first, run.parameters, run.core_ranks), run, found.s)
    bars = Bars(found.coordinates, found.charges, found.beta_gamma, parameters)
    return value, bars, in_order(found.readings, plan, readings, last.beta_gamma.ndim)


def no_bars(first: State, run: Run) -> Bars:
    """Cotangents of zero, of a state and of all parameters."""
    X, q, beta_gamma = (namespace(first.X).zeros_like(part) for part in first[:3])
    return Bars(X, q, beta_gamma, zero_parameters(first, run.parameters, run.core_ranks))


def _with_lengths(bars: dict[str, dict[str, Array]], run: Run, s_bar: Array | float) -> dict[str, dict[str, Array]]:
    """Cotangents of parameters with that of the path length in those of the lengths: s is their sum."""
    if isinstance(s_bar, float) and s_bar == 0.0:
        return bars
    more = {
        name: {**bars[name], "length": bars[name]["length"] + times * s_bar} for name, times in run.passages.items()
    }
    return {**bars, **more}


# -- the library's own tape -------------------------------------------------------------------------------------------


def _by_tape(objective: BeamFunction, run: Run) -> tuple[Array, Bars, Beam]:
    """Value and cotangents of everything at the start, by the library's automatic differentiation alone."""
    if not run.backend.has_autodiff:
        allowed = f"reversible, store or checkpoint: {run.backend.name} does not differentiate by itself"
        raise InputError("adjoint", "tape", allowed)
    first = run.state()
    plan, setting, (last, seen) = followed(
        run, lambda plan, setting: advance(plan, setting, first, run.parameters), TapedWatch
    )
    xp = namespace(first.X)
    batch = tuple(first.beta_gamma.shape)
    # Inputs with the full batch in front: a gradient for each setting, as the other adjoints give.
    values = [v for fields_ in run.parameters.values() for v in fields_.values()]
    ranks = run.ranks[4:]
    spread = [xp.broadcast_to(v, batch + tuple(v.shape[v.ndim - r :])) for v, r in zip(values, ranks, strict=True)]

    def function(X: Array, q: Array, beta_gamma: Array, *parameters: Array) -> Array:
        state, P = run.unpack((X, q, beta_gamma, first.lost_at, *parameters))
        state, readings = advance(plan, setting, state, P)
        s = run.beam.s + sum(times * P[name]["length"] for name, times in run.passages.items())
        result = objective(run.result(state, plan, readings, s))
        return checked_value(result[0] if isinstance(result, tuple) else result, run)

    value, pull = run.backend.pull(function, [first.X, first.q, first.beta_gamma, *spread])
    X_bar, q_bar, beta_gamma_bar, *bars = pull(xp.ones_like(value))
    names = iter(bars)
    parameters = {n: {f: next(names) for f in fields_} for n, fields_ in run.parameters.items()}
    return value, Bars(X_bar, q_bar, beta_gamma_bar, parameters), run.result(last, plan, seen)


# -- from cotangents at the start to what was asked for ----------------------------------------------------------------


def wanted_bars(
    names: Sequence[str], run: Run, bars: Bars, variates: Callable[[], Array] | None = None
) -> dict[str, Array]:
    """The cotangent behind each name; ``variates`` gives what the beam was drawn from, where that is known already."""
    mine = {name for name in names if is_of_beam(name, run.line)}
    of_beam = _beam_bars({name.rpartition(".")[2] for name in mine}, run.given, bars, variates)
    found = {}
    for name in names:
        owner, _, field = name.rpartition(".")
        found[name] = of_beam[field] if name in mine else bars.parameters[owner][field]
    return found


def _beam_bars(asked: set[str], beam: Beam, bars: Bars, variates: Callable[[], Array] | None) -> dict[str, Array]:
    """Cotangents of what is asked of the beam; it is drawn again, once, where its distribution has a part in them."""
    found = {"coordinates": bars.X, "charges": bars.q}
    if "charge" in asked:
        found["charge"] = charge_bar(beam, bars.q)
    if asked <= {"coordinates", "charges", "charge"}:
        return found
    beta_gamma_bar, recipe = bars.beta_gamma, beam.recipe
    if recipe is not None:
        beta_gamma = beam.reference.beta_gamma
        shape_bars, more = recipe.assemble_pullback(
            (variates or recipe.variates)(), recipe.parameters, beta_gamma, bars.X
        )
        found |= shape_bars
        beta_gamma_bar = beta_gamma_bar + more
    # d(beta gamma)/dT = 1/(beta m c^2)
    kinetic_energy_bar = beta_gamma_bar / (beam.reference.beta * beam.species.mass)
    return found | {"beta_gamma": beta_gamma_bar, "kinetic_energy": kinetic_energy_bar}


def charge_bar(beam: Beam, q_bar: Array) -> Array:
    """Cotangent of the total charge, as a magnitude, from those of the particles' charges.

    All charges scale with the total. Where it is zero they grow from there evenly, with the sign of the species.
    """
    xp = namespace(q_bar)
    sign = float(beam.species.charge_number > 0) - float(beam.species.charge_number < 0)
    total = sign * over_particles(beam.charges)
    charged = total > 0.0
    share = beam.charges / per_particle(xp.where(charged, total, xp.ones_like(total)))
    even = xp.full_like(share, sign / beam.n)
    return over_particles(q_bar * xp.where(per_particle(charged), share, even))
