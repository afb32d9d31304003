"""`match`: search for the values at which a line does what is asked of it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from backbeam.beam import Beam
from backbeam.errors import BackbeamWarning, InputError
from backbeam.matching.aim import Aim
from backbeam.matching.function import stage_of
from backbeam.matching.history import History
from backbeam.matching.merit import Merit
from backbeam.matching.methods import method_for
from backbeam.matching.progress import shown
from backbeam.matching.result import Match, Varied, Wanted
from backbeam.matching.search import Search
from backbeam.matching.stage import Stage
from backbeam.matching.variables import Variables, Vary
from backbeam.observables import Target
from backbeam.scalars import plain

if TYPE_CHECKING:
    from backbeam.adjoint import Adjoint
    from backbeam.effects.base import Effect
    from backbeam.lattice_functions import Twiss
    from backbeam.line import Line
    from backbeam.moment_beam import LinearSpaceCharge, MomentBeam
    from backbeam.reference import Reference


def match(
    what: Any,
    line: Line,
    beam: Beam | MomentBeam | Reference,
    vary: Vary,
    *,
    method: str | None = None,
    passes: int = 1000,
    restarts: int = 0,
    seed: int = 0,
    seeds: int | Iterable[int] = (),
    history: str | Path | None = None,
    resume: bool = False,
    progress: bool = True,
    start: Twiss | None = None,
    space_charge: Effect | LinearSpaceCharge | None = None,
    effects: Iterable[Effect | LinearSpaceCharge] = (),
    slices: int | None = None,
    step: float | None = None,
    on_turn: str = "raise",
    turns: int = 1,
    adjoint: Adjoint | str | None = None,
) -> Match:
    """Find the values of parameters at which targets are met, an objective is small, or both.

    Parameters
    ----------
    what:
        A `Target` or several, which least squares meet, or their values by name (``{"beta_x @ ip": 0.5}``); or an
        objective or its name, which is made small; or one of these and targets, which then hold as constraints.
    line, beam, vary, start, space_charge, effects, slices, step, on_turn, turns, adjoint:
        As in `function`.
    method:
        One of SciPy's: trf, dogbox or lm for targets; L-BFGS-B, TNC, BFGS, CG, Nelder-Mead or Powell for an objective
        or the sum of squares; SLSQP or trust-constr for both. None: trf, L-BFGS-B or SLSQP.
    passes:
        Most passes through the line; then the best so far is what was found.
    restarts, seed:
        How many searches follow the first while targets are not met, or in any case where an objective is to be small,
        each from values drawn within the bounds, or about the start where there are none; and the seed of these. One
        that would begin where the line cannot be tracked is left out.
    seeds:
        Seeds of other samples of the beam, or how many: the search is made for each, from what was found, and the table
        says how much values and results scatter.
    history:
        File to which every trial is written as it comes, as comma-separated values.
    resume:
        Whether to go on from the best trial in that file. Least squares lose little: their steps follow from the point
        itself. What L-BFGS-B, SLSQP and the others have learnt of the curvature begins anew, as SciPy takes none of it.
    progress:
        Whether a terminal shows how far it is.

    Returns
    -------
    Match
        ``line``, ``beam``, ``success``, ``x``, ``values``, ``table()``, ``history``, ``plot()``. Ctrl-C ends the search
        with what was found until then.

    Raises
    ------
    InputError
        For what `function` refuses, and a method that cannot search for what is asked.
    TrackingError
        If the start cannot be tracked.

    Examples
    --------
    >>> line = bb.Line([
    ...     bb.Quadrupole(0.2, k1=2.0, name="q1"), bb.Drift(1.0), bb.Quadrupole(0.2, k1=-2.0, name="q2"), bb.Drift(2.0),
    ... ])
    >>> beam = bb.Beam.gaussian(n=1000, species="electron", kinetic_energy=50e6, charge=1e-9, sigma_x=1e-3,
    ...                         sigma_y=1e-3)
    >>> targets = [bb.Target("sigma_x", 0.5e-3), bb.Target("sigma_y", 0.5e-3)]
    >>> found = bb.match(targets, line, beam, {"q1.k1": (0.0, 10.0), "q2.k1": (-10.0, 0.0)})
    >>> found.success, f"{float(bb.track(found.line, beam).sigma('x')):.6f}"
    (True, '0.000500')
    """
    begun = perf_counter()
    course: dict[str, Any] = {"space_charge": space_charge, "effects": effects, "slices": slices, "step": step}
    stage = stage_of(line, beam, start, **course, on_turn=on_turn, turns=turns)
    aim, variables = Aim.of(what), Variables.of(vary, stage)
    samples = _samples(seeds, stage)
    merit = Merit(aim.goals, stage, variables, adjoint, scaled=True)
    chosen = method_for(method, aim, merit)
    for name, value in (("passes", passes), ("restarts", restarts)):
        if isinstance(value, bool) or not isinstance(plain(value), int) or value < (name == "passes"):
            raise InputError(name, value, f"a whole number, at least {int(name == 'passes')}")
    if resume and history is None:
        raise InputError("resume", resume, "history= too: the file to go on from")
    trials = History(merit.names, None if history is None else Path(history), resume)
    with shown(progress) as tell:
        search = Search(aim, merit, chosen, trials, passes, tell)
        try:
            search.run(restarts, seed)
            spread = [] if search.stopped else search.repeated(samples, adjoint)
        finally:
            trials.close()
    if search.stopped:
        warnings.warn("the match was interrupted: this is the best until then", BackbeamWarning, stacklevel=2)
    return _found(search, spread, perf_counter() - begun)


def _samples(seeds: Any, stage: Stage) -> list[Stage]:
    """The stage with beams of other seeds."""
    beam = stage.beam.given
    if isinstance(plain(seeds), int) and not isinstance(seeds, bool):
        own = beam.recipe.seed if isinstance(beam, Beam) and beam.recipe is not None else 0
        seeds = range(own + 1, own + 1 + seeds)
    wanted = list(seeds)
    if not wanted:
        return []
    if not isinstance(beam, Beam) or beam.recipe is None:
        raise InputError("seeds", wanted, "left out: only a beam that is drawn has other samples")
    return [replace(stage, beam=type(stage.beam)(beam.with_seed(one))) for one in wanted]


def _found(search: Search, samples: list[Search], seconds: float) -> Match:
    """The result of a search, and of those of other samples."""
    merit, aim, x = search.merit, search.aim, search.best
    before, after = search.looked(merit.x0), search.looked(x)
    line, beam = merit.unpack(x)
    first, last = merit.values(merit.x0), merit.values(x)
    others = [one.merit.values(one.best) for one in samples]
    free = {v.name: v for v in merit.variables.free}
    varied = []
    for name in merit.variables.all_names:
        low, high = (free[name].low, free[name].high) if name in free else (-np.inf, np.inf)
        scatter = float(np.std([last[name], *(one[name] for one in others)], axis=0, ddof=1).max()) if others else None
        unit = merit.stage.unit(name)
        varied.append(Varied(name, unit, first[name], last[name], low, high, name not in free, scatter))
    results = np.asarray([[value.mean() for value in one] for one in (after, *(s.looked(s.best) for s in samples))])
    scatters = np.std(results, axis=0, ddof=1).tolist() if samples else [None] * len(after)
    wanted = []
    if aim.objective is not None:
        label = str(getattr(aim.objective, "name", getattr(aim.objective, "__name__", "objective")))
        wanted.append(Wanted(label, "small", float(before[0].mean()), float(after[0].mean()), None, scatters[0]))
    k = len(wanted)
    for target, one, two, scatter in zip(aim.targets, before[k:], after[k:], scatters[k:], strict=True):
        ends = float(one.mean()), float(two.mean())
        wanted.append(Wanted(target.objective.name, _said(target), *ends, aim.is_met(target, two), scatter))
    success = all(one.met is not False for one in wanted) and (search.ended.converged or aim.objective is None)
    return Match(
        line, beam, success and not search.stopped, search.ended.message, search.method.name, x, merit,
        search.history, varied, wanted, merit.passes, merit.gradients, seconds, search.stopped,
    )  # fmt: skip


def _said(target: Target) -> str:
    """What a target wants."""
    tol = "" if target.tol is None else f" +- {target.tol:g}"
    if target.wanted is not None:
        return f"= {target.said}{tol}"
    if target.below is not None and target.above is not None:
        return f"{target.above:g} ... {target.below:g}{tol}"
    return f"> {target.above:g}{tol}" if target.below is None else f"< {target.below:g}{tol}"
